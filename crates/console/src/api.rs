//! The routes.

mod apply;
mod audit;
mod collection;
mod conditions;
mod credentials;
mod endpoints;
mod form;
mod keys;
mod master_key;
mod members;
mod merge;
mod openapi;
mod page;
mod policies;
mod records;
mod scim_tokens;
mod tenants;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    middleware,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use gatewright_audit::SegmentFiles;
use gatewright_core::{
    AdminAction, AdminVerb, Change, Clock as _, Recorder as _, ServerName, Stage, Subject,
    SystemClock, TenantId, Timestamp,
};
use gatewright_directory::Directory;
use gatewright_identity::ApiKeyRing;
use gatewright_vault::SealedVault;
use http::{HeaderValue, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::endpoints::endpoints;
pub(crate) use self::keys::KIND as KEY;
#[cfg(test)]
pub(crate) use self::{collection::COLLECTIONS, openapi::document as openapi};
use crate::{
    AdminSocket, Authority, Estate, Figures, TenantView, caller::Caller, connections,
    problem::Problem,
};

/// The largest body: twice the longest secret, for what JSON makes of it.
const LARGEST: usize = 256 << 10;

/// The admin API of a gateway. Clones are the same.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

/// What a change came to, and what its record says of that.
type Made<T> = Result<(T, Vec<(&'static str, String)>), Problem>;

struct Inner {
    estate: Box<dyn Estate>,
    directory: Directory,
    authority: Authority,
    vault: SealedVault,
    keys: ApiKeyRing,
    log: SegmentFiles,
    /// Cancelled when the process ends: answers without end end then.
    stop: CancellationToken,
    /// Changes under way. They end as they should, also when whoever asked for them has gone.
    changes: TaskTracker,
}

impl Console {
    /// Over what this gateway serves and holds. The authority is the one that the directory asks, too. Once `stop` is
    /// cancelled, it takes no more requests.
    #[must_use]
    pub fn new(
        estate: impl Estate,
        vault: SealedVault,
        keys: ApiKeyRing,
        log: SegmentFiles,
        directory: Directory,
        authority: Authority,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            estate: Box::new(estate),
            directory,
            authority,
            vault,
            keys,
            log,
            stop,
            changes: TaskTracker::new(),
        }))
    }

    /// Answers whoever the socket lets in, until it is told to stop: requests under way are answered if that does not take
    /// long, and changes that began are waited for.
    pub async fn serve(self, socket: AdminSocket) {
        let (stop, changes) = (self.0.stop.clone(), self.0.changes.clone());
        connections::serve(socket, self.router(), stop).await;
        changes.close();
        changes.wait().await;
    }

    /// The API for those who bring tokens: whoever mounts it puts the [`Principal`](gatewright_core::Principal) of each
    /// request into its extensions, by an identity layer in front whose routes are those of the tenant that a path
    /// [names](tenant_of). Without one nothing is answered.
    pub fn for_tokens(self) -> Router {
        self.router()
    }

    fn router(self) -> Router {
        let v1 = endpoints()
            .into_iter()
            .fold(Router::new(), |router, endpoint| {
                router.route(&endpoint.path, endpoint.router)
            });
        Router::new()
            .nest("/api/v1", v1)
            .fallback(async || Problem::unknown("no-such-path", "there is nothing at this path"))
            .method_not_allowed_fallback(async || {
                let detail = "this path takes other methods";
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", detail)
            })
            .layer(DefaultBodyLimit::max(LARGEST))
            .layer(middleware::map_response(unstored))
            .with_state(self)
    }

    fn tenant(&self, caller: &Caller, name: &str) -> Result<TenantView, Problem> {
        // Those of others are not for them to know.
        if caller.tenant().is_some_and(|own| own.as_str() != name) {
            return Err(Problem::no_tenant());
        }
        let tenants = self.0.estate.tenants();
        let known: Vec<String> = tenants
            .iter()
            .map(|tenant| format!("`{}`", tenant.name))
            .collect();
        tenants
            .into_iter()
            .find(|tenant| tenant.name.as_str() == name)
            .ok_or_else(|| {
                let detail = format!(
                    "there is no such tenant: the tenants are {}",
                    known.join(", ")
                );
                Problem::unknown("unknown-tenant", detail)
            })
    }

    /// Waits for a change in a task of its own, which ends as it should also when whoever asked for it has gone.
    async fn to_its_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        self.0.changes.spawn(change).await.map_err(|ended| {
            Problem::unavailable("interrupted", &format!("it may not be done: {ended}"))
        })?
    }

    /// Makes a change as [`recorded`](Self::recorded) does, to its end.
    async fn change<T: Send + 'static>(
        &self,
        change: Change,
        make: impl Future<Output = Made<T>> + Send + 'static,
    ) -> Result<T, Problem> {
        let console = self.clone();
        self.to_its_end(async move { console.recorded(change, make).await })
            .await
    }

    /// Makes a change, between the record that it begins and the one that it ended: no record, no change.
    async fn recorded<T>(
        &self,
        change: Change,
        make: impl Future<Output = Made<T>>,
    ) -> Result<T, Problem> {
        let begun = self.0.log.record(&change, Stage::Begun, now());
        begun.await.map_err(|error| {
            let detail = format!("nothing was changed, since it cannot be recorded: {error}");
            Problem::unavailable("no-record", &detail)
        })?;
        let made = make.await;
        let (stage, details) = match &made {
            Ok((_, details)) => (Stage::Done, details.clone()),
            Err(problem) => (Stage::Failed, vec![("problem", problem.code().to_owned())]),
        };
        let mut ended = change;
        ended.details.extend(details);
        if let Err(error) = self.0.log.record(&ended, stage, now()).await {
            tracing::error!(%error, reference = %ended.reference, "the end of a change is not in the log");
        }
        made.map(|(value, _)| value)
    }
}

