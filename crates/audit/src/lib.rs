//! AuditLayer, RecordLayer and the log that proves its own integrity.
//!
//! A log that can be changed proves nothing, and a log that is written after the fact misses the call that
//! brought the machine down. So a call is in the log before its server sees it, each record holds the hash of
//! the one before, and where the chains stand is signed again and again: with one such checkpoint kept
//! elsewhere, [`verify`] finds every change, gap, reordering or cut before it, without the gateway.
//!
//! ```
//! use std::convert::Infallible;
//! use gatewright_audit::{AuditLayer, Filter, RecordLayer, SegmentFiles, VerifyOptions, export, verify};
//! use gatewright_core::{AnswerBody, CallBody, Decision, Identity, Outcome, Party, Permitted, Route, Subject};
//! use gatewright_core::{AnyIdentified, SystemClock, authenticate, authorize, engine_fn, resolver_fn};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let log = SegmentFiles::open(dir)?;
//! let stack = ServiceBuilder::new()
//!     .layer(AuditLayer::new(log.clone())) // sees every refusal below
//!     .layer(RecordLayer::new(log.clone())) // no record, no call
//!     .service(service_fn(|_call: Request<Permitted>| async {
//!         Ok::<_, Infallible>(Response::new(AnswerBody::empty()))
//!     }));
//!
//! # let route = Route::single("billing", "https://api.example.com/mcp")?;
//! # let mut request = Request::post("/mcp").body(())?;
//! # request.extensions_mut().insert(route.clone());
//! # let (parts, ()) = request.into_parts();
//! # let ann = resolver_fn(|_| Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("idp", "ann"))))));
//! # let ann = authenticate(&ann, &AnyIdentified, &SystemClock, &parts).await?;
//! # let text = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay"}}"#;
//! # let call = CallBody::parse(&route, &parts, text.as_slice().into(), &Default::default())?;
//! # let call = authorize(&engine_fn(|_, _| Decision::allow(["staff"])), &ann, call).await?;
//! # let request = Request::from_parts(parts, call);
//! stack.oneshot(request).await?; // the user `ann` calls the tool `pay`
//! let checkpoint = log.checkpoint().await?; // to be kept elsewhere
//! log.close().await?;
//!
//! let mut records = Vec::new();
//! export(dir, &Filter::default(), &mut records)?;
//! let records = String::from_utf8(records)?;
//! let kinds = ["opened", "admitted", "outcome", "closed"].map(|kind| format!("\"kind\":\"{kind}\""));
//! assert!(records.lines().zip(&kinds).all(|(record, kind)| record.contains(kind)));
//!
//! let options = VerifyOptions::default().checkpoint(checkpoint);
//! assert!(verify(dir, &options)?.is_sound());
//! let segment = dir.join("default/local/000000000001.jsonl");
//! let changed = std::fs::read_to_string(&segment)?.replacen("\"pay\"", "\"pAy\"", 1);
//! std::fs::write(&segment, changed)?;
//! let report = verify(dir, &options)?;
//! assert_eq!(report.findings[0].seq, Some(2));
//! assert!(report.to_string().contains("record 2 of default/local: the record was changed"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Reads** from the request [`Route`](gatewright_core::Route) and, where the edge puts it there, the peer's
//! `std::net::SocketAddr`; from its headers `traceparent` only. `RecordLayer` reads the
//! [`Draft`](gatewright_core::Draft) and the [`Permitted`](gatewright_core::Permitted) call.
//!
//! **Adds** the `Draft` that every layer between the two fills.
//!
//! **Refuses** by `RecordLayer` a call whose admission cannot be recorded as durably as its server's
//! [`AuditClass`](gatewright_core::AuditClass) asks: 503 and a JSON-RPC error. Either layer answers 500 where
//! what it reads is missing.
//!
//! **Fails** to the safe side: a full disk takes back what was written by half and gives up a reserved file so
//! that calls go on; where the state of a file is in doubt, its chain takes nothing more until the log is opened
//! again. Refusals, outcomes and the admissions of `best-effort` servers are queued: a loss of the process costs
//! at most the last 20 ms of them, and the verifier lists admissions without outcome.
//!
//! Arguments are in the log as SHA-256 digests, and as themselves only where the server's profile says so. A
//! digest does not hide what can be guessed: who knows that an argument is one of a thousand can try them all.

mod answer;
mod attest;
mod chain;
mod checkpoint;
mod disk;
mod key;
mod layer;
mod layout;
mod lines;
mod read;
mod record;
mod segments;
mod service;
mod sink;
mod tally;
#[cfg(test)]
mod testing;
mod text;
mod verify;

pub use attest::{Attested, VerifyAttestedError};
pub use chain::Digest;
pub use checkpoint::{ChainHead, Checkpoint};
pub use key::{CheckpointKey, LoadKeyError, PublicKey};
pub use layer::{AuditLayer, RecordLayer};
pub use read::{Filter, ReadLogError, Tail, export};
pub use record::{Ended, Record, RecordKind};
pub use segments::{OpenLogError, RecoverError, SegmentFiles, SegmentFilesBuilder};
pub use service::{AuditService, RecordService};
pub use sink::{AppendError, AuditSink, Durability, Held, Receipt};
pub use verify::{
    ChainReport, Finding, OpenAdmission, Problem, Report, VerifyLogError, VerifyOptions, verify,
};
