//! `gatewright.toml`: what the operator of the process decides.

mod database;
mod reader;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use gatewright_egress::Egress;
use gatewright_guard::Limits as CallLimits;
use http::uri::Authority;
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;
use url::Url;

pub use self::database::{Database, Place, Replica, ResolveDatabaseError};
use self::reader::Reader;
use super::{
    LoadConfigError,
    document::{Problems, Table, parse},
    read,
};

/// What the operator of the process decides. Paths are absolute or relative to the working directory; in the file
/// they are relative to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The file they were read from.
    pub file: PathBuf,
    /// Where clients connect.
    pub public: SocketAddr,
    /// Where health and metrics are; nowhere if not set.
    pub metrics: Option<SocketAddr>,
    /// Scheme, host and port by which clients know the gateway; every resource URL begins with it.
    pub public_url: Url,
    /// Certificate and key; without them a proxy in front ends TLS.
    pub tls: Option<Tls>,
    /// What is written at run time.
    pub data_dir: PathBuf,
    /// Keys, which backups of the data leave out.
    pub key_dir: PathBuf,
    /// Where the organisation, the stored credentials and the API keys are.
    pub database: Database,
    /// Opens loopback, and `http` to it.
    pub development: bool,
    /// Hosts besides that of `public_url` that requests may name.
    pub allowed_hosts: Vec<Authority>,
    /// Origins of web pages that may call.
    pub allowed_origins: Vec<String>,
    /// Logs of the process.
    pub logging: Logging,
    /// Where the master key is, under which stored credentials and API keys are sealed.
    pub master_key: MasterKey,
    /// Bounds.
    pub limits: Limits,
    /// What one caller may ask for.
    pub principal_limits: CallLimits,
    /// What one server is asked for.
    pub server_limits: CallLimits,
    /// Connections that we make.
    pub outbound: Outbound,
}

/// Where a master key is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MasterKey {
    /// In files of the key directory, made at the first start.
    #[default]
    File,
    /// In the environment variable of this name.
    Environment(String),
}

/// Files of a certificate, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The form of the process's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Their form.
    pub format: LogFormat,
    /// Level, or levels by crate: `info`, `warn,gatewright=debug`.
    pub level: String,
}

/// Bounds on what is taken in and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// The deepest nesting of a message.
    pub body_depth: usize,
    /// The largest head of a request, in bytes.
    pub header_bytes: usize,
    /// The most headers of a request.
    pub headers: usize,
    /// How long the head of a request may take.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what is written to it.
    pub write_timeout: Duration,
    /// The largest message that a server may answer, in bytes.
    pub answer_bytes: usize,
    /// The most connections at a time.
    pub connections: usize,
    /// The most requests at a time on one connection (HTTP/2).
    pub streams: u32,
    /// How long a drain waits for what is under way.
    pub drain: Duration,
}

impl Limits {
    /// What is not set.
    pub(crate) const DEFAULT: Self = Self {
        body_bytes: 4 << 20,
        body_depth: 64,
        header_bytes: 32 << 10,
        headers: 100,
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(30),
        answer_bytes: 32 << 20,
        connections: 4096,
        streams: 100,
        drain: Duration::from_secs(30),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Connections that we make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Private networks where servers and issuers may be.
    pub allow: Vec<IpNet>,
    /// Certificates to trust besides those of the public authorities.
    pub trust: Vec<CertificateDer<'static>>,
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// [`LoadConfigError`] names everything that is wrong.
    pub fn load(file: &Path) -> Result<Self, LoadConfigError> {
        Self::parse_as(&read(file)?, file)
    }

    /// Takes the text of a file `gatewright.toml` in `dir`.
    ///
    /// # Errors
    /// [`LoadConfigError`] names everything that is wrong.
    pub fn parse(text: &str, dir: &Path) -> Result<Self, LoadConfigError> {
        Self::parse_as(text, &dir.join("gatewright.toml"))
    }

    /// The one client for everything that is fetched.
    #[must_use]
    pub fn egress(&self) -> Egress {
        Egress::builder()
            .allow(self.outbound.allow.iter().copied())
            .trust(self.outbound.trust.iter().cloned())
            .development(self.development)
            .build()
    }

    fn parse_as(text: &str, file: &Path) -> Result<Self, LoadConfigError> {
        let mut problems = Problems::new(file, text);
        let root = parse(text, &mut problems);
        let settings = Reader {
            file,
            problems: &mut problems,
        }
        .settings(Table::root(&root));
        problems.end(settings)
    }
}

/// A URL without what might be a secret.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // Only URLs that cannot have a password refuse to lose it.
        let _none = url.set_password(Some("…"));
    }
    url.to_string()
}
