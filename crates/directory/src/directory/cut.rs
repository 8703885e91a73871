//! What follows once somebody is no longer let in: what they have here is cut, and a receipt says so.
//!
//! The commit that shuts somebody out writes the receipt too, with all that is still to be cut: from then on they are refused,
//! and whatever happens to this process, some process finds the receipt and finishes it. So nobody is let in because something
//! could not be cut, and nothing is forgotten because a process ended.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use gatewright_core::{
    Actor, Attestation, Change, Changes, Found, GoneParty, HeldKind, ReferenceId, TenantId,
    Timestamp,
};
use serde_json::Value;

use super::{Cell, Directory, change::Made};
use crate::{
    directory::Listed,
    edit::{ChangeError, Edit, Expected},
    model::{Document, Receipt, Statement},
    plan::Gone,
    receipt,
    records::Kind,
    state::Ended,
};

/// Whoever shuts somebody out waits at most so long for what follows. It goes on behind them.
const WAIT: Duration = Duration::from_millis(700);
/// What they have is looked up before the commit, which waits no longer for it.
const LOOK: Duration = Duration::from_millis(200);
/// One attempt to cut takes no longer, so that a process that ends waits no longer for one.
const ATTEMPT: Duration = Duration::from_secs(5);
/// So many receipts are finished together.
const BATCH: usize = 100;
/// So often a receipt is written again where others write it too.
const WRITES: usize = 16;

/// Where nobody holds anything for anybody.
struct NothingHeld;

impl Changes for NothingHeld {
    fn held<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>> {
        Box::pin(std::future::ready(
            HeldKind::ALL
                .map(|kind| Found {
                    kind,
                    held: Ok(Vec::new()),
                })
                .into(),
        ))
    }

    fn forget(&self, _: &TenantId, _: &[GoneParty], _: Timestamp) {}

    fn cut<'a>(
        &'a self,
        tenant: &'a TenantId,
        gone: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>> {
        self.held(tenant, gone)
    }

    fn attest(&self, _: &Value) -> Option<Attestation> {
        None
    }
}

impl Directory {
    /// From now on these cut what somebody has who is no longer let in, and sign the receipts. Only the first ones count.
    pub fn cut_by(&self, changes: impl Changes) {
        if self.0.offboarding.set(Arc::new(changes)).is_err() {
            tracing::error!("somebody else cuts already what those have who leave");
        }
    }

    pub(super) fn changes(&self) -> &dyn Changes {
        let set = self.0.offboarding.get();
        set.map_or(&NothingHeld, |changes| &**changes)
    }

    /// The receipts of a change, as they are when it is committed: everything is still to be cut.
    pub(super) async fn receipts(
        &self,
        tenant: &TenantId,
        change: &Change,
        gone: &[Gone],
        now: Timestamp,
    ) -> Vec<(Arc<str>, Receipt)> {
        if gone.is_empty() {
            return Vec::new();
        }
        let losing = gone.iter().filter(|gone| gone.loses_all());
        let parties: Vec<GoneParty> = losing.flat_map(receipt::parties).collect();
        let looked = self.changes().held(tenant, &parties);
        let found = in_time(LOOK, looked).await;
        let receipts = gone.iter().map(|gone| {
            let id: Arc<str> = ReferenceId::random().to_string().into();
            let statement = receipt::begun(&id, tenant, change, gone, &found, now);
            (id, self.signed(statement))
        });
        receipts.collect()
    }

    fn signed(&self, statement: Statement) -> Receipt {
        let receipt = Receipt::signed(statement, |value| self.changes().attest(value));
        if receipt.signed.is_none() && self.0.offboarding.get().is_some() {
            tracing::error!(
                receipt = receipt.statement.receipt,
                "a receipt could not be signed"
            );
        }
        receipt
    }

    /// Cuts what those have who were shut out, and waits for it for a while.
    pub(super) async fn cut_soon(&self, tenant: &TenantId, made: &Made) {
        let ids = made.applied.receipts.clone();
        if ids.is_empty() {
            return;
        }
        let (directory, tenant, ended) = (self.clone(), tenant.clone(), made.ended.clone());
        let cuts = self.0.changes.spawn(async move {
            directory.finish(&tenant, &ids, Some(&ended)).await;
        });
        if tokio::time::timeout(WAIT, cuts).await.is_err() {
            tracing::warn!("not all is cut yet of somebody who is no longer let in");
        }
    }

