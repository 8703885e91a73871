//! Pages of lists, by index (RFC 7644 §3.4.2.4) and by cursor (RFC 9865).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gatewright_core::Timestamp;
use serde_json::{Value, json};

use super::{Attributes, ScimError, ScimType};

/// How many resources are in a page, where the client does not say.
pub const USUAL_PAGE: usize = 100;
/// How many resources are in a page at most.
pub const LARGEST_PAGE: usize = 1_000;
/// For how many seconds a cursor is good.
pub const CURSOR_SECONDS: u64 = 3_600;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// How long the text of a cursor is at most.
const LONGEST_CURSOR: usize = 1_024;

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// From the resource of this number on, of which the first is 1.
    Index {
        /// The number.
        start: usize,
        /// How many at most.
        count: usize,
    },
    /// What follows a cursor, or the first page.
    Cursor {
        /// The cursor's text; empty for the first page.
        cursor: String,
        /// How many at most.
        count: usize,
    },
}

impl Paging {
    /// From the parameters of a request. Numbers out of bounds are taken as the nearest that is within, as the RFCs have it.
    ///
    /// # Errors
    /// [`ScimError`] where both an index and a cursor are given.
    pub fn new(
        start_index: Option<i64>,
        cursor: Option<&str>,
        count: Option<i64>,
    ) -> Result<Self, ScimError> {
        let count = count.map_or(USUAL_PAGE, |count| {
            usize::try_from(count.max(0))
                .unwrap_or(LARGEST_PAGE)
                .min(LARGEST_PAGE)
        });
        match (start_index, cursor) {
            (Some(_), Some(_)) => {
                let detail = "`startIndex` and `cursor` cannot be given together";
                Err(ScimError::new(ScimType::InvalidCursor, detail))
            }
            (None, Some(cursor)) => Ok(Self::Cursor {
                cursor: cursor.to_owned(),
                count,
            }),
            (start, None) => Ok(Self::Index {
                start: usize::try_from(start.unwrap_or(1).max(1)).unwrap_or(usize::MAX),
                count,
            }),
        }
    }
}

/// A place in a list: after the resource of an id, in the answer to one question.
///
/// The text tells nothing that its bearer does not know, and gives nothing: whoever makes one up comes to a place in a list
/// that they may read anyway. So it is checked, and not sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last resource of the page before.
    pub after: String,
    /// When it was made.
    pub made_at: Timestamp,
    question: u64,
}

impl Cursor {
    /// After a resource, in the answer to a question: whatever of the request decides which resources there are, and in what
    /// order.
    #[must_use]
    pub fn new(question: &str, after: &str, made_at: Timestamp) -> Self {
        Self {
            after: after.to_owned(),
            made_at,
            question: fnv(question),
        }
    }

    /// Its text, of unreserved characters only (RFC 9865 §2).
    #[must_use]
    pub fn text(&self) -> String {
        let plain = format!(
            "1.{:x}.{}.{}",
            self.question,
            self.made_at.secs(),
            self.after
        );
        URL_SAFE_NO_PAD.encode(plain)
    }

    /// Reads a cursor to the answer to the same question.
    ///
    /// # Errors
    /// [`ScimError`] `invalidCursor` for what is none, or one to another question; `expiredCursor` for an old one.
    pub fn read(text: &str, question: &str, now: Timestamp) -> Result<Self, ScimError> {
        let invalid = || {
            let detail = "the cursor is none of this list: begin again with an empty one";
            ScimError::new(ScimType::InvalidCursor, detail)
        };
        let cursor = Self::decode(text).ok_or_else(invalid)?;
        if cursor.question != fnv(question) || cursor.made_at > now.plus(Duration::from_secs(60)) {
            return Err(invalid());
        }
        if now.since(cursor.made_at) > Duration::from_secs(CURSOR_SECONDS) {
            let detail = "the cursor is too old: begin again with an empty one";
            return Err(ScimError::new(ScimType::ExpiredCursor, detail));
        }
        Ok(cursor)
    }

