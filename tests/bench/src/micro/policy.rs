//! A decision, with few and with many permits.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use gatewright_core::{
    AnyIdentified, CallBody, Decision, Group, Identity, Outcome, Party, PolicyEngine as _,
    Principal, Route, Subject, SystemClock, authenticate, resolver_fn,
};
use gatewright_policy_cedar::CedarEngine;
use gatewright_wire::Limits;
use tokio::runtime::Runtime;

use crate::{
    load,
    organisation::{self, CALLER_GROUPS, CHECKED_TOOL, group, server, tool},
    report::{Report, median},
};

const ISSUER: &str = "http://127.0.0.1/bench";
const AUDIENCE: &str = "http://127.0.0.1/mcp/server-00";

/// A decision with few and with many permits.
pub(crate) fn policy_ratio(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for (permits, name) in [(10, "10"), (1_000, "1000"), (10_000, "10000")] {
        let engine = CedarEngine::builder()
            .roles(organisation::roles(permits)?)
            .grants(organisation::grants(ISSUER))
            .build()?;
        let caller = runtime.block_on(caller())?;
        for (target, figure) in [
            (tool(0), "policy"),
            (CHECKED_TOOL.to_owned(), "policy_arguments"),
        ] {
            let body = call(&target)?;
            let decided = runtime.block_on(engine.decide(&caller, body.call()));
            ensure!(
                matches!(decided, Decision::Allow { .. }),
                "the bench's call is denied: {decided:?}"
            );
            let nanos = time(&runtime, || engine.decide(&caller, body.call()));
            report.figure(&format!("{figure}_{name}_us"), nanos / 1000.0);
        }
    }
    for figure in ["policy", "policy_arguments"] {
        let of = |name: &str| report.get(&format!("{figure}_{name}_us"));
        let (few, many) = (
            of("10").context("measured")?,
            of("10000").context("measured")?,
        );
        report.figure(&format!("{figure}_ratio_10000_to_10"), many / few);
    }
    Ok(())
}

async fn caller() -> Result<Principal> {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.extensions.insert(route()?);
    let groups = (0..CALLER_GROUPS).map(|number| Group::new(ISSUER, &group(number)));
    let ann = Party::new(Subject::new(ISSUER, "ann")).with_groups(groups);
    let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(Identity::user(ann.clone()))));
    Ok(authenticate(&resolver, &AnyIdentified, &SystemClock, &parts).await?)
}

fn route() -> Result<Route> {
    Ok(Route::single(&server(0), AUDIENCE)?)
}

fn call(name: &str) -> Result<CallBody> {
    let (parts, ()) = http::Request::post("/mcp").body(())?.into_parts();
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{{"text":"hello","count":3}}}}}}"#
    );
    Ok(CallBody::parse(
        &route()?,
        &parts,
        text.into(),
        &Limits::default(),
    )?)
}

/// Nanoseconds of one run: the median of several spans of time.
fn time<F: Future>(runtime: &Runtime, mut run: impl FnMut() -> F) -> f64 {
    runtime.block_on(async {
        let mut spans = Vec::new();
        for _ in 0..11 {
            let (start, mut runs) = (Instant::now(), 0_u64);
            while start.elapsed() < Duration::from_millis(50) {
                for _ in 0..64 {
                    black_box(run().await);
                }
                runs += 64;
            }
            let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            spans.push(load::to_f64(nanos) / load::to_f64(runs));
        }
        median(&spans)
    })
}
