//! Files that are applied.

use axum::{
    Json,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
};
use bytes::Bytes;
use gatewright_core::Difference;
use gatewright_directory::{
    apply::{AppliedTenant, Wanted},
    records::Kind,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Console, page::bad, parse};
use crate::{caller::Caller, problem::Problem};

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
    caller: Caller,
    query: Result<Query<ApplyQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| bad(&error.body_text()))?;
    let wanted: Wanted = parse(body)?;
    let own = caller.tenant();
    // Whether there are others is not for everybody to know.
    if own.is_some_and(|own| wanted.tenants.keys().any(|tenant| tenant != own)) {
        return Err(Problem::no_tenant());
    }
    if let Some(own) = own {
        // What a file would change says what there is.
        for kind in [Kind::User, Kind::Tenant] {
            console.may_read(&caller, own, kind, "").await?;
        }
    }
    let (actor, directory) = (caller.actor(), &console.0.directory);
    let tenants = if query.plan {
        directory.plan_file(actor, &wanted).await
    } else {
        directory.apply_file(actor, &wanted).await
    };
    // It is about many things, so that none is the one that was asked for.
    let tenants = tenants.map_err(|error| Problem::of_change(&error, Kind::Applied, ""))?;
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
