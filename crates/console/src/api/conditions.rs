//! Conditions on a change (RFC 9110 §13.1): what must be there for it to be made.

use axum::extract::FromRequestParts;
use gatewright_directory::{Expected, Listed, records::Revision};
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};

use crate::problem::Problem;

/// What a request says of `If-Match` and `If-None-Match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    matches: Option<Tags>,
    is_new: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// Those that can be one of ours; weak ones never match (RFC 9110 §13.1.1).
    These(Vec<Revision>),
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = |name: HeaderName| -> Result<Option<String>, Problem> {
            let mut lines = Vec::new();
            for line in parts.headers.get_all(&name) {
                lines.push(line.to_str().map_err(|_not_text| unreadable(&name))?);
            }
            Ok((!lines.is_empty()).then(|| lines.join(",")))
        };
        let matches = match text(header::IF_MATCH)? {
            None => None,
            Some(line) => Some(tags(&line).ok_or_else(|| unreadable(&header::IF_MATCH))?),
        };
        let is_new = match text(header::IF_NONE_MATCH)?.as_deref().map(str::trim) {
            None => false,
            Some("*") => true,
            Some(_) => {
                let detail = "`If-None-Match` of a change is `*`: only what is not there is made";
                return Err(Problem::new(StatusCode::BAD_REQUEST, "conditions", detail));
            }
        };
        if is_new && matches.is_some() {
            let detail = "`If-Match` and `If-None-Match` together are never met";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "conditions", detail));
        }
        Ok(Self { matches, is_new })
    }
}

fn unreadable(name: &HeaderName) -> Problem {
    let detail = format!("`{name}` is `*`, or ETags as this API answers with them");
    Problem::new(StatusCode::BAD_REQUEST, "conditions", detail)
}

impl Conditions {
    /// What the directory is to look for, given what is there.
    ///
    /// # Errors
    /// A condition that is not met already.
    pub(super) fn expected(&self, there: Option<&Listed>) -> Result<Expected, Problem> {
        let failed =
            |detail: String| Problem::new(StatusCode::PRECONDITION_FAILED, "stale", detail);
        if self.is_new {
            return match there {
                Some(_) => Err(failed("it is there already".to_owned())),
                None => Ok(Expected::Absent),
            };
        }
        let Some(tags) = &self.matches else {
            return Ok(Expected::Any);
        };
        let Some(there) = there else {
            return Err(failed("it is not there".to_owned()));
        };
        let now = there.record.revision;
        match tags {
            Tags::Any => Ok(Expected::Present),
            Tags::These(tags) if tags.contains(&now) => Ok(Expected::At(now)),
            Tags::These(_) => Err(failed(format!(
                "it was changed meanwhile, and is at \"{now}\": look at it again"
            ))),
        }
    }

    /// Whether anything is asked of what is there.
    pub(super) const fn are_none(&self) -> bool {
        self.matches.is_none() && !self.is_new
    }
}

/// The ETag of what a commit made.
pub(super) fn etag(revision: Revision) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{revision}\"")).ok()
}

fn tags(line: &str) -> Option<Tags> {
    if line.trim() == "*" {
        return Some(Tags::Any);
    }
    let mut ours = Vec::new();
    for tag in line.split(',').map(str::trim) {
        let (weak, opaque) = match tag.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, tag),
        };
        let opaque = opaque.strip_prefix('"')?.strip_suffix('"')?;
        if opaque.contains(['"', '\\']) {
            return None;
        }
        if !weak && let Ok(revision) = opaque.parse() {
            ours.push(Revision(revision));
        }
    }
    Some(Tags::These(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_are_written() {
        let these = |all: &[u64]| Some(Tags::These(all.iter().copied().map(Revision).collect()));
        assert_eq!(tags("*"), Some(Tags::Any));
        assert_eq!(tags("\"5\""), these(&[5]));
        assert_eq!(tags("\"5\" , \"6\""), these(&[5, 6]));
        assert_eq!(tags("W/\"5\""), these(&[]));
        assert_eq!(tags("\"abc\""), these(&[]));
        for bad in [
            "",
            "5",
            "\"5",
            "5\"",
            "\"5\",",
            "*, \"5\"",
            "w/\"5\"",
            "\"5\"\"6\"",
        ] {
            assert_eq!(tags(bad), None, "{bad}");
        }
    }
}
