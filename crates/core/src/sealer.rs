use crate::Timestamp;

/// What a sealed text is for. A text sealed for one purpose does not open for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The session id of a legacy MCP session.
    Session,
}

impl Purpose {
    /// A stable name, part of what is authenticated.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
        }
    }
}

/// A text could not be sealed: our own fault (no key, no randomness).
#[derive(Debug, thiserror::Error)]
#[error("cannot seal: {0}")]
pub struct SealError(pub String);

/// A sealed text did not open. Deliberately without detail: it was brought by a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a text that was sealed here, for this owner and purpose, and is still valid")]
pub struct OpenError;

/// Seals what a client must bring back, so that any replica can open it and nobody can forge or pass it on.
///
/// The text is authenticated encryption (AEAD) bound to the purpose, to every part of `bound` (tenant,
/// principal, server, …; parts cannot run into each other) and to the expiry.
pub trait Sealer: Send + Sync + 'static {
    /// Seals `plaintext` into visible ASCII that is safe in a header.
    ///
    /// # Errors
    /// [`SealError`] when there is no key or no randomness.
    fn seal(
        &self,
        purpose: Purpose,
        bound: &[&str],
        expires: Timestamp,
        plaintext: &[u8],
    ) -> Result<String, SealError>;

    /// Opens what [`seal`](Self::seal) made with the same purpose and `bound`.
    ///
    /// # Errors
    /// [`OpenError`] for everything else, and once `now` is past the expiry.
    fn open(
        &self,
        purpose: Purpose,
        bound: &[&str],
        now: Timestamp,
        sealed: &str,
    ) -> Result<Vec<u8>, OpenError>;
}