    fn decode(text: &str) -> Option<Self> {
        if text.len() > LONGEST_CURSOR {
            return None;
        }
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = plain.splitn(4, '.');
        let (version, question) = (parts.next()?, parts.next()?);
        let (made_at, after) = (parts.next()?, parts.next()?);
        (version == "1").then_some(())?;
        Some(Self {
            after: after.to_owned(),
            made_at: Timestamp::from_secs(made_at.parse().ok()?),
            question: u64::from_str_radix(question, 16).ok()?,
        })
    }
}

/// FNV-1a, which is the same in every process.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What a list says of itself beside its resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Index {
        total: u64,
        start: usize,
    },
    Cursor {
        total: Option<u64>,
        next: Option<String>,
    },
}

/// The answer to a question for many (RFC 7644 §3.4.2).
pub(crate) fn list_response(shown: &Shown, resources: Vec<Attributes>) -> Value {
    let mut list = json!({"schemas": [SCHEMA], "itemsPerPage": resources.len()});
    if let Some(list) = list.as_object_mut() {
        match shown {
            Shown::Index { total, start } => {
                list.insert("totalResults".to_owned(), (*total).into());
                list.insert("startIndex".to_owned(), (*start).into());
            }
            Shown::Cursor { total, next } => {
                if let Some(total) = total {
                    list.insert("totalResults".to_owned(), (*total).into());
                }
                if let Some(next) = next {
                    list.insert("nextCursor".to_owned(), next.as_str().into());
                }
            }
        }
        let resources: Vec<Value> = resources.into_iter().map(Value::Object).collect();
        list.insert("Resources".to_owned(), resources.into());
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn of_type(outcome: Result<Cursor, ScimError>) -> Option<ScimType> {
        outcome.unwrap_err().scim_type()
    }

    #[test]
    fn numbers_out_of_bounds_are_taken_as_the_nearest_within() {
        let index = |start, count| Paging::Index { start, count };
        assert_eq!(Paging::new(None, None, None), Ok(index(1, USUAL_PAGE)));
        assert_eq!(Paging::new(Some(0), None, Some(-1)), Ok(index(1, 0)));
        assert_eq!(
            Paging::new(Some(-5), None, Some(1 << 40)),
            Ok(index(1, LARGEST_PAGE))
        );
        assert_eq!(
            Paging::new(None, Some(""), Some(2)),
            Ok(Paging::Cursor {
                cursor: String::new(),
                count: 2
            })
        );
        assert!(Paging::new(Some(1), Some(""), None).is_err());
    }

    #[test]
    fn a_cursor_is_good_for_its_question_and_its_time() {
        let text = Cursor::new("Users|a", "id-1", NOW).text();
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        let later = NOW.plus(Duration::from_secs(CURSOR_SECONDS));
        assert_eq!(Cursor::read(&text, "Users|a", later).unwrap().after, "id-1");
        assert_eq!(
            of_type(Cursor::read(&text, "Users|b", NOW)),
            Some(ScimType::InvalidCursor)
        );
        let too_late = later.plus(Duration::from_secs(1));
        assert_eq!(
            of_type(Cursor::read(&text, "Users|a", too_late)),
            Some(ScimType::ExpiredCursor)
        );
        let before = NOW.minus(Duration::from_secs(61));
        assert_eq!(
            of_type(Cursor::read(&text, "Users|a", before)),
            Some(ScimType::InvalidCursor)
        );
        for bad in ["x", "", "é", &"A".repeat(2_000)] {
            assert_eq!(
                of_type(Cursor::read(bad, "Users|a", NOW)),
                Some(ScimType::InvalidCursor),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back(question in ".{0,20}", after in ".{0,40}") {
            let cursor = Cursor::new(&question, &after, NOW);
            prop_assert_eq!(Cursor::read(&cursor.text(), &question, NOW), Ok(cursor));
        }

        #[test]
        fn no_text_makes_the_reader_stumble(plain in ".{0,60}") {
            let _cursor = Cursor::read(&URL_SAFE_NO_PAD.encode(&plain), "", NOW);
            let _cursor = Cursor::read(&plain, "", NOW);
        }
    }
}
