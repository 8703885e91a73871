//! Which claim says what: from the claims of a token to an identity.

use std::{collections::BTreeSet, sync::Arc};

use gatewright_core::{Group, Identity, Method, Party, Subject, Timestamp};
use gatewright_jose::{Claims, LEEWAY, numeric_date};
use serde_json::Value;

use super::TrustedIssuer;

/// Longer lists of groups, roles and scopes than anybody has.
const MAX_LIST: usize = 4096;
/// Longer names than anybody has, in bytes.
const MAX_NAME: usize = 1024;

/// Why the claims of a good token name nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapClaimsError {
    /// A claim that the configuration names is not there.
    #[error("the token has no `{0}`")]
    Missing(String),
    /// A claim has another form than it should.
    #[error("the token's `{0}` is not of the right form")]
    Form(String),
    /// The groups are not in the token (OpenID Connect Core §5.6.2, as Entra ID does for long lists). Without them a rule
    /// that forbids something to a group would not be applied.
    #[error(
        "the token does not list the groups themselves: the issuer has to send them, or fewer of them"
    )]
    ListElsewhere,
    /// The token is bound to a key (`cnf`, RFC 7800; DPoP, RFC 9449 §6; mutual TLS, RFC 8705 §3). Taken without proof of
    /// that key it would be worth to a thief what it is worth to its owner.
    #[error("the token is bound to a key and is not taken as a bearer token")]
    Bound,
}

impl MapClaimsError {
    /// A stable code in kebab case, for records and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing-claim",
            Self::Form(_) => "malformed-claim",
            Self::ListElsewhere => "list-elsewhere",
            Self::Bound => "bound-token",
        }
    }
}

impl TrustedIssuer {
    /// Whom the claims name.
    ///
    /// - With `act` it is a delegation: the outermost actor acts for the subject, who is a person. Actors within it are
    ///   the history and decide nothing (RFC 8693 §4.1).
    /// - A subject that is the client itself is an agent on its own behalf (RFC 9068 §2.2, client credentials), and so is
    ///   what issuers mark as a program: its id is that of the client.
    /// - Anything else is a person. Groups and roles are those of the subject.
    pub(super) fn identity(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Identity, MapClaimsError> {
        if claims.get("cnf").is_some() {
            return Err(MapClaimsError::Bound);
        }
        let client = self.client(claims)?;
        let agent = if client == Some(claims.subject()) || is_program(claims) {
            Some(client.ok_or_else(|| MapClaimsError::Missing("client_id".to_owned()))?)
        } else {
            None
        };
        let mut identity = match (claims.get("act"), agent) {
            // An agent for an agent is not what "for a person" permits.
            (Some(_), Some(_)) => return Err(form("act")),
            (Some(act), None) => Identity::delegated(self.person(claims)?, self.actor(act)?),
            // The claim that names people says nothing of a client.
            (None, Some(agent)) => Identity::agent(self.party(claims, agent)?),
            (None, None) => Identity::user(self.person(claims)?),
        };
        identity.scopes = Some(scopes(claims)?);
        identity.client_id = client.map(Arc::from);
        identity.method = Method::AccessToken;
        identity.authenticated_at = moment(claims, "auth_time")?;
        // Later than now it would be fresh for ever.
        if identity
            .authenticated_at
            .is_some_and(|at| at > now.plus(LEEWAY))
        {
            return Err(form("auth_time"));
        }
        identity.acr = optional(claims, "acr")?.map(Arc::from);
        identity.expires_at = Some(claims.expires_at());
        Ok(identity)
    }

    fn person(&self, claims: &Claims) -> Result<Party, MapClaimsError> {
        let id = optional(claims, &self.user_claim)?;
        let id = id.ok_or_else(|| MapClaimsError::Missing(self.user_claim.clone()))?;
        let party = self.party(claims, id)?;
        Ok(match verified_email(claims) {
            Some(email) => party.with_verified_email(email),
            None => party,
        })
    }

    fn party(&self, claims: &Claims, id: &str) -> Result<Party, MapClaimsError> {
        let mut party = Party::new(Subject::new(self.id(), id));
        if let Some(claim) = &self.groups_claim {
            let names = list(claims, claim)?;
            party = party.with_groups(names.into_iter().map(|name| Group::new(self.id(), name)));
        }
        if let Some(claim) = &self.roles_claim {
            party = party.with_roles(list(claims, claim)?);
        }
        // Nothing is decided on a name: one that cannot be shown is left out.
        let name = self
            .name_claim
            .as_ref()
            .and_then(|claim| find(claims, claim));
        if let Some(name) = name.and_then(short) {
            party = party.with_name(name);
        }
        Ok(party)
    }

    fn client<'a>(&self, claims: &'a Claims) -> Result<Option<&'a str>, MapClaimsError> {
        match &self.client_claim {
            Some(claim) => optional(claims, claim),
            None => match optional(claims, "client_id")? {
                Some(client) => Ok(Some(client)),
                None => optional(claims, "azp"),
            },
        }
    }

    fn actor(&self, act: &Value) -> Result<Party, MapClaimsError> {
        let act = act.as_object().ok_or_else(|| form("act"))?;
        // An issuer vouches for its own agents: it must not name one of another issuer.
        if act.get("iss").is_some_and(|issuer| issuer != self.id()) {
            return Err(form("act"));
        }
        let id = act.get("sub").and_then(short).ok_or_else(|| form("act"))?;
        Ok(Party::new(Subject::new(self.id(), id)))
    }
}

