mod gone;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use gatewright_core::{Clock, Route, SystemClock, TenantId, Timestamp};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{
    ApiKeyId, ApiKeyRecord, ApiKeys, ApiKeysError, CreateApiKeyError, IssuedApiKey, KeyHolder,
    KeyMac, MacKeys, NewApiKey,
    key::{Key, UnfitKey},
    text::{self, KeyText},
};

/// Keys that are read, and uses that are written, at a time.
const PAGE: u32 = 500;

/// Why it is not known that a key is revoked for good. A process that has loaded it refuses it all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeApiKeyError {
    /// It is not noted in the storage.
    #[error(
        "that the key is revoked is not stored yet, so it may come back with the next start: revoke it again: {0}"
    )]
    Store(#[from] ApiKeysError),
    /// The task that stores it ended before it was done.
    #[error("that the key is revoked may not be stored: revoke it again")]
    Interrupted,
}

/// The API keys of some tenants, all in memory: no request waits for the storage. Clones are the same ring.
///
/// Keys that are made or revoked through the ring are taken or refused in the next request; what is open on a key ends when
/// it is revoked.
#[derive(Clone)]
pub struct ApiKeyRing(Arc<Inner>);

struct Inner {
    store: Box<dyn ApiKeys>,
    macs: ArcSwap<MacKeys>,
    clock: Box<dyn Clock>,
    tenants: RwLock<HashMap<TenantId, Keys>>,
    people: ArcSwap<HashSet<TenantId>>,
    /// Keys that were used since that was last written, each once.
    used: Mutex<Vec<(TenantId, Arc<Key>)>>,
    /// Revocations that the storage did not take, of each key one.
    unstored: Mutex<Vec<Revocation>>,
    tasks: TaskTracker,
    /// Held for reading from the hash of a key until it is stored and listed.
    making: Arc<tokio::sync::RwLock<()>>,
}

type Keys = HashMap<ApiKeyId, Arc<Key>>;
type Revocation = (TenantId, ApiKeyId, Timestamp);

