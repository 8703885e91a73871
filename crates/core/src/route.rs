use std::sync::Arc;

use url::Url;

use crate::{InvalidName, ServerName, TenantId};

/// Why a route cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRoute {
    /// The server's name is not one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The resource is not an absolute `http` or `https` URL without query, fragment and user (RFC 8707 §2).
    #[error("`{given}` cannot be a resource: {reason}")]
    Resource {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// How much the log must hold before a call goes on (invariant 7).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum AuditClass {
    /// The admission is in the log's segment file before the call.
    #[default]
    Required,
    /// As `required`, and the file is on the disk (`fsync`).
    RequiredFsync,
    /// The admission is queued; losses are counted and recorded.
    BestEffort,
}

/// What to do with a method that this version does not know.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownMethods {
    /// Refuse it: nobody can have decided on it.
    #[default]
    Refuse,
    /// Ask the policy and relay it byte for byte.
    Relay,
}

/// Scopes that a token must have for some calls of a server.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRule {
    /// Names of tools, prompts or resources the rule is for, `*` for a part; empty means every call.
    #[serde(default)]
    pub targets: Vec<crate::access::Pattern>,
    /// Every one of these must be in the token.
    pub scopes: Vec<String>,
}

/// What configuration says about the server behind a route, as far as the layers need it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Profile {
    /// What the log must hold before a call.
    pub audit: AuditClass,
    /// Whether the log holds arguments themselves and not only their digest.
    pub log_contents: bool,
    /// What becomes of unknown methods.
    pub unknown_methods: UnknownMethods,
    /// Scopes that tokens must have, by call.
    pub scopes: Vec<ScopeRule>,
    /// How the server gets its credential.
    pub credential: crate::CredentialRule,
    /// Issuers whose tokens the route takes: `authorization_servers` of its metadata (RFC 9728 §2).
    pub authorization_servers: Vec<String>,
    /// A name for people, `resource_name` of its metadata.
    pub title: Option<String>,
}

/// Tenant, server and resource of an endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Route(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tenant: TenantId,
    server: ServerName,
    resource: String,
    metadata: String,
    metadata_path: String,
    profile: Profile,
}

impl Route {
    /// The only endpoint of a service that guards itself: default tenant, `resource` is the audience that
    /// tokens must name.
    ///
    /// # Errors
    /// [`InvalidRoute`] when the name or the URL is not usable.
    pub fn single(server: &str, resource: &str) -> Result<Self, InvalidRoute> {
        Self::new(
            TenantId::default(),
            ServerName::new(server)?,
            resource,
            Profile::default(),
        )
    }

    /// An endpoint of a tenant.
    ///
    /// # Errors
    /// [`InvalidRoute`] when the resource is not usable as one.
    pub fn new(
        tenant: TenantId,
        server: ServerName,
        resource: &str,
        profile: Profile,
    ) -> Result<Self, InvalidRoute> {
        let bad = |reason: &str| InvalidRoute::Resource {
            given: resource.to_owned(),
            reason: reason.to_owned(),
        };
        let url = Url::parse(resource).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("an absolute `https` URL is needed"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it may have neither query nor fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it may not name a user"));
        }
        let path = url.path().trim_end_matches('/');
        let origin = url.origin().ascii_serialization();
        // RFC 9728 §3.1: the well-known part goes between the host and the path.
        let metadata_path = format!("/.well-known/oauth-protected-resource{path}");
        Ok(Self(Arc::new(Inner {
            tenant,
            server,
            resource: format!("{origin}{path}"),
            metadata: format!("{origin}{metadata_path}"),
            metadata_path,
            profile,
        })))
    }

    /// The same endpoint, whose metadata names this issuer as one whose tokens it takes (RFC 9728 §2).
    #[must_use]
    pub fn authorization_server(self, issuer: &str) -> Self {
        self.map_profile(|profile| profile.authorization_servers.push(issuer.to_owned()))
    }

