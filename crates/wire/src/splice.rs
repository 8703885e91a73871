//! Changing places of a text and leaving every other byte alone.

use std::ops::Range;

use bytes::Bytes;

use crate::{Envelope, Id, json};

/// Why a text cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// Two changes cover the same bytes.
    #[error("two changes overlap at byte {at}")]
    Overlap {
        /// Where the second begins.
        at: usize,
    },
    /// A change lies outside the text.
    #[error("a change reaches beyond the text of {len} bytes")]
    OutOfRange {
        /// The length of the text.
        len: usize,
    },
    /// The message has no such place, or the range is not what it was said to be.
    #[error("the message has no {0} to change")]
    NoPlace(&'static str),
}

/// A text with changes to it. Members are given as JSON text; what goes in is not checked, so parse
/// the outcome again before deciding on it.
///
/// ```
/// use gatewright_wire::Splice;
///
/// let mut splice = Splice::new(b"{\"a\": 1.0}");
/// splice.replace(6..9, "2");
/// splice.set_members(0..10, &[("b", "[]")])?;
/// assert_eq!(splice.build()?, "{\"b\":[],\"a\": 2}");
/// # Ok::<(), gatewright_wire::SpliceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Splice<'a> {
    text: &'a [u8],
    changes: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'a> Splice<'a> {
    /// No changes yet.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            changes: Vec::new(),
        }
    }

    /// Whether there are no changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Puts `new` in the place of `range`; an empty range inserts. Insertions at the same place stand
    /// in the order in which they were made.
    pub fn replace(&mut self, range: Range<usize>, new: impl Into<Vec<u8>>) {
        self.changes.push((range, new.into()));
    }

    /// Gives the message another id.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] if it has none.
    pub fn set_id(&mut self, env: &Envelope, id: &Id) -> Result<(), SpliceError> {
        let range = env.id_range().ok_or(SpliceError::NoPlace("id"))?;
        self.replace(range, id.as_json());
        Ok(())
    }

    /// Gives the message another target: the tool's name, the resource's URI.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] if it has none.
    pub fn set_target(&mut self, env: &Envelope, target: &str) -> Result<(), SpliceError> {
        let range = env.target_range().ok_or(SpliceError::NoPlace("target"))?;
        self.replace(range, json::quote(target));
        Ok(())
    }

    /// Sets members of `params._meta`, each a name and a value's JSON text, and makes `_meta` and
    /// `params` where they are missing. Call it once per message, with all members.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] if the message has no method.
    pub fn set_meta(
        &mut self,
        env: &Envelope,
        members: &[(&str, &str)],
    ) -> Result<(), SpliceError> {
        if env.method().is_none() {
            return Err(SpliceError::NoPlace("params"));
        }
        if let Some(meta) = env.meta_range() {
            return self.set_members(meta, members);
        }
        let meta = object(members);
        match env.params_range() {
            Some(params) => self.set_members(params, &[("_meta", &meta)]),
            None => self.set_members(env.range(), &[("params", &object(&[("_meta", &meta)]))]),
        }
    }

    /// Sets members of the object at `range`, each a name and a value's JSON text: in its place where
    /// the object has it, otherwise in front. Call it once per object, with all members.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] if there is no object at `range`.
    pub fn set_members(
        &mut self,
        range: Range<usize>,
        members: &[(&str, &str)],
    ) -> Result<(), SpliceError> {
        const NO_OBJECT: SpliceError = SpliceError::NoPlace("object");
        let text = self
            .text
            .get(range.clone())
            .and_then(|text| std::str::from_utf8(text).ok());
        let text = text.filter(|text| json::is_object(text)).ok_or(NO_OBJECT)?;
        let present = json::members(text).ok_or(NO_OBJECT)?;
        let mut added = String::new();
        for (name, value) in members {
            if let Some((_, old)) = present.iter().find(|member| member.0 == *name) {
                let at = json::range_in(text, old);
                self.replace(range.start + at.start..range.start + at.end, *value);
                continue;
            }
            if !added.is_empty() {
                added.push(',');
            }
            added.push_str(&member(name, value));
        }
        if !added.is_empty() {
            if !present.is_empty() {
                added.push(',');
            }
            // Just behind the opening brace.
            self.replace(range.start + 1..range.start + 1, added);
        }
        Ok(())
    }

    /// The text with all changes made.
    ///
    /// # Errors
    /// [`SpliceError`] when changes overlap or lie outside the text.
    pub fn build(mut self) -> Result<Bytes, SpliceError> {
        let len = self.text.len();
        self.changes
            .sort_by_key(|(range, _)| (range.start, range.end));
        let grown: usize = self.changes.iter().map(|(_, new)| new.len()).sum();
        let mut built = Vec::with_capacity(len + grown);
        let mut done = 0;
        for (range, new) in &self.changes {
            if range.start > range.end || range.end > len {
                return Err(SpliceError::OutOfRange { len });
            }
            let Some(kept) = self.text.get(done..range.start) else {
                return Err(SpliceError::Overlap { at: range.start });
            };
            built.extend_from_slice(kept);
            built.extend_from_slice(new);
            done = range.end;
        }
        built.extend_from_slice(self.text.get(done..).unwrap_or_default());
        Ok(built.into())
    }
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", json::quote(name))
}

fn object(members: &[(&str, &str)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| member(name, value))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests;
