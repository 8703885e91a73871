//! Reads the parts of a tenant and holds them against each other.

use std::path::{Path, PathBuf};

use gatewright_core::{SnapshotVersion, Subject, TenantId};
use gatewright_egress::{Class, Egress, Forbidden};
use gatewright_jose::Algorithm;
use url::Url;

use super::{Issuer, Organisation, Tenant, forms::IssuerForm};
use crate::config::{
    Settings,
    document::{Item, Problems, Table},
    settings::shown,
};

pub(super) struct Reader<'a, 't> {
    pub(super) settings: &'a Settings,
    /// What is read; paths in it are relative to it.
    pub(super) file: &'a Path,
    pub(super) version: SnapshotVersion,
    pub(super) problems: &'a mut Problems<'t>,
    egress: Egress,
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) fn new(
        settings: &'a Settings,
        file: &'a Path,
        version: u64,
        problems: &'a mut Problems<'t>,
    ) -> Self {
        Self {
            settings,
            file,
            version: SnapshotVersion(version),
            problems,
            egress: settings.egress(),
        }
    }

    pub(super) fn organisation(&mut self, mut root: Table<'_, 't>) -> Organisation {
        let mut organisation = Organisation {
            tenants: Vec::new(),
            engines: Vec::new(),
            wanted: Default::default(),
        };
        let others = root.tables("tenants", self.problems);
        self.tenant(TenantId::default(), root, &mut organisation);
        for mut table in others {
            let at = table.start();
            let name: Option<Item<'_, '_, String>> =
                table.require("name", "\"acme\"", self.problems);
            let at = name.as_ref().map_or(at, |item| item.at(&[]));
            let given = name.map(|item| item.value);
            let id = given.as_deref().and_then(|name| match TenantId::new(name) {
                Ok(id) => Some(id),
                Err(error) => {
                    self.problems.add(
                        at,
                        error.to_string(),
                        "choose another name: it is part of paths",
                    );
                    None
                }
            });
            if let Some(id) = &id
                && organisation.tenants.iter().any(|tenant| tenant.id == *id)
            {
                let what = format!("there is a tenant `{id}` already");
                let fix = "choose another name; what stands outside of `[[tenants]]` is the tenant `default`";
                self.problems.add(at, what, fix);
            }
            // A tenant whose name is no good is read all the same, for what else may be wrong.
            self.tenant(id.unwrap_or_default(), table, &mut organisation);
        }
        organisation
    }

    fn tenant(&mut self, id: TenantId, mut table: Table<'_, 't>, organisation: &mut Organisation) {
        let mut wanted = self.wanted_settings(&mut table);
        let issuers = self.issuers(&mut table);
        let servers = self.servers(&mut table);
        self.wanted_documents(&mut table, &mut wanted);
        self.people(&mut table, &issuers, &mut wanted);
        let (access, engine) = self.access(&id, &mut table, &issuers, &servers);
        table.end(self.problems);
        wanted.grants = access.grants.iter().map(super::wanted::grant).collect();
        wanted.roles.clone_from(&access.roles);
        wanted.policies = access.policies;
        organisation.engines.extend(engine);
        organisation.tenants.push(Tenant {
            id: id.clone(),
            people_keys: wanted.settings.api_keys_for_people.unwrap_or_default(),
            issuers,
            servers,
            roles: access.roles,
            grants: access.grants,
        });
        // A file that says nothing at its top is not about the tenant `default`, and takes nothing away from it.
        if id != TenantId::default() || wanted != Default::default() {
            organisation.wanted.tenants.insert(id, wanted);
        }
    }

    /// A path of the file, which is relative to it.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn issuers(&mut self, table: &mut Table<'_, 't>) -> Vec<Issuer> {
        let mut issuers: Vec<Issuer> = Vec::new();
        for item in table.list::<IssuerForm>("issuers", self.problems) {
            let at = item.at(&["issuer"]);
            self.fetched_url(&item.value.issuer, at);
            if item.value.issuer.contains(['|', '?', '#']) {
                let what = format!("`{}` is no issuer", item.value.issuer);
                self.problems.add(
                    at,
                    what,
                    "an issuer is a URL without query and fragment (RFC 8414 §2)",
                );
            }
            if issuers
                .iter()
                .any(|other| other.issuer == item.value.issuer)
            {
                let what = format!("there is an issuer `{}` already", item.value.issuer);
                self.problems.add(at, what, "name each issuer once");
            }
            let jwks_url = item
                .value
                .jwks_url
                .as_deref()
                .and_then(|url| self.fetched_url(url, item.at(&["jwks_url"])));
            let mut algorithms = Vec::new();
            for name in &item.value.algorithms {
                let Some(algorithm) = Algorithm::from_name(name) else {
                    let what = format!("`{name}` is no algorithm for access tokens");
                    let known = Algorithm::ALL.map(Algorithm::name).join(", ");
                    self.problems.add(
                        item.at(&["algorithms"]),
                        what,
                        format!("use some of {known}"),
                    );
                    continue;
                };
                algorithms.push(algorithm);
            }
            for (key, claim) in [
                ("user_claim", &item.value.user_claim),
                ("groups_claim", &item.value.groups_claim),
                ("roles_claim", &item.value.roles_claim),
                ("name_claim", &item.value.name_claim),
                ("client_claim", &item.value.client_claim),
            ] {
                if claim.as_deref() == Some("") {
                    self.problems.add(
                        item.at(&[key]),
                        format!("`{key}` is empty"),
                        "name a claim, or leave the key out",
                    );
                }
            }
            let form = item.value;
            issuers.push(Issuer {
                issuer: form.issuer,
                jwks_url,
                algorithms,
                accept_plain_jwt: form.accept_plain_jwt,
                user_claim: form.user_claim,
                groups_claim: form.groups_claim,
                roles_claim: form.roles_claim,
                name_claim: form.name_claim,
                client_claim: form.client_claim,
            });
        }
        issuers
    }

    pub(super) fn subject<T>(
        &mut self,
        item: &Item<'_, 't, T>,
        id: &str,
        issuer: Option<&str>,
        issuers: &[Issuer],
    ) -> Option<Subject> {
        if id.is_empty() {
            self.problems.add(
                item.at(&["id"]),
                "`id` is empty",
                "write it as the issuer's tokens have it",
            );
            return None;
        }
        let issuer = self.issuer_of(item, issuer, issuers)?;
        Some(Subject::new(&issuer, id))
    }

    /// The issuer that an entry names, or the only one there is. Where there is none, people and agents have API keys.
    pub(super) fn issuer_of<T>(
        &mut self,
        item: &Item<'_, 't, T>,
        given: Option<&str>,
        issuers: &[Issuer],
    ) -> Option<String> {
        let known = || {
            issuers
                .iter()
                .map(|issuer| format!("`{}`", issuer.issuer))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (given, issuers) {
            (Some(Subject::LOCAL), _) | (None, []) => Some(Subject::LOCAL.to_owned()),
            (Some(given), _) if issuers.iter().any(|issuer| issuer.issuer == given) => {
                Some(given.to_owned())
            }
            (Some(given), _) => {
                let what = format!("the issuer `{given}` is not defined");
                let fix = format!(
                    "use an issuer of this tenant ({}), letter by letter, or `local` for who has API keys only",
                    known()
                );
                self.problems.add(item.at(&["issuer"]), what, fix);
                None
            }
            (None, [only]) => Some(only.issuer.clone()),
            (None, _) => {
                let what = "there is more than one issuer, and names belong to one";
                self.problems.add(
                    item.at(&[]),
                    what,
                    format!("add `issuer = …`, one of {}", known()),
                );
                None
            }
        }
    }

    /// A URL that we fetch from: one that the guard lets through.
    pub(super) fn fetched_url(&mut self, text: &str, at: usize) -> Option<Url> {
        let Ok(url) = Url::parse(text) else {
            self.problems.add(
                at,
                format!("`{text}` is no URL"),
                "write it in full, as `https://billing.example.com/mcp`",
            );
            return None;
        };
        let shown = shown(&url);
        if url.fragment().is_some() {
            self.problems.add(
                at,
                format!("`{shown}` has a fragment"),
                "remove what follows the `#`",
            );
        }
        match self.egress.guard().check_url(Class::Operator, &url) {
            Ok(()) => return Some(url),
            Err(Forbidden::Host) if !url.username().is_empty() || url.password().is_some() => {
                self.problems.add(
                    at,
                    "the URL carries a credential",
                    "remove user and password from it",
                );
            }
            Err(Forbidden::Scheme) => {
                let fix = "use `https`; `http` works for loopback only, with `development = true` in gatewright.toml";
                self.problems
                    .add(at, format!("`{shown}` is not `https`"), fix);
            }
            Err(Forbidden::Address) => {
                let what = format!("`{shown}` is at an address that is not of the public internet");
                let fix = format!(
                    "add its network to `outbound.allow` in {}",
                    name_of(&self.settings.file)
                );
                self.problems.add(at, what, fix);
            }
            Err(error) => self.problems.add(
                at,
                format!("`{shown}`: {error}"),
                "write scheme, host and path",
            ),
        }
        None
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
