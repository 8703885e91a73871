//! Reads people, agents and groups of a file.

use gatewright_core::Subject;
use gatewright_directory::{
    apply::{WantedAgent, WantedGroup, WantedTenant, WantedUser},
    model::Identity,
};

use super::{
    Issuer,
    forms::{AgentForm, GroupForm, UserForm},
    reader::Reader,
};
use crate::config::document::{Item, Table};

impl<'t> Reader<'_, 't> {
    pub(super) fn people(
        &mut self,
        table: &mut Table<'_, 't>,
        issuers: &[Issuer],
        wanted: &mut WantedTenant,
    ) {
        wanted.users = self.users(table, issuers);
        wanted.agents = self.agents(table, issuers);
        wanted.groups = self.groups(table, issuers);
    }

    fn users(&mut self, table: &mut Table<'_, 't>, issuers: &[Issuer]) -> Vec<WantedUser> {
        let mut users: Vec<WantedUser> = Vec::new();
        for item in table.list::<UserForm>("users", self.problems) {
            let (id, issuer) = (item.value.id.as_str(), item.value.issuer.as_deref());
            let Some(subject) = self.subject(&item, id, issuer, issuers) else {
                continue;
            };
            let identity = Identity::from(&subject);
            if users.iter().any(|other| other.identity == identity) {
                let what = format!("there is a user `{id}` of this issuer already");
                self.problems
                    .add(item.at(&["id"]), what, "name each user once");
            }
            users.push(WantedUser {
                identity,
                display_name: item.value.name,
                disabled: item.value.disabled,
            });
        }
        users
    }

    fn agents(&mut self, table: &mut Table<'_, 't>, issuers: &[Issuer]) -> Vec<WantedAgent> {
        let mut agents: Vec<WantedAgent> = Vec::new();
        for item in table.list::<AgentForm>("agents", self.problems) {
            let (id, issuer) = (item.value.id.as_str(), item.value.issuer.as_deref());
            let Some(subject) = self.subject(&item, id, issuer, issuers) else {
                continue;
            };
            let identity = Identity::from(&subject);
            if agents.iter().any(|other| other.identity == identity) {
                let what = format!("there is an agent `{id}` of this issuer already");
                self.problems
                    .add(item.at(&["id"]), what, "name each agent once");
            }
            let owner = match &item.value.owner {
                Some(owner) => self.owner(&item, owner, &subject, issuers),
                None => None,
            };
            let expires = self.expires(&item, item.value.expires.as_ref());
            let form = item.value;
            agents.push(WantedAgent {
                identity,
                name: form.name,
                owner,
                purpose: form.purpose,
                expires: expires.map(gatewright_core::Timestamp::millis),
                disabled: form.disabled,
            });
        }
        agents
    }

    /// The person who answers for an agent: of the agent's issuer, unless that is none of people.
    fn owner(
        &mut self,
        item: &Item<'_, 't, AgentForm>,
        owner: &str,
        agent: &Subject,
        issuers: &[Issuer],
    ) -> Option<Identity> {
        if owner.is_empty() {
            let fix = "name the person as tokens do, or leave the key out";
            self.problems
                .add(item.at(&["owner"]), "`owner` is empty", fix);
            return None;
        }
        let of_agent = Some(agent.issuer()).filter(|issuer| *issuer != Subject::LOCAL);
        let given = item.value.owner_issuer.as_deref().or(of_agent);
        let issuer = self.issuer_of(item, given, issuers)?;
        Some(Identity {
            issuer,
            subject: owner.to_owned(),
        })
    }

    fn groups(&mut self, table: &mut Table<'_, 't>, issuers: &[Issuer]) -> Vec<WantedGroup> {
        let mut groups: Vec<WantedGroup> = Vec::new();
        for item in table.list::<GroupForm>("groups", self.problems) {
            let form = &item.value;
            if form.name.trim().is_empty() {
                let fix = "write a name for people, as `name = \"Finance\"`";
                self.problems
                    .add(item.at(&["name"]), "the group has no name", fix);
                continue;
            }
            if groups.iter().any(|other| other.name == form.name) {
                let what = format!("there is a group `{}` already", form.name);
                self.problems
                    .add(item.at(&["name"]), what, "name each group once");
            }
            let issuer = if form.users.is_empty() && form.agents.is_empty() {
                Some(String::new())
            } else {
                self.issuer_of(&item, form.issuer.as_deref(), issuers)
            };
            let Some(issuer) = issuer else { continue };
            let of = |ids: &[String]| -> Vec<Identity> {
                let identity = |id: &String| Identity {
                    issuer: issuer.clone(),
                    subject: id.clone(),
                };
                ids.iter().map(identity).collect()
            };
            groups.push(WantedGroup {
                users: of(&form.users),
                agents: of(&form.agents),
                groups: form.groups.clone(),
                name: form.name.clone(),
            });
        }
        groups
    }
}
