//! Who is alive, and who is taken in at first sight.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};

use gatewright_core::{
    Actor, Party, PartyKind, ReferenceId, Status, Subject, Subjects, TenantId, Timestamp,
};

use super::Directory;
use crate::{
    directory::Listed,
    edit::{Applied, ChangeError, Edit, Expected},
    lock,
    model::{Document, Identity, Invited, Origin, User},
    plan::rules::people::domain,
    records::Kind,
    state::State,
};

impl Subjects for Directory {
    fn status(&self, tenant: &TenantId, kind: PartyKind, subject: &Subject) -> Status {
        if self.is_stale() {
            return Status::Unavailable;
        }
        let Some(cell) = self.cell(tenant) else {
            return Status::Disabled;
        };
        if cell.unreadable.load(Ordering::Relaxed) {
            return Status::Unavailable;
        }
        let now = self.0.clock.now();
        lock::read(&cell.state).status(kind, subject, now)
    }

    fn admit<'a>(
        &'a self,
        tenant: &'a TenantId,
        newcomer: &'a Party,
    ) -> Pin<Box<dyn Future<Output = Status> + Send + 'a>> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let (invited, everybody) = self
                .with(tenant, |state| {
                    let everybody = state.tenant.create_people_on_sight;
                    (invited(state, newcomer, now), everybody)
                })
                .unwrap_or_default();
            if invited.is_none() && !everybody {
                return Status::Unknown;
            }
            // Beyond so many at once it is said that it cannot be said.
            let Ok(_turn) = self.0.admissions.try_acquire() else {
                return Status::Unavailable;
            };
            match invited {
                Some(id) => self.bind(tenant, &id, newcomer).await,
                None if everybody => self.take_in(tenant, newcomer).await,
                None => Status::Unknown,
            }
        })
    }

    fn disabled(
        &self,
        tenant: &TenantId,
        parties: &[(PartyKind, Subject)],
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Some(cell) = self.cell(tenant) else {
            return Box::pin(std::future::ready(()));
        };
        let now = self.0.clock.now();
        // Whoever changes the tenant waits for this, and tells those who wait then.
        let state = lock::read(&cell.state);
        let told: Vec<_> = {
            let mut waiting = lock::hold(&state.waiting);
            parties
                .iter()
                .map(|(kind, subject)| waiting.wait(*kind, subject))
                .collect()
        };
        let gone = parties
            .iter()
            .any(|(kind, subject)| state.let_in(*kind, subject, now).is_err());
        drop(state);
        if gone {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(async move {
            let mut waits: Vec<_> = told
                .iter()
                .map(|told| Box::pin(told.0.cancelled()))
                .collect();
            std::future::poll_fn(|context| {
                let any = waits
                    .iter_mut()
                    .any(|wait| wait.as_mut().poll(context).is_ready());
                if any {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
        })
    }
}

impl Directory {
    /// Whoever comes is from now on the person who was invited. Only one can be: the invitation ends with it.
    async fn bind(&self, tenant: &TenantId, id: &Arc<str>, newcomer: &Party) -> Status {
        let subject = newcomer.subject();
        let found = match self.get(tenant, Kind::User, id).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%tenant, %subject, %error, "an invitation cannot be read");
                return Status::Unavailable;
            }
        };
        let Some(Listed {
            record,
            document: Document::User(mut user),
        }) = found
        else {
            return Status::Unknown;
        };
        // What is stored may be another invitation than the one in memory.
        let now = self.0.clock.now().millis();
        let meant = user.invited.take().is_some_and(|invited| {
            let email = newcomer.verified_email().map(Invited::folded);
            email == Some(Invited::folded(&invited.email)) && now < invited.expires
        });
        if !meant {
            return self.status(tenant, PartyKind::User, subject);
        }
        user.identities.push(Identity::from(subject));
        let edit = Edit::Put {
            id: Arc::clone(id),
            document: Document::User(user),
            expected: Expected::At(record.revision),
        };
        let actor = Actor::Gateway("invitation");
        let made = self.change(actor, tenant, "user.bind", vec![edit]).await;
        self.taken_in(tenant, subject, made)
    }

    /// Makes a person of whoever comes with a good token.
    async fn take_in(&self, tenant: &TenantId, newcomer: &Party) -> Status {
        let subject = newcomer.subject();
        let id: Arc<str> = ReferenceId::random().to_string().into();
        let mut user = User::new(&subject.to_string());
        user.display_name = newcomer.name().map(str::to_owned);
        user.identities = vec![Identity::from(subject)];
        user.origin = Origin::Sight;
        let edit = Edit::Put {
            id,
            document: Document::User(user),
            expected: Expected::Absent,
        };
        let actor = Actor::Gateway("first-sight");
        let made = self.change(actor, tenant, "user.create", vec![edit]).await;
        self.taken_in(tenant, subject, made)
    }

    fn taken_in(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        made: Result<Applied, ChangeError>,
    ) -> Status {
        match made {
            // Two requests of one person may come at once.
            Ok(_) | Err(ChangeError::Taken { .. } | ChangeError::Stale { .. }) => {
                self.status(tenant, PartyKind::User, subject)
            }
            Err(ChangeError::Broken(fault)) => {
                tracing::warn!(%tenant, %subject, why = fault.message, "somebody cannot be taken in");
                Status::Unknown
            }
            Err(error) => {
                tracing::error!(%tenant, %subject, %error, "somebody cannot be taken in");
                Status::Unavailable
            }
        }
    }
}

/// Who is invited as whoever this is: the address is verified, and by an issuer that the tenant believes for its domain.
fn invited(state: &State, newcomer: &Party, now: Timestamp) -> Option<Arc<str>> {
    let email = newcomer.verified_email()?;
    let domain = domain(email)?;
    let issuer = newcomer.subject().issuer();
    let believed = state
        .issuers
        .values()
        .any(|known| known.issuer == issuer && known.email_domains.contains(&domain));
    believed.then(|| state.people.invited(email, now)).flatten()
}
