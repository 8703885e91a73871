//! Reads the tables of `gatewright.toml` and holds them against each other.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use gatewright_egress::is_loopback;
use gatewright_guard::Rate;
use http::uri::Authority;
use ipnet::IpNet;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{CallLimits, Limits, LogFormat, Logging, MasterKey, Outbound, Settings, Tls, shown};
use crate::config::document::{Item, Problems, Table};

pub(super) struct Reader<'a, 't> {
    pub(super) file: &'a Path,
    pub(super) problems: &'a mut Problems<'t>,
}

impl<'t> Reader<'_, 't> {
    pub(super) fn settings(&mut self, mut root: Table<'_, 't>) -> Option<Settings> {
        let development = root
            .take("development", self.problems)
            .is_some_and(|item| item.value);
        let tls = self.tls(&mut root);
        let public_url = self.public_url(&mut root, development, tls.is_some());
        let (public, metrics) = self.listen(&mut root);
        let data_dir = self
            .path(&mut root, "data_dir")
            .map_or_else(|| self.beside("data"), |(path, _)| path);
        let key_dir = self.key_dir(&mut root, &data_dir);
        self.no_organisation(&mut root);
        let allowed_hosts = self.hosts(&mut root);
        let allowed_origins = self.origins(&mut root);
        let logging = self.logging(&mut root);
        let master_key = self.master_key(&mut root);
        let database = self.database(&mut root);
        let (limits, principal_limits, server_limits) = self.limits(&mut root);
        let outbound = self.outbound(&mut root);
        root.end(self.problems);
        Some(Settings {
            file: self.file.to_owned(),
            public,
            metrics,
            public_url: public_url?,
            tls,
            data_dir,
            key_dir,
            database,
            development,
            allowed_hosts,
            allowed_origins,
            logging,
            master_key,
            limits,
            principal_limits,
            server_limits,
            outbound,
        })
    }

    /// Who and what there is, is in the database; earlier versions read it from a file at each start.
    fn no_organisation(&mut self, root: &mut Table<'_, 't>) {
        let item: Option<Item<'_, '_, PathBuf>> = root.take("organisation", self.problems);
        if let Some(item) = item {
            let what = "the organisation is in the database, and `serve` reads no file of it";
            let fix = format!(
                "remove `organisation` here, and run `gatewright apply -f {}` while the gateway runs",
                item.value.display()
            );
            self.problems.add(item.at(&[]), what, fix);
        }
    }

    fn public_url(
        &mut self,
        root: &mut Table<'_, 't>,
        development: bool,
        tls: bool,
    ) -> Option<Url> {
        let item: Item<'_, '_, String> =
            root.require("public_url", "\"https://mcp.example.com\"", self.problems)?;
        let (text, at) = (&item.value, item.at(&[]));
        let Ok(url) = Url::parse(text) else {
            self.problems.add(
                at,
                format!("`{text}` is no URL"),
                "write scheme and host, as `https://mcp.example.com`",
            );
            return None;
        };
        let plain = matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            let fix =
                "write scheme, host and port only: paths are the gateway's own, as `/mcp/billing`";
            self.problems.add(
                at,
                format!("`{}` cannot be the public URL", shown(&url)),
                fix,
            );
            return None;
        }
        if url.scheme() == "http" && !development && !is_loopback(&url) {
            let fix = "use `https` (with `[tls]` here, or a proxy in front that ends TLS), or `development = true` on a \
                machine where nobody else listens";
            self.problems
                .add(at, "tokens would travel over plain `http`", fix);
        }
        if url.scheme() == "http" && tls {
            self.problems.add(
                at,
                "`[tls]` is set and the public URL is `http`",
                "write `https` in `public_url`, or remove `[tls]`",
            );
        }
        Some(url)
    }

    fn listen(&mut self, root: &mut Table<'_, 't>) -> (SocketAddr, Option<SocketAddr>) {
        let default = SocketAddr::from(([127, 0, 0, 1], 8080));
        let Some(mut listen) = root.table("listen", self.problems) else {
            return (default, None);
        };
        let public = self
            .address(&mut listen, "public")
            .map(|(address, _)| address);
        let metrics = self.address(&mut listen, "metrics");
        listen.end(self.problems);
        let public = public.unwrap_or(default);
        if let Some((metrics, at)) = metrics
            && metrics == public
            && metrics.port() != 0
        {
            let what = format!("`{metrics}` is the public listener already");
            self.problems.add(
                at,
                what,
                "give metrics a port of their own, which the public cannot reach",
            );
        }
        (public, metrics.map(|(address, _)| address))
    }

    fn address(
        &mut self,
        table: &mut Table<'_, 't>,
        key: &'static str,
    ) -> Option<(SocketAddr, usize)> {
        let item: Item<'_, '_, String> = table.take(key, self.problems)?;
        let at = item.at(&[]);
        let Ok(address) = item.value.parse() else {
            let what = format!("`{}` is no address to listen on", item.value);
            self.problems.add(
                at,
                what,
                "write an IP address and a port, as `127.0.0.1:8080` or `[::]:443`",
            );
            return None;
        };
        Some((address, at))
    }

    fn tls(&mut self, root: &mut Table<'_, 't>) -> Option<Tls> {
        let mut table = root.table("tls", self.problems)?;
        let certificate: Option<Item<'_, '_, PathBuf>> =
            table.require("certificate", "\"server.pem\"", self.problems);
        let key: Option<Item<'_, '_, PathBuf>> =
            table.require("key", "\"server.key\"", self.problems);
        table.end(self.problems);
        Some(Tls {
            certificate: self.beside(certificate?.value),
            key: self.beside(key?.value),
        })
    }

    fn key_dir(&mut self, root: &mut Table<'_, 't>, data_dir: &Path) -> PathBuf {
        let Some((dir, at)) = self.path(root, "key_dir") else {
            let mut name = data_dir.file_name().unwrap_or_default().to_owned();
            name.push("-keys");
            return data_dir.with_file_name(name);
        };
        if dir.starts_with(data_dir) {
            let fix = "put the keys beside the data directory, so that a backup of the one is not a copy of the other";
            self.problems
                .add(at, "the key directory is within the data directory", fix);
        }
        dir
    }

    fn hosts(&mut self, root: &mut Table<'_, 't>) -> Vec<Authority> {
        let mut hosts = Vec::new();
        for item in root.list::<String>("allowed_hosts", self.problems) {
            let parsed = item.value.to_ascii_lowercase().parse::<Authority>();
            match parsed {
                Ok(host) if !host.as_str().contains(['@', '*']) && !host.host().is_empty() => hosts.push(host),
                _ => self.problems.add(
                    item.at(&[]),
                    format!("`{}` is no host", item.value),
                    "write a host, with its port unless it is that of the scheme, as `mcp.internal:8443`",
                ),
            }
        }
        hosts
    }

    fn origins(&mut self, root: &mut Table<'_, 't>) -> Vec<String> {
        let mut origins = Vec::new();
        for item in root.list::<String>("allowed_origins", self.problems) {
            let given = item.value.trim_end_matches('/').to_ascii_lowercase();
            let origin = Url::parse(&item.value).map(|url| url.origin().ascii_serialization());
            match origin {
                // A port that is the scheme's own is left out by browsers.
                Ok(origin) if origin == given => origins.push(origin),
                _ => self.problems.add(
                    item.at(&[]),
                    format!("`{}` is no origin", item.value),
                    "write it as browsers send it: scheme, host, and the port where it is not the scheme's own, as \
                     `https://app.example.com`; there is no `*`",
                ),
            }
        }
        origins
    }

    fn logging(&mut self, root: &mut Table<'_, 't>) -> Logging {
        let mut logging = Logging {
            format: LogFormat::Text,
            level: "info".to_owned(),
        };
        let Some(mut table) = root.table("logging", self.problems) else {
            return logging;
        };
        if let Some(item) = table.take("format", self.problems) {
            logging.format = item.value;
        }
        if let Some(item) = table.take::<String>("level", self.problems) {
            if item.value.is_empty() || EnvFilter::try_new(&item.value).is_err() {
                let fix = "use `error`, `warn`, `info`, `debug` or `trace`, also by crate, as `warn,gatewright=debug`";
                self.problems
                    .add(item.at(&[]), format!("`{}` is no level", item.value), fix);
            }
            logging.level = item.value;
        }
        table.end(self.problems);
        logging
    }

    fn master_key(&mut self, root: &mut Table<'_, 't>) -> MasterKey {
        let item: Option<Item<'_, '_, String>> = root.take("master_key_env", self.problems);
        let Some(item) = item else {
            return MasterKey::File;
        };
        self.variable(&item, "GATEWRIGHT_MASTER_KEY", "the key itself");
        MasterKey::Environment(item.value)
    }

    /// What one caller, or one server, may have under way.
    fn call_limits(&mut self, table: Option<Table<'_, 't>>, mut limits: CallLimits) -> CallLimits {
        let Some(mut table) = table else {
            return limits;
        };
        let mut number = |key: &'static str, from: u32, to: u32| -> Option<u32> {
            let item: Item<'_, '_, u32> = table.take(key, self.problems)?;
            if !(from..=to).contains(&item.value) {
                let what = format!("`{key} = {}` is out of bounds", item.value);
                self.problems
                    .add(item.at(&[]), what, format!("use {from} to {to}"));
                return None;
            }
            Some(item.value)
        };
        if let Some(many) = number("per_second", 0, 1_000_000) {
            limits.rate = NonZeroU32::new(many).map(Rate::per_second);
        }
        if let (Some(burst), Some(rate)) = (
            number("burst", 1, 1_000_000).and_then(NonZeroU32::new),
            limits.rate,
        ) {
            limits.rate = Some(rate.burst(burst));
        }
        let mut size = |key, from, to, into: &mut usize| {
            if let Some(value) = number(key, from, to).and_then(|value| usize::try_from(value).ok())
            {
                *into = value;
            }
        };
        size("calls", 1, 1 << 20, &mut limits.calls);
        size("queued", 0, 1 << 20, &mut limits.queued);
        size("streams", 0, 1 << 20, &mut limits.streams);
        size("total", 1, 1 << 24, &mut limits.total);
        size("keys", 64, 1 << 24, &mut limits.keys);
        if let Some(wait) = number("wait_ms", 0, 600_000) {
            limits.patience = Duration::from_millis(wait.into());
        }
        table.end(self.problems);
        limits
    }

    fn limits(&mut self, root: &mut Table<'_, 't>) -> (Limits, CallLimits, CallLimits) {
        let mut limits = Limits::default();
        let (principal, server) = (CallLimits::for_principals(), CallLimits::for_servers());
        let Some(mut table) = root.table("limits", self.problems) else {
            return (limits, principal, server);
        };
        let of_principal = table.table("principal", self.problems);
        let of_server = table.table("server", self.problems);
        let principal = self.call_limits(of_principal, principal);
        let server = self.call_limits(of_server, server);
        let mut bound = |key: &'static str, from: u64, to: u64| -> Option<u64> {
            let item: Item<'_, '_, u64> = table.take(key, self.problems)?;
            if !(from..=to).contains(&item.value) {
                let what = format!("`{key} = {}` is out of bounds", item.value);
                self.problems
                    .add(item.at(&[]), what, format!("use {from} to {to}"));
                return None;
            }
            Some(item.value)
        };
        let mut size = |key, from, to, into: &mut usize| {
            if let Some(value) = bound(key, from, to).and_then(|value| usize::try_from(value).ok())
            {
                *into = value;
            }
        };
        const DEEPEST: u64 = gatewright_wire::Limits::DEEPEST as u64;
        size("body_bytes", 1024, 1 << 30, &mut limits.body_bytes);
        size("body_depth", 8, DEEPEST, &mut limits.body_depth);
        // hyper's read buffer has a least size.
        size("header_bytes", 8192, 1 << 20, &mut limits.header_bytes);
        size("headers", 16, 1024, &mut limits.headers);
        size("answer_bytes", 1024, 1 << 30, &mut limits.answer_bytes);
        size("connections", 1, 1 << 20, &mut limits.connections);
        if let Some(streams) =
            bound("streams", 1, 10_000).and_then(|value| u32::try_from(value).ok())
        {
            limits.streams = streams;
        }
        let mut time = |key, from, to, into: &mut Duration| {
            if let Some(value) = bound(key, from, to) {
                *into = Duration::from_millis(value);
            }
        };
        time("header_timeout_ms", 10, 600_000, &mut limits.header_timeout);
        time("body_timeout_ms", 10, 600_000, &mut limits.body_timeout);
        time("write_timeout_ms", 10, 600_000, &mut limits.write_timeout);
        time("drain_ms", 0, 3_600_000, &mut limits.drain);
        table.end(self.problems);
        (limits, principal, server)
    }

    fn outbound(&mut self, root: &mut Table<'_, 't>) -> Outbound {
        let mut outbound = Outbound::default();
        let Some(mut table) = root.table("outbound", self.problems) else {
            return outbound;
        };
        for item in table.list::<String>("allow", self.problems) {
            match item.value.parse::<IpNet>() {
                Ok(network) if network.trunc() == network => outbound.allow.push(network),
                Ok(network) => self.problems.add(
                    item.at(&[]),
                    format!("`{network}` has bits beyond its prefix"),
                    format!("write `{}`", network.trunc()),
                ),
                Err(_) => self.problems.add(
                    item.at(&[]),
                    format!("`{}` is no network", item.value),
                    "write an address and a prefix, as `10.1.0.0/16` or `10.1.2.3/32`",
                ),
            }
        }
        for item in table.list::<PathBuf>("trust", self.problems) {
            let path = self.beside(&item.value);
            let certificates: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(&path).and_then(|found| found.collect());
            match certificates {
                Ok(found) if !found.is_empty() => outbound.trust.extend(found),
                Ok(_) => self.problems.add(
                    item.at(&[]),
                    format!("`{}` holds no certificate", path.display()),
                    "name a file of certificates in PEM",
                ),
                Err(error) => self.problems.add(
                    item.at(&[]),
                    format!("cannot read `{}`: {error}", path.display()),
                    "name a file of certificates in PEM",
                ),
            }
        }
        table.end(self.problems);
        outbound
    }

    fn path(&mut self, table: &mut Table<'_, 't>, key: &'static str) -> Option<(PathBuf, usize)> {
        let item: Item<'_, '_, PathBuf> = table.take(key, self.problems)?;
        if item.value.as_os_str().is_empty() {
            self.problems.add(
                item.at(&[]),
                format!("`{key}` is empty"),
                "name a path, or leave the key out",
            );
            return None;
        }
        Some((self.beside(&item.value), item.at(&[])))
    }

    /// A path of the file, which is relative to it.
    fn beside(&self, path: impl AsRef<Path>) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}
