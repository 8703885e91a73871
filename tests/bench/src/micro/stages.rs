//! The stack, from its top to the layer that is looked at.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use gatewright_audit::{AuditLayer, RecordLayer, SegmentFiles};
use gatewright_core::{
    AnswerBody, OpenError, Purpose, Refused, Route, SealError, Sealer, TenantId, Timestamp,
};
use gatewright_egress::Egress;
use gatewright_guard::{LimitLayer, Limits, Rate};
use gatewright_identity::{IdentityLayer, JwtResolver, RouteLayer, TrustedIssuer};
use gatewright_mcp::{EnvelopeLayer, SessionLayer};
use gatewright_policy::PolicyLayer;
use gatewright_policy_cedar::{CedarEngine, TenantEngines};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use tokio::runtime::Runtime;
use tower::{Service, ServiceBuilder, ServiceExt as _};

use crate::{
    load,
    organisation::{self, tool},
    report::median,
};

pub(super) const AUDIENCE: &str = "http://127.0.0.1/mcp/server-00";
const ISSUER: &str = "http://127.0.0.1/bench";

/// What is added to the stack with each.
pub(super) const STAGES: [&str; 10] = [
    "request",
    "route",
    "audit",
    "identity",
    "limit by principal",
    "envelope",
    "session",
    "limit by server",
    "policy",
    "record",
];

/// The first stage that asks an engine.
const POLICY: usize = 8;

/// What the layers are made of, and the call that passes them.
pub(super) struct Setup {
    runtime: Runtime,
    route: Route,
    log: SegmentFiles,
    resolver: JwtResolver,
    engines: TenantEngines,
    request: Request<Bytes>,
}

impl Setup {
    pub(super) fn new(
        stage: usize,
        server: SocketAddr,
        token: &str,
        folder: &Path,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Only if the log's thread finds it entered.
        let entered = runtime.enter();
        let log = SegmentFiles::builder(folder)
            // Beside the logs of all stages: making one costs more than all calls.
            .checkpoint_key(folder.with_file_name("checkpoint.pem"))
            .open()?;
        drop(entered);
        let resolver = JwtResolver::new(&Egress::builder().development(true).build());
        let issuer = TrustedIssuer::new(ISSUER)?
            .keys_at(format!("http://{server}/keys").parse()?)
            .groups_claim("groups");
        resolver.replace([(TenantId::default(), issuer)]);
        let engines = TenantEngines::default();
        // Compiling a thousand permits takes long under valgrind, and most stages ask nobody.
        if stage >= POLICY {
            let engine = CedarEngine::builder()
                .roles(organisation::roles(1_000)?)
                .grants(organisation::grants(ISSUER))
                .build()?;
            engines.publish(engine);
        }
        Ok(Self {
            runtime,
            route: Route::single(&organisation::server(0), AUDIENCE)?,
            log,
            resolver,
            engines,
            request: request(token)?,
        })
    }

    /// Passes so many calls through the layers of a stage.
    pub(super) fn run(&self, stage: usize, calls: u64) -> Result<()> {
        let mut limits = Limits::for_principals();
        limits.rate = NonZeroU32::new(u32::MAX).map(Rate::per_second);
        let request = ServiceBuilder::new();
        let route = request.clone().layer(RouteLayer::new(self.route.clone()));
        let audit = route.clone().layer(AuditLayer::new(self.log.clone()));
        let identity = audit
            .clone()
            .layer(IdentityLayer::new(self.resolver.clone()));
        let by_principal = identity.clone().layer(LimitLayer::per_principal(limits));
        let envelope = by_principal.clone().layer(EnvelopeLayer::new());
        let session = envelope
            .clone()
            .layer(SessionLayer::new(Arc::new(NoSessions)));
        let by_server = session
            .clone()
            .layer(LimitLayer::per_server(Limits::for_servers()));
        let policy = by_server
            .clone()
            .layer(PolicyLayer::new(self.engines.clone()));
        let record = policy.clone().layer(RecordLayer::new(self.log.clone()));
        let bottom = Bottom(Bytes::from(result()));
        match stage {
            0 => self.drive(&request.service(bottom), calls),
            1 => self.drive(&route.service(bottom), calls),
            2 => self.drive(&audit.service(bottom), calls),
            3 => self.drive(&identity.service(bottom), calls),
            4 => self.drive(&by_principal.service(bottom), calls),
            5 => self.drive(&envelope.service(bottom), calls),
            6 => self.drive(&session.service(bottom), calls),
            7 => self.drive(&by_server.service(bottom), calls),
            8 => self.drive(&policy.service(bottom), calls),
            9 => self.drive(&record.service(bottom), calls),
            _ => bail!("there are {} stages", STAGES.len()),
        }
    }

    fn drive<S>(&self, service: &S, calls: u64) -> Result<()>
    where
        S: Service<Request<Full<Bytes>>, Response = Response<AnswerBody>, Error = Infallible>
            + Clone,
    {
        self.runtime.block_on(async {
            for _ in 0..calls {
                let request = self.request.clone().map(Full::new);
                let answer = service.clone().oneshot(request).await?;
                let refused = answer.extensions().get::<Refused>();
                ensure!(
                    refused.is_none(),
                    "the bench's call is refused: {refused:?}"
                );
                let body = answer.into_body().collect().await;
                ensure!(body.is_ok(), "the answer breaks off");
            }
            Ok(())
        })
    }

    /// Nanoseconds of a call: the median of several spans of time.
    pub(super) fn nanos(&self, stage: usize) -> Result<f64> {
        const CALLS: u64 = 200;
        let mut spans = Vec::new();
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end || spans.len() < 5 {
            let start = Instant::now();
            self.run(stage, CALLS)?;
            let nanos = u64::try_from(start.elapsed().as_nanos())?;
            spans.push(load::to_f64(nanos) / load::to_f64(CALLS));
        }
        // What follows the first calls is warm.
        Ok(median(spans.get(1..).context("several spans")?))
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if let Err(error) = self.runtime.block_on(self.log.close()) {
            println!("the log was not closed: {error}");
        }
    }
}

/// What a client sends, as the edge would have read it.
fn request(token: &str) -> Result<Request<Bytes>> {
    let name = tool(0);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{{"text":"hello","count":3}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let request = Request::post("/mcp/server-00")
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("user-agent", "bench")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", &name)
        .header("authorization", format!("Bearer {token}"))
        .header("content-length", body.len());
    Ok(request.body(body.into())?)
}

fn result() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#,
        crate::fixture::call_result()
    )
}

/// The server below: it answers at once.
#[derive(Clone)]
struct Bottom(Bytes);

impl<B> Service<Request<B>> for Bottom {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<AnswerBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let body = AnswerBody::wrap(Full::new(self.0.clone()));
        let mut answer = Response::new(body);
        let json = http::HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        ready(Ok(answer))
    }
}

/// The modern era has no sessions to seal.
struct NoSessions;

impl Sealer for NoSessions {
    fn seal(&self, _: Purpose, _: &[&str], _: Timestamp, _: &[u8]) -> Result<String, SealError> {
        Err(SealError("nothing is sealed here".to_owned()))
    }

    fn open(&self, _: Purpose, _: &[&str], _: Timestamp, _: &str) -> Result<Vec<u8>, OpenError> {
        Err(OpenError)
    }
}
