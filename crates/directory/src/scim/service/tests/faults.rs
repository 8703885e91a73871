//! What is answered when something that the service needs is down.

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::*;
use crate::records::{
    Changed, CommitError, Event, Position, Record, Records, RecordsError, Revision, UniqueName,
    Write,
};

/// A storage that can be told to answer nothing.
#[derive(Clone)]
struct Shaky(MemoryRecords, Arc<std::sync::atomic::AtomicBool>);

impl Shaky {
    fn answers(&self) -> Result<(), RecordsError> {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(RecordsError::new("the secret of the database is `hunter2`"));
        }
        Ok(())
    }
}

#[async_trait]
impl Records for Shaky {
    async fn heads(&self) -> Result<Vec<(TenantId, Revision)>, RecordsError> {
        self.answers()?;
        self.0.heads().await
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        base: Revision,
        at: Timestamp,
        writes: &[Write],
    ) -> Result<Revision, CommitError> {
        self.answers()?;
        self.0.commit(tenant, base, at, writes).await
    }

    async fn read(
        &self,
        tenant: &TenantId,
        kind: Kind,
        ids: &[Arc<str>],
    ) -> Result<Vec<Record>, RecordsError> {
        self.answers()?;
        self.0.read(tenant, kind, ids).await
    }

    async fn find(
        &self,
        tenant: &TenantId,
        name: &UniqueName,
    ) -> Result<Option<Record>, RecordsError> {
        self.answers()?;
        self.0.find(tenant, name).await
    }

    async fn page(
        &self,
        tenant: &TenantId,
        kind: Kind,
        after: Option<&str>,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Record>, RecordsError> {
        self.answers()?;
        self.0.page(tenant, kind, after, skip, limit).await
    }

    async fn count(&self, tenant: &TenantId, kind: Kind) -> Result<u64, RecordsError> {
        self.answers()?;
        self.0.count(tenant, kind).await
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Changed>, RecordsError> {
        self.answers()?;
        self.0.changes(tenant, after, limit).await
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events()
    }
}

#[tokio::test]
async fn without_its_storage_scim_answers_503_and_tells_nothing_of_it() {
    let bed = Bed::start().await;
    let down = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let directory = Directory::builder(
        Shaky(bed.records.clone(), Arc::clone(&down)),
        bed.log.clone(),
    )
    .clock(bed.clock.clone())
    .authorise(Provisioners)
    .open()
    .await
    .unwrap();
    let service = ScimService::new(directory.clone(), URL, bed.clock.clone());
    let bed = Bed {
        router: service.router(),
        directory,
        ..bed
    };
    let id = bed.user("ann").await;
    down.store(true, std::sync::atomic::Ordering::Relaxed);
    let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": false}]});
    for (method, path, body) in [
        ("GET", "/Users".to_owned(), None),
        ("GET", format!("/Users/{id}"), None),
        ("PATCH", format!("/Users/{id}"), Some(&patch)),
    ] {
        let answered = bed.ask(method, &path, body).await.expect(503);
        assert_eq!(answered.header("retry-after"), "1");
        assert!(!answered.body.to_string().contains("hunter2"));
    }
    down.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        bed.get(&format!("/Users/{id}")).await.expect(200).body["active"],
        true
    );
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let bed = Bed::start().await;
    let id = bed.user("ann").await;
    let path = format!("/Users/{id}");
    bed.log.1.store(true, std::sync::atomic::Ordering::Relaxed);
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    let answered = bed.patch(&path, off.clone()).await.expect(503);
    assert!(!answered.body.to_string().contains("disk"));
    bed.ask("DELETE", &path, None).await.expect(503);
    // What changes nothing needs no record.
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "active", "value": true}]),
    )
    .await
    .expect(200);
    bed.log.1.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(bed.get(&path).await.expect(200).body["active"], true);
    bed.patch(&path, off).await.expect(200);
}
