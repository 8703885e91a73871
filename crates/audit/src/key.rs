use std::{
    fmt,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::layout;

/// What stands before an Ed25519 public key in a `SubjectPublicKeyInfo` (RFC 8410 §4).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Why the key of checkpoints cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadKeyError {
    /// The file or its directory cannot be read or made.
    #[error("cannot use the key `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("others may read the key `{}`: take that right from them, as `chmod go=` does", .0.display())]
    Exposed(PathBuf),
    /// It is no Ed25519 key in PEM form (RFC 8410).
    #[error("`{}` holds no Ed25519 key in PEM form", .0.display())]
    Invalid(PathBuf),
    /// The machine has no randomness to make one from.
    #[error("there is no randomness to make a key from")]
    Random,
}

/// Signs checkpoints (Ed25519, RFC 8032).
#[derive(Clone)]
pub struct CheckpointKey(Arc<Ed25519KeyPair>);

impl CheckpointKey {
    /// The key in this file; makes the file (0600), and its directory (0700), where there is none.
    ///
    /// # Errors
    /// [`LoadKeyError`] when it cannot be read or made, or others may read it.
    pub fn load_or_create(path: &Path) -> Result<Self, LoadKeyError> {
        let failed = |source| LoadKeyError::Io {
            path: path.to_owned(),
            source,
        };
        match fs::metadata(path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                Err(LoadKeyError::Exposed(path.to_owned()))
            }
            Ok(_) => {
                let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
                let der = unarmour(&text, "PRIVATE KEY").map(Zeroizing::new);
                der.and_then(|der| Ed25519KeyPair::from_pkcs8(&der).ok())
                    .map(|pair| Self(Arc::new(pair)))
                    .ok_or_else(|| LoadKeyError::Invalid(path.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(failed(error)),
        }
    }

    fn create(path: &Path) -> Result<Self, LoadKeyError> {
        let failed = |source| LoadKeyError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
            DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(dir)
                .map_err(failed)?;
        }
        let key = Self::generate()?;
        let Ok(document) = key.0.to_pkcs8v1() else {
            return Err(LoadKeyError::Random);
        };
        let text = Zeroizing::new(armour(document.as_ref(), "PRIVATE KEY"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(key)
    }

    /// A new key that is in no file.
    ///
    /// # Errors
    /// [`LoadKeyError::Random`] where there is no randomness.
    pub fn generate() -> Result<Self, LoadKeyError> {
        match Ed25519KeyPair::generate() {
            Ok(pair) => Ok(Self(Arc::new(pair))),
            Err(_) => Err(LoadKeyError::Random),
        }
    }

    /// The key whose seed is this, for tests and fixed examples.
    #[cfg(test)]
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Arc::new(Ed25519KeyPair::from_seed_unchecked(seed).unwrap()))
    }

    /// What verifies its signatures.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.iter_mut()
            .zip(self.0.public_key().as_ref())
            .for_each(|(to, from)| *to = *from);
        PublicKey(key)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<String> {
        let signature = self.0.try_sign(message).ok()?;
        Some(STANDARD.encode(signature.as_ref()))
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointKey({}, [redacted])", self.public().id())
    }
}

/// Verifies signatures of checkpoints. Keep a copy where whoever can write the log cannot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the PEM form (`SubjectPublicKeyInfo`, RFC 8410).
    #[must_use]
    pub fn from_pem(text: &str) -> Option<Self> {
        let der = unarmour(text, "PUBLIC KEY")?;
        Some(Self(der.strip_prefix(&SPKI)?.try_into().ok()?))
    }

    /// Reads the file that a log keeps as `checkpoint-key.pub`.
    ///
    /// # Errors
    /// [`LoadKeyError`] when it cannot be read or holds something else.
    pub fn load(path: &Path) -> Result<Self, LoadKeyError> {
        let text = fs::read_to_string(path).map_err(|source| LoadKeyError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::from_pem(&text).ok_or_else(|| LoadKeyError::Invalid(path.to_owned()))
    }

    /// The copies that lie in a log, of all its writers, those of before included. They prove nothing against whoever can
    /// write there.
    ///
    /// # Errors
    /// An error of the file system when the directory cannot be read.
    pub fn all_beside(dir: &Path) -> io::Result<Vec<Self>> {
        let files = layout::public_keys(dir)?;
        let keys = files.iter();
        Ok(keys.filter_map(|(_, path)| Self::load(path).ok()).collect())
    }

    /// The PEM form.
    #[must_use]
    pub fn to_pem(&self) -> String {
        armour(&[SPKI.as_slice(), &self.0].concat(), "PUBLIC KEY")
    }

    /// Names the key in checkpoints: the first half of its SHA-256, in hexadecimal.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = digest(&SHA256, &self.0);
        let half = hash.as_ref().iter().take(16);
        half.map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|signature| {
            UnparsedPublicKey::new(&ED25519, &self.0)
                .verify(message, &signature)
                .is_ok()
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

fn armour(der: &[u8], label: &str) -> String {
    // An Ed25519 key of either kind fits 88 characters of base64: two lines of RFC 7468 at most.
    let text = STANDARD.encode(der);
    let (first, second) = text.split_at(text.len().min(64));
    let lines = if second.is_empty() {
        first.to_owned()
    } else {
        format!("{first}\n{second}")
    };
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

fn unarmour(text: &str, label: &str) -> Option<Vec<u8>> {
    let body = text
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))?
        .strip_suffix(&format!("-----END {label}-----"))?;
    let compact: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    STANDARD.decode(compact.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/checkpoint.pem");
        let made = CheckpointKey::load_or_create(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let read = CheckpointKey::load_or_create(&path).unwrap();
        assert_eq!(made.public(), read.public());
        let signature = read.sign(b"message").unwrap();
        assert!(made.public().verifies(b"message", &signature));
        assert!(!made.public().verifies(b"another", &signature));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        CheckpointKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = CheckpointKey::load_or_create(&path).unwrap_err();
        assert!(matches!(refused, LoadKeyError::Exposed(_)), "{refused}");
    }

    #[test]
    fn something_else_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "hello").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = CheckpointKey::load_or_create(&path).unwrap_err();
        assert!(matches!(refused, LoadKeyError::Invalid(_)), "{refused}");
        assert_eq!(PublicKey::from_pem("hello"), None);
    }

    #[test]
    fn a_public_key_reads_back_and_debug_shows_no_secret() {
        let key = CheckpointKey::from_seed(&[7; 32]);
        assert_eq!(
            PublicKey::from_pem(&key.public().to_pem()),
            Some(key.public())
        );
        let shown = format!("{key:?}");
        assert!(shown.ends_with(", [redacted])"), "{shown}");
    }
}
