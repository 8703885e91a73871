use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use crate::{CredentialService, TokenVault};

/// How long a vault may take. A warm one answers at once.
const PATIENCE: Duration = Duration::from_secs(10);
const INSTRUCTIONS: &str = "Ask whoever runs this gateway to store it, then try again.";

/// What the services of a layer share.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) instructions: Arc<str>,
    pub(crate) patience: Duration,
}

/// Adds the [`UpstreamAuth`](gatewright_core::UpstreamAuth) of a permitted call, or refuses it.
///
/// Clones share the vault.
pub struct CredentialLayer<V> {
    vault: Arc<V>,
    settings: Settings,
}

impl<V: TokenVault> CredentialLayer<V> {
    /// A layer that asks this vault.
    #[must_use]
    pub fn new(vault: V) -> Self {
        Self {
            vault: Arc::new(vault),
            settings: Settings {
                instructions: INSTRUCTIONS.into(),
                patience: PATIENCE,
            },
        }
    }

    /// What whoever misses a credential is told to do: a sentence or two, such as where to store it.
    #[must_use]
    pub fn with_instructions(mut self, instructions: &str) -> Self {
        self.settings.instructions = instructions.into();
        self
    }

    /// How long the vault may take before the call is refused; ten seconds if not said.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }
}

impl<S, V> Layer<S> for CredentialLayer<V> {
    type Service = CredentialService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        CredentialService {
            inner,
            vault: Arc::clone(&self.vault),
            settings: self.settings.clone(),
        }
    }
}

impl<V> Clone for CredentialLayer<V> {
    fn clone(&self) -> Self {
        Self {
            vault: Arc::clone(&self.vault),
            settings: self.settings.clone(),
        }
    }
}

impl<V> fmt::Debug for CredentialLayer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialLayer").finish_non_exhaustive()
    }
}
