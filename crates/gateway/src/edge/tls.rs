//! TLS by rustls, with a certificate from files.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
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
    /// There is none in the file.
    #[error("`{}` holds no certificate in PEM", .0.display())]
    Empty(PathBuf),
    /// The certificate and the key do not fit, or are of a kind that is not supported.
    #[error("the certificate in `{}` cannot be used: {source}", path.display())]
    Unusable {
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// A certificate that can be renewed while it is in use. Clones share it.
#[derive(Clone)]
pub(crate) struct Certificate {
    files: Tls,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl Certificate {
    /// The certificate of these files.
    pub(crate) fn load(files: &Tls) -> Result<Self, LoadCertificateError> {
        let current = Arc::new(ArcSwap::from_pointee(config(files)?));
        Ok(Self {
            files: files.clone(),
            current,
        })
    }

    /// What the files hold now.
    pub(crate) fn read(&self) -> Result<ServerConfig, LoadCertificateError> {
        config(&self.files)
    }

    /// Takes another one for new connections.
    pub(crate) fn replace(&self, config: ServerConfig) {
        self.current.store(Arc::new(config));
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

/// TLS 1.2 and 1.3.
fn config(tls: &Tls) -> Result<ServerConfig, LoadCertificateError> {
    let read = |path: &PathBuf| {
        let path = path.clone();
        move |source| LoadCertificateError::Read { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(read(&tls.certificate))?;
    if chain.is_empty() {
        return Err(LoadCertificateError::Empty(tls.certificate.clone()));
    }
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
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn write(dir: &Path) -> Tls {
        let made = rcgen::generate_simple_self_signed(["gw.example".to_owned()]).unwrap();
        let files = Tls {
            certificate: dir.join("server.pem"),
            key: dir.join("server.key"),
        };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path());
        let certificate = Certificate::load(&files).unwrap();
        let first = certificate.current.load_full();
        write(dir.path());
        certificate.replace(certificate.read().unwrap());
        assert!(!Arc::ptr_eq(&first, &certificate.current.load_full()));
        fs::write(&files.certificate, "").unwrap();
        assert!(matches!(
            certificate.read(),
            Err(LoadCertificateError::Empty(_))
        ));
        fs::remove_file(&files.key).unwrap();
        let error = certificate.read().unwrap_err().to_string();
        assert!(error.contains("server."), "{error}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, other) = (write(one.path()), write(other.path()));
        let mixed = Tls {
            certificate: one.certificate,
            key: other.key,
        };
        assert!(Certificate::load(&mixed).is_err());
    }
}
