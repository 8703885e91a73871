//! A policy engine of one's own: a table of who may use which tool.

use gatewright_core::{Call, Decision, PolicyEngine, Principal, Route, SnapshotVersion, Visible};
use gatewright_wire::ItemKind;

/// Users, each with the tools that they may use. Whoever is not in it may connect and see nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessTable(pub(crate) &'static [(&'static str, &'static [&'static str])]);

impl AccessTable {
    fn has(self, principal: &Principal, tool: &str) -> bool {
        // An agent that acts for a user is allowed what both are allowed, so both must be in the table.
        let mut parties = principal.parties();
        parties.all(|party| {
            let row = self
                .0
                .iter()
                .find(|(user, _)| *user == party.subject().id());
            row.is_some_and(|(_, tools)| tools.contains(&tool))
        })
    }
}

impl PolicyEngine for AccessTable {
    async fn decide(&self, principal: &Principal, call: &Call) -> Decision {
        match (call.method(), call.target()) {
            (Some("tools/call"), Some(tool)) if self.has(principal, tool) => {
                Decision::allow(["table"])
            }
            (
                Some(
                    "server/discover"
                    | "initialize"
                    | "notifications/initialized"
                    | "ping"
                    | "tools/list",
                ),
                _,
            ) => Decision::allow(["everybody-connects"]),
            _ => Decision::deny("not in the table"),
        }
    }

    /// The other half: lists show what may be called, and nothing else.
    async fn visible(
        &self,
        principal: &Principal,
        _: &Route,
        kind: ItemKind,
        names: &[&str],
    ) -> Visible {
        let shown = names
            .iter()
            .map(|name| kind == ItemKind::Tool && self.has(principal, name));
        Visible {
            shown: shown.collect(),
            snapshot: SnapshotVersion::default(),
        }
    }
}
