//! Which path is which endpoint, and which server is behind it. A reload puts another table in its place at once.

use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use gatewright_core::{InvalidRoute, Profile, Route, ServerName, TenantId};
use gatewright_identity::Routes;
use gatewright_upstream::{Target, Targets, Transport};
use http::{HeaderMap, Uri};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::{Reach, Server, Settings, Tenant};

/// Every endpoint. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Routing(Arc<ArcSwap<Table>>);

/// Endpoints that can be [published](Routing::publish).
#[derive(Default)]
pub(crate) struct Table {
    paths: HashMap<String, Endpoint>,
    metadata: HashMap<String, Route>,
    servers: HashMap<(TenantId, ServerName), Arc<Target>>,
}

/// A route, and when it ends to be one.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) route: Route,
    /// Cancelled when another table has nothing here, or another server: standing streams end then.
    pub(crate) ended: CancellationToken,
}

impl Routing {
    /// The endpoint at a path.
    pub(crate) fn endpoint(&self, path: &str) -> Option<Endpoint> {
        self.0.load().paths.get(path).cloned()
    }

    /// The route of the endpoint at a path.
    pub(crate) fn at(&self, path: &str) -> Option<Route> {
        let table = self.0.load();
        table.paths.get(path).map(|endpoint| endpoint.route.clone())
    }

    /// The endpoint whose metadata is at a path.
    pub(crate) fn described_at(&self, path: &str) -> Option<Route> {
        self.0.load().metadata.get(path).cloned()
    }

