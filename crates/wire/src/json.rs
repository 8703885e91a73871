//! Strict reading of JSON text, and reading members as the text they were written in.

use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt, ops::Range};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::Limits;

/// Why a text is not acceptable JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is longer than allowed.
    #[error("the message is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Objects and arrays nest deeper than allowed.
    #[error("the message nests deeper than {limit} levels")]
    TooDeep {
        /// The limit, in levels.
        limit: usize,
    },
    /// An object has two members of the same name, compared after unescaping.
    #[error("an object has two members named `{key}`")]
    DuplicateKey {
        /// The name, escaped for display and cut to 64 characters.
        key: Box<str>,
    },
    /// The text is not JSON (RFC 8259), or a number is beyond the range of a double.
    #[error("not valid JSON: {message}")]
    Syntax {
        /// What is wrong and where (line and column).
        message: Box<str>,
    },
    /// The text is not UTF-8 (RFC 8259 §8.1).
    #[error("not valid UTF-8")]
    NotUtf8,
}

/// Checks one complete JSON text and gives it back as a string: UTF-8, grammar, nesting, no
/// duplicate member names at any depth (compared after unescaping), nothing after the value.
///
/// Numbers are read for their form only, so integers of any length pass; a number whose magnitude
/// is beyond a double (`1e999`) does not.
///
/// # Errors
/// The first fault found; see [`JsonError`].
pub fn check<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    if bytes.len() > limits.max_bytes {
        return Err(JsonError::TooLarge {
            limit: limits.max_bytes,
        });
    }
    // The position of the fault is of no use to the sender of something that is not text.
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(JsonError::NotUtf8);
    };
    let fault = Cell::new(None);
    let walk = Walk {
        left: limits.depth(),
        limit: limits.depth(),
        fault: &fault,
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let walked = walk.deserialize(&mut reader).and_then(|()| reader.end());
    match (fault.take(), walked) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(JsonError::Syntax {
            message: error.to_string().into(),
        }),
        (None, Ok(())) => Ok(text),
    }
}

/// The members of an object's text, in order: the unescaped name and the text of the value.
/// `None` if the text is not an object.
#[must_use]
pub fn members(object: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut reader = serde_json::Deserializer::from_str(object);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

/// The text of one member's value. `None` if there is no such member or the text is not an object.
#[must_use]
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut reader = serde_json::Deserializer::from_str(object);
    reader.deserialize_map(Member(name)).ok()?
}

/// The text of a member of a member, and so on down `path`. Objects only; an empty path is the
/// value itself.
///
/// ```
/// use gatewright_wire::json;
///
/// let text = r#"{"params": {"_meta": {"a.b/c": [1, 2]}}}"#;
/// assert_eq!(json::pointer(text, &["params", "_meta", "a.b/c"]), Some("[1, 2]"));
/// assert_eq!(json::pointer(text, &["params", "name"]), None);
/// ```
#[must_use]
pub fn pointer<'a>(value: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter()
        .try_fold(value, |value, name| member(value, name))
}

/// The texts of an array's items. `None` if the text is not an array.
#[must_use]
pub fn items(array: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

/// The string that a JSON string's text stands for. `None` if the text is not a string.
#[must_use]
pub fn string(value: &str) -> Option<Cow<'_, str>> {
    let mut reader = serde_json::Deserializer::from_str(value);
    let string = Text.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(string)
}

/// The text of a JSON string that stands for `value`.
#[must_use]
pub fn quote(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Whether a value's text is an object.
pub(crate) fn is_object(value: &str) -> bool {
    value.starts_with('{')
}

/// Where `part`, a slice of `whole`, stands in it.
pub(crate) fn range_in(whole: &str, part: &str) -> Range<usize> {
    // INVARIANT: every caller got `part` out of `whole`; anything else gives an empty range at the
    // start rather than a wrong one.
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr());
    match start {
        Some(start) if start + part.len() <= whole.len() => start..start + part.len(),
        _ => 0..0,
    }
}

/// The name among `known` that `name` could be taken for without being it: some JSON readers
/// (Go's `encoding/json` among them) match names under Unicode simple case folding, and a member
/// that we overlook must not be one that the receiver acts on.
#[must_use]
pub fn mistakable(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // Names of ASCII alone, almost all there are, fold to names of their own length.
    let fits = |known: &&&str| !name.is_ascii() || known.len() == name.len();
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    let same = |known: &str| known.chars().map(fold).eq(name.chars().map(fold));
    known
        .iter()
        .filter(fits)
        .copied()
        .find(|known| *known != name && same(known))
}

/// Walks a value of any shape and keeps nothing.
struct Walk<'c> {
    left: usize,
    limit: usize,
    /// Carries typed faults past `serde_json::Error`, which can hold text only.
    fault: &'c Cell<Option<JsonError>>,
}

impl Walk<'_> {
    fn fail<E: serde::de::Error>(&self, fault: JsonError) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<Walk<'_>, E> {
        let Some(left) = self.left.checked_sub(1) else {
            return Err(self.fail(JsonError::TooDeep { limit: self.limit }));
        };
        Ok(Walk { left, ..*self })
    }

    fn again(&self) -> Walk<'_> {
        Walk { ..*self }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner.again())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = Names::default();
        while let Some(name) = map.next_key_seed(Text)? {
            if let Some(twice) = seen.insert(name) {
                let key: String = twice.escape_debug().take(64).collect();
                return Err(inner.fail(JsonError::DuplicateKey { key: key.into() }));
            }
            map.next_value_seed(inner.again())?;
        }
        Ok(())
    }
}

/// The member names of one object. Most objects are small, and a hash set costs more than looking.
#[derive(Default)]
struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    const FEW: usize = 12;

    /// Gives the name back if it is there already.
    fn insert(&mut self, name: Cow<'de, str>) -> Option<Cow<'de, str>> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Some(name);
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        None
    }
}

/// Reads a string, borrowing it where nothing is escaped.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

/// Reads an object into its members' texts.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Text)? {
            let value: &'de RawValue = map.next_value()?;
            members.push((name, value.get()));
        }
        Ok(members)
    }
}

/// Reads an object for one member's text.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key_seed(Text)? {
            let value: &'de RawValue = map.next_value()?;
            if name == self.0 && found.replace(value.get()).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
