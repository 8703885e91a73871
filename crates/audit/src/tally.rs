//! Requests of nobody, and those beyond what a caller may ask for: the first few are written one by one, the rest is counted
//! (invariant 13).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gatewright_core::{Draft, Refused, ServerName, TenantId, Timestamp};

use crate::{
    AuditSink, Held, Record,
    record::{Caller, Counted},
};

mod network;

use self::network::{Network, Networks};

/// After this long what was counted is written, and the first few are written one by one again.
const INTERVAL: Duration = Duration::from_secs(60);
/// So many of one kind from one network, or of one caller, are written one by one.
const FIRST: u64 = 3;
/// So many of one tenant are, from all networks together, and of all callers together.
const FIRST_OF_TENANT: u32 = 30;
/// So many callers of one tenant have the first refusal of each code written, however many others were: it says from
/// where, and which request it was.
const MOST_MET: usize = 256;
/// Networks are told apart until a tenant has so many kinds.
const MOST_OF_NOBODY: usize = 128;
/// Callers are told apart until a tenant has so many kinds. None is made up: each has a good credential.
const MOST_OF_CALLERS: usize = 1_024;
/// After so many kinds of one caller or network its servers are counted together, so that none takes the room of the
/// others: what is left is one kind for each code of a refusal.
const MOST_OF_ONE: usize = 4;

/// Layer and code of a refusal.
type Code = (&'static str, &'static str);

/// What is counted together, of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// `None`: of several servers.
    server: Option<ServerName>,
    refused: Option<Code>,
    whose: Whose,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    /// Of nobody, from a network.
    Nobody(Network),
    /// Of the principal with this key, or of those beyond the ones that are told apart.
    Principal(Option<String>),
    /// Of this subject, which is switched off, or of those beyond the ones that are told apart.
    Subject(Option<String>),
}

impl Whose {
    /// What stands for those of its sort that are not told apart.
    fn others(&self) -> Self {
        match self {
            Self::Nobody(_) => Self::Nobody(Network::Others),
            Self::Principal(_) => Self::Principal(None),
            Self::Subject(_) => Self::Subject(None),
        }
    }

    /// The network of the peers, or what stands for those who are not told apart.
    fn from(&self) -> Option<String> {
        match self {
            Self::Nobody(network) => Some(network.to_string()),
            Self::Principal(None) | Self::Subject(None) => Some(Network::Others.to_string()),
            Self::Principal(Some(_)) | Self::Subject(Some(_)) => None,
        }
    }
}

#[derive(Debug)]
struct Count {
    caller: Option<Caller>,
    /// Where a caller's counted requests came from.
    networks: Networks,
    seen: u64,
    counted: u64,
    since: Timestamp,
    last: Timestamp,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Timestamp>,
    /// Apart, so that no tenant's flood hides the callers of another.
    tenants: HashMap<TenantId, OfTenant>,
}

#[derive(Debug, Default)]
struct OfTenant {
    counts: HashMap<Key, Count>,
    /// How many kinds each has that name a server.
    kinds: HashMap<Whose, usize>,
    /// The callers and codes of which the first was written.
    met: HashSet<(Whose, Option<Code>)>,
    written: u32,
}

impl OfTenant {
    /// What a request is counted as: its own kind while there is room for it.
    fn place(&mut self, own: Key, most: usize) -> Key {
        if self.counts.contains_key(&own) {
            return own;
        }
        let kinds = self.kinds.get(&own.whose).copied().unwrap_or_default();
        let kind = if kinds < MOST_OF_ONE {
            own.clone()
        } else {
            let server = None;
            Key {
                server,
                ..own.clone()
            }
        };
        if self.counts.contains_key(&kind) {
            return kind;
        }
        if self.counts.len() >= most {
            let whose = own.whose.others();
            return Key { whose, ..own };
        }
        if kind.server.is_some() {
            self.kinds.insert(own.whose, kinds + 1);
        }
        kind
    }

    /// Whether this is a caller's first with its code.
    fn meets(&mut self, own: &Key) -> bool {
        self.met.len() < MOST_MET && self.met.insert((own.whose.clone(), own.refused))
    }
}

