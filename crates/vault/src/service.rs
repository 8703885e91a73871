#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, BoxError, CredentialMode, CredentialOwner, Draft, Obligation, Permitted,
    UpstreamAuth,
};
use http::{Request, Response};
use http_body::Body;
use tokio::time::timeout;
use tower_service::Service;

use crate::{Credential, TokenVault, VaultError, layer::Settings, refusal::Refusal};

/// See [`CredentialLayer`](crate::CredentialLayer).
pub struct CredentialService<S, V> {
    pub(crate) inner: S,
    pub(crate) vault: Arc<V>,
    pub(crate) settings: Settings,
}

impl<S, V, RB> Service<Request<Permitted>> for CredentialService<S, V>
where
    S: Service<Request<Permitted>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    V: TokenVault,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Permitted>) -> Self::Future {
        // Move out the instance `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let vault = Arc::clone(&self.vault);
        let settings = self.settings.clone();

        Box::pin(async move {
            let (mut parts, permitted) = request.into_parts();
            let draft = parts.extensions.get::<Draft>().cloned();
            match upstream_auth(&*vault, &settings, &permitted).await {
                Ok(auth) => {
                    if let Some(draft) = &draft {
                        draft.fill(|fields| fields.credential = Some(auth.label()));
                    }
                    parts.extensions.insert(auth);
                    let answer = inner.call(Request::from_parts(parts, permitted)).await?;
                    Ok(answer.map(AnswerBody::wrap))
                }
                Err(refusal) => Ok(refusal.answer(permitted.call(), draft.as_ref(), &settings)),
            }
        })
    }
}

/// As whom the call goes upstream.
async fn upstream_auth<V: TokenVault>(
    vault: &V,
    settings: &Settings,
    permitted: &Permitted,
) -> Result<UpstreamAuth, Refusal> {
    let mode = credential_mode(permitted).map_err(Refusal::UnclearMode)?;
    let Some(owner) = CredentialOwner::of(permitted.principal(), mode) else {
        return match mode {
            CredentialMode::None => Ok(UpstreamAuth::none()),
            mode => Err(Refusal::NoSuchSide(mode)),
        };
    };
    let route = permitted.call().route();
    let asked = vault.credential(route.tenant(), &owner, route.server());
    let answer = timeout(settings.patience, asked).await;
    let answer = answer.unwrap_or_else(|_elapsed| {
        let seconds = settings.patience.as_secs();
        Err(VaultError::Slow(seconds))
    });
    match answer {
        Ok(Some(Credential { secret, version })) => {
            let form = route.profile().credential.form.clone();
            Ok(UpstreamAuth::new(owner, version, form, secret))
        }
        Ok(None) => Err(Refusal::NotConnected(mode)),
        Err(error) => Err(Refusal::Vault(error)),
    }
}

/// Why the rules do not say as whom a call goes upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseModeError {
    /// A policy chose a mode that there is not.
    #[error("a policy asks for the credential `{0}`, which this gateway does not know")]
    Unknown(String),
    /// Policies chose several modes.
    #[error("policies ask for the credentials `{0}` and `{1}` at once")]
    Several(String, String),
}

/// The mode that policies chose for this very call, or else the server's own. A choice that cannot be understood is not
/// passed over: the policy was written for a reason.
///
/// # Errors
/// [`ChooseModeError`] when they chose several modes, or one that there is not: the call is refused.
pub fn credential_mode(permitted: &Permitted) -> Result<CredentialMode, ChooseModeError> {
    let obligations = permitted.permit().obligations().iter();
    let mut chosen = obligations.filter(|obligation| obligation.name == Obligation::CREDENTIAL);
    let Some(first) = chosen.next() else {
        return Ok(permitted.call().route().profile().credential.mode);
    };
    if let Some(other) = chosen.find(|other| other.value != first.value) {
        return Err(ChooseModeError::Several(
            first.value.clone(),
            other.value.clone(),
        ));
    }
    CredentialMode::from_name(&first.value)
        .ok_or_else(|| ChooseModeError::Unknown(first.value.clone()))
}

impl<S: Clone, V> Clone for CredentialService<S, V> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            vault: Arc::clone(&self.vault),
            settings: self.settings.clone(),
        }
    }
}

impl<S, V> fmt::Debug for CredentialService<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialService").finish_non_exhaustive()
    }
}
