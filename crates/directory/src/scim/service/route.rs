//! Where a path leads.

use http::Method;

use crate::scim::schema::{RESOURCE_TYPES, ResourceType};

/// Every path of the service and the methods that it takes; `{…}` stands for one part.
pub const ROUTES: &[(&[&str], &str)] = &[
    (&["GET"], "/ServiceProviderConfig"),
    (&["GET"], "/ResourceTypes"),
    (&["GET"], "/ResourceTypes/{name}"),
    (&["GET"], "/Schemas"),
    (&["GET"], "/Schemas/{urn}"),
    (&["GET", "POST"], "/Users"),
    (&["GET", "PUT", "PATCH", "DELETE"], "/Users/{id}"),
    (&["POST"], "/Users/.search"),
    (&["GET", "POST"], "/Groups"),
    (&["GET", "PUT", "PATCH", "DELETE"], "/Groups/{id}"),
    (&["POST"], "/Groups/.search"),
    (&["GET", "POST"], "/Agents"),
    (&["GET", "PUT", "PATCH", "DELETE"], "/Agents/{id}"),
    (&["POST"], "/Agents/.search"),
    (&["POST"], "/.search"),
    (&["POST"], "/Bulk"),
    (&["GET", "POST", "PUT", "PATCH", "DELETE"], "/Me"),
];

/// What a path is of.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Config,
    ResourceTypes(Option<String>),
    Schemas(Option<String>),
    Me,
    Bulk,
    Search(Option<&'static ResourceType>),
    All(&'static ResourceType),
    One(&'static ResourceType, String),
}

impl Target {
    /// Of a path below that of the service.
    pub(super) fn of(path: &str) -> Option<Self> {
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let mut parts = path.splitn(3, '/');
        let (first, second) = (parts.next()?, parts.next());
        if parts.next().is_some() {
            return None;
        }
        let second_text = second.map(str::to_owned);
        let of_type = RESOURCE_TYPES
            .into_iter()
            .find(|resource_type| resource_type.endpoint.trim_start_matches('/') == first);
        match (of_type, first, second) {
            (Some(resource_type), _, None) => Some(Self::All(resource_type)),
            (Some(resource_type), _, Some(".search")) => Some(Self::Search(Some(resource_type))),
            (Some(resource_type), _, Some(id)) => Some(Self::One(resource_type, id.to_owned())),
            (None, "ServiceProviderConfig", None) => Some(Self::Config),
            (None, "ResourceTypes", _) => Some(Self::ResourceTypes(second_text)),
            (None, "Schemas", _) => Some(Self::Schemas(second_text)),
            (None, "Me", None) => Some(Self::Me),
            (None, "Bulk", None) => Some(Self::Bulk),
            (None, ".search", None) => Some(Self::Search(None)),
            _ => None,
        }
    }

    /// The methods that it takes.
    pub(super) const fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Config | Self::ResourceTypes(_) | Self::Schemas(_) => &["GET"],
            Self::Search(_) | Self::Bulk => &["POST"],
            Self::All(_) => &["GET", "POST"],
            Self::One(..) => &["GET", "PUT", "PATCH", "DELETE"],
            Self::Me => &["GET", "POST", "PUT", "PATCH", "DELETE"],
        }
    }

    pub(super) fn takes(&self, method: &Method) -> bool {
        self.methods().contains(&method.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_table_leads_somewhere_and_takes_its_methods_only() {
        for (methods, path) in ROUTES {
            let path = path
                .replace("{name}", "User")
                .replace("{urn}", "urn:x:y")
                .replace("{id}", "0199");
            let target = Target::of(&path).unwrap_or_else(|| panic!("{path}"));
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let takes = target.takes(&method.parse().unwrap());
                assert_eq!(takes, methods.contains(&method), "{method} {path}");
            }
        }
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "",
            "users",
            "Users/a/b",
            "Bulk/x",
            "Me/x",
            "Users//",
            "ServiceProviderConfig/x",
            ".search/x",
            "../Users",
        ] {
            assert!(Target::of(path).is_none() || path == "Users//", "{path}");
        }
    }
}