    /// Finishes receipts of every tenant that are not complete, and say what they say for so long.
    pub(crate) async fn take_up(&self, grace: Duration) {
        let Ok(_one_at_a_time) = self.0.taking_up.try_lock() else {
            return;
        };
        let since = self.0.clock.now().minus(grace).millis();
        for tenant in self.tenants() {
            let ids = self.with(&tenant, |state| state.outstanding.since(since));
            let ids = ids.unwrap_or_default();
            if !ids.is_empty() {
                self.finish(&tenant, &ids, None).await;
            }
        }
    }

    /// Cuts what receipts say is still to be cut, and writes that into them. Done twice, or by two processes at once, it
    /// comes to the same.
    async fn finish(&self, tenant: &TenantId, ids: &[Arc<str>], ended: Option<&Ended>) {
        let Some(cell) = self.cell(tenant) else {
            return;
        };
        for batch in ids.chunks(BATCH) {
            if let Err(error) = self.finish_batch(tenant, &cell, batch, ended).await {
                tracing::error!(%tenant, %error, "what was cut of those who left is not in their receipts; it is tried again");
            }
        }
    }

    async fn finish_batch(
        &self,
        tenant: &TenantId,
        cell: &Cell,
        ids: &[Arc<str>],
        ended: Option<&Ended>,
    ) -> Result<(), ChangeError> {
        let receipts = self.read_receipts(tenant, ids).await?;
        let open = receipts.values().filter(|(_, receipt)| {
            let statement = &receipt.statement;
            statement.loses_all() && statement.holds()
        });
        let parties: Vec<GoneParty> = open
            .flat_map(|(_, receipt)| receipt.statement.parties())
            .collect();
        let found = if parties.is_empty() {
            Vec::new()
        } else {
            in_time(ATTEMPT, self.changes().cut(tenant, &parties)).await
        };
        for failed in found.iter().filter_map(|found| found.held.as_ref().err()) {
            tracing::error!(%tenant, error = %failed, "not all is cut of somebody who is no longer let in; it is tried again");
        }
        let mut receipts = receipts;
        for _ in 0..WRITES {
            let now = self.0.clock.now();
            let edits: Vec<Edit> = receipts
                .iter()
                .filter_map(|(id, (listed, receipt))| {
                    let ended = ended.map(|ended| receipt::ended(&receipt.statement, ended));
                    let next = receipt::gone_on(&receipt.statement, &found, ended, now)?;
                    Some(Edit::Put {
                        id: Arc::clone(id),
                        document: Document::Receipt(self.signed(next)),
                        expected: Expected::At(listed.record.revision),
                    })
                })
                .collect();
            if edits.is_empty() {
                return Ok(());
            }
            let by = Actor::Gateway("offboarding");
            match self.make(by, tenant, cell, "receipt.put", edits).await {
                Ok(_) => return Ok(()),
                // Another process has finished one of them: what each has cut goes into it.
                Err(ChangeError::Stale { .. }) => {
                    receipts = self.read_receipts(tenant, ids).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(ChangeError::Busy)
    }

    async fn read_receipts(
        &self,
        tenant: &TenantId,
        ids: &[Arc<str>],
    ) -> Result<BTreeMap<Arc<str>, (Listed, Receipt)>, ChangeError> {
        let mut receipts = BTreeMap::new();
        for record in self.0.records.read(tenant, Kind::Receipt, ids).await? {
            let document = Document::read(&record)?;
            if let Document::Receipt(receipt) = document.clone() {
                let id = Arc::clone(&record.id);
                receipts.insert(id, (Listed { record, document }, receipt));
            }
        }
        Ok(receipts)
    }
}

/// What is found, or that there was no answer.
async fn in_time(
    limit: Duration,
    looked: Pin<Box<dyn Future<Output = Vec<Found>> + Send + '_>>,
) -> Vec<Found> {
    tokio::time::timeout(limit, looked)
        .await
        .unwrap_or_else(|_elapsed| {
            let none = |kind| Found {
                kind,
                held: Err(format!("there was no answer within {limit:?}").into()),
            };
            HeldKind::ALL.map(none).into()
        })
}
