//! Groups and who is in them, and who has which role.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    applying::Applying,
    names::grant_id,
    wanted::{WantedGrant, WantedGroup, WantedHolder, WantedOver, WantedTenant},
};
use crate::{
    edit::{ChangeError, Edit},
    model::{Document, Grant, Group, Holder, MemberRef, Over},
    records::Kind,
};

impl Applying<'_> {
    pub(super) fn groups(&mut self, wanted: &WantedTenant) -> Result<(), ChangeError> {
        wanted.groups.iter().try_for_each(|group| self.group(group))
    }

    fn group(&mut self, wanted: &WantedGroup) -> Result<(), ChangeError> {
        let id = self.group_id(&wanted.name);
        if !self.is_own(Kind::Group, &id) {
            let message = format!(
                "the group `{}` is not the file's: who is in it is for those to say who made it",
                wanted.name
            );
            return Err(ChangeError::broken("group-of-others", message));
        }
        let group = match self.document(Kind::Group, &id) {
            Some(Document::Group(group)) => group.clone(),
            _ => Group::new(&wanted.name),
        };
        self.own(Kind::Group, &id);
        self.put(Arc::clone(&id), Document::Group(group));
        let mut members = BTreeSet::new();
        for user in &wanted.users {
            members.insert(MemberRef::user(&self.party(Kind::User, user)?));
        }
        for agent in &wanted.agents {
            members.insert(MemberRef::agent(&self.party(Kind::Agent, agent)?));
        }
        for inner in &wanted.groups {
            members.insert(MemberRef::group(&self.group_id(inner)));
        }
        // Before the members: whoever comes in between is seen by it.
        let digest = self.directory.members_digest(self.tenant, &id);
        self.digests.insert(Arc::clone(&id), digest);
        let present = self.directory.members(self.tenant, &id, None, usize::MAX);
        for member in present
            .into_iter()
            .filter(|member| !members.contains(member))
        {
            let group = Arc::clone(&id);
            self.memberships.push(Edit::Leave { group, member });
        }
        for member in members {
            let group = Arc::clone(&id);
            self.memberships.push(Edit::Join { group, member });
        }
        Ok(())
    }

    pub(super) async fn grants(&mut self, wanted: &WantedTenant) -> Result<(), ChangeError> {
        let mut grants = Vec::with_capacity(wanted.grants.len());
        for grant in &wanted.grants {
            let grant = self.given(grant)?;
            grants.push((grant_id(&grant), grant));
        }
        let ids = grants.iter().map(|(id, _)| Arc::clone(id)).collect();
        self.load(Kind::Grant, ids).await?;
        let now = self.directory.now().millis();
        for (id, grant) in grants {
            // One that has ended gives nothing; a file that still has it is no mistake.
            let is_over = grant.expires.is_some_and(|end| end <= now);
            if is_over && self.stored(Kind::Grant, &id).is_none() {
                continue;
            }
            self.make(id, Document::Grant(grant))?;
        }
        Ok(())
    }

    fn given(&mut self, wanted: &WantedGrant) -> Result<Grant, ChangeError> {
        let to = match &wanted.to {
            WantedHolder::User(identity) => {
                Holder::User(self.party(Kind::User, identity)?.to_string())
            }
            WantedHolder::Agent(identity) => {
                Holder::Agent(self.party(Kind::Agent, identity)?.to_string())
            }
            WantedHolder::Group { name } => Holder::Group(self.group_id(name).to_string()),
            WantedHolder::ClaimedGroup { issuer, name } => Holder::ClaimedGroup {
                issuer: issuer.clone(),
                name: name.clone(),
            },
        };
        let over = wanted.over.as_ref().map(|over| match over {
            WantedOver::Server(server) => Over::Server(server.clone()),
            WantedOver::Group(name) => Over::Group(self.group_id(name).to_string()),
        });
        Ok(Grant {
            role: wanted.role.clone(),
            to,
            over,
            expires: wanted.expires,
            reason: wanted.reason.clone(),
        })
    }
}