impl ApiKeyRing {
    /// A ring over this storage, which knows no tenant yet; see [`load`](Self::load).
    #[must_use]
    pub fn new(store: impl ApiKeys, macs: MacKeys) -> Self {
        Self::with_clock(store, macs, SystemClock)
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(store: impl ApiKeys, macs: MacKeys, clock: impl Clock) -> Self {
        Self(Arc::new(Inner {
            store: Box::new(store),
            macs: ArcSwap::from_pointee(macs),
            clock: Box::new(clock),
            tenants: RwLock::default(),
            people: ArcSwap::default(),
            used: Mutex::default(),
            unstored: Mutex::default(),
            tasks: TaskTracker::new(),
            making: Arc::default(),
        }))
    }

    /// Reads the keys of a tenant into memory. Until then all of them are refused as unavailable.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    pub async fn load(&self, tenant: &TenantId) -> Result<(), ApiKeysError> {
        if self.0.read(|tenants| tenants.contains_key(tenant)) {
            return Ok(());
        }
        let mut keys = Keys::new();
        let mut after = None;
        loop {
            let page = self.0.store.page(tenant, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            keys.extend(page.into_iter().map(Key::entry));
        }
        self.0.write(|tenants| {
            // Whoever loaded it meanwhile may have changed it since.
            tenants.entry(tenant.clone()).or_insert(keys);
        });
        Ok(())
    }

    /// The tenants that have keys for people, and no others from now on: elsewhere those that people have are refused, and
    /// what is open on them ends.
    pub fn allow_people(&self, tenants: impl IntoIterator<Item = TenantId>) {
        let allowed: Arc<HashSet<TenantId>> = Arc::new(tenants.into_iter().collect());
        let before = self.0.people.swap(Arc::clone(&allowed));
        self.0.write(|tenants| {
            for tenant in before.difference(&allowed) {
                let keys = tenants.get_mut(tenant).into_iter().flatten();
                let peoples = keys.filter(|(_, key)| key.is_a_persons());
                peoples.for_each(|(_, key)| *key = key.cleared());
            }
        });
    }

    /// Hashes under other keys from now on: an API key that was hashed under none of these is refused as unavailable. Once
    /// this returns, [`list`](Self::list) has all that were hashed under those of before.
    pub async fn replace_macs(&self, macs: MacKeys) {
        self.0.macs.store(Arc::new(macs));
        drop(self.0.making.write().await);
    }

    /// The tasks that changes run in: a change that began is finished also when whoever asked for it has gone. A process
    /// waits for them before it ends.
    #[must_use]
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Draws the text of a key to be made, which nothing takes until [`store`](Self::store) has: its id can be noted first.
    ///
    /// # Errors
    /// [`CreateApiKeyError::Random`] where there is no randomness.
    pub fn draw(&self) -> Result<IssuedApiKey, CreateApiKeyError> {
        let (id, text) = text::generate().map_err(|_unspecified| CreateApiKeyError::Random)?;
        Ok(IssuedApiKey { id, text })
    }

    /// Makes a key. It is stored, and taken, once this returns.
    ///
    /// # Errors
    /// [`CreateApiKeyError`] when it is not made.
    pub async fn create(
        &self,
        tenant: &TenantId,
        new: NewApiKey,
    ) -> Result<IssuedApiKey, CreateApiKeyError> {
        self.store(tenant, new, self.draw()?).await
    }

    /// The same of a key that was drawn before.
    ///
    /// # Errors
    /// [`CreateApiKeyError`] when it is not made.
    pub async fn store(
        &self,
        tenant: &TenantId,
        new: NewApiKey,
        drawn: IssuedApiKey,
    ) -> Result<IssuedApiKey, CreateApiKeyError> {
        self.0.check(tenant, &new)?;
        let IssuedApiKey { id, text } = drawn;
        let mut record = ApiKeyRecord {
            id: id.clone(),
            name: new.name,
            holder: new.holder,
            servers: new.servers,
            created_at: self.0.clock.now(),
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
            mac: KeyMac {
                key: String::new(),
                tag: Vec::new(),
            },
        };
        let parts = KeyText::parse(text.expose()).ok_or(CreateApiKeyError::Random)?;
        let making = Arc::clone(&self.0.making).read_owned().await;
        record.mac = self.0.macs.load().make(tenant, &record, &parts);

        let (inner, tenant) = (Arc::clone(&self.0), tenant.clone());
        let stored = self.0.tasks.spawn(async move {
            inner.store.insert(&tenant, &record).await?;
            inner.write(|tenants| {
                let keys = tenants.entry(tenant).or_default();
                keys.extend([Key::entry(record)]);
            });
            drop(making);
            Ok::<_, ApiKeysError>(())
        });
        stored
            .await
            .map_err(|_ended| CreateApiKeyError::Interrupted)??;
        Ok(IssuedApiKey { id, text })
    }

    /// Revokes a key, and says whether there is one of this id. It is refused from now on, whether or not that can be
    /// stored.
    ///
    /// # Errors
    /// [`RevokeApiKeyError`] when it may not be stored.
    pub async fn revoke(
        &self,
        tenant: &TenantId,
        id: &ApiKeyId,
    ) -> Result<bool, RevokeApiKeyError> {
        // Whoever loads the tenant later would bring the key back as it was.
        self.load(tenant).await?;
        let at = self.0.clock.now();
        self.0.write(|tenants| {
            let keys = tenants.get_mut(tenant);
            if let Some(key) = keys.and_then(|keys| keys.get_mut(id)) {
                *key = key.revoked(at);
            }
        });
        let (inner, tenant, id) = (Arc::clone(&self.0), tenant.clone(), id.clone());
        let stored = self
            .0
            .tasks
            .spawn(async move { inner.store_revocation((tenant, id, at)).await });
        let found = stored
            .await
            .map_err(|_ended| RevokeApiKeyError::Interrupted)?;
        Ok(found?)
    }

    /// The keys of a tenant with their last use, the newest first.
    #[must_use]
    pub fn list(&self, tenant: &TenantId) -> Vec<ApiKeyRecord> {
        let mut records: Vec<ApiKeyRecord> = self.0.read(|tenants| {
            let keys = tenants.get(tenant).into_iter().flatten();
            keys.map(|(_, key)| key.shown()).collect()
        });
        records.sort_by(|a, b| (b.created_at, &a.id).cmp(&(a.created_at, &b.id)));
        records
    }

    /// Removes the keys that ended before a moment, and says how many.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    pub async fn purge(
        &self,
        tenant: &TenantId,
        ended_before: Timestamp,
    ) -> Result<u64, ApiKeysError> {
        let purged = self.0.store.purge(tenant, ended_before).await?;
        self.0.write(|tenants| {
            // No others: one whose revocation is not stored would come back unseen with the next start.
            if let Some(keys) = tenants.get_mut(tenant) {
                purged.iter().for_each(|id| drop(keys.remove(id)));
            }
        });
        Ok(purged.len() as u64)
    }

