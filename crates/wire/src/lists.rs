//! Lists in results, filtered without touching what stays.

use std::ops::Range;

use bytes::Bytes;

use crate::{Envelope, ItemKind, Kind, Splice, SpliceError, json};

/// Why a message cannot be filtered. Whoever filters must not pass it on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// Not a response with a result.
    #[error("the message is not a result")]
    NotAResult,
    /// The result has no list where this kind has it, or a second one that a careless reader takes for it.
    #[error("the result has no list of `{0}`")]
    NoList(&'static str),
    /// An item that is not an object with a name.
    #[error("an item of the list has no string `{0}`")]
    Unnamed(&'static str),
    /// Not one decision for each item.
    #[error("{decisions} decisions for {items} items")]
    Undecided {
        /// How many decisions there are.
        decisions: usize,
        /// How many items there are.
        items: usize,
    },
    /// A fault of ours.
    #[error(transparent)]
    Splice(#[from] SpliceError),
}

/// One item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListItem {
    /// What other methods name it by: the name of a tool or prompt, the URI (template) of a resource.
    pub name: Box<str>,
    /// Where its object stands in the message.
    pub range: Range<usize>,
}

/// A list result with its items found, to be passed on without some of them.
///
/// ```
/// use bytes::Bytes;
/// use gatewright_wire::{Envelope, ItemKind, Limits, ListView, Peer};
///
/// let message = Bytes::from(
///     r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":1.0}, {"name":"b"}],"cacheScope":"public"}}"#,
/// );
/// let read = Envelope::parse(&message, Peer::Server, &Limits::default())?;
/// let mut list = ListView::new(message, &read, ItemKind::Tool)?;
/// let keep: Vec<bool> = list.items().iter().map(|item| &*item.name == "a").collect();
/// list.set_private_cache();
/// assert_eq!(
///     list.retain(&keep)?,
///     r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":1.0}],"cacheScope":"private"}}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListView {
    message: Bytes,
    list: Range<usize>,
    items: Vec<ListItem>,
    /// The members of the result beside the list.
    others: Vec<(Box<str>, Range<usize>)>,
    private: bool,
}

impl ListView {
    /// Reads a JSON-RPC response as a list of this kind; `env` is what the message was read as.
    ///
    /// # Errors
    /// [`ListError`]: the message is not to be passed on.
    pub fn new(message: Bytes, env: &Envelope, kind: ItemKind) -> Result<Self, ListError> {
        let no_list = ListError::NoList(kind.result_field());
        let Some(result) = env.result_range().filter(|_| env.kind() == Kind::Response) else {
            return Err(ListError::NotAResult);
        };
        let text = std::str::from_utf8(&message).unwrap_or_default();
        let members = text
            .get(result)
            .and_then(json::members)
            .ok_or(ListError::NotAResult)?;
        let known = [kind.result_field(), "cacheScope"];
        if members
            .iter()
            .any(|member| json::mistakable(&member.0, &known).is_some())
        {
            return Err(no_list);
        }
        let find = |name: &str| {
            members
                .iter()
                .find(|member| member.0 == name)
                .map(|member| member.1)
        };
        let list = find(kind.result_field()).ok_or_else(|| no_list.clone())?;
        let mut items = Vec::new();
        for raw in json::items(list).ok_or(no_list)? {
            items.push(ListItem {
                name: name_of(raw, kind.name_field())?,
                range: json::range_in(text, raw),
            });
        }
        let others = members
            .iter()
            .filter(|member| member.0 != kind.result_field());
        let others = others
            .map(|(name, raw)| (name.as_ref().into(), json::range_in(text, raw)))
            .collect();
        let list = json::range_in(text, list);
        Ok(Self {
            message,
            list,
            items,
            others,
            private: false,
        })
    }

    /// The items, in order.
    #[must_use]
    pub fn items(&self) -> &[ListItem] {
        &self.items
    }

    /// The members of the result beside the list: their names and the texts of their values.
    pub fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        self.others
            .iter()
            .map(|(name, range)| (&**name, self.at(range)))
    }

    /// The text of an item. Empty for an item of another list.
    #[must_use]
    pub fn text(&self, item: &ListItem) -> &str {
        self.at(&item.range)
    }

    fn at(&self, range: &Range<usize>) -> &str {
        let bytes = self.message.get(range.clone()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Says `private` where the result says who may share it: a filtered list is its caller's alone.
    /// Results without `cacheScope` (legacy ones) stay without.
    pub const fn set_private_cache(&mut self) {
        self.private = true;
    }

    /// The message with only those items whose decision is `true`. Items that stay keep their bytes,
    /// and if all do, so does the list.
    ///
    /// # Errors
    /// [`ListError::Undecided`] unless there is one decision for each item.
    pub fn retain(&self, keep: &[bool]) -> Result<Bytes, ListError> {
        if keep.len() != self.items.len() {
            return Err(ListError::Undecided {
                decisions: keep.len(),
                items: self.items.len(),
            });
        }
        let mut splice = Splice::new(&self.message);
        if keep.contains(&false) {
            let kept = self.items.iter().zip(keep).filter(|(_, keep)| **keep);
            let kept: Vec<&str> = kept.map(|(item, _)| self.text(item)).collect();
            splice.replace(self.list.clone(), format!("[{}]", kept.join(",")));
        }
        let mut others = self.others.iter().filter(|_| self.private);
        if let Some((_, scope)) = others.find(|(name, _)| &**name == "cacheScope") {
            splice.replace(scope.clone(), r#""private""#);
        }
        if splice.is_empty() {
            return Ok(self.message.clone());
        }
        Ok(splice.build()?)
    }
}

fn name_of(item: &str, field: &'static str) -> Result<Box<str>, ListError> {
    let unnamed = ListError::Unnamed(field);
    let Some(members) = json::members(item) else {
        return Err(unnamed);
    };
    // A reader that ignores case would show, or later call, this item by the other name.
    if members
        .iter()
        .any(|member| json::mistakable(&member.0, &[field]).is_some())
    {
        return Err(unnamed);
    }
    let name = members
        .iter()
        .find(|member| member.0 == field)
        .and_then(|member| json::string(member.1));
    name.map(Into::into).ok_or(unnamed)
}

#[cfg(test)]
mod tests;
