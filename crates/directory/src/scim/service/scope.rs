//! Who may ask what: bearer tokens and their scopes.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};

use crate::{
    model::ScimScope,
    scim::{ScimError, schema::ResourceType},
};

/// What is done with resources of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// They are looked at.
    Read,
    /// They are looked at, made, changed and removed.
    Write,
}

/// A token that is good.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    /// Names the token, in records and for its rate.
    pub(super) id: Arc<str>,
    pub(super) scopes: Vec<ScimScope>,
}

impl Bearer {
    /// Whether it may as much with resources of a type. Whoever may change them may look at them.
    pub(super) fn may(&self, resource_type: &ResourceType, access: Access) -> bool {
        let write = match resource_type.name {
            "User" => ScimScope::WriteUsers,
            "Group" => ScimScope::WriteGroups,
            _ => ScimScope::WriteAgents,
        };
        let read = match resource_type.name {
            "User" => ScimScope::ReadUsers,
            "Group" => ScimScope::ReadGroups,
            _ => ScimScope::ReadAgents,
        };
        self.scopes.contains(&write) || (access == Access::Read && self.scopes.contains(&read))
    }

    pub(super) fn need(
        &self,
        resource_type: &ResourceType,
        access: Access,
    ) -> Result<(), ScimError> {
        if self.may(resource_type, access) {
            return Ok(());
        }
        let resources = resource_type
            .endpoint
            .trim_start_matches('/')
            .to_ascii_lowercase();
        let access = match access {
            Access::Read => "read",
            Access::Write => "write",
        };
        let detail = format!("the token has not the scope `{resources}:{access}`");
        Err(ScimError::of_status(StatusCode::FORBIDDEN, detail))
    }
}

/// The token of a request (RFC 6750 §2.1), where there is one `Authorization` header.
pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (only, None) = (all.next()?, all.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let fits = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    fits.then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::scim::schema::{AGENT, GROUP, USER};

    #[test]
    fn a_token_may_no_more_than_its_scopes_say() {
        let bearer = Bearer {
            id: "t".into(),
            scopes: vec![ScimScope::WriteUsers, ScimScope::ReadGroups],
        };
        for (resource_type, access, allowed) in [
            (&USER, Access::Read, true),
            (&USER, Access::Write, true),
            (&GROUP, Access::Read, true),
            (&GROUP, Access::Write, false),
            (&AGENT, Access::Read, false),
            (&AGENT, Access::Write, false),
        ] {
            assert_eq!(bearer.may(resource_type, access), allowed);
            assert_eq!(bearer.need(resource_type, access).is_ok(), allowed);
        }
    }

    #[test]
    fn a_token_comes_in_one_header() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer_token(&headers).map(str::to_owned)
        };
        assert_eq!(of(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(of(&["bearer  abc"]).as_deref(), Some("abc"));
        for bad in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Basic abc"],
            &["abc"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
