//! What is counted, and in whose name.

use gatewright_core::{Call, CallBody, CallKind, Permitted, Principal};
use gatewright_wire::Id;
use http::{Method, Request};

/// By what requests are counted. Ours are [`ByPrincipal`] and [`ByServer`].
pub trait CountBy<B>: Send + Sync + 'static {
    /// A name for records: `principal`, `server`.
    fn name(&self) -> &'static str;

    /// What the request counts as.
    ///
    /// # Errors
    /// The name of what another layer should have added; the request is refused as miswired.
    fn load(&self, request: &Request<B>) -> Result<Load, &'static str>;
}

/// What a request counts as.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Load {
    /// The key that has the limits.
    pub key: String,
    /// What it holds while it is under way.
    pub holds: Holds,
    /// Who takes turns with others that wait for the same key.
    pub waits_as: Option<Principal>,
    /// The id for a refusal, where the request is parsed already and gets an answer.
    pub id: Option<Id>,
}

impl Load {
    /// A call of a key.
    #[must_use]
    pub const fn call(key: String) -> Self {
        Self {
            key,
            holds: Holds::Call,
            waits_as: None,
            id: None,
        }
    }
}

/// What a request holds until its answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// One of the calls that a key may have at a time; waits for it if it must.
    Call,
    /// One of the streams that a key may have open.
    Stream,
    /// Nothing: it is short, and may be what a call under way waits for. Only its rate is bounded.
    Nothing,
}

/// Counts by tenant and principal.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByPrincipal;

impl<B> CountBy<B> for ByPrincipal {
    fn name(&self) -> &'static str {
        "principal"
    }

    fn load(&self, request: &Request<B>) -> Result<Load, &'static str> {
        let principal = request.extensions().get::<Principal>().ok_or("Principal")?;
        Ok(Load {
            holds: match *request.method() {
                // What a POST is nobody knows here. If its answer turns out to stand, it counts as a stream from then on.
                Method::GET => Holds::Stream,
                Method::DELETE => Holds::Nothing,
                _ => Holds::Call,
            },
            ..Load::call(key_of(principal))
        })
    }
}

/// Counts by tenant and server; the calls of a principal wait together and take turns with those of others.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByServer;

impl CountBy<CallBody> for ByServer {
    fn name(&self) -> &'static str {
        "server"
    }

    fn load(&self, request: &Request<CallBody>) -> Result<Load, &'static str> {
        let principal = request.extensions().get::<Principal>().ok_or("Principal")?;
        Ok(of_call(request.body().call(), principal))
    }
}

impl CountBy<Permitted> for ByServer {
    fn name(&self) -> &'static str {
        "server"
    }

    fn load(&self, request: &Request<Permitted>) -> Result<Load, &'static str> {
        Ok(of_call(request.body().call(), request.body().principal()))
    }
}

fn of_call(call: &Call, principal: &Principal) -> Load {
    let route = call.route();
    let holds = match call.kind() {
        CallKind::Request | CallKind::Stream if call.is_standing() => Holds::Stream,
        CallKind::Request | CallKind::Stream => Holds::Call,
        // A cancellation, the answer to a question of the server, the end of a session: they let calls end, and must
        // not wait behind them.
        CallKind::Notification | CallKind::Response | CallKind::EndSession => Holds::Nothing,
    };
    Load {
        // Names of tenants and servers hold no `/`, so no two pairs are alike.
        key: format!("{}/{}", route.tenant(), route.server()),
        holds,
        waits_as: Some(principal.clone()),
        id: call
            .id()
            .filter(|_| call.kind() == CallKind::Request)
            .cloned(),
    }
}

/// A principal's key within its tenant.
pub(super) fn key_of(principal: &Principal) -> String {
    format!("{}/{}", principal.tenant(), principal.key())
}
