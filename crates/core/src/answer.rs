use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gatewright_wire::{Envelope, EnvelopeError, Id, Limits, Peer, code, error_body};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

/// Any error, as tower and hyper pass them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every answer that passes a layer: bytes of our own, or whatever came from below.
pub struct AnswerBody(Kind);

enum Kind {
    Full(Option<Bytes>),
    Message(Option<Bytes>, Arc<Envelope>),
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl AnswerBody {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// These bytes.
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full((!bytes.is_empty()).then_some(bytes)))
    }

    /// One message of a server, read once for all layers that it passes.
    ///
    /// # Errors
    /// [`EnvelopeError`] when the bytes are not one well-formed message.
    pub fn message(bytes: Bytes, limits: &Limits) -> Result<Self, EnvelopeError> {
        let envelope = Envelope::parse(&bytes, Peer::Server, limits)?;
        Ok(Self::of_read(bytes, Arc::new(envelope)))
    }

    /// A message and what it was read as.
    pub(crate) const fn of_read(bytes: Bytes, envelope: Arc<Envelope>) -> Self {
        Self(Kind::Message(Some(bytes), envelope))
    }

    /// Takes another body over; one that already is an `AnswerBody` stays as it is, so that a stack of layers
    /// costs one box and not one each.
    pub fn wrap<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut slot = Some(body);
        if let Some(same) = (&mut slot as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return same.take().unwrap_or(Self::empty());
        }
        slot.map_or(Self::empty(), |body| {
            Self(Kind::Stream(Box::pin(Boxed {
                body: Box::pin(body),
            })))
        })
    }

    /// The bytes when the whole body is known already.
    #[must_use]
    pub fn known(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Full(bytes) | Kind::Message(bytes, _) => {
                Some(bytes.as_deref().unwrap_or_default())
            }
            Kind::Stream(_) => None,
        }
    }

    /// What the body was read as, where it was made as a [`message`](Self::message).
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        self.read().map(|(_, envelope)| &**envelope)
    }

    /// The message, unless it was taken already.
    pub(crate) const fn read(&self) -> Option<(&Bytes, &Arc<Envelope>)> {
        match &self.0 {
            Kind::Message(Some(bytes), envelope) => Some((bytes, envelope)),
            _ => None,
        }
    }
}

impl Default for AnswerBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full(bytes) | Kind::Message(bytes, _) => write!(
                f,
                "AnswerBody({} bytes)",
                bytes.as_ref().map_or(0, Bytes::len)
            ),
            Kind::Stream(_) => f.write_str("AnswerBody(stream)"),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Kind::Full(bytes) | Kind::Message(bytes, _) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Stream(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) | Kind::Message(bytes, _) => bytes.is_none(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) | Kind::Message(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Stream(body) => body.size_hint(),
        }
    }
}

/// Gives a body the error type of [`AnswerBody`].
struct Boxed<B> {
    body: Pin<Box<B>>,
}

impl<B> Body for Boxed<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.body.as_mut().poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// In the extensions of an answer that a layer gave by itself: which one, and why, for audit and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The layer, by its crate: `identity`, `policy`, ….
    pub layer: &'static str,
    /// A stable code in kebab case: `invalid-token`, `denied`, ….
    pub code: &'static str,
}

/// In the extensions of an answer whose body stays open for later messages (a GET stream, a
/// `subscriptions/listen`): it ends with the caller's credential, while the answer of an admitted call may finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing;

/// An answer that is one JSON-RPC error, marked as [`Refused`].
#[must_use]
pub fn json_rpc_refusal(
    status: StatusCode,
    refused: Refused,
    id: Option<&Id>,
    code: i64,
    message: &str,
    data: Option<&serde_json::Value>,
) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::full(error_body(id, code, message, data)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    answer.extensions_mut().insert(refused);
    answer
}

/// The answer of a layer that misses what another should have added: 500 with a code of its own. Nothing is
/// allowed by wiring mistakes.
#[must_use]
pub fn miswired(layer: &'static str, missing: &'static str) -> Response<AnswerBody> {
    json_rpc_refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        Refused {
            layer,
            code: "miswired",
        },
        None,
        code::MISWIRED,
        &format!("this gateway is wired wrongly: no {missing} above the {layer} layer"),
        None,
    )
}

/// A challenge of the scheme `Bearer` (RFC 6750 §3) with these parameters, those without a value left out. What cannot stand
/// between quotes is left out of the values, so that none breaks out of them.
#[must_use]
pub fn bearer_challenge(parameters: &[(&str, &str)]) -> Option<HeaderValue> {
    let quotable = |c: &char| matches!(c, ' ' | '!' | '#'..='[' | ']'..='~');
    let written: Vec<String> = parameters
        .iter()
        .map(|(name, value)| (name, value.chars().filter(quotable).collect::<String>()))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!(r#"{name}="{value}""#))
        .collect();
    HeaderValue::try_from(format!("Bearer {}", written.join(", "))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test]
    async fn wrapping_twice_boxes_once() {
        let once = AnswerBody::wrap(Full::new(Bytes::from_static(b"abc")));
        assert!(once.known().is_none());
        let own = AnswerBody::wrap(AnswerBody::full(Bytes::from_static(b"abc")));
        assert_eq!(own.known(), Some(b"abc".as_slice()));
        assert_eq!(once.collect().await.unwrap().to_bytes(), "abc");
    }

    #[tokio::test]
    async fn a_message_is_what_was_read_until_it_is_sent() {
        let text = Bytes::from_static(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
        let mut body = AnswerBody::message(text.clone(), &Limits::default()).unwrap();
        assert_eq!(body.envelope().unwrap().id(), Some(&Id::number(7)));
        let again = AnswerBody::wrap(std::mem::take(&mut body));
        assert!(again.envelope().is_some());
        assert_eq!(again.known(), Some(&*text));
        assert_eq!(again.collect().await.unwrap().to_bytes(), text);

        assert!(AnswerBody::message(Bytes::from_static(b"{}"), &Limits::default()).is_err());
        assert!(AnswerBody::full(text).envelope().is_none());
    }

    #[test]
    fn no_value_of_a_challenge_breaks_out_of_its_quotes() {
        let parameters = [
            ("error", "invalid_token"),
            ("scope", ""),
            ("error_description", "a\\\" b\r\n, error=\"x\u{e9}"),
        ];
        let challenge = bearer_challenge(&parameters).unwrap();
        let expected = r#"Bearer error="invalid_token", error_description="a b, error=x""#;
        assert_eq!(challenge, expected);
    }

    #[test]
    fn a_refusal_names_layer_and_code() {
        let answer = miswired("policy", "Principal");
        assert_eq!(answer.status(), 500);
        assert_eq!(
            answer.extensions().get(),
            Some(&Refused {
                layer: "policy",
                code: "miswired"
            })
        );
        let shown = String::from_utf8_lossy(answer.body().known().unwrap()).into_owned();
        assert!(
            shown.contains("no Principal above the policy layer"),
            "{shown}"
        );
    }
}
