use std::fmt;

use gatewright_egress::is_loopback;
use gatewright_jose::{Algorithm, Expect, Profile};
use url::Url;

/// Why a text is no issuer identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` cannot be an issuer: use its URL, letter by letter as in `iss`, without query and fragment"
)]
pub struct InvalidIssuer {
    given: String,
}

/// An issuer whose tokens are taken, how they are checked, and which of its claims say what.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    id: String,
    url: Url,
    jwks_url: Option<Url>,
    algorithms: Vec<Algorithm>,
    profile: Profile,
    pub(super) user_claim: String,
    pub(super) groups_claim: Option<String>,
    pub(super) roles_claim: Option<String>,
    pub(super) name_claim: Option<String>,
    pub(super) client_claim: Option<String>,
}

impl TrustedIssuer {
    /// An issuer by its identifier. Its keys are found by its metadata, tokens are as RFC 9068 says, and `sub` names the
    /// person; claims give neither groups nor roles.
    ///
    /// # Errors
    /// [`InvalidIssuer`] for what is no `https` URL (`http` on loopback) without query and fragment (RFC 8414 §2).
    pub fn new(id: &str) -> Result<Self, InvalidIssuer> {
        let invalid = || InvalidIssuer {
            given: id.to_owned(),
        };
        let url = Url::parse(id).map_err(|_no_url| invalid())?;
        let plain = (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
            && url.host_str().is_some()
            // What subjects are written with: `issuer|id` must read one way only.
            && !id.contains('|')
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            return Err(invalid());
        }
        Ok(Self {
            id: id.to_owned(),
            url,
            jwks_url: None,
            algorithms: Vec::new(),
            profile: Profile::Rfc9068,
            user_claim: "sub".to_owned(),
            groups_claim: None,
            roles_claim: None,
            name_claim: None,
            client_claim: None,
        })
    }

    /// Its keys are here, and its metadata is not asked.
    #[must_use]
    pub fn keys_at(mut self, url: Url) -> Self {
        self.jwks_url = Some(url);
        self
    }

    /// What it may sign with; every asymmetric algorithm if not said.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Which forms of access token it sends.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The claim that names the person.
    #[must_use]
    pub fn user_claim(mut self, claim: &str) -> Self {
        claim.clone_into(&mut self.user_claim);
        self
    }

    /// The claim that lists groups.
    #[must_use]
    pub fn groups_claim(mut self, claim: &str) -> Self {
        self.groups_claim = Some(claim.to_owned());
        self
    }

    /// The claim that lists roles.
    #[must_use]
    pub fn roles_claim(mut self, claim: &str) -> Self {
        self.roles_claim = Some(claim.to_owned());
        self
    }

    /// The claim with a name for people to read.
    #[must_use]
    pub fn name_claim(mut self, claim: &str) -> Self {
        self.name_claim = Some(claim.to_owned());
        self
    }

    /// The claim that names the OAuth client; `client_id`, else `azp`, if not said.
    #[must_use]
    pub fn client_claim(mut self, claim: &str) -> Self {
        self.client_claim = Some(claim.to_owned());
        self
    }

    /// The identifier, the `iss` of its tokens.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is one under development.
    pub(super) fn is_on_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    pub(super) const fn jwks_url(&self) -> Option<&Url> {
        self.jwks_url.as_ref()
    }

    pub(super) fn allowed_algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    pub(super) fn keys_are_those_of(&self, other: &Self) -> bool {
        self.id == other.id && self.jwks_url == other.jwks_url
    }

    /// What its tokens for an audience must say.
    pub(super) fn expect<'a>(&'a self, audience: &'a str) -> Expect<'a> {
        let mut expect = Expect::new(&self.id, audience);
        expect.profile = self.profile;
        expect
    }
}

impl fmt::Debug for TrustedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustedIssuer").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_plain_url() {
        for good in [
            "https://login.example",
            "https://login.example/",
            "http://127.0.0.1:1/a",
        ] {
            assert_eq!(TrustedIssuer::new(good).unwrap().id(), good);
        }
        for bad in [
            "login.example",
            "https://login.example?a",
            "https://login.example#a",
            "https://a@login.example",
            "https://login.example/a|b",
            "http://login.example",
            "urn:issuer",
            "",
        ] {
            assert!(TrustedIssuer::new(bad).is_err(), "{bad}");
        }
    }
}
