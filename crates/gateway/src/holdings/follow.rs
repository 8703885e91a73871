//! What other processes do with credentials, API keys and master keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use gatewright_core::TenantId;
use gatewright_identity::{ApiKeyId, ApiKeysError};
use gatewright_store::KeyEvent;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, MissedTickBehavior},
};

use super::{Holdings, TRY_AGAIN};

/// How often it is looked whether another process made a master key. None is told of it: the keys are in no database.
const LOOK: Duration = Duration::from_secs(5);

/// What is to be read again.
#[derive(Debug, Default)]
struct Stale {
    keys: BTreeMap<TenantId, BTreeSet<ApiKeyId>>,
    /// Also what is not named.
    everything: bool,
}

impl Holdings {
    /// Goes on for ever.
    pub(super) async fn follow(self, mut events: Receiver<KeyEvent>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = look.tick() => {
                    self.look_for_master_keys_or_say().await;
                    continue;
                }
            };
            let mut stale = Stale::default();
            self.heard(event, &mut stale);
            // Those that wait already cost one look together.
            while let Ok(event) = events.try_recv() {
                self.heard(Ok(event), &mut stale);
            }
            self.catch_up(stale).await;
        }
    }

    fn heard(&self, event: Result<KeyEvent, RecvError>, stale: &mut Stale) {
        match event {
            // The next call reads it.
            Ok(KeyEvent::Credential(tenant, key)) => self.vault.forget(&tenant, &key),
            Ok(KeyEvent::Credentials(_)) => self.vault.forget_all(),
            Ok(KeyEvent::ApiKey(tenant, id)) => {
                stale.keys.entry(tenant).or_default().insert(id);
            }
            Ok(_) | Err(_) => stale.everything = true,
        }
    }

    /// Tries until it is done. Where that takes too long, nobody is let in by a key any more.
    async fn catch_up(&self, stale: Stale) {
        let began = Instant::now();
        while let Err(error) = self.try_to_catch_up(&stale).await {
            tracing::error!(%error, "it is not known which API keys other processes have revoked; it is tried again");
            if began.elapsed() > self.max_staleness {
                self.keys.unload_all();
                self.load_again();
                return;
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    async fn try_to_catch_up(&self, stale: &Stale) -> Result<(), ApiKeysError> {
        // One that is new may be hashed under a master key that is new.
        self.look_for_master_keys_or_say().await;
        if stale.everything {
            self.keys.refresh_all().await?;
            // Only now: until the database answers, what is remembered is all that there is.
            self.vault.forget_all();
            return Ok(());
        }
        for (tenant, ids) in &stale.keys {
            let ids: Vec<ApiKeyId> = ids.iter().cloned().collect();
            self.keys.refresh(tenant, &ids).await?;
        }
        Ok(())
    }

    async fn look_for_master_keys_or_say(&self) {
        if let Err(error) = self.look_for_master_keys().await {
            tracing::warn!(%error, "it cannot be seen whether there are other master keys; those that were there stay in force");
        }
    }
}
