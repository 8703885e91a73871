//! A page of a list.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Query};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, request::Parts};

use crate::problem::Problem;

/// So many where nobody says how many.
const USUAL: u32 = 100;
/// Never more.
pub(super) const MOST: u32 = 500;

/// The parameters of a list.
#[derive(Clone, Debug)]
pub(super) struct Asked(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|error| bad(&error.body_text()))?;
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            if all.insert(name.clone(), value).is_some() {
                return Err(bad(&format!("`{}` is there twice", name.escape_debug())));
            }
        }
        Ok(Self(all))
    }
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: u32,
    /// The last of the page before.
    pub(super) after: Option<String>,
    /// A filter, and what it compares with.
    pub(super) filter: Option<(String, String)>,
}

impl Asked {
    /// The page of the list of this name, which may be filtered by one of these.
    pub(super) fn page(mut self, list: &str, filters: &[&str]) -> Result<Page, Problem> {
        let limit = match self.0.remove("limit") {
            None => USUAL,
            Some(text) => {
                let limit: Option<u32> =
                    text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                limit.ok_or_else(|| bad(&format!("`limit` is a number from 1 to {MOST}")))?
            }
        };
        let after = match self.0.remove("cursor") {
            None => None,
            Some(cursor) => Some(
                opened(list, &cursor)
                    .ok_or_else(|| bad("`cursor` is not one that this list has answered with"))?,
            ),
        };
        let filter = self.0.pop_first();
        if let Some((name, _)) = &filter
            && (!filters.contains(&name.as_str()) || !self.0.is_empty())
        {
            let known: Vec<String> = filters.iter().map(|name| format!("`{name}`")).collect();
            let known = match known.as_slice() {
                [] => "this list has no filters".to_owned(),
                _ => format!("it can be filtered by one of {}", known.join(", ")),
            };
            return Err(bad(&format!("beyond `limit` and `cursor`, {known}")));
        }
        Ok(Page {
            limit,
            after,
            filter,
        })
    }
}

/// What the next page is asked for with: nobody needs to know what it says.
pub(super) fn cursor(list: &str, last: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1\n{list}\n{last}"))
}

fn opened(list: &str, cursor: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let last = text.strip_prefix("1\n")?.strip_prefix(list)?;
    last.strip_prefix('\n').map(ToOwned::to_owned)
}

pub(super) fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "query", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        let pairs = pairs.iter();
        Asked(
            pairs
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        )
    }

    #[test]
    fn a_cursor_is_of_its_list() {
        let cursor = cursor("default/users", "u-1");
        let page = |list| asked(&[("cursor", &cursor)]).page(list, &[]);
        assert_eq!(page("default/users").unwrap().after.as_deref(), Some("u-1"));
        for other in ["default/groups", "acme/users", "default/user", ""] {
            page(other).unwrap_err();
        }
        for forged in ["", "x", "dS0x", "MQp1c2Vycw"] {
            asked(&[("cursor", forged)]).page("users", &[]).unwrap_err();
        }
    }

    #[test]
    fn lists_are_bounded_and_filtered_by_one() {
        assert_eq!(asked(&[]).page("x", &[]).unwrap().limit, USUAL);
        assert_eq!(
            asked(&[("limit", "500")]).page("x", &[]).unwrap().limit,
            500
        );
        for limit in ["0", "501", "-1", "x", "", "4294967297"] {
            asked(&[("limit", limit)]).page("x", &[]).unwrap_err();
        }
        let page = asked(&[("a", "1")]).page("x", &["a"]).unwrap();
        assert_eq!(page.filter, Some(("a".into(), "1".into())));
        asked(&[("a", "1"), ("b", "2")])
            .page("x", &["a", "b"])
            .unwrap_err();
        asked(&[("c", "1")]).page("x", &["a", "b"]).unwrap_err();
    }
}