    /// The endpoints of these tenants, to be put in the place of those of now.
    pub(crate) fn plan<'a>(
        &self,
        tenants: impl IntoIterator<Item = &'a Tenant>,
        settings: &Settings,
    ) -> Result<Table, InvalidRoute> {
        let before = self.0.load();
        let mut table = Table::default();
        for tenant in tenants {
            for server in &tenant.servers {
                let path = path(&tenant.id, &server.name);
                let route = route(tenant, server, &settings.public_url, &path)?;
                table
                    .metadata
                    .insert(route.metadata_path().to_owned(), route.clone());
                let key = (tenant.id.clone(), server.name.clone());
                // What has not changed keeps what is known of it, as its era, and its streams.
                let (target, ended) = match (before.servers.get(&key), before.paths.get(&path)) {
                    (Some(same), Some(endpoint)) if reaches(same, server, settings) => {
                        (Arc::clone(same), endpoint.ended.clone())
                    }
                    _ => (
                        Arc::new(target(server, settings)?),
                        CancellationToken::new(),
                    ),
                };
                table.paths.insert(path, Endpoint { route, ended });
                table.servers.insert(key, target);
            }
        }
        Ok(table)
    }

    /// Puts these endpoints in the place of all others.
    pub(crate) fn publish(&self, table: Table) {
        let table = Arc::new(table);
        let before = self.0.swap(Arc::clone(&table));
        for (path, endpoint) in &before.paths {
            let stays = table
                .paths
                .get(path)
                .is_some_and(|now| now.ended == endpoint.ended);
            if !stays {
                endpoint.ended.cancel();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn replace(
        &self,
        organisation: &crate::config::Organisation,
        settings: &Settings,
    ) -> Result<(), InvalidRoute> {
        self.publish(self.plan(&organisation.tenants, settings)?);
        Ok(())
    }
}

/// Where an endpoint is: `/mcp/<server>`, for other tenants than the default `/t/<tenant>/mcp/<server>`.
pub(crate) fn path(tenant: &TenantId, server: &ServerName) -> String {
    if *tenant == TenantId::default() {
        format!("/mcp/{server}")
    } else {
        format!("/t/{tenant}/mcp/{server}")
    }
}

/// The endpoint of a server.
pub(crate) fn route(
    tenant: &Tenant,
    server: &Server,
    public_url: &Url,
    path: &str,
) -> Result<Route, InvalidRoute> {
    let mut profile = Profile::default();
    profile.audit = server.audit;
    profile.log_contents = server.log_contents;
    profile.unknown_methods = server.unknown_methods;
    profile.scopes = server.scopes.clone();
    profile.authorization_servers = tenant
        .issuers
        .iter()
        .map(|issuer| issuer.issuer.clone())
        .collect();
    profile.title = server.title.clone();
    profile.credential = server.credential.clone();
    let origin = public_url.origin().ascii_serialization();
    Route::new(
        tenant.id.clone(),
        server.name.clone(),
        &format!("{origin}{path}"),
        profile,
    )
}

fn target(server: &Server, settings: &Settings) -> Result<Target, InvalidRoute> {
    let target = match &server.reach {
        Reach::Url(url) => {
            let uri = url.as_str().parse();
            Target::new(
                uri.map_err(|error: http::uri::InvalidUri| InvalidRoute::Resource {
                    given: url.to_string(),
                    reason: error.to_string(),
                })?,
            )
        }
        Reach::Program(program) => Target::stdio(program.clone()),
    };
    Ok(target
        .with_era(server.era)
        .with_timeouts(server.timeouts)
        .with_max_response(settings.limits.answer_bytes))
}

fn reaches(target: &Target, server: &Server, settings: &Settings) -> bool {
    let same = match (target.transport(), &server.reach) {
        (Transport::Http(now), Reach::Url(url)) => *now == url.as_str(),
        (Transport::Stdio(now), Reach::Program(program)) => now == program,
        _ => false,
    };
    same && target.era() == server.era
        && target.timeouts() == server.timeouts
        && target.max_response() == settings.limits.answer_bytes
}

impl Routes for Routing {
    fn find(&self, uri: &Uri, _headers: &HeaderMap) -> Option<Route> {
        self.at(uri.path())
    }
}

impl Targets for Routing {
    fn target(&self, route: &Route) -> Option<Arc<Target>> {
        let key = (route.tenant().clone(), route.server().clone());
        self.0.load().servers.get(&key).cloned()
    }
}

impl fmt::Debug for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.load().paths.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config::Organisation;

    fn settings() -> Settings {
        Settings::parse(
            "public_url = 'https://gw.example:8443'",
            std::path::Path::new("/x"),
        )
        .unwrap()
    }

    fn organisation(url: &str) -> Organisation {
        let text = format!(
            "[[issuers]]\nissuer = 'https://idp.example'\n[[servers]]\nname = 'billing'\nurl = '{url}'\ntitle = 'Bills'\n\
             [[tenants]]\nname = 'acme'\n[[tenants.issuers]]\nissuer = 'https://acme.example'\n\
             [[tenants.servers]]\nname = 'billing'\nurl = 'https://mcp.acme.example/'\n"
        );
        Organisation::parse(&text, std::path::Path::new("org.toml"), &settings()).unwrap()
    }

    #[test]
    fn each_tenant_has_paths_of_its_own() {
        let routing = Routing::default();
        routing
            .replace(&organisation("https://b.example/mcp"), &settings())
            .unwrap();
        let own = routing.at("/mcp/billing").unwrap();
        assert_eq!(own.resource(), "https://gw.example:8443/mcp/billing");
        assert_eq!(own.profile().authorization_servers, ["https://idp.example"]);
        assert_eq!(own.profile().title.as_deref(), Some("Bills"));
        let acme = routing.at("/t/acme/mcp/billing").unwrap();
        assert_eq!(acme.tenant().as_str(), "acme");
        assert_eq!(
            acme.profile().authorization_servers,
            ["https://acme.example"]
        );
        assert_eq!(
            *routing.target(&acme).unwrap().url().unwrap(),
            "https://mcp.acme.example/"
        );
        assert_eq!(
            *routing.target(&own).unwrap().url().unwrap(),
            "https://b.example/mcp"
        );
        for path in [
            "/",
            "/mcp",
            "/mcp/",
            "/mcp/billing/",
            "/mcp/other",
            "/t/default/mcp/billing",
            "/t/acme/billing",
            "//mcp/billing",
        ] {
            assert!(routing.at(path).is_none(), "{path}");
        }
        let described = routing
            .described_at("/.well-known/oauth-protected-resource/t/acme/mcp/billing")
            .unwrap();
        assert!(described.is(&acme));
    }

    #[test]
    fn a_reload_keeps_what_is_known_of_unchanged_servers() {
        let (routing, settings) = (Routing::default(), settings());
        routing
            .replace(&organisation("https://b.example/mcp"), &settings)
            .unwrap();
        let route = routing.at("/mcp/billing").unwrap();
        let first = routing.target(&route).unwrap();
        let ended = routing.endpoint("/mcp/billing").unwrap().ended;
        routing
            .replace(&organisation("https://b.example/mcp"), &settings)
            .unwrap();
        assert!(Arc::ptr_eq(&first, &routing.target(&route).unwrap()));
        assert!(!ended.is_cancelled());
        routing
            .replace(&organisation("https://c.example/mcp"), &settings)
            .unwrap();
        assert!(!Arc::ptr_eq(&first, &routing.target(&route).unwrap()));
        assert!(ended.is_cancelled(), "streams of the other server end");
        let ended = routing.endpoint("/mcp/billing").unwrap().ended;
        assert!(!ended.is_cancelled());
        routing
            .replace(
                &Organisation::parse("", std::path::Path::new("org.toml"), &settings).unwrap(),
                &settings,
            )
            .unwrap();
        assert!(routing.target(&route).is_none());
        assert!(ended.is_cancelled(), "streams of what is gone end");
    }
}
