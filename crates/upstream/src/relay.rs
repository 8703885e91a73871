//! What becomes of a server's answer.

use bytes::{Bytes, BytesMut};
use gatewright_core::{AnswerBody, Call, CallKind, Draft};
use gatewright_wire::{Era, Kind, Limits, headers::MCP_SESSION_ID};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    cancel::CancelOnDrop,
    events::Events,
    failure::Failure,
    headers::{self, EVENTS, JSON},
    target::Target,
};

/// The largest error document that is read, in bytes.
const LARGEST_ERROR: usize = 1024 * 1024;

/// One exchange with a server.
pub(crate) struct Exchange<'a> {
    pub(crate) target: &'a Target,
    pub(crate) call: &'a Call,
    pub(crate) sent: &'a HeaderMap,
    pub(crate) draft: Option<&'a Draft>,
    /// When the whole answer must be there.
    pub(crate) deadline: Instant,
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
        cancel.disarm();
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
        match self.call.kind() {
            CallKind::Notification | CallKind::Response => {
                Ok(self.bare(StatusCode::ACCEPTED, &parts.headers))
            }
            CallKind::EndSession => Ok(self.bare(StatusCode::OK, &parts.headers)),
            CallKind::Request | CallKind::Stream if headers::is(&parts.headers, EVENTS) => {
                let events = AnswerBody::wrap(Events::new(body, self, cancel));
                Ok(self.with(StatusCode::OK, &parts.headers, EVENTS, events))
            }
            CallKind::Stream => Err(Failure::Protocol("a stream is no event stream")),
            CallKind::Request if headers::is(&parts.headers, JSON) => {
                let body = self.whole(body, self.target.max_response()).await?;
                cancel.disarm();
                let body = self.message(body, true)?;
                Ok(self.with(StatusCode::OK, &parts.headers, JSON, body))
            }
            CallKind::Request => {
                cancel.disarm();
                Err(Failure::Protocol("neither JSON nor an event stream"))
            }
        }
    }

    /// 4xx and 5xx: a message to this call passes, and so do the two statuses that speak for themselves.
    async fn error(&self, parts: Parts, body: Incoming) -> Result<Response<AnswerBody>, Failure> {
        if parts.status == StatusCode::METHOD_NOT_ALLOWED
            && matches!(self.call.kind(), CallKind::Stream | CallKind::EndSession)
        {
            // Servers need not have the standing stream, nor let sessions be ended.
            return Ok(self.bare(parts.status, &parts.headers));
        }
        if headers::is(&parts.headers, JSON)
            && let Ok(body) = self.whole(body, LARGEST_ERROR).await
            && let Ok(body) = self.message(body, false)
        {
            return Ok(self.with(parts.status, &parts.headers, JSON, body));
        }
        if parts.status == StatusCode::NOT_FOUND
            && self.call.era() == Era::Legacy
            && self.sent.contains_key(&MCP_SESSION_ID)
        {
            // The session has ended there; the client opens another (2025-11-25, Session Management).
            return Ok(self.bare(parts.status, &HeaderMap::new()));
        }
        if parts.status.is_server_error() {
            Err(Failure::Unreachable)
        } else {
            Err(Failure::Protocol("an error without a message"))
        }
    }

    async fn whole(&self, mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
        const TOO_LARGE: Failure = Failure::Protocol("it is too large");
        if body.size_hint().lower() > limit as u64 {
            return Err(TOO_LARGE);
        }
        let mut whole = BytesMut::new();
        loop {
            let patience = (Instant::now() + self.target.timeouts().idle).min(self.deadline);
            let frame = match tokio::time::timeout_at(patience, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(Failure::Unreachable),
                Ok(None) => return Ok(whole.freeze()),
                Err(_elapsed) => return Err(Failure::Timeout),
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > limit {
                return Err(TOO_LARGE);
            }
            if whole.is_empty() && body.is_end_stream() {
                return Ok(data);
            }
            whole.extend_from_slice(&data);
        }
    }

    /// A JSON answer must be one message that answers this call; an error may lack the id (2026-07-28).
    fn message(&self, body: Bytes, success: bool) -> Result<AnswerBody, Failure> {
        let limits = Limits {
            max_bytes: self.target.max_response(),
            max_depth: Limits::DEEPEST,
        };
        let message = AnswerBody::message(body, &limits)
            .map_err(|_any| Failure::Protocol("it is not a message"))?;
        let fits = message.envelope().is_some_and(|read| match read.kind() {
            Kind::Response => success && read.id() == self.call.id(),
            Kind::ErrorResponse => read.id().is_none_or(|id| self.call.id() == Some(id)),
            Kind::Request | Kind::Notification => false,
        });
        if fits {
            Ok(message)
        } else {
            Err(Failure::Protocol("an answer to a call that was not made"))
        }
    }

    fn with(
        &self,
        status: StatusCode,
        server: &HeaderMap,
        content_type: &'static str,
        body: AnswerBody,
    ) -> Response<AnswerBody> {
        let mut answer = self.bare(status, server);
        // Without the server's parameters: one of them could say that it is to be read as other text than it was here.
        let content_type = HeaderValue::from_static(content_type);
        answer
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        answer.map(|_| body)
    }

    fn bare(&self, status: StatusCode, server: &HeaderMap) -> Response<AnswerBody> {
        let mut answer = Response::new(AnswerBody::empty());
        *answer.status_mut() = status;
        *answer.headers_mut() = headers::down(server, self.call.era());
        answer
    }
}