fn form(claim: &str) -> MapClaimsError {
    MapClaimsError::Form(claim.to_owned())
}

/// An address that the issuer does not say it has verified is none (OpenID Connect Core §5.1). Some send the word for the value.
fn verified_email(claims: &Claims) -> Option<&str> {
    let verified = claims.get("email_verified")?;
    let is_verified = *verified == Value::Bool(true) || verified == "true";
    is_verified
        .then(|| claims.get("email").and_then(short))
        .flatten()
}

/// What issuers say of tokens that no person asked for, besides naming the client as the subject.
fn is_program(claims: &Claims) -> bool {
    let says = |claim, value: &str| claims.get(claim).is_some_and(|given| given == value);
    // Microsoft Entra ID, and Auth0.
    says("idtyp", "app") || says("gty", "client-credentials")
}

/// A claim by its name; where there is none of that name, by its path (`realm_access.roles`).
fn find<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.')
        .try_fold(claims.get(first)?, |value, part| value.get(part))
}

fn short(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    (!text.is_empty() && text.len() <= MAX_NAME).then_some(text)
}

fn optional<'a>(claims: &'a Claims, claim: &str) -> Result<Option<&'a str>, MapClaimsError> {
    let value = find(claims, claim);
    value
        .map(|value| short(value).ok_or_else(|| form(claim)))
        .transpose()
}

/// A list of strings; one string is a list of one. None at all is an empty list, unless the token says that the list is
/// elsewhere.
fn list<'a>(claims: &'a Claims, claim: &str) -> Result<Vec<&'a str>, MapClaimsError> {
    let first = claim.split('.').next().unwrap_or(claim);
    if let Some(elsewhere) = claims.get("_claim_names") {
        let names = elsewhere.as_object().ok_or_else(|| form("_claim_names"))?;
        if names.contains_key(claim) || names.contains_key(first) {
            return Err(MapClaimsError::ListElsewhere);
        }
    }
    // Entra ID's word for it in tokens that are short of room.
    if first == "groups" && claims.get("hasgroups").is_some() {
        return Err(MapClaimsError::ListElsewhere);
    }
    match find(claims, claim) {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) if values.len() <= MAX_LIST => values
            .iter()
            .map(|value| short(value).ok_or_else(|| form(claim)))
            .collect(),
        Some(one) => Ok(vec![short(one).ok_or_else(|| form(claim))?]),
    }
}

/// `scope`, words with spaces between (RFC 9068 §2.2.3); some issuers send `scp`, in that form or as a list. A token
/// without any has the scopes of nobody.
fn scopes(claims: &Claims) -> Result<BTreeSet<Arc<str>>, MapClaimsError> {
    let claim = if claims.get("scope").is_some() {
        "scope"
    } else {
        "scp"
    };
    let mut scopes = BTreeSet::new();
    let texts: Vec<&str> = match claims.get(claim) {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(values)) => {
            let texts = values
                .iter()
                .map(|value| value.as_str().ok_or_else(|| form(claim)));
            texts.collect::<Result<_, _>>()?
        }
        Some(_) => return Err(form(claim)),
    };
    for scope in texts.into_iter().flat_map(str::split_ascii_whitespace) {
        if scopes.len() >= MAX_LIST {
            return Err(form(claim));
        }
        scopes.insert(Arc::from(scope));
    }
    Ok(scopes)
}

fn moment(claims: &Claims, claim: &str) -> Result<Option<Timestamp>, MapClaimsError> {
    let value = claims.get(claim);
    value
        .map(|value| numeric_date(value).ok_or_else(|| form(claim)))
        .transpose()
}
