//! JSON-RPC ids, kept as they were written.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

use crate::json;

/// A JSON-RPC id, a string or an integer, as the JSON text it was written in.
///
/// Two ids are equal if they are the same JSON value: strings after unescaping, integers digit by
/// digit and of any length. `1` and `"1"` differ.
///
/// ```
/// use gatewright_wire::Id;
///
/// assert_eq!(Id::parse(r#""\u0061""#), Some(Id::string("a")));
/// assert_ne!(Id::number(1), Id::string("1"));
/// assert_eq!(Id::parse("null"), None);
/// ```
#[derive(Clone)]
pub struct Id(Box<str>);

impl Id {
    /// An integer id.
    #[must_use]
    pub fn number(value: i64) -> Self {
        Self(value.to_string().into())
    }

    /// A string id.
    #[must_use]
    pub fn string(value: &str) -> Self {
        Self(json::quote(value).into())
    }

    /// The id written by a JSON text. `None` unless it is a string or an integer; `1.0` and `1e0`
    /// are not integers here, since receivers differ on them.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        let integer = !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        (integer || json::string(raw).is_some()).then(|| Self(raw.trim().into()))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The one text that all equal ids share.
    fn canonical(&self) -> Cow<'_, str> {
        if self.0.contains('\\')
            && let Some(value) = json::string(&self.0)
        {
            return Cow::Owned(json::quote(&value));
        }
        Cow::Borrowed(&self.0)
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.canonical() == other.canonical()
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_strings_or_integers() {
        for good in [
            "0",
            "-1",
            "7",
            "123456789012345678901234567890",
            r#""""#,
            r#""x\"y""#,
        ] {
            assert_eq!(Id::parse(good).unwrap().as_json(), good);
        }
        for bad in [
            "", "-", "1.0", "1e0", "01", "+1", "null", "true", "[]", "{}", r#""a"#, "1 2",
            r#""a" 1"#,
        ] {
            assert!(Id::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn equal_values_are_equal_and_hash_alike() {
        let set: HashSet<Id> = [r#""a/b""#, r#""a\/b""#, r#""\u0061/b""#]
            .into_iter()
            .filter_map(Id::parse)
            .collect();
        assert_eq!(set.len(), 1);
        assert_eq!(
            Id::string("a\"\n"),
            Id::parse(r#""a\u0022\u000a""#).unwrap()
        );
    }

    #[test]
    fn integers_beyond_doubles_stay_apart() {
        assert_ne!(Id::parse("9007199254740993"), Id::parse("9007199254740992"));
    }
}
