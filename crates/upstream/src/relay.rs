//! What becomes of a server's answer.

use bytes::Bytes;
use gatewright_core::{AnswerBody, Call, CallKind, Draft};
use gatewright_wire::{Envelope, Era, Kind, Limits, Peer, headers::MCP_SESSION_ID};
use http::{HeaderMap, Response, StatusCode, response::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::{cancel::CancelOnDrop, events::Events, failure::Failure, headers, target::Target};

/// The largest error document that is read, in bytes.
const LARGEST_ERROR: usize = 1024 * 1024;

/// One exchange with a server.
pub(crate) struct Exchange<'a> {
    pub(crate) target: &'a Target,
    pub(crate) call: &'a Call,
    pub(crate) sent: &'a HeaderMap,
    pub(crate) draft: Option<&'a Draft>,
}

impl Exchange<'_> {
    /// The answer to the client.
    pub(crate) async fn answer(
        &self,
        answer: Response<Incoming>,
        mut cancel: CancelOnDrop,
    ) -> Result<Response<AnswerBody>, Failure> {
        let (parts, body) = answer.into_parts();
        if parts.status.is_success() {
            return self.success(parts, body, cancel).await;
        }
        // A status is an answer: there is nothing left to cancel.
        cancel.answered();
        match parts.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Credential),
            status if status.is_redirection() => Err(Failure::Protocol("a redirect")),
            status if status.is_client_error() || status.is_server_error() => {
                self.error(parts, body).await
            }
            _ => Err(Failure::Protocol("an odd status")),
        }
    }

    async fn success(
        &self,
        parts: Parts,
        body: Incoming,
        mut cancel: CancelOnDrop,
    ) -> Result<Response<AnswerBody>, Failure> {
        let stream = headers::is(&parts.headers, "text/event-stream");
        match self.call.kind() {
            CallKind::Notification | CallKind::Response => {
                Ok(bare(StatusCode::ACCEPTED, &parts.headers))
            }
            CallKind::EndSession => Ok(bare(StatusCode::OK, &parts.headers)),
            CallKind::Request | CallKind::Stream if stream => {
                let events = Events::new(
                    body,
                    self.target,
                    self.call,
                    self.sent,
                    cancel,
                    self.draft.cloned(),
                );
                Ok(with(parts.status, &parts.headers, AnswerBody::wrap(events)))
            }
            CallKind::Stream => Err(Failure::Protocol("a stream is no event stream")),
            CallKind::Request if headers::is(&parts.headers, "application/json") => {
                let body = self.whole(body, self.target.max_response()).await?;
                cancel.answered();
                self.check(&body, true)?;
                Ok(with(parts.status, &parts.headers, AnswerBody::full(body)))
            }
            CallKind::Request => Err(Failure::Protocol("neither JSON nor an event stream")),
        }
    }

    /// 4xx and 5xx: a message to this call passes, and so do the two statuses that speak for themselves.
    async fn error(&self, parts: Parts, body: Incoming) -> Result<Response<AnswerBody>, Failure> {
        if parts.status == StatusCode::METHOD_NOT_ALLOWED
            && matches!(self.call.kind(), CallKind::Stream | CallKind::EndSession)
        {
            // Servers need not have the standing stream, nor let sessions be ended.
            return Ok(bare(parts.status, &parts.headers));
        }
        if headers::is(&parts.headers, "application/json")
            && let Ok(body) = self.whole(body, LARGEST_ERROR).await
            && self.check(&body, false).is_ok()
        {
            return Ok(with(parts.status, &parts.headers, AnswerBody::full(body)));
        }
        if parts.status == StatusCode::NOT_FOUND
            && self.call.era() == Era::Legacy
            && self.sent.contains_key(&MCP_SESSION_ID)
        {
            // The session has ended there; the client opens another (2025-11-25, Session Management).
            return Ok(bare(parts.status, &HeaderMap::new()));
        }
        if parts.status.is_server_error() {
            Err(Failure::Unreachable)
        } else {
            Err(Failure::Protocol("an error without a message"))
        }
    }

    async fn whole(&self, body: Incoming, limit: usize) -> Result<Bytes, Failure> {
        let whole = Limited::new(body, limit).collect();
        match tokio::time::timeout(self.target.timeouts().idle, whole).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(Failure::Protocol("it is too large"))
            }
            Ok(Err(_)) => Err(Failure::Unreachable),
            Err(_elapsed) => Err(Failure::Timeout),
        }
    }

    /// A JSON answer must be one message that answers this call; an error may lack the id (2026-07-28).
    fn check(&self, body: &[u8], success: bool) -> Result<(), Failure> {
        let limits = Limits {
            max_bytes: self.target.max_response(),
            max_depth: Limits::DEEPEST,
        };
        let envelope = Envelope::parse(body, Peer::Server, &limits)
            .map_err(|_any| Failure::Protocol("it is not a message"))?;
        let fits = match envelope.kind() {
            Kind::Response => success && envelope.id() == self.call.id(),
            Kind::ErrorResponse => envelope.id().is_none_or(|id| self.call.id() == Some(id)),
            Kind::Request | Kind::Notification => false,
        };
        if fits {
            Ok(())
        } else {
            Err(Failure::Protocol("an answer to a call that was not made"))
        }
    }
}

fn with(status: StatusCode, server: &HeaderMap, body: AnswerBody) -> Response<AnswerBody> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers::down(server);
    answer
}

fn bare(status: StatusCode, server: &HeaderMap) -> Response<AnswerBody> {
    let mut answer = with(status, server, AnswerBody::empty());
    answer.headers_mut().remove(http::header::CONTENT_TYPE);
    answer
}
