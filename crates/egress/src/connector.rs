use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::guard::{Class, Forbidden, Guard, ResolveError};

/// Opens connections for hyper, to addresses that the guard allows and to no others. TLS by rustls.
pub type Connector = HttpsConnector<GuardedTcp>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL or its address may not be reached.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The name cannot be resolved, or nothing answers there.
    #[error("cannot connect")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("connecting took too long")]
    Timeout,
}

impl From<ResolveError> for ConnectError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Forbidden(forbidden) => Self::Forbidden(forbidden),
            ResolveError::Unresolved(error) => Self::Io(error),
        }
    }
}

/// The TCP half of a [`Connector`].
#[derive(Clone, Debug)]
pub struct GuardedTcp {
    guard: Arc<Guard>,
    class: Class,
    timeout: Duration,
}

impl Service<Uri> for GuardedTcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(this.timeout, this.connect(&uri)).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_elapsed) => Err(ConnectError::Timeout),
            }
        })
    }
}

impl GuardedTcp {
    async fn connect(&self, uri: &Uri) -> Result<TcpStream, ConnectError> {
        // The guard sees the URL again here: this is the one place that no caller can leave out.
        let url = url::Url::parse(&uri.to_string()).map_err(|_unreadable| Forbidden::Host)?;
        self.guard.check_url(self.class, &url)?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Forbidden::Host.into());
        };
        // The connection goes to what was checked; the name is not resolved a second time.
        let addresses = self.guard.resolve(self.class, host, port).await?;
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A connector of one class.
pub(crate) fn connector(
    guard: Arc<Guard>,
    class: Class,
    timeout: Duration,
    roots: &[CertificateDer<'static>],
) -> Connector {
    let tcp = GuardedTcp {
        guard,
        class,
        timeout,
    };
    HttpsConnectorBuilder::new()
        .with_tls_config(tls(roots))
        // Which plain connections are allowed is the guard's decision.
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp)
}

fn tls(extra: &[CertificateDer<'static>]) -> ClientConfig {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    roots.add_parsable_certificates(extra.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
    #[expect(
        clippy::expect_used,
        reason = "the provider has the protocol versions that it is built with"
    )]
    builder.expect("the provider supports TLS 1.2 and 1.3")
}
