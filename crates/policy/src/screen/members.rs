use std::borrow::Cow;

use gatewright_wire::{ListView, json};

use super::Unfit;

/// The members of an object; none of anything else.
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Members<'a> {
    pub(super) fn of(object: &'a str) -> Self {
        Self(json::members(object).unwrap_or_default())
    }

    /// Those of a result that holds a list, beside the list.
    pub(super) fn beside(list: &'a ListView) -> Self {
        Self(
            list.others()
                .map(|(name, text)| (name.into(), text))
                .collect(),
        )
    }

    /// The text of a member, unless a reader that does not mind case could take another for it.
    pub(super) fn find(&self, name: &'static str) -> Result<Option<&'a str>, Unfit> {
        let mut found = None;
        for (other, value) in &self.0 {
            if json::mistakable(other, &[name]).is_some() {
                return Err(Unfit::Unreadable(format!(
                    "a member is named almost `{name}`"
                )));
            }
            if other == name {
                found = Some(*value);
            }
        }
        Ok(found)
    }
}
