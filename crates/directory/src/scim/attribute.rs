use std::fmt;

/// The longest name of an attribute, with its schema.
const LONGEST: usize = 256;

/// An attribute as a filter, a path or a parameter names it: `name.givenName`, `urn:…:User:userName` (RFC 7644 §3.10).
///
/// Names are compared without regard to case. A schema that is named alone reads as the attribute `User` of `urn:…:2.0`;
/// `ResourceType::resolve` knows better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeName {
    pub(crate) urn: Option<String>,
    pub(crate) name: String,
    pub(crate) sub: Option<String>,
}

impl AttributeName {
    /// Reads a name; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (urn, rest) = match text.rsplit_once(':') {
            Some((urn, rest)) if is_urn(urn) => (Some(urn.to_owned()), rest),
            Some(_) => return None,
            None => (None, text),
        };
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        let fits = is_name(name) && sub.is_none_or(is_name);
        fits.then(|| Self {
            urn,
            name: name.to_owned(),
            sub: sub.map(str::to_owned),
        })
    }

    /// What the whole is, if it names a schema.
    pub(crate) fn as_schema(&self) -> Option<String> {
        match (&self.urn, &self.sub) {
            (Some(urn), None) => Some(format!("{urn}:{}", self.name)),
            _ => None,
        }
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        if let Some(sub) = &self.sub {
            write!(f, ".{sub}")?;
        }
        Ok(())
    }
}

/// Whether a byte can be part of a name with its schema and its sub-attribute.
pub(crate) const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'_' | b'-' | b'$')
}

/// `ATTRNAME` of RFC 7643 §2.1, and `$ref`.
pub(crate) fn is_name(text: &str) -> bool {
    let rest = text.strip_prefix('$').unwrap_or(text);
    rest.starts_with(|first: char| first.is_ascii_alphabetic())
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_urn(text: &str) -> bool {
    let scheme = text.get(..4);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:")) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_with_and_without_schema() {
        let parsed = |text| AttributeName::parse(text).map(|name| (name.urn, name.name, name.sub));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parsed("userName"), Some((None, "userName".into(), None)));
        assert_eq!(
            parsed("name.givenName"),
            Some((None, "name".into(), some("givenName")))
        );
        assert_eq!(
            parsed("members.$ref"),
            Some((None, "members".into(), some("$ref")))
        );
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        assert_eq!(
            parsed(&format!("{urn}:manager.value")),
            Some((some(urn), "manager".into(), some("value")))
        );
        let whole = AttributeName::parse(urn).unwrap();
        assert_eq!(whole.as_schema(), some(urn));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "1a",
            "a b",
            "é",
            "a:b",
            "urn:",
            "urn:x:",
            "a..b",
            "$",
            "a.$",
            &"a".repeat(LONGEST + 1),
        ] {
            assert!(AttributeName::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back(text in "(urn:[a-z0-9:.]{1,20}:)?[a-zA-Z][a-zA-Z0-9_-]{0,10}(\\.[a-z]{1,5})?") {
            let name = AttributeName::parse(&text).unwrap();
            prop_assert_eq!(name.to_string(), text);
        }

        #[test]
        fn no_text_makes_the_reader_stumble(text in ".{0,80}") {
            let _name = AttributeName::parse(&text);
        }
    }
}
