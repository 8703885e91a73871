use async_trait::async_trait;
use gatewright_core::{CredentialOwner, CredentialRule, ServerName, Subject, TenantId};
use gatewright_vault::{MasterKeyId, RotateMasterKeyError};
use serde::{Serialize, Serializer};

/// What a gateway serves, as far as operators see it.
#[async_trait]
pub trait Estate: Send + Sync + 'static {
    /// Its tenants, as they are in force now.
    fn tenants(&self) -> Vec<TenantView>;

    /// The process and its numbers.
    fn figures(&self) -> Figures;

    /// Makes a new master key, and names it: what is sealed and which API keys are made from now on, is so under it.
    ///
    /// # Errors
    /// [`RotateMasterKeyError`] when there is no new one.
    async fn rotate_master_key(&self) -> Result<MasterKeyId, RotateMasterKeyError>;
}

/// The process and its numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The version of the program.
    pub version: &'static str,
    /// The number of the process.
    pub process: u32,
    /// When it began to serve, as RFC 3339 has it.
    pub since: String,
    /// By which URL clients know it.
    pub public_url: String,
    /// Where it listens.
    pub listens_on: String,
    /// Where its state is.
    pub data_dir: String,
    /// Records that could not be written, of servers whose calls do not wait for theirs.
    pub audit_lost: u64,
}

/// A tenant.
#[derive(Clone, Debug, Serialize)]
pub struct TenantView {
    /// Its name.
    pub name: TenantId,
    /// The issuers whose people and agents it knows.
    pub issuers: Vec<String>,
    /// Whether people may have API keys.
    pub api_keys_for_people: bool,
    /// Its servers.
    pub servers: Vec<ServerView>,
}

/// A server.
#[derive(Clone, Debug, Serialize)]
pub struct ServerView {
    /// Its name.
    pub name: ServerName,
    /// `http` or `stdio`.
    pub transport: &'static str,
    /// As whom calls reach it.
    #[serde(serialize_with = "mode")]
    pub credential: CredentialRule,
}

fn mode<S: Serializer>(rule: &CredentialRule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.mode.name())
}

impl TenantView {
    pub(crate) fn server(&self, name: &ServerName) -> Option<&ServerView> {
        self.servers.iter().find(|server| server.name == *name)
    }

    pub(crate) fn knows(&self, issuer: &str) -> bool {
        issuer == Subject::LOCAL || self.issuers.iter().any(|known| known == issuer)
    }
}

impl ServerView {
    /// Whether calls take credentials of this kind of owner, unless a policy chooses otherwise.
    pub(crate) fn takes(&self, owner: &CredentialOwner) -> bool {
        matches!(
            (self.credential.mode.name(), owner.kind()),
            ("shared", "shared") | ("per-user", "user") | ("per-agent", "agent")
        )
    }
}
