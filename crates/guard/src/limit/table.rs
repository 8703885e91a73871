//! The keys, and what all of them have under way.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Holds, Limits, Load,
    count::key_of,
    entry::{Entry, Permit},
    rate::Ticks,
    refusal::Refusal,
};

/// A sweep looks at the keys of one shard only, so that no request waits for one of all.
const SHARDS: usize = 64;
/// Fewer keys are not worth a sweep.
const SMALL: usize = 64;

/// All keys of a layer.
#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    ticks: Ticks,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    inside: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Shard {
    keys: HashMap<Box<str>, Arc<Entry>>,
    /// At so many keys the next sweep is due.
    sweep_at: usize,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        let shard = || {
            Mutex::new(Shard {
                keys: HashMap::new(),
                sweep_at: SMALL,
            })
        };
        Self {
            limits,
            ticks: Ticks::start(),
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            inside: Arc::new(AtomicUsize::new(0)),
        }
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Lets a request in, waiting for its turn if need be.
    pub(super) async fn admit(&self, load: &Load) -> Result<Admission, Refusal> {
        let place = self.place().ok_or(Refusal::Overloaded)?;
        let entry = self.entry(&load.key).ok_or(Refusal::Overloaded)?;
        entry.ask()?;
        let permit = match load.holds {
            Holds::Nothing => None,
            Holds::Stream => Some(entry.stream(&self.limits)?),
            Holds::Call => {
                let lane = || load.waits_as.as_ref().map_or_else(String::new, key_of);
                Some(entry.call(lane, &self.limits).await?)
            }
        };
        Ok(Admission {
            permit,
            _place: place,
        })
    }

    fn place(&self) -> Option<Place> {
        // Taken first: two that find one place left must not both have it.
        let place = Place(Arc::clone(&self.inside));
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        (before < self.limits.total).then_some(place)
    }

    fn entry(&self, key: &str) -> Option<Arc<Entry>> {
        let index = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).ok()?;
        let mut shard = self
            .shards
            .get(index)?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.keys.get(key) {
            return Some(Arc::clone(entry));
        }
        let most = self.limits.keys.div_ceil(SHARDS).max(1);
        if shard.keys.len() >= shard.sweep_at.min(most) {
            shard.sweep(most);
        }
        if shard.keys.len() >= most {
            return None;
        }
        let entry = Arc::new(Entry::new(&self.limits, self.ticks));
        shard.keys.insert(key.into(), Arc::clone(&entry));
        Some(entry)
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        let len = |shard: &Mutex<Shard>| shard.lock().unwrap().keys.len();
        self.shards.iter().map(len).sum()
    }

    #[cfg(test)]
    pub(super) fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }
}

impl Shard {
    /// Forgets the keys with which nothing is lost; if that is not enough, all that do nothing at the moment. An entry
    /// that is in use has more owners than this map, and gets a new one only under its lock.
    fn sweep(&mut self, most: usize) {
        let is_idle = |entry: &Arc<Entry>| Arc::strong_count(entry) == 1;
        self.keys
            .retain(|_, entry| !is_idle(entry) || !entry.is_as_new());
        if self.keys.len() >= most {
            self.keys.retain(|_, entry| !is_idle(entry));
        }
        // The next one only after as many new keys as this one looked at: each costs its share of it, no more.
        self.sweep_at = (self.keys.len() * 2).max(SMALL);
        self.keys.shrink_to(self.sweep_at);
    }
}

/// One of all that are inside; leaves when dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an admitted request holds until its answer ends.
#[derive(Debug)]
pub(super) struct Admission {
    permit: Option<Permit>,
    _place: Place,
}

impl Admission {
    /// The answer stands open: it is no call any more.
    pub(super) fn standing(self, limits: &Limits) -> Result<Self, Refusal> {
        let permit = self
            .permit
            .map(|permit| permit.standing(limits))
            .transpose()?;
        Ok(Self { permit, ..self })
    }
}
