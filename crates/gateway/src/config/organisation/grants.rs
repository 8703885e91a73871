//! Who has which role.

use gatewright_core::{
    Group, ServerName, Subject, Timestamp,
    access::{BuiltInRole, Grant, Grantee, Scope},
};

use super::{Issuer, Server, access::Placed, forms::GrantForm, reader::Reader};
use crate::config::document::{Item, Table};

impl<'t> Reader<'_, 't> {
    pub(super) fn grants(
        &mut self,
        table: &mut Table<'_, 't>,
        issuers: &[Issuer],
        roles: &[Placed],
        servers: &[Server],
    ) -> Vec<Grant> {
        let mut grants: Vec<Grant> = Vec::new();
        for item in table.list::<GrantForm>("grants", self.problems) {
            let role = &item.value.role;
            let is_own = roles.iter().any(|placed| placed.role.name == *role);
            if !is_own && BuiltInRole::named(role).is_none() {
                let names: Vec<_> = roles
                    .iter()
                    .map(|placed| format!("`{}`", placed.role.name))
                    .collect();
                let fix = if names.is_empty() {
                    format!("define it with `[[roles]]` and `name = \"{role}\"`")
                } else {
                    format!(
                        "define it with `[[roles]]`; the roles of this tenant are {}",
                        names.join(", ")
                    )
                };
                self.problems.add(
                    item.at(&["role"]),
                    format!("the role `{role}` is not defined"),
                    fix,
                );
            }
            let Some(to) = self.grantee(&item, issuers) else {
                continue;
            };
            let over = match &item.value.over {
                None => None,
                Some(_) => match self.over(&item, servers) {
                    Some(over) => Some(over),
                    // Noted; without it the grant would be wider than it was meant.
                    None => continue,
                },
            };
            if grants
                .iter()
                .any(|other| other.role == *role && other.to == to && other.over == over)
            {
                let fix = "remove one of the two; a grant ends when its own `expires` does";
                self.problems.add(
                    item.at(&[]),
                    format!("the role `{role}` is granted to them already"),
                    fix,
                );
            }
            let expires = self.expires(&item, item.value.expires.as_ref());
            let GrantForm { role, reason, .. } = item.value;
            grants.push(Grant {
                role,
                to,
                expires,
                reason,
                over,
            });
        }
        grants
    }

    fn over(&mut self, item: &Item<'_, 't, GrantForm>, servers: &[Server]) -> Option<Scope> {
        let form = item.value.over.as_ref()?;
        match (&form.server, &form.group) {
            (Some(server), None) => {
                let known = servers.iter().any(|known| known.name.as_str() == server);
                match ServerName::new(server) {
                    Ok(name) if known => Some(Scope::Server(name)),
                    _ => {
                        let what = format!("the server `{server}` is not defined");
                        let fix = "name a server of this tenant";
                        self.problems.add(item.at(&["over", "server"]), what, fix);
                        None
                    }
                }
            }
            (None, Some(group)) => {
                // Who is in the groups of tokens is for their issuers to say, and for no administrator here.
                Some(Scope::Group(Group::new(Group::DIRECTORY, group)))
            }
            _ => {
                let fix =
                    "write `over = { server = \"billing\" }` or `over = { group = \"finance\" }`";
                let what = "the grant is over neither one server nor one group";
                self.problems.add(item.at(&["over"]), what, fix);
                None
            }
        }
    }

    fn grantee(&mut self, item: &Item<'_, 't, GrantForm>, issuers: &[Issuer]) -> Option<Grantee> {
        let form = &item.value;
        let (key, name) = match (&form.user, &form.group, &form.agent) {
            (Some(name), None, None) => ("user", name),
            (None, Some(name), None) => ("group", name),
            (None, None, Some(name)) => ("agent", name),
            (None, None, None) => {
                let fix = "add one of `user`, `group` and `agent`";
                self.problems
                    .add(item.at(&[]), "the grant is to nobody", fix);
                return None;
            }
            _ => {
                let fix = "write a grant for each of them: one of `user`, `group` and `agent`";
                self.problems
                    .add(item.at(&[]), "the grant is to more than one", fix);
                return None;
            }
        };
        if name.is_empty() {
            let fix = "write it as the issuer's tokens have it";
            self.problems
                .add(item.at(&[key]), format!("`{key}` is empty"), fix);
            return None;
        }
        if key == "group" && form.issuer.as_deref() == Some(Group::DIRECTORY) {
            return Some(Grantee::Group(Group::new(Group::DIRECTORY, name)));
        }
        let issuer = self.issuer_of(item, form.issuer.as_deref(), issuers)?;
        if key == "group" && issuer == Subject::LOCAL {
            let what = "who is known by API keys is in no group";
            let fix = "grant it to each `agent` or `user`, name an issuer of tokens, or write `issuer = \"directory\"` for a group of the \
                directory";
            self.problems.add(item.at(&[key]), what, fix);
            return None;
        }
        Some(match key {
            "user" => Grantee::User(Subject::new(&issuer, name)),
            "group" => Grantee::Group(Group::new(&issuer, name)),
            _ => Grantee::Agent(Subject::new(&issuer, name)),
        })
    }

    /// A moment under the key `expires`.
    pub(super) fn expires<T>(
        &mut self,
        item: &Item<'_, 't, T>,
        given: Option<&toml::Value>,
    ) -> Option<Timestamp> {
        let text = match given? {
            toml::Value::Datetime(moment) => moment.to_string(),
            toml::Value::String(text) => text.clone(),
            other => other.type_str().to_owned(),
        };
        match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Some(Timestamp::from_millis(moment.as_millisecond())),
            Err(_) => {
                let what = format!("`{text}` is no moment");
                let fix = "write date, time and offset, as `2027-01-31T18:00:00Z`";
                self.problems.add(item.at(&["expires"]), what, fix);
                None
            }
        }
    }
}
