//! Tenants.

use axum::{
    Json,
    extract::{State, rejection::BytesRejection},
    response::Response,
};
use bytes::Bytes;
use gatewright_core::{AdminAction, AdminVerb, TenantId};
use gatewright_directory::{model::Document, records::Kind};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Console,
    collection::TENANT,
    form::{self, ID, shown},
    page::{Asked, cursor},
    records::{answer, listed, object},
};
use crate::{caller::Caller, problem::Problem};

pub(super) async fn list(
    State(console): State<Console>,
    caller: Caller,
    asked: Asked,
) -> Result<Json<Value>, Problem> {
    let page = asked.page("tenants", &[])?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let own = caller.tenant();
    let mut tenants = console.0.directory.tenants();
    // Others are not for them to know.
    tenants.retain(|tenant| own.is_none_or(|own| own == tenant));
    if let Some(after) = &page.after {
        tenants.retain(|tenant| tenant.as_str() > after.as_str());
    }
    let more = tenants.len() > limit;
    tenants.truncate(limit);
    let next = tenants.last().filter(|_| more);
    let next = next.map(|last| cursor("tenants", last.as_str()));
    let mut items = Vec::new();
    for tenant in &tenants {
        console
            .may_read(&caller, tenant, Kind::Tenant, tenant.as_str())
            .await?;
        let found = console.got(tenant, Kind::Tenant, tenant.as_str()).await?;
        items.push(found.map_or_else(|| json!({"id": tenant}), |found| shown(&TENANT, &found)));
    }
    Ok(listed(items, next))
}

pub(super) async fn create(
    State(console): State<Console>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let members = object(body)?;
    let id = members.get(ID).and_then(Value::as_str).unwrap_or_default();
    let tenant = TenantId::new(id).map_err(|error| Problem::unfit("id", error.to_string()))?;
    // Before it is looked whether there is one: that is not for everybody to know.
    let action = AdminAction::new(
        TenantId::default(),
        AdminVerb::TenantsWrite,
        Kind::Tenant.name(),
        tenant.as_str(),
    );
    console.may(&caller, &action).await?;
    let document = form::taken(&TENANT, &tenant.as_str().into(), members, None)?;
    let Document::Tenant(settings) = document else {
        return Err(Problem::unfit(
            "document",
            "these are no settings of a tenant",
        ));
    };
    let actor = caller.actor().clone();
    let made = console
        .0
        .directory
        .create_tenant(actor, &tenant, settings)
        .await;
    let made = made.map_err(|error| Problem::of_change(&error, Kind::Tenant, tenant.as_str()))?;
    let found = console.got(&tenant, Kind::Tenant, tenant.as_str()).await?;
    let found = found.ok_or_else(|| Problem::no_such(Kind::Tenant))?;
    Ok(answer(
        StatusCode::CREATED,
        &found,
        shown(&TENANT, &found),
        &made.also,
    ))
}