#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    figures: Figures,
    tenants: Vec<TenantStatus>,
}

#[derive(Serialize)]
struct TenantStatus {
    #[serde(flatten)]
    tenant: TenantView,
    /// How many are good.
    api_keys: usize,
}

async fn status(State(console): State<Console>, caller: Caller) -> Result<Json<Status>, Problem> {
    let action = AdminAction::new(TenantId::default(), AdminVerb::SystemRead, "status", "");
    console.may(&caller, &action).await?;
    let now = now();
    let of_tenant = |tenant: TenantView| {
        let keys = console.0.keys.list(&tenant.name);
        let good = keys.iter().filter(|key| keys::state(key, now) == "good");
        TenantStatus {
            api_keys: good.count(),
            tenant,
        }
    };
    Ok(Json(Status {
        figures: console.0.estate.figures(),
        tenants: console
            .0
            .estate
            .tenants()
            .into_iter()
            .map(of_tenant)
            .collect(),
    }))
}

/// What the body holds. What is wrong with it is said without a word of it: it may hold a secret.
fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|_unread| {
        let detail = format!("the body is larger than {LARGEST} bytes, or broke off");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", detail)
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        let detail = format!(
            "the body is not the JSON that this takes (line {}, column {}); see docs/configuration.md",
            error.line(),
            error.column()
        );
        Problem::new(StatusCode::BAD_REQUEST, "body", detail)
    })
}

fn server_name(text: &str) -> Result<ServerName, Problem> {
    ServerName::new(text).map_err(|error| Problem::unfit("server-name", error.to_string()))
}

fn unknown_server(tenant: &TenantView) -> Problem {
    let known: Vec<String> = tenant
        .servers
        .iter()
        .map(|server| format!("`{}`", server.name))
        .collect();
    let detail = if known.is_empty() {
        "there is no such server: the tenant has none".to_owned()
    } else {
        format!("there is no such server: they are {}", known.join(", "))
    };
    Problem::unknown("unknown-server", detail)
}

fn unknown_issuer(tenant: &TenantView) -> Problem {
    let known: Vec<String> = tenant
        .issuers
        .iter()
        .map(String::as_str)
        .chain([Subject::LOCAL])
        .map(|issuer| format!("`{issuer}`"))
        .collect();
    let detail = format!(
        "nobody of this issuer is known here: they are {}",
        known.join(", ")
    );
    Problem::unfit("unknown-issuer", detail)
}

fn begin(tenant: &TenantId, caller: &Caller, action: &'static str) -> Change {
    Change::new(tenant.clone(), caller.actor().clone(), action)
}

/// The tenant whose people a path is for: the one that it names, and the default one where it names none. The route of the
/// identity layer in front of [`Console::for_tokens`] is this tenant's.
#[must_use]
pub fn tenant_of(path: &str) -> Option<TenantId> {
    let Some(rest) = path.strip_prefix("/api/v1/tenants/") else {
        return Some(TenantId::default());
    };
    let name = rest.split('/').next().unwrap_or_default();
    TenantId::new(name).ok()
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn rfc3339(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(time.millis()).ok()?;
    Some(format!("{time:.0}"))
}

/// No answer is for keeping: one holds the text of a key.
async fn unstored(answer: Response) -> Response {
    let mut answer = answer.into_response();
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}
