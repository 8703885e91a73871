use std::{fmt, str::FromStr};

use http::{HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use crate::{Principal, Secret, Subject};

/// How a server gets the credential that it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CredentialMode {
    /// It needs none.
    #[default]
    None,
    /// One for everybody who may call.
    Shared,
    /// Each person's own; in a delegation, that of the person.
    PerUser,
    /// Each agent's own; in a delegation, that of the agent.
    PerAgent,
}

impl CredentialMode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Shared, Self::PerUser, Self::PerAgent];

    /// The name that configuration, policies and records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Shared => "shared",
            Self::PerUser => "per-user",
            Self::PerAgent => "per-agent",
        }
    }

    /// The mode of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// Where a secret goes on its way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialForm {
    /// Into a header of every request, behind a prefix: `authorization` and `Bearer ` unless said otherwise.
    Header {
        /// The header.
        name: HeaderName,
        /// What stands before the secret.
        prefix: String,
    },
    /// Into an environment variable of a child process, when it starts.
    Environment {
        /// The variable.
        variable: String,
    },
}

impl Default for CredentialForm {
    /// A bearer token (RFC 6750 §2.1).
    fn default() -> Self {
        Self::Header {
            name: header::AUTHORIZATION,
            prefix: "Bearer ".to_owned(),
        }
    }
}

/// How the server behind a route gets its credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialRule {
    /// Whose it is. A policy's obligation `credential` chooses another mode for a call.
    pub mode: CredentialMode,
    /// Where it goes.
    pub form: CredentialForm,
}

/// Whose a stored credential is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CredentialOwner {
    /// The tenant's, for all its callers.
    Shared,
    /// A person's.
    User(Subject),
    /// An agent's.
    Agent(Subject),
}

impl CredentialOwner {
    /// Whose credential a principal's call takes in this mode (invariant 6); `None` where the principal has no such
    /// side: a person alone has no agent's, an agent alone no person's, and the mode `none` takes nobody's.
    #[must_use]
    pub fn of(principal: &Principal, mode: CredentialMode) -> Option<Self> {
        match mode {
            CredentialMode::None => None,
            CredentialMode::Shared => Some(Self::Shared),
            CredentialMode::PerUser => {
                let user = principal.user()?;
                Some(Self::User(user.subject().clone()))
            }
            CredentialMode::PerAgent => {
                let agent = principal.agent()?;
                Some(Self::Agent(agent.subject().clone()))
            }
        }
    }

    /// `shared`, `user` or `agent`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::User(_) => "user",
            Self::Agent(_) => "agent",
        }
    }

    /// The person or agent; `None` for what belongs to the tenant.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Shared => None,
            Self::User(subject) | Self::Agent(subject) => Some(subject),
        }
    }
}

/// `shared`, `user:<subject>` or `agent:<subject>`: the key of stored credentials and what records say. It reads one way
/// only.
impl fmt::Display for CredentialOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self.subject() {
            None => Ok(()),
            Some(subject) => write!(f, ":{subject}"),
        }
    }
}

/// A text that names no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner is `shared`, `user:<issuer>|<id>` or `agent:<issuer>|<id>`")]
pub struct UnknownOwner;

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for CredentialOwner {
    type Err = UnknownOwner;

    fn from_str(text: &str) -> Result<Self, UnknownOwner> {
        if text == "shared" {
            return Ok(Self::Shared);
        }
        let (kind, subject) = text.split_once(':').ok_or(UnknownOwner)?;
        let (issuer, id) = subject.split_once('|').ok_or(UnknownOwner)?;
        if issuer.is_empty() || id.is_empty() {
            return Err(UnknownOwner);
        }
        let subject = Subject::new(issuer, id);
        match kind {
            "user" => Ok(Self::User(subject)),
            "agent" => Ok(Self::Agent(subject)),
            _ => Err(UnknownOwner),
        }
    }
}

impl fmt::Debug for CredentialOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As whom a call goes upstream: CredentialLayer puts it into the request, and Upstream relays nothing without it. That a
/// server needs no credential is said too, and never assumed.
#[derive(Clone)]
pub struct UpstreamAuth {
    owner: Option<CredentialOwner>,
    version: u64,
    material: Option<Material>,
}

#[derive(Clone)]
struct Material {
    form: CredentialForm,
    secret: Secret,
}