    /// Writes which keys were used since it was last called, and revocations that could not be stored. What cannot be
    /// written now is kept for the next time.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    pub async fn write_uses(&self) -> Result<(), ApiKeysError> {
        let used = std::mem::take(&mut *self.0.used());
        let mut by_tenant: HashMap<TenantId, Vec<Arc<Key>>> = HashMap::new();
        for (tenant, key) in used {
            by_tenant.entry(tenant).or_default().push(key);
        }
        let mut outcome = Ok(());
        let unstored = std::mem::take(&mut *self.0.unstored());
        for revocation in unstored {
            if let Err(error) = self.0.store_revocation(revocation).await {
                outcome = Err(error);
            }
        }
        for (tenant, keys) in by_tenant {
            for batch in keys.chunks(PAGE as usize) {
                let uses: Vec<(ApiKeyId, Timestamp)> =
                    batch.iter().map(|key| key.take_use()).collect();
                if let Err(error) = self.0.store.note_use(&tenant, &uses).await {
                    outcome = Err(error);
                    batch.iter().for_each(|key| self.0.note(&tenant, key));
                }
            }
        }
        outcome
    }

    /// Calls [`write_uses`](Self::write_uses) every so often, and once more when `stop` is ready. For a task that whoever
    /// wires the process starts and waits for.
    pub async fn write_uses_every(self, period: Duration, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        loop {
            let stops = timeout(period, stop.as_mut()).await.is_ok();
            if let Err(error) = self.write_uses().await {
                tracing::warn!(%error, "revocations or the last uses of API keys are not written");
            }
            if stops {
                return;
            }
        }
    }

    /// The key of this text, if it is taken on the route; notes that it was used.
    pub(crate) fn find(&self, route: &Route, token: &str) -> Result<Arc<Key>, UnfitKey> {
        let text = KeyText::parse(token).ok_or(UnfitKey::Malformed)?;
        let tenant = route.tenant();
        let key = self.0.read(|tenants| match tenants.get(tenant) {
            None => Err(UnfitKey::NotLoaded),
            Some(keys) => keys.get(text.id).cloned().ok_or(UnfitKey::Unknown),
        })?;
        // Before all else: whoever does not have the secret learns nothing of the key.
        match self.0.macs.load().verify(tenant, &key.record, &text) {
            Some(true) => {}
            Some(false) => return Err(UnfitKey::Unknown),
            None => return Err(UnfitKey::NoMacKey),
        }
        let now = self.0.clock.now();
        let record = &key.record;
        if key.is_revoked() {
            return Err(UnfitKey::Revoked);
        }
        if record.expires_at <= now {
            return Err(UnfitKey::Expired);
        }
        let server = route.server().as_str();
        if !record.servers.iter().any(|pattern| pattern.matches(server)) {
            return Err(UnfitKey::OtherServer);
        }
        if key.is_a_persons() && !self.0.people.load().contains(tenant) {
            return Err(UnfitKey::PeopleOff);
        }
        key.used(now);
        self.0.note(tenant, &key);
        Ok(key)
    }
}

impl Inner {
    fn read<T>(&self, read: impl FnOnce(&HashMap<TenantId, Keys>) -> T) -> T {
        read(&self.tenants.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut HashMap<TenantId, Keys>) -> T) -> T {
        write(&mut self.tenants.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn used(&self) -> MutexGuard<'_, Vec<(TenantId, Arc<Key>)>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unstored(&self) -> MutexGuard<'_, Vec<Revocation>> {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores it, or keeps it for the next time. Says whether there is such a key.
    async fn store_revocation(&self, revocation: Revocation) -> Result<bool, ApiKeysError> {
        let (tenant, id, at) = &revocation;
        let stored = self.store.revoke(tenant, id, *at).await;
        if stored.is_err() {
            let mut unstored = self.unstored();
            let same = |other: &Revocation| (&other.0, &other.1) == (tenant, id);
            if !unstored.iter().any(same) {
                unstored.push(revocation);
            }
        }
        stored
    }

    /// Notes that a key was used, once until that is written: there are never more notes than keys.
    fn note(&self, tenant: &TenantId, key: &Arc<Key>) {
        if key.note() {
            self.used().push((tenant.clone(), Arc::clone(key)));
        }
    }

    fn check(&self, tenant: &TenantId, new: &NewApiKey) -> Result<(), CreateApiKeyError> {
        new.check()?;
        if new.expires_at <= self.clock.now() {
            return Err(CreateApiKeyError::Ended);
        }
        if matches!(new.holder, KeyHolder::User(_)) && !self.people.load().contains(tenant) {
            return Err(CreateApiKeyError::PeopleOff);
        }
        match self.read(|tenants| tenants.get(tenant).map(HashMap::len)) {
            None => Err(CreateApiKeyError::UnknownTenant),
            Some(many) if many >= NewApiKey::MOST => Err(CreateApiKeyError::TooMany),
            Some(_) => Ok(()),
        }
    }
}

impl fmt::Debug for ApiKeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRing").finish_non_exhaustive()
    }
}
