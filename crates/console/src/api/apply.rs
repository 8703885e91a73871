//! Files that are applied.

use axum::{
    Json,
    extract::{ConnectInfo, Query, State, rejection::BytesRejection},
};
use bytes::Bytes;
use gatewright_core::{Actor, Difference};
use gatewright_directory::apply::{AppliedTenant, Wanted};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Console, parse};
use crate::{Operator, problem::Problem};

/// The largest file, as JSON: policies are in it.
pub(super) const LARGEST: usize = 16 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyQuery {
    /// Says what it would come to, and changes nothing.
    #[serde(default)]
    plan: bool,
}

pub(super) async fn apply(
    State(console): State<Console>,
    ConnectInfo(operator): ConnectInfo<Operator>,
    Query(query): Query<ApplyQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let wanted: Wanted = parse(body)?;
    let (actor, directory) = (Actor::Operator(operator.uid), &console.0.directory);
    let tenants = if query.plan {
        directory.plan_file(&actor, &wanted).await?
    } else {
        directory.apply_file(&actor, &wanted).await?
    };
    let tenants: Vec<Value> = tenants.iter().map(shown).collect();
    Ok(Json(json!({ "tenants": tenants })))
}

fn shown(applied: &AppliedTenant) -> Value {
    let differences: Vec<Value> = applied.differences.iter().map(difference).collect();
    json!({
        "tenant": applied.tenant.as_str(),
        "revision": applied.revision.map(|revision| revision.0),
        "differences": differences,
    })
}

fn difference(difference: &Difference) -> Value {
    json!({
        "of": difference.of,
        "before": difference.before,
        "after": difference.after,
    })
}
