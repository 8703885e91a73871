//! One JSON-RPC message as places in the text it was read from.

use std::ops::Range;

use http::StatusCode;

use crate::{
    Id, Limits, code,
    json::{self, JsonError},
    method::{Form, MethodInfo, Peer, Subject, method},
    params::{Params, ParamsError},
};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result.
    Response,
    /// Has an error.
    ErrorResponse,
}

/// Why a text is not an acceptable message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not acceptable as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// An array of messages, which only 2025-03-26 has.
    #[error("batches are not accepted")]
    Batch,
    /// Not a JSON-RPC 2.0 message as MCP has them.
    #[error("not a JSON-RPC message: {reason}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
        /// The id, where it could be read.
        id: Option<Id>,
    },
    /// A message of a known method whose parameters are not that method's.
    #[error("invalid params: {reason}")]
    InvalidParams {
        /// What is wrong.
        reason: &'static str,
        /// The id, where there is one.
        id: Option<Id>,
    },
}

impl EnvelopeError {
    /// The JSON-RPC code of the answer.
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self {
            Self::Json(JsonError::Syntax { .. } | JsonError::NotUtf8) => code::PARSE_ERROR,
            Self::Json(_) | Self::Batch | Self::Invalid { .. } => code::INVALID_REQUEST,
            Self::InvalidParams { .. } => code::INVALID_PARAMS,
        }
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Json(JsonError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The id of the message, where it could be read.
    #[must_use]
    pub const fn id(&self) -> Option<&Id> {
        match self {
            Self::Invalid { id, .. } | Self::InvalidParams { id, .. } => id.as_ref(),
            Self::Json(_) | Self::Batch => None,
        }
    }
}

/// One JSON-RPC message as byte ranges over the text it was read from, with what decisions need
/// read out. Ranges cover exactly one JSON value, without space around it.
#[derive(Clone, Debug)]
pub struct Envelope {
    kind: Kind,
    whole: Range<usize>,
    id: Option<(Id, Range<usize>)>,
    method: Option<Box<str>>,
    info: Option<&'static MethodInfo>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
    read: Params,
}

/// The members that JSON-RPC defines.
const TOP: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

impl Envelope {
    /// Reads one message as sent by `from`.
    ///
    /// Strict where a decision depends on it: the text passes [`json::check`]; `jsonrpc` is `"2.0"`; an
    /// id is a string or an integer; `params` is an object; a message is either a request, a
    /// notification or a response; a known method comes in its form (a request has an id) and with
    /// its target. Unknown members and unknown methods pass. A member whose name differs from one
    /// that we read only in case does not, since some readers ignore case.
    ///
    /// # Errors
    /// [`EnvelopeError`], with code, status and the id where it could be read.
    pub fn parse(bytes: &[u8], from: Peer, limits: &Limits) -> Result<Self, EnvelopeError> {
        let text = json::check(bytes, limits)?;
        let object = text.trim_matches([' ', '\t', '\r', '\n']);
        if object.starts_with('[') {
            return Err(EnvelopeError::Batch);
        }
        let Some(members) = json::members(object) else {
            return Err(EnvelopeError::Invalid {
                reason: "a message is an object",
                id: None,
            });
        };
        let find = |name: &str| {
            members
                .iter()
                .find(|member| member.0 == name)
                .map(|member| member.1)
        };
        let at = |part: &str| json::range_in(text, part);

        let id = find("id").and_then(|raw| Some((Id::parse(raw)?, at(raw))));
        let invalid = |reason| EnvelopeError::Invalid {
            reason,
            id: id.as_ref().map(|id| id.0.clone()),
        };
        if members
            .iter()
            .any(|member| json::mistakable(&member.0, TOP).is_some())
        {
            return Err(invalid(
                "a member's name differs only in case from one that JSON-RPC defines",
            ));
        }
        let kind = kind(&find, id.is_some()).map_err(invalid)?;

        let method_name = find("method").and_then(json::string);
        let info = method_name.as_deref().and_then(|name| method(name, from));
        if let Some(reason) = info.and_then(|info| misformed(info.form, kind)) {
            return Err(invalid(reason));
        }
        let params = find("params");
        let read = match (kind, Params::read(text, params, info)) {
            (Kind::Response | Kind::ErrorResponse, _) => Params::default(),
            (_, Ok(read)) => read,
            (_, Err(ParamsError(reason))) => {
                let id = id.map(|id| id.0);
                return Err(EnvelopeError::InvalidParams { reason, id });
            }
        };
        let (result, error) = (find("result").map(at), find("error").map(at));
        Ok(Self {
            kind,
            whole: at(object),
            method: method_name.map(|name| name.into_owned().into()),
            info,
            params: params.map(at),
            result,
            error,
            read,
            id,
        })
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The id. Only error responses and notifications lack it.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        self.id.as_ref().map(|id| &id.0)
    }

    /// Where the id stands.
    #[must_use]
    pub fn id_range(&self) -> Option<Range<usize>> {
        self.id.as_ref().map(|id| id.1.clone())
    }

