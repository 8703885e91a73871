//! Rules about people, and about those who vouch for them.

use std::{collections::HashMap, sync::Arc};

use gatewright_core::{PartyKind, Subject};

use super::names::check_text;
use crate::{
    edit::ChangeError,
    model::{Document, Identity, Issuer, ScimAttribute, User},
    plan::Plan,
    records::Kind,
};

/// Nobody has more ways in than this.
const MOST_IDENTITIES: usize = 32;

pub(super) fn check_user(user: &User) -> Result<(), ChangeError> {
    check_text("user name", &user.user_name)?;
    if let Some(external_id) = &user.external_id {
        check_text("external id", external_id)?;
    }
    if let Some(name) = &user.display_name {
        check_text("display name", name)?;
    }
    if let Some(invited) = &user.invited {
        check_text("address of the invitation", &invited.email)?;
        if domain(&invited.email).is_none() {
            let message = format!("`{}` is no e-mail address", invited.email);
            return Err(ChangeError::broken("invitation", message));
        }
    }
    check_identities(&user.identities)?;
    Ok(())
}

impl Plan<'_> {
    /// Nobody is whoever somebody else is: by an identity, or by what their issuers say of them, as the plan stands.
    pub(super) fn check_nobody_is_two(&self) -> Result<(), ChangeError> {
        let mut planned: HashMap<Subject, &Arc<str>> = HashMap::new();
        for ((_, id), next) in &self.next {
            let Some(Document::User(user)) = next else {
                continue;
            };
            for subject in self.subjects_of(&user.user_name, user.external_id.as_deref(), user) {
                if let Some(other) = planned.insert(subject.clone(), id)
                    && other != id
                {
                    return Err(taken(&subject, other));
                }
                if let Some(other) = self.whose_else(&subject, id) {
                    return Err(taken(&subject, &other));
                }
            }
        }
        self.check_reattributed()
    }

    /// As whom a person may come, as the plan stands.
    fn subjects_of(&self, user_name: &str, external_id: Option<&str>, user: &User) -> Vec<Subject> {
        let of_issuers = self.issuers_next().filter_map(|issuer| {
            let name = match issuer.scim_attribute? {
                ScimAttribute::ExternalId => external_id?,
                ScimAttribute::UserName => user_name,
            };
            Some(Subject::new(&issuer.issuer, name))
        });
        let own = user.identities.iter().map(Identity::subject);
        own.chain(of_issuers).collect()
    }

    /// Somebody whom the plan does not touch, and who is the subject already.
    fn whose_else(&self, subject: &Subject, id: &Arc<str>) -> Option<Arc<str>> {
        let account = self.state.account(PartyKind::User, subject)?;
        let touched = self
            .next
            .contains_key(&(Kind::User, Arc::clone(&account.id)));
        (account.id != *id && !touched).then_some(account.id)
    }

    /// Where an issuer knows people by another attribute than before, nobody becomes somebody else by that.
    fn check_reattributed(&self) -> Result<(), ChangeError> {
        for ((_, id), next) in &self.next {
            let Some(Document::Issuer(issuer)) = next else {
                continue;
            };
            let before = self.state.issuers.get(id);
            let same = before.is_some_and(|before| {
                before.scim_attribute == issuer.scim_attribute && before.issuer == issuer.issuer
            });
            let Some(attribute) = issuer.scim_attribute.filter(|_| !same) else {
                continue;
            };
            for (id, person) in self.state.people.iter() {
                let name = match attribute {
                    ScimAttribute::ExternalId => person.external_id.as_deref(),
                    ScimAttribute::UserName => Some(&*person.user_name),
                };
                let Some(name) = name else { continue };
                let subject = Subject::new(&issuer.issuer, name);
                if let Some(other) = self.state.people.by_identity(&subject)
                    && other != *id
                {
                    return Err(taken(&subject, &other));
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_issuer(&self, id: &Arc<str>, issuer: &Issuer) -> Result<(), ChangeError> {
        if issuer.issuer.contains('|') || !issuer.issuer.contains("://") {
            let message = format!("the issuer `{id}`: `{}` is no URL", issuer.issuer);
            return Err(ChangeError::broken("issuer", message));
        }
        let other = self.state.issuers.iter().find(|(other, known)| {
            *other != id
                && known.issuer == issuer.issuer
                && self.is_there(Kind::Issuer, other)
                && !matches!(
                    self.next.get(&(Kind::Issuer, Arc::clone(other))),
                    Some(Some(Document::Issuer(next))) if next.issuer != issuer.issuer
                )
        });
        match other {
            Some((other, _)) => Err(ChangeError::Taken {
                space: "issuer".to_owned(),
                value: issuer.issuer.clone(),
                kind: Kind::Issuer,
                id: Arc::clone(other),
            }),
            None => Ok(()),
        }
    }
}

fn taken(subject: &Subject, id: &Arc<str>) -> ChangeError {
    ChangeError::Taken {
        space: "identity".to_owned(),
        value: subject.to_string(),
        kind: Kind::User,
        id: Arc::clone(id),
    }
}

/// What is behind the `@` of an address, in lower case.
pub(crate) fn domain(email: &str) -> Option<String> {
    let (local, domain) = email.rsplit_once('@')?;
    let is_one = !local.is_empty()
        && !domain.is_empty()
        && domain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    is_one.then(|| domain.to_ascii_lowercase())
}

pub(super) fn check_identities(identities: &[Identity]) -> Result<(), ChangeError> {
    if identities.len() > MOST_IDENTITIES {
        let message = format!("more than {MOST_IDENTITIES} identities");
        return Err(ChangeError::broken("identities", message));
    }
    for identity in identities {
        if identity.subject.is_empty() || identity.subject.len() > 512 {
            let message = "the subject of an identity has 1 to 512 bytes";
            return Err(ChangeError::broken("identities", message));
        }
        // What is of no URL is the gateway's own.
        if identity.issuer.contains('|') || !identity.issuer.contains("://") {
            let message = format!("`{}` is no URL of an issuer", identity.issuer);
            return Err(ChangeError::broken("identities", message));
        }
    }
    Ok(())
}