    /// The same endpoint with another profile.
    #[must_use]
    pub fn map_profile(self, change: impl FnOnce(&mut Profile)) -> Self {
        let inner = &*self.0;
        let mut profile = inner.profile.clone();
        change(&mut profile);
        Self(Arc::new(Inner {
            tenant: inner.tenant.clone(),
            server: inner.server.clone(),
            resource: inner.resource.clone(),
            metadata: inner.metadata.clone(),
            metadata_path: inner.metadata_path.clone(),
            profile,
        }))
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// The one server behind it.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        &self.0.server
    }

    /// The resource URL: the audience that tokens must name (RFC 8707).
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// Where its metadata is published (RFC 9728 §3.1).
    #[must_use]
    pub fn metadata_url(&self) -> &str {
        &self.0.metadata
    }

    /// The path of [`metadata_url`](Self::metadata_url).
    #[must_use]
    pub fn metadata_path(&self) -> &str {
        &self.0.metadata_path
    }

    /// What configuration says about the server.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.0.profile
    }

    /// The scopes that every call needs: what a first challenge asks for, so that nobody's first use depends
    /// on a step-up.
    #[must_use]
    pub fn base_scopes(&self) -> Vec<&str> {
        self.scopes_where(|rule| rule.targets.is_empty())
    }

    /// The scopes that a call on `target` needs.
    #[must_use]
    pub fn scopes_for(&self, target: Option<&str>) -> Vec<&str> {
        self.scopes_where(|rule| {
            rule.targets.is_empty()
                || target.is_some_and(|name| rule.targets.iter().any(|p| p.matches(name)))
        })
    }

    /// Every scope that some call needs (`scopes_supported`, RFC 9728 §2).
    #[must_use]
    pub fn all_scopes(&self) -> Vec<&str> {
        self.scopes_where(|_| true)
    }

    fn scopes_where(&self, wanted: impl Fn(&ScopeRule) -> bool) -> Vec<&str> {
        let mut scopes: Vec<&str> = Vec::new();
        for scope in self
            .profile()
            .scopes
            .iter()
            .filter(|rule| wanted(rule))
            .flat_map(|rule| &rule.scopes)
        {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        scopes
    }

    /// Whether both are the same endpoint of the same tenant.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.tenant() == other.tenant()
                && self.server() == other.server()
                && self.resource() == other.resource())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_path_is_inserted_before_the_resource_path() {
        let route = Route::single("billing", "https://api.example.com/mcp/billing").unwrap();
        assert_eq!(
            route.metadata_url(),
            "https://api.example.com/.well-known/oauth-protected-resource/mcp/billing"
        );
        let root = Route::single("billing", "https://api.example.com").unwrap();
        assert_eq!(
            root.metadata_url(),
            "https://api.example.com/.well-known/oauth-protected-resource"
        );
        assert_eq!(root.resource(), "https://api.example.com");
    }

    #[test]
    fn a_resource_is_a_plain_absolute_url() {
        for bad in [
            "/mcp",
            "ftp://a/b",
            "https://a/b?c",
            "https://a/b#c",
            "https://u:p@a/b",
            "mailto:a@b",
        ] {
            assert!(Route::single("s", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_depend_on_the_target() {
        let route = Route::single("s", "https://a/mcp")
            .unwrap()
            .map_profile(|profile| {
                profile.scopes = vec![
                    ScopeRule {
                        targets: vec![],
                        scopes: vec!["read".into()],
                    },
                    ScopeRule {
                        targets: vec![crate::access::Pattern::new("pay_*")],
                        scopes: vec!["write".into(), "read".into()],
                    },
                ];
            });
        assert_eq!(route.base_scopes(), ["read"]);
        assert_eq!(route.scopes_for(Some("pay_now")), ["read", "write"]);
        assert_eq!(route.scopes_for(Some("list")), ["read"]);
        assert_eq!(route.scopes_for(None), ["read"]);
    }
}