    /// The method of a request or notification, unescaped.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// What is known of the method as sent by this peer. `None` for methods we do not know: whether
    /// they pass is not the codec's to say.
    #[must_use]
    pub const fn info(&self) -> Option<&'static MethodInfo> {
        self.info
    }

    /// Where the message's object stands, without space around it.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.whole.clone()
    }

    /// Where `params` stands.
    #[must_use]
    pub fn params_range(&self) -> Option<Range<usize>> {
        self.params.clone()
    }

    /// Where `result` stands.
    #[must_use]
    pub fn result_range(&self) -> Option<Range<usize>> {
        self.result.clone()
    }

    /// Where `error` stands.
    #[must_use]
    pub fn error_range(&self) -> Option<Range<usize>> {
        self.error.clone()
    }

    /// The tool, prompt, resource or task that it is about, unescaped; `None` for methods without one
    /// and for unknown methods.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.read.target.as_ref().map(|target| &*target.0)
    }

    /// Where the target stands, as a JSON string.
    #[must_use]
    pub fn target_range(&self) -> Option<Range<usize>> {
        self.read.target.as_ref().map(|target| target.1.clone())
    }

    /// What the target names.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        self.read.subject
    }

    /// Where `params.arguments` stands, an object. `null` counts as absent.
    #[must_use]
    pub fn arguments_range(&self) -> Option<Range<usize>> {
        self.read.arguments.clone()
    }

    /// Where `params._meta` stands, an object.
    #[must_use]
    pub fn meta_range(&self) -> Option<Range<usize>> {
        self.read.meta.clone()
    }

    /// The version in `params._meta`, which marks the modern era.
    #[must_use]
    pub fn protocol_version(&self) -> Option<&str> {
        self.read.protocol_version.as_deref()
    }

    /// Where the client's capabilities stand in `params._meta`, an object.
    #[must_use]
    pub fn client_capabilities_range(&self) -> Option<Range<usize>> {
        self.read.client_capabilities.clone()
    }

    /// Whether `params._meta` has the client's capabilities.
    #[must_use]
    pub const fn has_client_capabilities(&self) -> bool {
        self.read.client_capabilities.is_some()
    }

    /// `params._meta.progressToken`: what progress on this request is to be reported under.
    #[must_use]
    pub const fn progress_token(&self) -> Option<&Id> {
        self.read.progress_token.as_ref()
    }

    /// What a notification refers to: `params.requestId` of `notifications/cancelled`,
    /// `params.progressToken` of `notifications/progress`.
    #[must_use]
    pub fn refers_to(&self) -> Option<&Id> {
        self.read.refers_to.as_ref().map(|refers| &refers.0)
    }

    /// Where that stands.
    #[must_use]
    pub fn refers_to_range(&self) -> Option<Range<usize>> {
        self.read.refers_to.as_ref().map(|refers| refers.1.clone())
    }
}

/// Tells the kind, or what contradicts it.
fn kind<'a>(find: &impl Fn(&str) -> Option<&'a str>, has_id: bool) -> Result<Kind, &'static str> {
    if find("jsonrpc").and_then(json::string).as_deref() != Some("2.0") {
        return Err("`jsonrpc` must be \"2.0\"");
    }
    let raw_id = find("id");
    let bad_id = raw_id.is_some() && !has_id;
    match (find("method"), find("result"), find("error")) {
        (Some(_), None, None) if bad_id => Err("an id must be a string or an integer"),
        (Some(method), None, None) => {
            if json::string(method).is_none_or(|name| name.is_empty()) {
                return Err("`method` must be a string");
            }
            if find("params").is_some_and(|params| !json::is_object(params)) {
                return Err("`params` must be an object");
            }
            Ok(if has_id {
                Kind::Request
            } else {
                Kind::Notification
            })
        }
        (Some(_), ..) => Err("a request has no `result` or `error`"),
        (None, Some(_), Some(_)) => Err("a response has either `result` or `error`"),
        (None, None, None) => Err("`method`, `result` and `error` are all missing"),
        _ if find("params").is_some() => Err("a response has no `params`"),
        (None, Some(_), None) if has_id => Ok(Kind::Response),
        (None, Some(_), None) => Err("a response needs an id, a string or an integer"),
        // JSON-RPC writes `null` for the id of a request that could not be read; MCP leaves it out.
        (None, None, Some(_)) if bad_id && raw_id != Some("null") => {
            Err("an id must be a string or an integer")
        }
        (None, None, Some(error)) if is_error(error) => Ok(Kind::ErrorResponse),
        (None, None, Some(_)) => Err("`error` needs an integer `code` and a string `message`"),
    }
}

fn is_error(error: &str) -> bool {
    let code = json::member(error, "code").and_then(Id::parse);
    let message = json::member(error, "message").and_then(json::string);
    code.is_some_and(|code| !code.as_json().starts_with('"')) && message.is_some()
}

/// A request without an id would be carried out and never answered for; neither form stands in for
/// the other.
fn misformed(form: Form, kind: Kind) -> Option<&'static str> {
    match (form, kind) {
        (Form::Request, Kind::Notification) => Some("this method is a request and needs an id"),
        (Form::Notification, Kind::Request) => Some("this method is a notification and has no id"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
