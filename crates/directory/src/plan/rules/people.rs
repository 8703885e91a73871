//! Rules about people, and about those who vouch for them.

use std::sync::Arc;

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

impl Plan<'_> {
    pub(super) fn check_user(&self, id: &Arc<str>, user: &User) -> Result<(), ChangeError> {
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
        if user.is_alive() {
            let parties = self.state.subjects_by(id, user);
            self.check_is_cut_off(&format!("the user `{id}`"), parties)?;
        }
        // Nobody else may already be whoever the attributes say that this one is.
        for issuer in self.state.issuers.values() {
            let name = match issuer.scim_attribute {
                Some(ScimAttribute::ExternalId) => user.external_id.as_deref(),
                Some(ScimAttribute::UserName) => Some(user.user_name.as_str()),
                None => None,
            };
            if let Some(name) = name {
                self.check_is_nobody_elses(id, &Subject::new(&issuer.issuer, name))?;
            }
        }
        for identity in &user.identities {
            self.check_is_nobody_elses(id, &identity.subject())?;
        }
        Ok(())
    }

    fn check_is_nobody_elses(&self, id: &Arc<str>, subject: &Subject) -> Result<(), ChangeError> {
        let Some(account) = self.state.account(PartyKind::User, subject) else {
            return Ok(());
        };
        // One change may pass an identity on; the storage compares names after all of it.
        if account.id == *id
            || self
                .next
                .contains_key(&(Kind::User, Arc::clone(&account.id)))
        {
            return Ok(());
        }
        Err(ChangeError::Taken {
            space: "identity".to_owned(),
            value: subject.to_string(),
            kind: Kind::User,
            id: account.id,
        })
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
