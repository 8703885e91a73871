//! The resources that a `subscriptions/listen` names: things that it uses, and that are no target of a call.

use gatewright_wire::json;

use super::Call;

/// How many resources one `subscriptions/listen` may name: each costs decisions.
const MOST: usize = 1_000;

/// Why nobody can say which resources a call subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SubscriptionsError(&'static str);

impl SubscriptionsError {
    const MALFORMED: Self = Self("the subscriptions cannot be read");

    /// The same as a text that lasts.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.0
    }
}

impl Call {
    /// The URIs of the resources that a `subscriptions/listen` names; none for every other call.
    ///
    /// # Errors
    /// [`SubscriptionsError`] where they cannot be read, could be read in two ways, or are too many.
    pub fn subscriptions(&self) -> Result<Vec<String>, SubscriptionsError> {
        if self.method() != Some("subscriptions/listen") {
            return Ok(Vec::new());
        }
        let Some(params) = self.params() else {
            return Ok(Vec::new());
        };
        let Some(notifications) = exact_member(params, "notifications")? else {
            return Ok(Vec::new());
        };
        let Some(list) = exact_member(notifications, "resourceSubscriptions")? else {
            return Ok(Vec::new());
        };
        if list == "null" {
            return Ok(Vec::new());
        }
        let uris = json::items(list).ok_or(SubscriptionsError::MALFORMED)?;
        if uris.len() > MOST {
            return Err(SubscriptionsError(
                "too many resources are subscribed to at once",
            ));
        }
        uris.into_iter()
            .map(|uri| json::string(uri).map(Into::into))
            .collect::<Option<_>>()
            .ok_or(SubscriptionsError::MALFORMED)
    }
}

/// A member of an object, unless a reader that does not mind case could take another for it.
fn exact_member<'a>(
    object: &'a str,
    name: &'static str,
) -> Result<Option<&'a str>, SubscriptionsError> {
    let members = json::members(object).ok_or(SubscriptionsError::MALFORMED)?;
    if members
        .iter()
        .any(|(other, _)| json::mistakable(other, &[name]).is_some())
    {
        return Err(SubscriptionsError(
            "two names of parameters differ only in case",
        ));
    }
    Ok(members
        .into_iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value))
}
