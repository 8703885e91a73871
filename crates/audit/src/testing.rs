//! What tests of this crate share: calls, callers, and a disk that can be full.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gatewright_core::{
    AnyIdentified, CallBody, Decision, Draft, Identity, ManualClock, Outcome, Party, Permitted,
    Principal, ReferenceId, Route, ServerName, Subject, TenantId, Timestamp, authenticate,
    authorize, engine_fn, resolver_fn,
};

use crate::{
    AppendError, AuditSink, Durability, Receipt, Record, SegmentFilesBuilder,
    disk::{Disk, RealDisk, Segment},
};

pub(crate) const PAY: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"pay","arguments":{"cents":5}}}"#;

pub(crate) fn start() -> Timestamp {
    Timestamp::from_secs(1_790_000_000)
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::at(start())
}

pub(crate) fn reference() -> ReferenceId {
    ReferenceId::parse("0199a0b2-5f00-7000-8000-000000000001").unwrap()
}

pub(crate) fn route() -> Route {
    Route::single("billing", "https://api.example.com/mcp").unwrap()
}

pub(crate) fn route_of(tenant: &str) -> Route {
    let (tenant, server) = (TenantId::new(tenant).unwrap(), ServerName::new("billing"));
    Route::new(
        tenant,
        server.unwrap(),
        "https://api.example.com/mcp",
        Default::default(),
    )
    .unwrap()
}

pub(crate) fn delegation() -> Identity {
    let party = |id| Party::new(Subject::new("https://idp.example", id));
    let mut identity = Identity::delegated(party("ann"), party("bot"));
    identity.client_id = Some("desk".into());
    identity
}

pub(crate) async fn principal(route: &Route, identity: Identity) -> Principal {
    let (mut parts, ()) = http::Request::post("/mcp").body(()).unwrap().into_parts();
    parts.extensions.insert(route.clone());
    let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(identity.clone())));
    authenticate(&resolver, &AnyIdentified, &clock(), &parts)
        .await
        .unwrap()
}

pub(crate) async fn permitted(route: &Route, message: &str) -> Permitted {
    let (parts, ()) = http::Request::post("/mcp").body(()).unwrap().into_parts();
    let bytes = message.to_owned().into();
    let call = CallBody::parse(route, &parts, bytes, &Default::default()).unwrap();
    let engine = engine_fn(|_, _| Decision::allow(["payers"]));
    authorize(&engine, &principal(route, delegation()).await, call)
        .await
        .unwrap()
}

/// A record of some call of a tenant.
pub(crate) fn record(tenant: &str) -> Record {
    let draft = Draft::new(ReferenceId::random(), start());
    draft.fill(|fields| fields.route = Some(route_of(tenant)));
    Record::admitted(&draft, start()).unwrap()
}

/// A log without a reserve, for tests of other things.
pub(crate) fn log(dir: &Path) -> SegmentFilesBuilder {
    crate::SegmentFiles::builder(dir)
        .reserve_bytes(0)
        .clock(clock())
}

/// Every record below a directory, as JSON, in order of the file names.
pub(crate) fn records(dir: &Path) -> Vec<serde_json::Value> {
    let mut out = Vec::new();
    crate::export(dir, &crate::Filter::default(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn kinds(records: &[serde_json::Value]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record["kind"].as_str().unwrap())
        .collect()
}

/// Keeps records in memory, or refuses them.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) records: Mutex<Vec<(Record, Option<Durability>)>>,
    pub(crate) refuses: AtomicBool,
}

impl Memory {
    pub(crate) fn kinds(&self) -> Vec<crate::RecordKind> {
        let records = self.records.lock().unwrap();
        records.iter().map(|(record, _)| record.kind()).collect()
    }

    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let records = self.records.lock().unwrap();
        records
            .iter()
            .map(|(record, _)| serde_json::from_str(&record.to_json()).unwrap())
            .collect()
    }
}

impl AuditSink for Memory {
    async fn append(&self, record: Record, durability: Durability) -> Result<Receipt, AppendError> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(AppendError::Full);
        }
        self.records
            .lock()
            .unwrap()
            .push((record, Some(durability)));
        Ok(Receipt::default())
    }

    fn enqueue(&self, record: Record) {
        self.records.lock().unwrap().push((record, None));
    }
}

/// A real disk with so many bytes left, and switches for what else can go wrong.
#[derive(Clone)]
pub(crate) struct BadDisk(pub(crate) Arc<Switches>);

#[derive(Debug)]
pub(crate) struct Switches {
    pub(crate) left: AtomicU64,
    pub(crate) keeps_partial_writes: AtomicBool,
    pub(crate) sync_fails: AtomicBool,
    pub(crate) syncs: AtomicU64,
    pub(crate) writes: AtomicU64,
}

impl BadDisk {
    pub(crate) fn with_space() -> Self {
        Self(Arc::new(Switches {
            left: AtomicU64::new(u64::MAX),
            keeps_partial_writes: AtomicBool::new(false),
            sync_fails: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        }))
    }
}

impl Disk for BadDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn Segment>> {
        RealDisk.open(path)?;
        let file = crate::layout::private_append(path)?;
        let switches = Arc::clone(&self.0);
        Ok(Arc::new(BadFile { file, switches }))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

struct BadFile {
    file: File,
    switches: Arc<Switches>,
}

impl Segment for BadFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.switches.writes.fetch_add(1, Ordering::Relaxed);
        let left =
            usize::try_from(self.switches.left.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        if bytes.len() <= left {
            if left < usize::MAX {
                self.switches
                    .left
                    .fetch_sub(bytes.len() as u64, Ordering::Relaxed);
            }
            return Segment::append(&self.file, bytes);
        }
        Segment::append(&self.file, &bytes[..left])?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn len(&self) -> io::Result<u64> {
        Segment::len(&self.file)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        if self.switches.keeps_partial_writes.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.switches.syncs.fetch_add(1, Ordering::Relaxed);
        if self.switches.sync_fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync_data()
    }
}
