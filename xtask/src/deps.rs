//! The allowed edges between our crates, and who may know which library.
//!
//! Only what ships is held to the edges: normal and build dependencies of `crates/*`. Tests, examples and this tool may
//! use what they like.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::cargo::{self, Metadata, Node, Package};

/// The prefix that our package names share and the tables below leave out.
const PREFIX: &str = "gatewright-";
/// The binary, which may depend on every other crate.
const BINARY: &str = "gatewright";

/// Which of our crates a crate may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("core", &["wire"]),
    ("egress", &["core"]),
    ("jose", &["core", "egress"]),
    ("identity", &["core", "wire", "egress", "jose"]),
    ("policy", &["core", "wire"]),
    ("policy-cedar", &["core", "wire", "policy"]),
    ("vault", &["core", "wire", "egress", "jose"]),
    ("audit", &["core", "wire", "egress"]),
    ("guard", &["core", "wire"]),
    ("mcp", &["core", "wire"]),
    ("upstream", &["core", "wire", "egress"]),
    ("directory", &["core"]),
    ("authserver", &["core", "directory", "egress", "jose"]),
    (
        "store",
        &[
            "core",
            "identity",
            "policy",
            "vault",
            "audit",
            "directory",
            "authserver",
        ],
    ),
    (
        "console",
        &[
            "core",
            "directory",
            "audit",
            "vault",
            "policy",
            "identity",
            "authserver",
        ],
    ),
];

/// Libraries that only some of our crates may know.
const CONFINED: &[(&str, &[&str])] = &[
    // console: decision 0027
    ("hyper", &["console", "egress", "upstream", BINARY]),
    ("hyper-util", &["console", "egress", "upstream", BINARY]),
    ("hyper-rustls", &["egress", "upstream", BINARY]),
    ("tokio-rustls", &["egress", "upstream", BINARY]),
    (
        "axum",
        &["identity", "authserver", "directory", "console", BINARY],
    ),
    ("jsonwebtoken", &["jose"]),
    ("cedar-policy", &["policy-cedar"]),
    ("anyhow", &[BINARY]),
];

/// Libraries that must not be in what we build for Linux: one crypto library, and no C TLS.
const BANNED: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "serde_yaml"];
const PLATFORMS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Fails on any edge that the tables do not allow.
pub(crate) fn run() -> Result<()> {
    let metadata = Metadata::load()?;
    let mut faults: Vec<String> = metadata
        .members()
        .filter(|package| package.is_under("crates"))
        .flat_map(package_faults)
        .collect();
    faults.extend(
        metadata
            .resolve
            .nodes
            .iter()
            .zip(std::iter::repeat(&metadata))
            .flat_map(crypto_faults),
    );
    for platform in PLATFORMS {
        faults.extend(banned(&cargo::built_for(platform)?, platform));
    }
    for fault in &faults {
        println!("deps: {fault}");
    }
    if !faults.is_empty() {
        bail!("{} dependencies are not allowed", faults.len());
    }
    println!("deps: every edge is allowed");
    Ok(())
}

/// A package's name as the tables write it.
fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

fn package_faults(package: &Package) -> Vec<String> {
    let own = short(&package.name);
    let allowed = EDGES
        .iter()
        .find(|(name, _)| *name == own)
        .map(|(_, edges)| *edges);
    if allowed.is_none() && own != BINARY {
        return vec![format!("`{own}` is not in the table of allowed edges")];
    }
    let mut faults = Vec::new();
    for dependency in package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
    {
        let name = short(&dependency.name);
        let ours = dependency.name.starts_with(PREFIX) || dependency.name == BINARY;
        let edge_is_open = match allowed {
            Some(edges) => edges.contains(&name),
            None => EDGES.iter().any(|(known, _)| *known == name),
        };
        if ours && !edge_is_open {
            faults.push(format!("`{own}` must not depend on `{name}`"));
        }
        let confined = CONFINED
            .iter()
            .find(|(library, _)| *library == dependency.name);
        if let Some((library, users)) = confined
            && !users.contains(&own)
        {
            faults.push(format!(
                "`{own}` must not know `{library}` (only {})",
                users.join(", ")
            ));
        }
    }
    faults
}

/// With both of its back ends enabled, jsonwebtoken panics at first use unless one was installed.
fn crypto_faults((node, metadata): (&Node, &Metadata)) -> Option<String> {
    let is_jsonwebtoken = metadata.names().get(node.id.as_str()) == Some(&"jsonwebtoken");
    let has = |feature: &str| node.features.iter().any(|enabled| enabled == feature);
    (is_jsonwebtoken && (!has("aws_lc_rs") || has("rust_crypto"))).then(|| {
        "`jsonwebtoken` must be built with `aws_lc_rs` and without `rust_crypto`".to_owned()
    })
}

fn banned(built: &BTreeSet<String>, platform: &str) -> Vec<String> {
    BANNED
        .iter()
        .filter(|name| built.contains(**name))
        .map(|name| format!("`{name}` is built for {platform}; `cargo tree --workspace -i {name} --target {platform}` says why"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cargo::Dependency;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        };
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            manifest_path: PathBuf::new(),
            dependencies: dependencies.iter().map(dependency).collect(),
            targets: Vec::new(),
        }
    }

    #[test]
    fn listed_edge_is_allowed_and_a_sibling_is_not() {
        let good = package(
            "gatewright-policy",
            &[("gatewright-core", None), ("serde", None)],
        );
        assert!(package_faults(&good).is_empty());
        for kind in [None, Some("build")] {
            let bad = package("gatewright-policy", &[("gatewright-audit", kind)]);
            assert_eq!(package_faults(&bad).len(), 1);
        }
    }

    #[test]
    fn tests_may_use_what_the_crate_may_not() {
        let tested = package(
            "gatewright-policy",
            &[("gatewright-audit", Some("dev")), ("hyper", Some("dev"))],
        );
        assert!(package_faults(&tested).is_empty());
    }

    #[test]
    fn confined_library_is_refused_elsewhere() {
        assert!(package_faults(&package("gatewright-upstream", &[("hyper", None)])).is_empty());
        assert_eq!(
            package_faults(&package("gatewright-mcp", &[("hyper", None)])).len(),
            1
        );
        assert_eq!(
            package_faults(&package("gatewright", &[("jsonwebtoken", None)])).len(),
            1
        );
    }

    #[test]
    fn banned_library_is_named_with_its_platform() {
        let built = |names: [&str; 2]| names.map(str::to_owned).into();
        assert!(banned(&built(["rustls", "aws-lc-rs"]), "linux").is_empty());
        let faults = banned(&built(["rustls", "ring"]), "linux");
        assert!(
            matches!(faults.as_slice(), [fault] if fault.contains("`ring` is built for linux"))
        );
    }

    #[test]
    fn binary_may_depend_on_every_crate_and_on_nothing_else_of_ours() {
        let good = package("gatewright", &[("gatewright-audit", None), ("hyper", None)]);
        assert!(package_faults(&good).is_empty());
        let bad = package("gatewright", &[("gatewright-test-support", None)]);
        assert_eq!(package_faults(&bad).len(), 1);
    }

    #[test]
    fn unknown_crate_and_the_binary_as_a_dependency_are_refused() {
        assert_eq!(package_faults(&package("gatewright-misc", &[])).len(), 1);
        assert_eq!(
            package_faults(&package("gatewright-core", &[("gatewright", None)])).len(),
            1
        );
    }
}
