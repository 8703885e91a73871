//! Who is switched off, as `org.toml` says: asked on every request, and by every open stream.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
};

use gatewright_core::{Membership, Status, Subject, Subjects, TenantId};
use tokio::sync::watch;

use crate::config::Organisation;

type Disabled = HashMap<TenantId, HashSet<Subject>>;

/// Answers [`Subjects`] from the configuration. Clones share it.
#[derive(Clone)]
pub(crate) struct Directory(Arc<watch::Sender<Disabled>>);

impl Directory {
    pub(crate) fn new(organisation: &Organisation) -> Self {
        Self(Arc::new(watch::Sender::new(disabled(organisation))))
    }

    /// Takes another configuration; whoever it switches off loses their open streams.
    pub(crate) fn replace(&self, organisation: &Organisation) {
        self.0.send_replace(disabled(organisation));
    }
}

fn disabled(organisation: &Organisation) -> Disabled {
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
        (tenant.id.clone(), users.chain(agents).cloned().collect())
    };
    organisation.tenants.iter().map(of).collect()
}

impl Subjects for Directory {
    fn status(&self, tenant: &TenantId, subject: &Subject) -> Status {
        if is_disabled(&self.0.borrow(), tenant, std::slice::from_ref(subject)) {
            return Status::Disabled;
        }
        Status::Active(Membership::default())
    }

    fn disabled(
        &self,
        tenant: &TenantId,
        subjects: &[Subject],
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut changes = self.0.subscribe();
        let (tenant, subjects) = (tenant.clone(), subjects.to_vec());
        Box::pin(async move {
            let off = changes
                .wait_for(|all| is_disabled(all, &tenant, &subjects))
                .await
                .is_ok();
            if !off {
                // The directory is gone, and with it whoever could switch anybody off.
                std::future::pending::<()>().await;
            }
        })
    }
}

fn is_disabled(all: &Disabled, tenant: &TenantId, subjects: &[Subject]) -> bool {
    all.get(tenant)
        .is_some_and(|off| subjects.iter().any(|subject| off.contains(subject)))
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn organisation(rest: &str) -> Organisation {
        let settings = Settings::parse(
            "public_url = 'https://gw.example'",
            std::path::Path::new("/x"),
        )
        .unwrap();
        let text = format!("[[issuers]]\nissuer = 'https://idp.example'\n{rest}");
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
                directory.status(&tenant, &subject(id)) == Status::Disabled,
                off,
                "{id}"
            );
        }
        let acme = TenantId::new("acme").unwrap();
        assert!(matches!(
            directory.status(&acme, &subject("ann")),
            Status::Active(_)
        ));
        let elsewhere = Subject::new("https://other.example", "ann");
        assert!(matches!(
            directory.status(&tenant, &elsewhere),
            Status::Active(_)
        ));
    }

    #[tokio::test]
    async fn a_waiting_stream_learns_of_a_reload_that_switches_its_subject_off() {
        let directory = Directory::new(&organisation(""));
        let tenant = TenantId::default();
        let gone = directory.disabled(&tenant, &[subject("ben"), subject("ann")]);
        let mut stays = directory.disabled(&tenant, &[subject("ben")]);
        directory.replace(&organisation("[[users]]\nid = 'ann'\ndisabled = true\n"));
        gone.await;
        assert!(futures(&mut stays).await, "Ben is not meant");
        // One who asks later learns at once.
        directory.disabled(&tenant, &[subject("ann")]).await;
    }

    async fn futures(future: &mut Pin<Box<dyn Future<Output = ()> + Send>>) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }
}