/// Counts requests, and hands the counts to the sink in time.
pub(crate) struct Tally<S: AuditSink> {
    sink: Arc<S>,
    /// Apart, so that a flood of nobody leaves callers told apart.
    of_nobody: Mutex<State>,
    of_callers: Mutex<State>,
}

impl<S: AuditSink> Tally<S> {
    pub(crate) fn new(sink: Arc<S>) -> Self {
        Self {
            sink,
            of_nobody: Mutex::default(),
            of_callers: Mutex::default(),
        }
    }

    /// Whether this request is to be written by itself; otherwise it is counted.
    pub(crate) fn is_among_first(&self, draft: &Draft, now: Timestamp) -> bool {
        let Some((tenant, own, caller, network)) = draft.read(|fields| {
            let route = fields.route.as_ref()?;
            let refused = fields.refusal.as_ref().map(|refusal| refusal.refused);
            let caller = Caller::of(fields);
            let network = Network::of(fields.peer.map(|peer| peer.ip()));
            let whose = match &caller {
                Some(Caller::Principal(principal)) => Whose::Principal(Some(principal.key())),
                Some(Caller::Subject(subject)) => Whose::Subject(Some(subject.to_string())),
                None => Whose::Nobody(network),
            };
            let key = Key {
                server: Some(route.server().clone()),
                refused: refused.map(|refused| (refused.layer, refused.code)),
                whose,
            };
            Some((route.tenant().clone(), key, caller, network))
        }) else {
            return true;
        };
        self.flush(now);
        let (state, most) = match &caller {
            Some(_) => (&self.of_callers, MOST_OF_CALLERS),
            None => (&self.of_nobody, MOST_OF_NOBODY),
        };
        let mut state = lock(state);
        state.began.get_or_insert(now);
        let of_tenant = state.tenants.entry(tenant).or_default();
        let is_known = caller.is_some();
        let met = is_known && of_tenant.meets(&own);
        let key = of_tenant.place(own, most);
        let caller = caller.filter(|_| key.whose.from().is_none());
        let count = of_tenant.counts.entry(key).or_insert(Count {
            caller,
            networks: Networks::default(),
            seen: 0,
            counted: 0,
            since: now,
            last: now,
        });
        count.seen += 1;
        if met {
            return true;
        }
        if of_tenant.written < FIRST_OF_TENANT && count.seen <= FIRST {
            of_tenant.written += 1;
            return true;
        }
        if count.counted == 0 {
            count.since = now;
        }
        if is_known {
            count.networks.add(network);
        }
        count.counted += 1;
        count.last = now;
        false
    }

    fn drain(&self, now: Timestamp, due: impl Fn(Timestamp) -> bool) {
        for state in [&self.of_nobody, &self.of_callers] {
            let mut state = lock(state);
            if state.began.is_some_and(&due) {
                let State { tenants, .. } = std::mem::take(&mut *state);
                drop(state);
                for (tenant, OfTenant { counts, .. }) in tenants {
                    self.write(&tenant, counts, now);
                }
            }
        }
    }

    fn write(&self, tenant: &TenantId, counts: HashMap<Key, Count>, now: Timestamp) {
        for (key, count) in counts.into_iter().filter(|(_, count)| count.counted > 0) {
            let counted = Counted {
                tenant: tenant.clone(),
                server: key.server,
                refused: key.refused.map(|(layer, code)| Refused { layer, code }),
                caller: count.caller,
                anonymous: !matches!(key.whose, Whose::Principal(_)),
                from: key.whose.from(),
                networks: count.networks.to_strings(),
                elsewhere: count.networks.elsewhere(),
                count: count.counted,
                since: count.since,
                last: count.last,
            };
            self.sink.enqueue(Record::aggregate(counted, now));
        }
    }
}

impl<S: AuditSink> Held for Tally<S> {
    fn flush(&self, now: Timestamp) {
        // Began in the future: the clock was set back, and who waits for it would wait long.
        self.drain(now, |began| now < began || now.since(began) >= INTERVAL);
    }

    fn flush_all(&self, now: Timestamp) {
        self.drain(now, |_| true);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
