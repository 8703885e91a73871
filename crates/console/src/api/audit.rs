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
use gatewright_core::{AdminAction, AdminVerb, ReferenceId, TenantId, Timestamp};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Console;
use crate::{caller::Caller, problem::Problem};

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
    caller: Caller,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "query", detail);
    let Query(mut wanted) = wanted.map_err(|error| bad(&error.body_text()))?;
    let contents = may_read(&console, &caller, &mut wanted).await?;
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
                .map(|record| match contents {
                    Contents::Told => format!("{record}\n"),
                    Contents::Untold => format!("{}\n", without_contents(record)),
                })
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

/// Whether the contents of calls are told to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    Told,
    Untold,
}

/// Operators read everything. Who brings a token reads their own tenant's records, and the contents of calls where that is
/// permitted too.
async fn may_read(
    console: &Console,
    caller: &Caller,
    wanted: &mut Wanted,
) -> Result<Contents, Problem> {
    let Some(own) = caller.tenant() else {
        return Ok(Contents::Told);
    };
    if wanted.tenant.as_ref().is_some_and(|tenant| tenant != own) {
        return Err(Problem::no_tenant());
    }
    wanted.tenant = Some(own.clone());
    let action = |verb| AdminAction::new(own.clone(), verb, "audit", "");
    console.may(caller, &action(AdminVerb::AuditRead)).await?;
    if wanted.follow {
        // Nothing would end it where they may not any more.
        let detail = "the log is followed over the local socket only: ask again for what is new";
        return Err(Problem::unfit("follow", detail));
    }
    let contents = console
        .may(caller, &action(AdminVerb::AuditReadContents))
        .await;
    Ok(match contents {
        Ok(()) => Contents::Told,
        Err(_refused) => Contents::Untold,
    })
}

/// A record in which the contents of calls are their digests alone.
fn without_contents(record: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(record) else {
        // What cannot be read may have contents.
        return "{}".to_owned();
    };
    digests_only(&mut value);
    value.to_string()
}

fn digests_only(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.contains_key("sha256") {
                members.remove("json");
            }
            members.values_mut().for_each(digests_only);
        }
        Value::Array(items) => items.iter_mut().for_each(digests_only),
        _ => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_left_out_and_digests_stay() {
        let record = r#"{"call":{"arguments":{"sha256":"a","bytes":1,"json":{"secret":1}}},"outcome":[{"result":{"sha256":"b","json":2}}]}"#;
        let told = without_contents(record);
        assert!(!told.contains("secret") && !told.contains("json"), "{told}");
        assert!(
            told.contains("\"sha256\":\"a\"") && told.contains("\"sha256\":\"b\""),
            "{told}"
        );
        assert_eq!(without_contents("not json {"), "{}");
    }
}
