use gatewright_core::{AnswerBody, ParseCallError, Refused, json_rpc_refusal};
use gatewright_wire::{Id, code};
use http::{HeaderValue, Response, StatusCode, header};

/// Why a request does not become a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("send `content-type: application/json`")]
    ContentType,
    #[error("accept `application/json` and `text/event-stream`")]
    Accept,
    #[error("the message is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body took too long to arrive")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error(transparent)]
    Parse(#[from] ParseCallError),
}

impl Refusal {
    pub(super) fn refused(&self) -> Refused {
        let code = match self {
            Self::ContentType => "content-type",
            Self::Accept => "accept",
            Self::TooLarge(_) => "too-large",
            Self::TooSlow => "too-slow",
            Self::Broken => "body-broken",
            Self::Parse(ParseCallError::Envelope(_)) => "malformed",
            Self::Parse(ParseCallError::Era { .. }) => "era",
            Self::Parse(ParseCallError::Headers { .. }) => "header-mismatch",
            Self::Parse(ParseCallError::Method(_)) => "http-method",
            Self::Parse(_) => "malformed",
        };
        Refused { layer: "mcp", code }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Accept => StatusCode::NOT_ACCEPTABLE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Parse(error) => error.status(),
        }
    }

    fn code(&self) -> i64 {
        match self {
            Self::Parse(ParseCallError::Envelope(error)) => error.code(),
            Self::Parse(ParseCallError::Era { error, .. }) => error.code(),
            Self::Parse(ParseCallError::Headers { error, .. }) => error.code(),
            _ => code::INVALID_REQUEST,
        }
    }

    fn id(&self) -> Option<&Id> {
        match self {
            Self::Parse(ParseCallError::Envelope(error)) => error.id(),
            Self::Parse(ParseCallError::Era { id, .. } | ParseCallError::Headers { id, .. }) => {
                id.as_ref()
            }
            _ => None,
        }
    }

    pub(super) fn answer(&self) -> Response<AnswerBody> {
        let data = match self {
            Self::Parse(ParseCallError::Era { error, .. }) => error.data(),
            _ => None,
        };
        let message = self.to_string();
        let mut answer = json_rpc_refusal(
            self.status(),
            self.refused(),
            self.id(),
            self.code(),
            &message,
            data.as_ref(),
        );
        if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            // RFC 9110 §15.5.6: a 405 names what is allowed.
            let allowed = HeaderValue::from_static("GET, POST, DELETE");
            answer.headers_mut().insert(header::ALLOW, allowed);
        }
        answer
    }
}