impl UpstreamAuth {
    /// The server needs none.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            owner: None,
            version: 0,
            material: None,
        }
    }

    /// A secret of `owner` in its `version`-th form; another version is another credential.
    #[must_use]
    pub const fn new(
        owner: CredentialOwner,
        version: u64,
        form: CredentialForm,
        secret: Secret,
    ) -> Self {
        Self {
            owner: Some(owner),
            version,
            material: Some(Material { form, secret }),
        }
    }

    /// Whose it is; `None` where the server needs none.
    #[must_use]
    pub const fn owner(&self) -> Option<&CredentialOwner> {
        self.owner.as_ref()
    }

    /// What records say of it: `none`, or its owner.
    #[must_use]
    pub fn label(&self) -> String {
        self.owner
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string)
    }

    /// A key for what may be reused under this very credential and no other (upstream sessions, processes): the owner
    /// and the version, and never the secret.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}#{}", self.label(), self.version)
    }

    /// The header that carries it; `None` where there is none, or it goes elsewhere. The value is marked sensitive.
    ///
    /// # Errors
    /// [`UnfitSecret`] when the secret cannot stand in a header.
    pub fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, UnfitSecret> {
        let Some(Material {
            form: CredentialForm::Header { name, prefix },
            secret,
        }) = &self.material
        else {
            return Ok(None);
        };
        let text = Secret::new(format!("{prefix}{}", secret.expose()));
        let value = HeaderValue::from_str(text.expose()).map_err(|_invalid| UnfitSecret)?;
        let mut value = value;
        value.set_sensitive(true);
        Ok(Some((name.clone(), value)))
    }

    /// The environment variable that carries it; `None` where there is none, or it goes elsewhere.
    #[must_use]
    pub fn environment(&self) -> Option<(&str, &Secret)> {
        match &self.material {
            Some(Material {
                form: CredentialForm::Environment { variable },
                secret,
            }) => Some((variable, secret)),
            _ => None,
        }
    }
}

impl fmt::Debug for UpstreamAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpstreamAuth").field(&self.key()).finish()
    }
}

/// A secret that cannot stand where its form puts it. The text tells nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored credential has characters that no header may have: store it again, without line breaks"
)]
pub struct UnfitSecret;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Party, Route};

    fn principal(identity: Identity) -> Principal {
        Principal::new(Route::single("s", "https://a/mcp").unwrap(), identity)
    }

    fn party(id: &str) -> Party {
        Party::new(Subject::new("i", id))
    }

    #[test]
    fn each_mode_takes_the_credential_of_its_own_side() {
        let ann = principal(Identity::user(party("ann")));
        let bot = principal(Identity::agent(party("bot")));
        let both = principal(Identity::delegated(party("ann"), party("bot")));
        let owner =
            |principal, mode| CredentialOwner::of(principal, mode).map(|owner| owner.to_string());
        for (principal, user, agent) in [
            (&ann, Some("user:i|ann"), None),
            (&bot, None, Some("agent:i|bot")),
            (&both, Some("user:i|ann"), Some("agent:i|bot")),
        ] {
            assert_eq!(owner(principal, CredentialMode::None), None);
            assert_eq!(
                owner(principal, CredentialMode::Shared).as_deref(),
                Some("shared")
            );
            assert_eq!(owner(principal, CredentialMode::PerUser).as_deref(), user);
            assert_eq!(owner(principal, CredentialMode::PerAgent).as_deref(), agent);
        }
    }

    #[test]
    fn a_secret_is_shown_by_nothing_and_goes_where_its_form_says() {
        let secret = || Secret::new("planted".into());
        let auth = UpstreamAuth::new(
            CredentialOwner::Shared,
            3,
            CredentialForm::default(),
            secret(),
        );
        assert_eq!(format!("{auth:?}"), "UpstreamAuth(\"shared#3\")");
        let (name, value) = auth.header().unwrap().unwrap();
        assert_eq!(
            (name, value.to_str().unwrap()),
            (header::AUTHORIZATION, "Bearer planted")
        );
        assert!(value.is_sensitive() && !format!("{value:?}").contains("planted"));
        assert!(auth.environment().is_none());

        let variable = "API_KEY".to_owned();
        let form = CredentialForm::Environment { variable };
        let auth = UpstreamAuth::new(CredentialOwner::Shared, 3, form, secret());
        assert_eq!(auth.header(), Ok(None));
        assert_eq!(auth.environment().unwrap().0, "API_KEY");
    }

    #[test]
    fn an_owner_is_read_as_it_is_written() {
        let ann = || Subject::new("https://idp.example", "a|n:n");
        for owner in [
            CredentialOwner::Shared,
            CredentialOwner::User(ann()),
            CredentialOwner::Agent(ann()),
        ] {
            assert_eq!(owner.to_string().parse(), Ok(owner));
        }
        for bad in [
            "",
            "Shared",
            "shared:",
            "user:ann",
            "user:|ann",
            "user:i|",
            "group:i|ann",
        ] {
            assert_eq!(bad.parse::<CredentialOwner>(), Err(UnknownOwner), "{bad}");
        }
    }

    #[test]
    fn a_secret_cannot_smuggle_a_header() {
        let secret = Secret::new("a\r\nx-admin: 1".into());
        let auth = UpstreamAuth::new(
            CredentialOwner::Shared,
            1,
            CredentialForm::default(),
            secret,
        );
        assert_eq!(auth.header(), Err(UnfitSecret));
    }

    #[test]
    fn modes_have_names() {
        for mode in CredentialMode::ALL {
            assert_eq!(CredentialMode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(CredentialMode::from_name("any"), None);
    }
}
