//! Requests of nobody, and those beyond what a caller may ask for: the first few are written one by one, the rest is counted
//! (invariant 13).

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gatewright_core::{Draft, Refused, ServerName, TenantId, Timestamp};

use crate::{
    AuditSink, Held, Record,
    record::{Caller, Counted},
};

/// After this long what was counted is written, and the first few are written one by one again.
const INTERVAL: Duration = Duration::from_secs(60);
/// So many of one kind from one network, or of one caller, are written one by one.
const FIRST: u64 = 3;
/// So many of one tenant are, from all networks together, and of all callers together.
const FIRST_OF_TENANT: u32 = 30;
/// Networks are told apart until there are so many kinds.
const MOST_OF_NOBODY: usize = 128;
/// Callers are told apart until there are so many kinds. None is made up: each has a good credential.
const MOST_OF_CALLERS: usize = 1_024;

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    server: ServerName,
    refused: Option<(&'static str, &'static str)>,
    whose: Whose,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    /// Of nobody, from a network.
    Nobody(Network),
    /// Of the caller with this key.
    Caller(String),
    /// Of callers beyond those that are told apart.
    Others,
}

/// Where a request came from, coarse enough that one owner is one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 3]),
    V6([u16; 4]),
    Unknown,
    /// Networks beyond those that are told apart.
    Others,
}

#[derive(Debug)]
struct Count {
    caller: Option<Caller>,
    seen: u64,
    counted: u64,
    since: Timestamp,
    last: Timestamp,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Timestamp>,
    counts: HashMap<Key, Count>,
    written: HashMap<TenantId, u32>,
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
        let Some((mut key, caller)) = draft.read(|fields| {
            let route = fields.route.as_ref()?;
            let refused = fields.refusal.as_ref().map(|refusal| refusal.refused);
            let caller = Caller::of(fields);
            let whose = match &caller {
                Some(Caller::Principal(principal)) => Whose::Caller(principal.key()),
                Some(Caller::Subject(subject)) => Whose::Caller(subject.to_string()),
                None => Whose::Nobody(Network::of(fields.peer.map(|peer| peer.ip()))),
            };
            let key = Key {
                tenant: route.tenant().clone(),
                server: route.server().clone(),
                refused: refused.map(|refused| (refused.layer, refused.code)),
                whose,
            };
            Some((key, caller))
        }) else {
            return true;
        };
        self.flush(now);
        let (state, most, others) = match &caller {
            Some(_) => (&self.of_callers, MOST_OF_CALLERS, Whose::Others),
            None => {
                let others = Whose::Nobody(Network::Others);
                (&self.of_nobody, MOST_OF_NOBODY, others)
            }
        };
        let mut state = lock(state);
        let told_apart = state.counts.len() < most || state.counts.contains_key(&key);
        if !told_apart {
            key.whose = others;
        }
        state.began.get_or_insert(now);
        let written = state.written.entry(key.tenant.clone()).or_default();
        let room = *written < FIRST_OF_TENANT;
        let written_before = *written;
        let tenant = key.tenant.clone();
        let count = state.counts.entry(key).or_insert(Count {
            caller: caller.filter(|_| told_apart),
            seen: 0,
            counted: 0,
            since: now,
            last: now,
        });
        count.seen += 1;
        if room && count.seen <= FIRST {
            state.written.insert(tenant, written_before + 1);
            return true;
        }
        if count.counted == 0 {
            count.since = now;
        }
        count.counted += 1;
        count.last = now;
        false
    }

    fn drain(&self, now: Timestamp, due: impl Fn(Timestamp) -> bool) {
        for state in [&self.of_nobody, &self.of_callers] {
            let mut state = lock(state);
            if state.began.is_some_and(&due) {
                let State { counts, .. } = std::mem::take(&mut *state);
                drop(state);
                self.write(counts, now);
            }
        }
    }

    fn write(&self, counts: HashMap<Key, Count>, now: Timestamp) {
        for (key, count) in counts.into_iter().filter(|(_, count)| count.counted > 0) {
            let counted = Counted {
                tenant: key.tenant,
                server: key.server,
                refused: key.refused.map(|(layer, code)| Refused { layer, code }),
                caller: count.caller,
                from: match key.whose {
                    Whose::Nobody(network) => Some(network.to_string()),
                    Whose::Others => Some(Network::Others.to_string()),
                    Whose::Caller(_) => None,
                },
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

impl Network {
    fn of(peer: Option<IpAddr>) -> Self {
        match peer.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c, d]) => {
                let ip = std::net::Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0);
                write!(f, "{ip}/64")
            }
            Self::Unknown => f.write_str("unknown"),
            Self::Others => f.write_str("others"),
        }
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::ReferenceId;

    use super::*;
    use crate::testing::{Memory, route, start};

    #[test]
    fn a_clock_that_is_set_back_holds_no_counts_back() {
        let memory = Arc::new(Memory::default());
        let tally = Tally::new(Arc::clone(&memory));
        let draft = Draft::new(ReferenceId::random(), start());
        draft.fill(|fields| fields.route = Some(route()));
        for _ in 0..=FIRST {
            tally.is_among_first(&draft, start());
        }
        tally.flush(start());
        assert!(memory.kinds().is_empty());
        tally.flush(Timestamp::from_millis(start().millis() - 3_600_000));
        assert_eq!(memory.json()[0]["aggregate"]["count"], 1);
    }
}
