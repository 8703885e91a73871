//! The audit log, as it is written.

use std::{collections::VecDeque, time::Duration};

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use gatewright_audit::{Filter, ReadLogError, Tail};
use gatewright_core::{ReferenceId, TenantId, Timestamp};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::Console;
use crate::problem::Problem;

/// How often a followed log is looked at.
const PAUSE: Duration = Duration::from_millis(250);
const MOST: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tenant: Option<TenantId>,
    /// Milliseconds since 1970.
    since: Option<i64>,
    until: Option<i64>,
    principal: Option<String>,
    reference: Option<String>,
    count: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(super) async fn records(
    State(console): State<Console>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "query", detail);
    let Query(wanted) = wanted.map_err(|error| bad(&error.body_text()))?;
    let mut filter = Filter::default();
    filter.tenant = wanted.tenant;
    filter.since = wanted.since.map(Timestamp::from_millis);
    filter.until = wanted.until.map(Timestamp::from_millis);
    filter.principal = wanted.principal;
    if let Some(reference) = wanted.reference {
        let reference = ReferenceId::parse(&reference).ok_or_else(|| bad("no such reference"))?;
        filter.reference = Some(reference);
    }
    let dir = console.0.log.dir().to_owned();
    let count = wanted.count.unwrap_or(20).min(MOST);
    let opened = tokio::task::spawn_blocking(move || Tail::open(&dir, filter, count)).await;
    let (latest, tail) = opened
        .map_err(|error| Problem::unavailable("log", &error))?
        .map_err(|error| Problem::unavailable("log", &error))?;
    let body = if wanted.follow {
        followed(latest, tail, console.0.stop.clone())
    } else {
        Body::from(
            latest
                .iter()
                .map(|record| format!("{record}\n"))
                .collect::<String>(),
        )
    };
    let mut answer = Response::new(body);
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    Ok(answer)
}

/// Ends with the process, or with whoever reads it.
fn followed(latest: Vec<String>, tail: Tail, stop: CancellationToken) -> Body {
    let start = (VecDeque::from(latest), Some(tail), stop);
    Body::from_stream(stream::try_unfold(
        start,
        |(mut ready, mut tail, stop)| async move {
            loop {
                if let Some(record) = ready.pop_front() {
                    let line = Bytes::from(format!("{record}\n"));
                    return Ok::<_, ReadLogError>(Some((line, (ready, tail, stop))));
                }
                let Some(mut reading) = tail.take() else {
                    return Ok(None);
                };
                let pause = tokio::time::sleep(PAUSE);
                if stop.run_until_cancelled(pause).await.is_none() {
                    return Ok(None);
                }
                let read = move || reading.more().map(|records| (records, reading));
                let read = tokio::task::spawn_blocking(read).await;
                let (records, reading) = read.unwrap_or_else(|ended| {
                    Err(ReadLogError::Write(std::io::Error::other(ended)))
                })?;
                ready = records.into();
                tail = Some(reading);
            }
        },
    ))
}
