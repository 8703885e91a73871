//! What decisions need of `params`.

use std::ops::Range;

use crate::{
    Id, headers, json,
    method::{MethodInfo, Subject, TargetField},
    version::Era,
};

/// What was read of a message's `params`.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    pub(crate) target: Option<(Box<str>, Range<usize>)>,
    pub(crate) subject: Subject,
    pub(crate) arguments: Option<Range<usize>>,
    pub(crate) meta: Option<Range<usize>>,
    pub(crate) protocol_version: Option<Box<str>>,
    pub(crate) client_capabilities: Option<Range<usize>>,
    pub(crate) progress_token: Option<Id>,
    pub(crate) refers_to: Option<(Id, Range<usize>)>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            target: None,
            subject: Subject::None,
            arguments: None,
            meta: None,
            protocol_version: None,
            client_capabilities: None,
            progress_token: None,
            refers_to: None,
        }
    }
}

/// What is wrong with them.
pub(crate) struct ParamsError(pub(crate) &'static str);

/// The members of known methods' `params` that we, or layers above, decide on.
const PARAMS: &[&str] = &[
    "_meta",
    "name",
    "uri",
    "ref",
    "taskId",
    "arguments",
    "argument",
    "requestId",
    "progressToken",
    "protocolVersion",
    "capabilities",
    "cursor",
    "inputResponses",
    "requestState",
    "notifications",
    "task",
    "url",
    "mode",
];
/// In any method, `_meta` is the protocol's.
const ANY_PARAMS: &[&str] = &["_meta"];
const META: &[&str] = &[
    headers::META_VERSION,
    headers::META_CAPABILITIES,
    "progressToken",
];
const REFERENCE: &[&str] = &["type", "name", "uri"];

impl Params {
    pub(crate) fn read(
        text: &str,
        params: Option<&str>,
        info: Option<&'static MethodInfo>,
    ) -> Result<Self, ParamsError> {
        let reader = Reader::new(
            text,
            params,
            if info.is_some() { PARAMS } else { ANY_PARAMS },
        )?;
        let mut read = Self::default();
        read.read_meta(text, &reader)?;
        // A modern request for a method that only the legacy era has is unknown there, whatever its
        // parameters: `era` says so, and a complaint about them must not come first.
        let foreign =
            |info: &MethodInfo| read.protocol_version.is_some() && !info.eras.has(Era::Modern);
        if let Some(info) = info.filter(|info| !foreign(info)) {
            read.read_target(text, &reader, info)?;
            read.arguments = match reader.find("arguments") {
                Some("null") => None,
                raw => object(raw, "`arguments` must be an object")?.map(|raw| reader.at(raw)),
            };
            read.read_specials(&reader, info.name)?;
        }
        Ok(read)
    }

    fn read_meta(&mut self, text: &str, reader: &Reader<'_>) -> Result<(), ParamsError> {
        let Some(raw) = object(reader.find("_meta"), "`_meta` must be an object")? else {
            return Ok(());
        };
        let meta = Reader::new(text, Some(raw), META)?;
        self.meta = Some(reader.at(raw));
        if let Some(raw) = meta.find(headers::META_VERSION) {
            let version = json::string(raw).ok_or(ParamsError(
                "the protocol version in `_meta` must be a string",
            ))?;
            self.protocol_version = Some(version.into());
        }
        let capabilities = meta.find(headers::META_CAPABILITIES);
        self.client_capabilities = object(
            capabilities,
            "the client capabilities in `_meta` must be an object",
        )?
        .map(|raw| meta.at(raw));
        if let Some(raw) = meta.find("progressToken") {
            let token = Id::parse(raw).ok_or(ParamsError(
                "`progressToken` must be a string or an integer",
            ))?;
            self.progress_token = Some(token);
        }
        Ok(())
    }

    fn read_target(
        &mut self,
        text: &str,
        reader: &Reader<'_>,
        info: &MethodInfo,
    ) -> Result<(), ParamsError> {
        self.subject = info.subject;
        let target = match info.target {
            TargetField::None => return Ok(()),
            TargetField::Name => reader.string("name", "`name` must be a string")?,
            TargetField::Uri => reader.string("uri", "`uri` must be a string")?,
            TargetField::TaskId => reader.string("taskId", "`taskId` must be a string")?,
            TargetField::Ref => {
                const WRONG: &str = "`ref` must name a prompt or a resource";
                let raw = object(reader.find("ref"), WRONG)?.ok_or(ParamsError(WRONG))?;
                let reference = Reader::new(text, Some(raw), REFERENCE)?;
                let (form, _) = reference.string("type", WRONG)?;
                let (subject, field) = match &*form {
                    "ref/prompt" => (Subject::Prompt, "name"),
                    "ref/resource" => (Subject::Resource, "uri"),
                    _ => return Err(ParamsError(WRONG)),
                };
                self.subject = subject;
                reference.string(field, WRONG)?
            }
        };
        self.target = Some(target);
        Ok(())
    }

    fn read_specials(&mut self, reader: &Reader<'_>, method: &str) -> Result<(), ParamsError> {
        let field = match method {
            "initialize" => {
                reader.string("protocolVersion", "`protocolVersion` must be a string")?;
                return Ok(());
            }
            "notifications/cancelled" => "requestId",
            "notifications/progress" => "progressToken",
            _ => return Ok(()),
        };
        if let Some(raw) = reader.find(field) {
            let id = Id::parse(raw).ok_or(ParamsError(
                "what is referred to must be a string or an integer",
            ))?;
            self.refers_to = Some((id, reader.at(raw)));
        }
        Ok(())
    }
}

/// The members of one object of the message.
struct Reader<'a> {
    text: &'a str,
    members: Vec<(std::borrow::Cow<'a, str>, &'a str)>,
}

impl<'a> Reader<'a> {
    fn new(
        text: &'a str,
        object: Option<&'a str>,
        known: &[&'static str],
    ) -> Result<Self, ParamsError> {
        let members = object.and_then(json::members).unwrap_or_default();
        if members
            .iter()
            .any(|member| json::mistakable(&member.0, known).is_some())
        {
            return Err(ParamsError(
                "a member's name differs only in case from one that MCP defines",
            ));
        }
        Ok(Self { text, members })
    }

    fn find(&self, name: &str) -> Option<&'a str> {
        self.members
            .iter()
            .find(|member| member.0 == name)
            .map(|member| member.1)
    }

    fn at(&self, part: &str) -> Range<usize> {
        json::range_in(self.text, part)
    }

    fn string(
        &self,
        name: &str,
        wrong: &'static str,
    ) -> Result<(Box<str>, Range<usize>), ParamsError> {
        let raw = self.find(name).ok_or(ParamsError(wrong))?;
        let value = json::string(raw).ok_or(ParamsError(wrong))?;
        Ok((value.into(), self.at(raw)))
    }
}

fn object<'a>(raw: Option<&'a str>, wrong: &'static str) -> Result<Option<&'a str>, ParamsError> {
    match raw {
        Some(raw) if !json::is_object(raw) => Err(ParamsError(wrong)),
        raw => Ok(raw),
    }
}
