mod agents;
mod apply;
mod groups;
mod offboarding;
mod people;
mod replicas;
mod rules;
mod sight;

use std::{
    borrow::Borrow,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use gatewright_core::{
    Actor, Change, Clock as _, ManualClock, PartyKind, RecordError, Recorder, Stage, Status,
    Subject, Subjects as _, TenantId, Timestamp,
};
use serde_json::{Value, json};

use crate::{
    Applied, ChangeError, Directory, Edit, Expected, MemoryRecords,
    model::{Document, MemberRef},
    records::Kind,
};

const IDP: &str = "https://idp.example";

/// Records in memory, which can be told to take none.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Stage, Change)>>>, Arc<Mutex<bool>>);

impl Recorder for Log {
    fn record<'a>(
        &'a self,
        change: &'a Change,
        stage: Stage,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send + 'a>> {
        let takes = !*self.1.lock().unwrap();
        if takes {
            self.0.lock().unwrap().push((stage, change.clone()));
        }
        let taken = if takes {
            Ok(())
        } else {
            Err(RecordError::new("the disk is full"))
        };
        Box::pin(std::future::ready(taken))
    }
}

struct Bed {
    records: MemoryRecords,
    log: Log,
    clock: ManualClock,
    directory: Directory,
    tenant: TenantId,
}

impl Bed {
    async fn start() -> Self {
        Self::over(MemoryRecords::new()).await
    }

    /// Another process over the same records.
    async fn over(records: MemoryRecords) -> Self {
        let (log, clock) = (Log::default(), ManualClock::at(Timestamp::from_secs(1_000)));
        let directory = Directory::builder(records.clone(), log.clone())
            .clock(clock.clone())
            .open()
            .await
            .unwrap();
        let tenant = TenantId::default();
        let bed = Self {
            records,
            log,
            clock,
            directory,
            tenant,
        };
        if bed.directory.tenants().is_empty() {
            let made =
                bed.directory
                    .create_tenant(Actor::Operator(0), &bed.tenant, Default::default());
            made.await.unwrap();
            bed.put(Kind::Issuer, "idp", json!({"issuer": IDP}))
                .await
                .unwrap();
        }
        bed
    }

    async fn make(&self, edits: Vec<Edit>) -> Result<Applied, ChangeError> {
        let actor = Actor::Operator(0);
        self.directory
            .change(actor, &self.tenant, "test", edits)
            .await
    }

    async fn put(&self, kind: Kind, id: &str, document: Value) -> Result<Applied, ChangeError> {
        self.make(vec![put(kind, id, document)]).await
    }

    async fn remove(&self, kind: Kind, id: &str) -> Result<Applied, ChangeError> {
        self.make(vec![remove(kind, id)]).await
    }

    async fn join(&self, group: &str, member: MemberRef) -> Result<Applied, ChangeError> {
        let group = group.into();
        self.make(vec![Edit::Join { group, member }]).await
    }

    /// Ann, who comes as `ann` of the issuer.
    async fn ann(&self) {
        let ann = json!({"user_name": "Ann@a.example", "identities": [{"issuer": IDP, "subject": "ann"}]});
        self.put(Kind::User, "u-ann", ann).await.unwrap();
    }

    fn status(&self, kind: PartyKind, issuer: &str, id: &str) -> Status {
        self.directory
            .status(&self.tenant, kind, &Subject::new(issuer, id))
    }

    fn user(&self, id: &str) -> Status {
        self.status(PartyKind::User, IDP, id)
    }

    async fn get(&self, kind: Kind, id: &str) -> Option<Value> {
        let found = self.directory.get(&self.tenant, kind, id).await.unwrap();
        found.map(|found| found.document.to_value())
    }

    fn log(&self) -> Vec<(Stage, Change)> {
        self.log.0.lock().unwrap().clone()
    }
}

fn put(kind: Kind, id: &str, document: impl Borrow<Value>) -> Edit {
    let document = Document::parse(kind, &id.into(), &document.borrow().to_string()).unwrap();
    Edit::Put {
        id: id.into(),
        document,
        expected: Expected::Any,
    }
}

fn remove(kind: Kind, id: &str) -> Edit {
    Edit::Remove {
        kind,
        id: id.into(),
        expected: Expected::Present,
    }
}

fn is_active(status: &Status) -> bool {
    matches!(status, Status::Active(_))
}

fn groups(status: &Status) -> Vec<String> {
    let Status::Active(membership) = status else {
        panic!("{status:?}");
    };
    let groups = membership.groups.iter();
    groups.map(|group| group.name().to_owned()).collect()
}

/// Whether a future is done.
fn is_done(future: &mut Pin<Box<dyn Future<Output = ()> + Send>>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    future.as_mut().poll(&mut context).is_ready()
}
