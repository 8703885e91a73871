//! The organisation that is served: as a file for the gateway, and as roles and grants for a single layer.

use std::{fmt::Write as _, net::SocketAddr};

use gatewright_core::{
    Group,
    access::{Grant, Grantee, Role},
};
use serde_json::json;

pub(crate) const SERVERS: usize = 50;
const TOOLS: usize = 20;
const GROUPS: usize = 100;
/// The groups that the caller is in: the first ones.
pub(crate) const CALLER_GROUPS: usize = 5;
/// The agent that acts for people.
pub(crate) const AGENT: &str = "bench-agent";
/// A tool that is permitted under a condition on its arguments.
pub(crate) const CHECKED_TOOL: &str = "checked";
/// The server whose tools are listed.
pub(crate) const LIST_SERVER: usize = SERVERS - 1;

pub(crate) fn group(number: usize) -> String {
    format!("group-{number:02}")
}

pub(crate) fn server(number: usize) -> String {
    format!("server-{number:02}")
}

pub(crate) fn tool(number: usize) -> String {
    format!("do_{number:02}")
}

/// One permission of a group.
#[derive(Clone, Debug)]
struct Permit {
    group: usize,
    server: usize,
    tools: String,
    at_most: Option<i64>,
}

/// So many permits, spread over servers, tools and groups; the first five are those that a call of the first tool of
/// the first server meets.
fn permits(many: usize) -> Vec<Permit> {
    let spread = (0..many).map(|number| {
        let group = number % GROUPS;
        let pair = match (number * 7 + number / GROUPS) % (SERVERS * TOOLS) {
            _ if number < CALLER_GROUPS => 0,
            0 if group < CALLER_GROUPS => 1,
            other => other,
        };
        Permit {
            group,
            server: pair % SERVERS,
            tools: tool(pair / SERVERS),
            at_most: None,
        }
    });
    let of_caller = (0..CALLER_GROUPS).flat_map(|group| {
        let checked = Permit {
            group,
            server: 0,
            tools: CHECKED_TOOL.to_owned(),
            at_most: Some(if group == 0 { 100 } else { 1 }),
        };
        let listed = Permit {
            group,
            server: LIST_SERVER,
            tools: format!("tool_{group}0*"),
            at_most: None,
        };
        [checked, listed]
    });
    spread.chain(of_caller).collect()
}

/// The roles, one for each group, as an engine takes them.
pub(crate) fn roles(many: usize) -> anyhow::Result<Vec<Role>> {
    let mut roles: Vec<Role> = (0..GROUPS)
        .map(|number| Role::new(&group(number)))
        .collect();
    for permit in permits(many) {
        let mut permission = json!({"servers": [server(permit.server)], "tools": [permit.tools]});
        if let (Some(at_most), Some(fields)) = (permit.at_most, permission.as_object_mut()) {
            let when = json!({"arguments": [{"argument": "count", "at_most": at_most}]});
            fields.insert("when".to_owned(), when);
        }
        if let Some(role) = roles.get_mut(permit.group) {
            role.permissions.push(serde_json::from_value(permission)?);
        }
    }
    Ok(roles)
}

/// Each group's grant of its role.
pub(crate) fn grants(issuer: &str) -> Vec<Grant> {
    (0..GROUPS)
        .map(|number| {
            let to = Grantee::Group(Group::new(issuer, &group(number)));
            Grant::new(&group(number), to)
        })
        .collect()
}

/// The text of `org.toml`.
pub(crate) fn text(issuer: &str, upstream: SocketAddr, many: usize) -> String {
    let mut text = format!(
        "create_people_on_sight = true\n[[issuers]]\nissuer = \"{issuer}\"\njwks_url = \"http://{upstream}/keys\"\nalgorithms = [\"ES256\"]\n\
         groups_claim = \"groups\"\n"
    );
    let mut add = |part: std::fmt::Arguments<'_>| {
        // Writing into a string cannot fail.
        let _written = text.write_fmt(part);
    };
    for number in 0..SERVERS {
        let name = server(number);
        add(format_args!(
            "\n[[servers]]\nname = \"{name}\"\nurl = \"http://{upstream}/mcp/{name}\"\nera = \"modern\"\naudit = \"required\"\n\
             credential = \"shared\"\n"
        ));
    }
    let all = permits(many);
    for number in 0..GROUPS {
        let name = group(number);
        add(format_args!("\n[[roles]]\nname = \"{name}\"\n"));
        for permit in all.iter().filter(|permit| permit.group == number) {
            let (server, tools) = (server(permit.server), &permit.tools);
            add(format_args!(
                "[[roles.permissions]]\nservers = [\"{server}\"]\ntools = [\"{tools}\"]\n"
            ));
            if let Some(at_most) = permit.at_most {
                add(format_args!(
                    "when.arguments = [{{ argument = \"count\", at_most = {at_most} }}]\n"
                ));
            }
        }
        add(format_args!(
            "[[grants]]\nrole = \"{name}\"\ngroup = \"{name}\"\n"
        ));
    }
    let (server, tool) = (server(0), tool(0));
    add(format_args!(
        "\n[[roles]]\nname = \"agent\"\n[[roles.permissions]]\nservers = [\"{server}\"]\ntools = [\"{tool}\"]\n\
         [[grants]]\nrole = \"agent\"\nagent = \"{AGENT}\"\n"
    ));
    text
}

/// The text of `gatewright.toml`.
pub(crate) fn settings(public: SocketAddr) -> String {
    format!(
        "public_url = \"http://{public}\"\ndata_dir = \"data\"\ndevelopment = true\n\n\
         [listen]\npublic = \"{public}\"\n\n[logging]\nlevel = \"warn\"\n\n[outbound]\nallow = [\"127.0.0.0/8\"]\n\n\
         [limits.principal]\nper_second = 0\ncalls = 100000\n\n[limits.server]\ncalls = 100000\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_meets_five_permits_of_the_caller_however_many_there_are() {
        for many in [10, 1_000, 10_000] {
            let permits = permits(many);
            let met = permits.iter().filter(|permit| {
                permit.group < CALLER_GROUPS && permit.server == 0 && permit.tools == tool(0)
            });
            assert_eq!(met.count(), 5, "{many}");
            assert!(permits.len() >= many);
        }
        let groups: std::collections::BTreeSet<_> =
            permits(1_000).iter().map(|permit| permit.group).collect();
        assert_eq!(groups.len(), GROUPS);
    }
}
