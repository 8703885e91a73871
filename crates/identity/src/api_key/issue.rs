use gatewright_core::{Secret, Subject, Timestamp, access::Pattern};

use super::{ApiKeyId, ApiKeysError, KeyHolder};

const LONGEST_NAME: usize = 100;
const MOST_SERVERS: usize = 100;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What people call it.
    pub name: String,
    /// Who calls with it.
    pub holder: KeyHolder,
    /// The servers on whose routes it is taken; `*` for all.
    pub servers: Vec<Pattern>,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// A key that was made. Its text is shown once, and cannot be had again.
#[derive(Clone, Debug)]
pub struct IssuedApiKey {
    /// Names it.
    pub id: ApiKeyId,
    /// The key itself.
    pub text: Secret,
}

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateApiKeyError {
    /// Its name cannot be shown.
    #[error("a key needs a name of 1 to {LONGEST_NAME} characters, without control characters")]
    Name,
    /// Its holder is nobody.
    #[error("a key needs a holder: an issuer without `|`, and an id")]
    Holder,
    /// It would open nothing, or too much is listed.
    #[error("a key needs 1 to {MOST_SERVERS} servers; `*` is all of them")]
    Servers,
    /// It would never be good.
    #[error("a key ends in the future")]
    Ended,
    /// The tenant gives keys to agents only.
    #[error("this tenant has no keys for people: allow them first, or make it for an agent")]
    PeopleOff,
    /// There are very many.
    #[error("there are {} keys: purge those that have ended", NewApiKey::MOST)]
    TooMany,
    /// The tenant is not one of this process.
    #[error("no keys of this tenant are loaded")]
    UnknownTenant,
    /// The machine has no randomness.
    #[error("there is no randomness to make a key from")]
    Random,
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] ApiKeysError),
    /// The task that stores it ended before it was done.
    #[error(
        "the key may have been made and cannot be shown: make another, and revoke it if a list has it"
    )]
    Interrupted,
}

impl NewApiKey {
    /// Keys of a tenant, ended ones included.
    pub(crate) const MOST: usize = 100_000;

    /// Whether the key could be shown and used.
    pub(crate) fn check(&self) -> Result<(), CreateApiKeyError> {
        let length = self.name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length) || self.name.chars().any(char::is_control) {
            return Err(CreateApiKeyError::Name);
        }
        let (KeyHolder::Agent(subject) | KeyHolder::User(subject)) = &self.holder;
        if !is_somebody(subject) {
            return Err(CreateApiKeyError::Holder);
        }
        let servers = &self.servers;
        let fits = (1..=MOST_SERVERS).contains(&servers.len())
            && servers
                .iter()
                .all(|server| (1..=LONGEST_NAME).contains(&server.as_str().len()));
        if !fits {
            return Err(CreateApiKeyError::Servers);
        }
        Ok(())
    }
}

/// Subjects are written `issuer|id`, which reads one way only as long as no issuer holds a `|`.
fn is_somebody(subject: &Subject) -> bool {
    !subject.issuer().is_empty() && !subject.issuer().contains('|') && !subject.id().is_empty()
}
