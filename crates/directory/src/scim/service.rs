//! The service (RFC 7644): SCIM over HTTP, for every tenant, through the one door of the directory.
//!
//! It is at `/scim/v2`, for other tenants than the default one at `/t/<tenant>/scim/v2`. Whoever asks brings a bearer token of
//! the tenant, whose scopes say what of which types of resources it may read and write; nothing is answered without one.
//!
//! Beyond the RFCs: `?dryRun=true` on whatever changes something answers what would become of what, and changes nothing.

mod answer;
mod bulk;
mod candidates;
mod change;
mod documents;
mod list;
mod members;
mod operation;
mod pages;
mod rate;
mod route;
mod scope;
#[cfg(test)]
mod tests;
mod version;
mod write;

use std::{fmt, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    routing::any,
};
use gatewright_core::{Clock, TenantId, Timestamp};
use http::{HeaderMap, Method, Response, StatusCode, header, request::Parts};
use serde_json::Value;

use self::{
    answer::Answer, documents::Credentials, rate::Limiter, route::Target, scope::Bearer,
    version::Matching,
};
pub use self::{documents::PublicCredential, rate::Rate, route::ROUTES};
use super::{
    Query, ScimError, ScimType, digest_of_token,
    schema::{self, Location, ResourceType},
};
use crate::Directory;

/// The largest body, in bytes: a group of 50,000 members, twice.
const LARGEST_BODY: usize = 8 << 20;
/// How deep a body goes at most.
const DEEPEST_BODY: usize = 16;
/// How many members of groups are in one page at most.
const MOST_MEMBERS: usize = 100_000;
/// How many operations and bytes a bulk request has at most.
const BULK: (usize, usize) = (1_000, LARGEST_BODY);

/// SCIM for the tenants of a directory. Clones are the same.
#[derive(Clone)]
pub struct ScimService(Arc<Inner>);

struct Inner {
    directory: Directory,
    credentials: Box<Credentials>,
    clock: Arc<dyn Clock>,
    /// Where the gateway is, without a path.
    url: String,
    limiter: Limiter,
    /// So many members of groups are in one page at most, unless one group alone has more.
    most_members: usize,
}

/// Who asks, and where.
#[derive(Clone, Debug)]
struct Caller {
    tenant: TenantId,
    bearer: Bearer,
    location: Location,
}

/// A request that was let in.
struct Asked {
    method: Method,
    parameters: Vec<(String, String)>,
    matching: Matching,
    body: Option<Value>,
}

impl ScimService {
    /// Over a directory, for whoever has a token of one of its tenants. `url` is where the gateway is for its clients, as
    /// `https://gateway.example.com`.
    #[must_use]
    pub fn new(directory: Directory, url: &str, clock: impl Clock) -> Self {
        Self(Arc::new(Inner {
            directory,
            credentials: Box::new(|_, _| Vec::new()),
            clock: Arc::new(clock),
            url: url.trim_end_matches('/').to_owned(),
            limiter: Limiter::new(Rate::default()),
            most_members: MOST_MEMBERS,
        }))
    }

    /// How much a token may ask for. To be set before the service is used, as is everything.
    #[must_use]
    pub fn rate(self, rate: Rate) -> Self {
        self.with(|inner| inner.limiter = Limiter::new(rate))
    }

    /// What of an agent's credentials is public, besides its identities: its API keys, as far as people may see them.
    #[must_use]
    pub fn credentials(
        self,
        of: impl Fn(&TenantId, &str) -> Vec<PublicCredential> + Send + Sync + 'static,
    ) -> Self {
        self.with(|inner| inner.credentials = Box::new(of))
    }

