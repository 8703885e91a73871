//! Who is gone, as `org.toml` says: switched off, or of an issuer or a tenant that is no longer there. Asked on
//! every request, and by every open stream.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
};

use gatewright_core::{Membership, PartyKind, Status, Subject, Subjects, TenantId};
use tokio::sync::watch;

use crate::config::Organisation;

/// What is known of a tenant.
struct Known {
    issuers: HashSet<String>,
    disabled: HashSet<Subject>,
}

type Tenants = HashMap<TenantId, Known>;

/// Answers [`Subjects`] from the configuration. Clones share it.
#[derive(Clone)]
pub(crate) struct Directory(Arc<watch::Sender<Tenants>>);

impl Directory {
    pub(crate) fn new(organisation: &Organisation) -> Self {
        Self(Arc::new(watch::Sender::new(known(organisation))))
    }

    /// Takes another configuration; whoever is gone by it loses their open streams.
    pub(crate) fn replace(&self, organisation: &Organisation) {
        self.0.send_replace(known(organisation));
    }
}

fn known(organisation: &Organisation) -> Tenants {
    let of = |tenant: &crate::config::Tenant| {
        let users = tenant
            .users
            .iter()
            .filter(|user| user.disabled)
            .map(|user| &user.subject);
        let agents = tenant
            .agents
            .iter()
            .filter(|agent| agent.disabled)
            .map(|agent| &agent.subject);
        let known = Known {
            issuers: tenant
                .issuers
                .iter()
                .map(|issuer| issuer.issuer.clone())
                .chain([Subject::LOCAL.to_owned()])
                .collect(),
            disabled: users.chain(agents).cloned().collect(),
        };
        (tenant.id.clone(), known)
    };
    organisation.tenants.iter().map(of).collect()
}

impl Subjects for Directory {
    fn status(&self, tenant: &TenantId, _: PartyKind, subject: &Subject) -> Status {
        if is_gone(&self.0.borrow(), tenant, subject) {
            return Status::Disabled;
        }
        Status::Active(Membership::default())
    }

    fn disabled(
        &self,
        tenant: &TenantId,
        parties: &[(PartyKind, Subject)],
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut changes = self.0.subscribe();
        let (tenant, subjects) = (tenant.clone(), parties.to_vec());
        Box::pin(async move {
            let off = changes
                .wait_for(|all| {
                    subjects
                        .iter()
                        .any(|(_, subject)| is_gone(all, &tenant, subject))
                })
                .await
                .is_ok();
            if !off {
                // The directory is gone, and with it whoever could switch anybody off.
                std::future::pending::<()>().await;
            }
        })
    }
}

fn is_gone(all: &Tenants, tenant: &TenantId, subject: &Subject) -> bool {
    all.get(tenant).is_none_or(|known| {
        known.disabled.contains(subject) || !known.issuers.contains(subject.issuer())
    })
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Settings;

    /// The default tenant with this text, and a tenant `acme` with the same issuer and another.
    fn organisation(rest: &str) -> Organisation {
        let settings =
            Settings::parse("public_url = 'https://gw.example'", Path::new("/x")).unwrap();
        let text = format!(
            "[[issuers]]\nissuer = 'https://idp.example'\n{rest}\n[[tenants]]\nname = 'acme'\n\
             [[tenants.issuers]]\nissuer = 'https://idp.example'\n\
             [[tenants.issuers]]\nissuer = 'https://acme.example'\n"
        );
        Organisation::parse(&text, &settings).unwrap()
    }

    fn subject(id: &str) -> Subject {
        Subject::new("https://idp.example", id)
    }

    #[test]
    fn only_who_is_switched_off_is_disabled_and_only_in_their_tenant() {
        let directory = Directory::new(&organisation(
            "[[users]]\nid = 'ann'\ndisabled = true\n[[agents]]\nid = 'bot'\ndisabled = true\n[[users]]\nid = 'ben'\n",
        ));
        let tenant = TenantId::default();
        for (id, off) in [("ann", true), ("bot", true), ("ben", false), ("who", false)] {
            assert_eq!(
                directory.status(&tenant, PartyKind::User, &subject(id)) == Status::Disabled,
                off,
                "{id}"
            );
        }
        let acme = TenantId::new("acme").unwrap();
        let ann = directory.status(&acme, PartyKind::User, &subject("ann"));
        assert!(matches!(ann, Status::Active(_)), "{ann:?}");
    }

    #[test]
    fn who_is_of_no_issuer_or_tenant_of_ours_is_gone() {
        let directory = Directory::new(&organisation(""));
        let gone = |tenant: &TenantId, issuer: &str| {
            directory.status(tenant, PartyKind::User, &Subject::new(issuer, "ann"))
                == Status::Disabled
        };
        let acme = TenantId::new("acme").unwrap();
        assert!(!gone(&TenantId::default(), "https://idp.example"));
        assert!(gone(&TenantId::default(), "https://acme.example"));
        assert!(!gone(&acme, "https://acme.example"));
        assert!(gone(&TenantId::new("none").unwrap(), "https://idp.example"));
    }

    #[tokio::test]
    async fn a_waiting_stream_learns_of_a_reload_that_switches_its_subject_off() {
        let directory = Directory::new(&organisation(""));
        let tenant = TenantId::default();
        let gone = directory.disabled(
            &tenant,
            &[
                (PartyKind::User, subject("ben")),
                (PartyKind::User, subject("ann")),
            ],
        );
        let mut stays = directory.disabled(&tenant, &[(PartyKind::User, subject("ben"))]);
        directory.replace(&organisation("[[users]]\nid = 'ann'\ndisabled = true\n"));
        gone.await;
        assert!(futures(&mut stays).await, "Ben is not meant");
        // One who asks later learns at once.
        directory
            .disabled(&tenant, &[(PartyKind::User, subject("ann"))])
            .await;
        let settings = Settings::parse("public_url = 'https://gw.example'", Path::new("/x"));
        let nobody = Organisation::parse("", &settings.unwrap()).unwrap();
        directory.replace(&nobody);
        stays.await;
    }

    async fn futures(future: &mut Pin<Box<dyn Future<Output = ()> + Send>>) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }
}
