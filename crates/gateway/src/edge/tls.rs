//! TLS by rustls, with a certificate from files.

use std::{path::PathBuf, sync::Arc};

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadCertificateError {
    /// A file cannot be read as PEM.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate and the key do not fit, or are of a kind that is not supported.
    #[error("the certificate in `{}` cannot be used: {source}", path.display())]
    Unusable {
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// Takes TLS 1.2 and 1.3 connections with the certificate of these files.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, LoadCertificateError> {
    let read = |path: &PathBuf| {
        let path = path.clone();
        move |source| LoadCertificateError::Read { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(read(&tls.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(read(&tls.key))?;
    let unusable = |source| LoadCertificateError::Unusable {
        path: tls.certificate.clone(),
        source,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
