//! Staying current: events of the storage, and looking at its heads where events may have been missed.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gatewright_core::TenantId;
use tokio::{sync::broadcast::error::RecvError, time::MissedTickBehavior};

use super::{Directory, OpenDirectoryError};
use crate::{
    lock,
    model::Holder,
    records::{Event, Kind, Revision},
    state::Touched,
};

/// Also where events come, the heads are looked at so often: then it is known that none was missed.
const LOOK: Duration = Duration::from_secs(5);
/// Agents that have expired lose their streams within this.
const EXPIRE: Duration = Duration::from_secs(1);

/// What has changed in a tenant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Update {
    /// Where the tenant is now.
    pub revision: Revision,
    /// What kinds of things have changed.
    pub kinds: BTreeSet<Kind>,
    /// Who has other grants than before.
    pub holders: BTreeSet<Holder>,
}

/// Keeps something that is made of what the directory knows.
pub trait Observer: Send + Sync + 'static {
    /// Is told after the directory has changed, and before whoever changed it learns that it has. It must not wait.
    fn updated(&self, directory: &Directory, tenant: &TenantId, update: &Update);
}

impl Directory {
    /// Keeps the memory current until the directory is [closed](Self::close): run it as a task.
    pub async fn keep_current(self) {
        let stop = self.0.stop.clone();
        // Beside each other: a storage that does not answer keeps nobody's stream open for longer.
        let both = async { tokio::join!(self.clone().follow(), self.expire_for_ever()) };
        stop.run_until_cancelled(both).await;
    }

    async fn expire_for_ever(&self) {
        let mut expire = tokio::time::interval(EXPIRE);
        expire.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            expire.tick().await;
            self.expire();
        }
    }

    async fn follow(self) {
        let mut events = self.0.records.events();
        // Where it has to be known sooner, it is asked sooner.
        let mut look = tokio::time::interval(LOOK.min(self.0.max_staleness / 3));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::Committed(tenant, revision)) => self.heard(&tenant, revision).await,
                    Ok(Event::Missed) | Err(RecvError::Lagged(_)) => {
                        // A look covers whatever else was told until now.
                        while events.try_recv().is_ok() {}
                        self.look_at_heads().await;
                    }
                    // The storage says nothing more by itself.
                    Err(RecvError::Closed) => {
                        events = self.0.records.events();
                        look.tick().await;
                        self.look_at_heads().await;
                    }
                },
                _ = look.tick() => self.look_at_heads().await,
            }
        }
    }

    async fn heard(&self, tenant: &TenantId, revision: Revision) {
        let known = self.with(tenant, |state| state.revision);
        if known.is_some_and(|known| known >= revision) {
            return;
        }
        if let Err(error) = self.refresh(tenant, revision).await {
            tracing::error!(%tenant, %error, "a change of the directory cannot be read; it is tried again");
        }
    }

    /// Looks where every tenant is, and takes over what is newer. Only then it is known how old the memory is.
    pub(crate) async fn look_at_heads(&self) {
        let began = self.0.clock.now();
        let heads = match self.0.records.heads().await {
            Ok(heads) => heads,
            Err(error) => {
                tracing::error!(%error, "the directory cannot be read, and what is known of it gets older");
                return;
            }
        };
        for (tenant, head) in heads {
            let known = self.with(&tenant, |state| state.revision);
            if known.is_some_and(|known| known >= head) {
                continue;
            }
            match self.refresh(&tenant, head).await {
                Ok(()) => {}
                Err(OpenDirectoryError::Unreadable(error)) => self.give_up(&tenant, &error),
                Err(error) => {
                    tracing::error!(%tenant, %error, "the directory cannot be read, and what is known of it gets older");
                    return;
                }
            }
        }
        self.confirm(began);
    }

    fn expire(&self) {
        let now = self.0.clock.now();
        let stale = self.is_stale();
        let cells: Vec<_> = lock::read(&self.0.tenants).values().cloned().collect();
        for cell in cells {
            let state = lock::read(&cell.state);
            if stale {
                // Of nobody it can be said any more that they are let in.
                lock::hold(&state.waiting).tell_everybody();
            } else {
                state.tell_expired(now);
            }
        }
    }

    pub(super) fn tell_observers(&self, tenant: &TenantId, revision: Revision, touched: Touched) {
        let update = Update {
            revision,
            kinds: touched.kinds,
            holders: touched.holders,
        };
        let observers: Vec<_> = lock::read(&self.0.observers)
            .iter()
            .map(Arc::clone)
            .collect();
        for observer in observers {
            observer.updated(self, tenant, &update);
        }
    }

    /// Whether what is in memory may be older than is allowed.
    pub(crate) fn is_stale(&self) -> bool {
        let confirmed = self.0.confirmed_at.load(Ordering::Relaxed);
        let age = self.0.clock.now().millis().saturating_sub(confirmed);
        let most = i64::try_from(self.0.max_staleness.as_millis()).unwrap_or(i64::MAX);
        age > most
    }
}