    fn with(mut self, set: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            set(inner);
        }
        self
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/scim/v2/{*path}", any(of_default_tenant))
            .route("/t/{tenant}/scim/v2/{*path}", any(of_tenant))
            .with_state(self)
    }

    async fn serve(
        self,
        tenant: Option<TenantId>,
        path: String,
        request: Request,
    ) -> Response<Body> {
        let answered = match self.let_in(tenant, request.headers()) {
            Ok(caller) => self.answer(&caller, &path, request).await,
            Err(error) => Err(error),
        };
        answered.unwrap_or_else(Answer::from).into_response()
    }

    /// Before anything of the request is read. Whatever is wrong with a token, the tenant included, is answered alike.
    fn let_in(&self, tenant: Option<TenantId>, headers: &HeaderMap) -> Result<Caller, ScimError> {
        let nobody = || {
            let detail = "a bearer token of the tenant for SCIM is needed";
            ScimError::of_status(StatusCode::UNAUTHORIZED, detail)
        };
        let tenant = tenant.ok_or_else(nobody)?;
        let digest = scope::bearer_token(headers)
            .and_then(digest_of_token)
            .ok_or_else(nobody)?;
        let bearer = self.bearer(&tenant, &digest)?.ok_or_else(nobody)?;
        self.0.limiter.take(&tenant, &bearer.id, self.now())?;
        let path = if tenant == TenantId::default() {
            "/scim/v2".to_owned()
        } else {
            format!("/t/{tenant}/scim/v2")
        };
        let location = Location::new(&format!("{}{path}", self.0.url));
        Ok(Caller {
            tenant,
            bearer,
            location,
        })
    }

    /// Whose a token is, if it is good now. It is answered from memory, so that whoever makes tokens up costs no storage anything;
    /// and by nobody whose memory may be too old.
    fn bearer(&self, tenant: &TenantId, digest: &str) -> Result<Option<Bearer>, ScimError> {
        let directory = &self.0.directory;
        if directory.is_stale() {
            let detail = "whether a token is still good is not known now; try again";
            return Err(ScimError::of_status(
                StatusCode::SERVICE_UNAVAILABLE,
                detail,
            ));
        }
        let now = self.now().millis();
        let bearer = directory.with(tenant, |state| {
            let (id, token) = state.scim_token(digest)?;
            let good = !state.tenant.disabled && now < token.expires_at;
            good.then(|| Bearer {
                id: Arc::clone(id),
                scopes: token.scopes.clone(),
            })
        });
        Ok(bearer.flatten())
    }

    async fn answer(
        &self,
        caller: &Caller,
        path: &str,
        request: Request,
    ) -> Result<Answer, ScimError> {
        let target = Target::of(path).ok_or_else(ScimError::not_found)?;
        let (parts, body) = request.into_parts();
        if !target.takes(&parts.method) {
            let detail = format!("`{}` cannot be asked of this path", parts.method);
            return Ok(Answer {
                allow: Some(target.methods().join(", ")),
                ..Answer::from(ScimError::of_status(StatusCode::METHOD_NOT_ALLOWED, detail))
            });
        }
        let asked = Asked {
            matching: Matching::of(&parts.headers)?,
            parameters: parameters(&parts)?,
            body: body_of(&parts, body).await?,
            method: parts.method,
        };
        let describes = matches!(
            target,
            Target::Config | Target::ResourceTypes(_) | Target::Schemas(_)
        );
        if describes && asked.parameters().any(|(name, _)| name == "filter") {
            // RFC 7644 §4: it would hide what there is.
            let detail = "what the service says of itself is not filtered";
            return Err(ScimError::of_status(StatusCode::FORBIDDEN, detail));
        }
        match target {
            Target::Config => Ok(Answer::ok(schema::service_provider_config(
                &caller.location,
                BULK,
            ))),
            Target::ResourceTypes(name) => {
                described(schema::resource_types(&caller.location), name)
            }
            Target::Schemas(name) => described(schema::schemas(&caller.location), name),
            Target::Me => {
                let detail = "a token of an identity provider is nobody: there is no `/Me`";
                Err(ScimError::of_status(StatusCode::NOT_IMPLEMENTED, detail))
            }
            Target::Search(only) => {
                let query = Query::from_body(asked.need_body()?)?;
                self.list(caller, only, &query).await
            }
            Target::Bulk => self.bulk(caller, &asked).await,
            Target::All(resource_type) if asked.method == Method::POST => {
                self.write(caller, write::Verb::Create(resource_type), &asked)
                    .await
            }
            Target::All(resource_type) => {
                let query = Query::from_parameters(asked.parameters())?;
                self.list(caller, Some(resource_type), &query).await
            }
            Target::One(resource_type, id) => self.one(caller, resource_type, &id, &asked).await,
        }
    }

    async fn one(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        id: &str,
        asked: &Asked,
    ) -> Result<Answer, ScimError> {
        let id: Arc<str> = id.into();
        let verb = match asked.method {
            Method::PUT => write::Verb::Replace(resource_type, id),
            Method::PATCH => write::Verb::Patch(resource_type, id),
            Method::DELETE => write::Verb::Delete(resource_type, id),
            _ => return self.read(caller, resource_type, &id, asked).await,
        };
        self.write(caller, verb, asked).await
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

impl Asked {
    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn need_body(&self) -> Result<&Value, ScimError> {
        self.body
            .as_ref()
            .ok_or_else(|| ScimError::new(ScimType::InvalidSyntax, "the request has no body"))
    }

    /// Whether only is asked what would be done.
    fn is_dry_run(&self) -> Result<bool, ScimError> {
        // Whoever asks for a rehearsal must not get the play, whatever the case, and however often it is asked for.
        let mut given = self
            .parameters()
            .filter(|(name, _)| name.eq_ignore_ascii_case("dryRun"));
        let unclear = || {
            let detail = "`dryRun` is `true` or `false`, once";
            ScimError::new(ScimType::InvalidValue, detail)
        };
        match (given.next(), given.next()) {
            (None, _) => Ok(false),
            (Some((_, value)), None) => super::validate::flag(value).ok_or_else(unclear),
            (Some(_), Some(_)) => Err(unclear()),
        }
    }
}

async fn of_default_tenant(
    State(service): State<ScimService>,
    Path(path): Path<String>,
    request: Request,
) -> Response<Body> {
    service
        .serve(Some(TenantId::default()), path, request)
        .await
}

async fn of_tenant(
    State(service): State<ScimService>,
    Path((tenant, path)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    // The default tenant has one address, which is not among these.
    let tenant = TenantId::new(&tenant).ok();
    let tenant = tenant.filter(|tenant| *tenant != TenantId::default());
    service.serve(tenant, path, request).await
}

fn parameters(parts: &Parts) -> Result<Vec<(String, String)>, ScimError> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    query.map(|query| query.0).map_err(|_unread| {
        let detail = "the parameters of the URL cannot be read";
        ScimError::new(ScimType::InvalidSyntax, detail)
    })
}

/// The JSON that the body is, if there is any.
async fn body_of(parts: &Parts, body: Body) -> Result<Option<Value>, ScimError> {
    if matches!(parts.method, Method::GET | Method::DELETE) {
        return Ok(None);
    }
    let is_json = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        })
        .is_none_or(|value| value == "application/scim+json" || value == "application/json");
    if !is_json {
        let detail = "the body has to be `application/scim+json` or `application/json`";
        return Err(ScimError::of_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            detail,
        ));
    }
    let bytes = axum::body::to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_unread| {
            let detail = format!("the body has more than {LARGEST_BODY} bytes, or broke off");
            ScimError::of_status(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    // What is wrong with it is said without a word of it.
    let limits = gatewright_core::JsonLimits {
        max_bytes: LARGEST_BODY,
        max_depth: DEEPEST_BODY,
    };
    gatewright_core::json::check(&bytes, &limits).map_err(|error| {
        ScimError::new(
            ScimType::InvalidSyntax,
            format!("the body is no JSON that is taken: {error}"),
        )
    })?;
    let value = serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!(
            "the body is no JSON (line {}, column {})",
            error.line(),
            error.column()
        );
        ScimError::new(ScimType::InvalidSyntax, detail)
    })?;
    Ok(Some(value))
}

/// One document of what the service says of itself, or all (RFC 7644 §4).
fn described(
    documents: Vec<(&'static str, Value)>,
    name: Option<String>,
) -> Result<Answer, ScimError> {
    match name {
        Some(name) => documents
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name))
            .map(|(_, document)| Answer::ok(document))
            .ok_or_else(ScimError::not_found),
        None => {
            let total = u64::try_from(documents.len()).unwrap_or(u64::MAX);
            let resources = documents
                .into_iter()
                .filter_map(|(_, document)| match document {
                    Value::Object(members) => Some(members),
                    _ => None,
                });
            let shown = super::page::Shown::Index { total, start: 1 };
            Ok(Answer::ok(super::page::list_response(
                &shown,
                resources.collect(),
            )))
        }
    }
}

impl fmt::Debug for ScimService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScimService").finish_non_exhaustive()
    }
}
