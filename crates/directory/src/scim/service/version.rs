//! Versions of resources (RFC 7644 §3.14, RFC 9110 §13.1).

use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::{
    edit::Expected,
    records::Revision,
    scim::{ScimError, ScimType},
};

/// How many tags a request names at most.
const MOST_TAGS: usize = 16;

/// The version of a resource: of its record, and of a group also of who is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) revision: Revision,
    pub(super) members: Option<u64>,
}

impl Version {
    /// Its ETag: weak, since what a resource shows of others is not in it.
    pub(super) fn tag(self) -> String {
        format!("W/\"{}\"", self.opaque())
    }

    fn opaque(self) -> String {
        match self.members {
            None => self.revision.to_string(),
            Some(members) => format!("{}.{members:x}", self.revision),
        }
    }

    /// What must be there for a change that was made from this version.
    pub(super) const fn expected(self) -> Expected {
        match self.members {
            None => Expected::At(self.revision),
            Some(members) => Expected::AtWith(self.revision, members),
        }
    }
}

/// Under which condition a request is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Matching {
    one_of: Option<Tags>,
    none_of: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<String>),
}

impl Matching {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ScimError> {
        Ok(Self {
            one_of: tags(headers, &header::IF_MATCH)?,
            none_of: tags(headers, &header::IF_NONE_MATCH)?,
        })
    }

    /// As an operation of a bulk request says it.
    pub(super) fn one(version: &str) -> Result<Self, ScimError> {
        Ok(Self {
            one_of: Some(read(version)?),
            none_of: None,
        })
    }

    /// Whether whoever asks has said what version it is about: `*` is about any.
    pub(super) const fn is_about_a_version(&self) -> bool {
        matches!(self.one_of, Some(Tags::These(_)))
    }

    /// For a change: refused unless the condition holds for what is there.
    pub(super) fn check(&self, version: Version) -> Result<(), ScimError> {
        let stale = self.one_of.as_ref().is_some_and(|tags| !tags.have(version))
            || self.none_of.as_ref().is_some_and(|tags| tags.have(version));
        if stale {
            Err(changed_meanwhile())
        } else {
            Ok(())
        }
    }

    /// For a look: whether whoever asks has this version already.
    pub(super) fn is_known(&self, version: Version) -> bool {
        self.none_of.as_ref().is_some_and(|tags| tags.have(version))
    }
}

pub(super) fn changed_meanwhile() -> ScimError {
    let detail = "the resource is of another version than the request is about: look at it again";
    ScimError::of_status(StatusCode::PRECONDITION_FAILED, detail)
}

impl Tags {
    /// Weak and strong tags are compared alike: RFC 7644 §3.14 has weak ones in `If-Match`.
    fn have(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.contains(&version.opaque()),
        }
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, ScimError> {
    let mut all: Option<Tags> = None;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_not_text| unfit())?;
        all = Some(match (all, read(text)?) {
            (None, tags) => tags,
            (Some(Tags::These(mut known)), Tags::These(more)) if known.len() < MOST_TAGS => {
                known.extend(more);
                Tags::These(known)
            }
            _ => return Err(unfit()),
        });
    }
    Ok(all)
}

fn read(text: &str) -> Result<Tags, ScimError> {
    if text.trim() == "*" {
        return Ok(Tags::Any);
    }
    let mut tags = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let quoted = part.strip_prefix("W/").unwrap_or(part);
        let tag = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|tag| !tag.contains('"') && tag.len() <= 64)
            .ok_or_else(unfit)?;
        if tags.len() == MOST_TAGS {
            return Err(unfit());
        }
        tags.push(tag.to_owned());
    }
    Ok(Tags::These(tags))
}

fn unfit() -> ScimError {
    let detail = "the version is `*`, or tags in quotes as the service gave them";
    ScimError::new(ScimType::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: Version = Version {
        revision: Revision(7),
        members: None,
    };

    fn matching(name: HeaderName, value: &'static str) -> Result<Matching, ScimError> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Matching::of(&headers)
    }

    #[test]
    fn a_change_is_made_only_to_the_version_that_it_is_about() {
        for (value, fits) in [
            ("*", true),
            (r#"W/"7""#, true),
            (r#""7""#, true),
            (r#"W/"6", W/"7""#, true),
            (r#"W/"6""#, false),
            (r#""70""#, false),
        ] {
            let given = matching(header::IF_MATCH, value).unwrap();
            assert_eq!(given.check(NOW).is_ok(), fits, "{value}");
            let not = matching(header::IF_NONE_MATCH, value).unwrap();
            assert_eq!(
                (not.check(NOW).is_ok(), not.is_known(NOW)),
                (!fits, fits),
                "{value}"
            );
        }
        assert!(Matching::default().check(NOW).is_ok());
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in [
            "",
            "7",
            "\"7",
            "W/7",
            "w/\"7\"",
            r#""7" "8""#,
            r#""7",,"8""#,
            r#"*, "7""#,
        ] {
            assert!(matching(header::IF_MATCH, bad).is_err(), "{bad}");
        }
        assert!(Matching::one(&vec![r#""7""#; 17].join(",")).is_err());
    }

    #[test]
    fn the_version_of_a_group_is_also_of_its_members() {
        let with = |members| Version {
            members: Some(members),
            ..NOW
        };
        assert_ne!(with(1).tag(), with(2).tag());
        assert_ne!(with(0).tag(), NOW.tag());
        assert!(
            matching(header::IF_MATCH, r#"W/"7.1f""#)
                .unwrap()
                .check(with(0x1f))
                .is_ok()
        );
    }
}
