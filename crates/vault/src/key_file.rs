//! Keys in files that nobody else can read, in a directory of their own that backups leave out.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use gatewright_core::SecretBytes;

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenKeyError {
    /// The file or its directory cannot be read or made.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("others may read `{}`: take that right from them, as `chmod go= {}` does", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// It is no key.
    #[error("`{}` holds {found} bytes and not {wanted}: put the right file in its place", path.display())]
    Length {
        /// Which file.
        path: PathBuf,
        /// How long a key is, in bytes.
        wanted: usize,
        /// How long the file is, in bytes.
        found: usize,
    },
    /// The machine has no randomness to make one from.
    #[error("there is no randomness to make a key from")]
    Random,
}

/// Makes a directory that only its owner can enter, or checks that it is one.
///
/// # Errors
/// [`OpenKeyError`] when it cannot be made, or others can enter it.
pub fn private_dir(dir: &Path) -> Result<(), OpenKeyError> {
    let failed = |source| OpenKeyError::Io {
        path: dir.to_owned(),
        source,
    };
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            only_ours(dir, &fs::metadata(dir).map_err(failed)?.permissions())
        }
        Err(error) => Err(failed(error)),
    }
}

/// The key in a file of `dir`; a new random one if there is no such file.
///
/// # Errors
/// [`OpenKeyError`] when the key cannot be read or made, others can read it, or it is of another length.
pub fn open_or_create(dir: &Path, name: &str, length: usize) -> Result<SecretBytes, OpenKeyError> {
    private_dir(dir)?;
    let path = dir.join(name);
    let failed = |source| OpenKeyError::Io {
        path: path.clone(),
        source,
    };
    if !path.try_exists().map_err(failed)? {
        create(dir, &path, length)?;
    }
    only_ours(&path, &fs::metadata(&path).map_err(failed)?.permissions())?;
    let bytes = SecretBytes::new(fs::read(&path).map_err(failed)?);
    let found = bytes.expose().len();
    if found != length {
        return Err(OpenKeyError::Length {
            path: path.clone(),
            wanted: length,
            found,
        });
    }
    Ok(bytes)
}

fn create(dir: &Path, path: &Path, length: usize) -> Result<(), OpenKeyError> {
    let mut key = vec![0; length];
    aws_lc_rs::rand::fill(&mut key).map_err(|_unspecified| OpenKeyError::Random)?;
    let key = SecretBytes::new(key);
    let half = dir.join(format!(".new-{}", std::process::id()));
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&half)?;
        file.write_all(key.expose())?;
        file.sync_all()?;
        // The whole key or none, also when two processes start at once: a link never replaces.
        match fs::hard_link(&half, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::remove_file(&half)
    };
    written().map_err(|source| OpenKeyError::Io {
        path: path.to_owned(),
        source,
    })
}

fn only_ours(path: &Path, permissions: &Permissions) -> Result<(), OpenKeyError> {
    if permissions.mode() & 0o077 != 0 {
        return Err(OpenKeyError::Exposed(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("a/keys");
        let first = open_or_create(&keys, "seal.key", 32).unwrap();
        let second = open_or_create(&keys, "seal.key", 32).unwrap();
        assert!(first == second);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&keys.join("seal.key"))), (0o700, 0o600));
        assert_eq!(
            fs::read_dir(&keys).unwrap().count(),
            1,
            "nothing is left over"
        );
        let other = open_or_create(&dir.path().join("b"), "seal.key", 32).unwrap();
        assert!(first != other);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        open_or_create(&keys, "seal.key", 32).unwrap();
        fs::set_permissions(keys.join("seal.key"), Permissions::from_mode(0o640)).unwrap();
        let refused = open_or_create(&keys, "seal.key", 32).unwrap_err();
        assert!(matches!(refused, OpenKeyError::Exposed(_)), "{refused}");
        fs::set_permissions(keys.join("seal.key"), Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&keys, Permissions::from_mode(0o755)).unwrap();
        let refused = open_or_create(&keys, "seal.key", 32).unwrap_err();
        assert!(matches!(refused, OpenKeyError::Exposed(_)), "{refused}");
    }

    #[test]
    fn a_file_of_another_length_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        open_or_create(&keys, "seal.key", 32).unwrap();
        fs::write(keys.join("seal.key"), "short").unwrap();
        let refused = open_or_create(&keys, "seal.key", 32).unwrap_err();
        assert!(
            refused.to_string().contains("holds 5 bytes and not 32"),
            "{refused}"
        );
    }
}
