//! Keys in files that nobody else can read, in a directory of their own that backups leave out.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use gatewright_core::SecretBytes;
use zeroize::Zeroizing;

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
    /// It belongs to somebody else.
    #[error("`{}` belongs to the user {owner}, and this process is {us}: give it to that one, as `chown {us} {}` does", path.display(), path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
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

/// Makes a directory that only its owner can enter, or checks that it is one. One that is made stays when the power fails.
///
/// # Errors
/// [`OpenKeyError`] when it cannot be made, or others can enter it.
pub fn private_dir(dir: &Path) -> Result<(), OpenKeyError> {
    private_dir_with(dir, sync_dir)
}

fn private_dir_with(
    dir: &Path,
    sync: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), OpenKeyError> {
    let failed = |source| OpenKeyError::Io {
        path: dir.to_owned(),
        source,
    };
    // Each directory that gets an entry: from the one that holds `dir` up to the first that is there.
    let above = dir.ancestors().skip(1);
    let missing = above.clone().take_while(|path| !there(path)).count();
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => above.take(missing + 1).try_for_each(sync).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            only_ours(dir, &fs::metadata(dir).map_err(failed)?)
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
    let there = path.try_exists().map_err(|source| OpenKeyError::Io {
        path: path.clone(),
        source,
    })?;
    if !there {
        match create(dir, name, &random(length)?) {
            // Another one was faster, and its key is the one.
            Err(OpenKeyError::Io { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
    }
    read(dir, name, length)
}

/// The key in a file of `dir`, which is there.
pub(crate) fn read(dir: &Path, name: &str, length: usize) -> Result<SecretBytes, OpenKeyError> {
    let path = dir.join(name);
    let failed = |source| OpenKeyError::Io {
        path: path.clone(),
        source,
    };
    only_ours(&path, &fs::metadata(&path).map_err(failed)?)?;
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

/// A random key.
pub(crate) fn random(length: usize) -> Result<SecretBytes, OpenKeyError> {
    let mut key = Zeroizing::new(vec![0; length]);
    aws_lc_rs::rand::fill(&mut key).map_err(|_unspecified| OpenKeyError::Random)?;
    Ok(SecretBytes::new(std::mem::take(&mut *key)))
}

/// Writes a key to a new file of `dir`. Once this returns it stays, also when the power fails; where it fails there is no
/// such file, or it is somebody else's.
pub(crate) fn create(dir: &Path, name: &str, key: &SecretBytes) -> Result<(), OpenKeyError> {
    create_with(dir, name, key, sync_dir)
}

fn create_with(
    dir: &Path,
    name: &str,
    key: &SecretBytes,
    sync: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), OpenKeyError> {
    let path = dir.join(name);
    // Nobody else writes to a file of this name: what is linked as a key is never opened for writing again.
    let mut unique = [0; 8];
    aws_lc_rs::rand::fill(&mut unique).map_err(|_unspecified| OpenKeyError::Random)?;
    let half = dir.join(format!(".new-{:016x}", u64::from_be_bytes(unique)));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&half)?;
        file.write_all(key.expose())?;
        file.sync_all()?;
        // The whole key or none, also when two processes start at once: a link never replaces.
        fs::hard_link(&half, &path)
    };
    let linked = write();
    let removed = fs::remove_file(&half);
    linked
        .and_then(|()| {
            // Without its entry the file is lost, and with it all that was sealed under the key.
            removed.and_then(|()| sync(dir)).inspect_err(|_| {
                drop(fs::remove_file(&path));
            })
        })
        .map_err(|source| OpenKeyError::Io { path, source })
}

/// Whether it is there, as far as can be told. The empty path is where we are.
fn there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.exists()
}

/// Entries of a directory are not written with the files that they name.
fn sync_dir(dir: &Path) -> io::Result<()> {
    let here = dir.as_os_str().is_empty();
    File::open(if here { Path::new(".") } else { dir })?.sync_all()
}

fn only_ours(path: &Path, found: &Metadata) -> Result<(), OpenKeyError> {
    owned_by(rustix::process::geteuid().as_raw(), path, found)
}

/// Whoever owns a file can read and replace it, whatever its mode is.
fn owned_by(us: u32, path: &Path, found: &Metadata) -> Result<(), OpenKeyError> {
    if found.uid() != us {
        return Err(OpenKeyError::Foreign {
            path: path.to_owned(),
            owner: found.uid(),
            us,
        });
    }
    if found.mode() & 0o077 != 0 {
        return Err(OpenKeyError::Exposed(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

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

    #[test]
    fn a_key_is_made_once_its_directory_holds_it_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let synced = std::cell::RefCell::new(Vec::new());
        let sync = |path: &Path| {
            let named = fs::read_dir(path).unwrap();
            let names = named.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            synced.borrow_mut().push((path.to_owned(), names.collect()));
            Ok(())
        };
        let keys = dir.path().join("a/keys");
        private_dir_with(&keys, sync).unwrap();
        create_with(&keys, "seal.key", &random(32).unwrap(), sync).unwrap();
        let entry = |path: &Path, name: &str| (path.to_owned(), vec![name.to_owned()]);
        let expected = [
            entry(&dir.path().join("a"), "keys"),
            entry(dir.path(), "a"),
            entry(&keys, "seal.key"),
        ];
        assert_eq!(*synced.borrow(), expected);

        let fails = |_: &Path| Err(io::Error::other("no disk"));
        create_with(&keys, "other.key", &random(32).unwrap(), fails).unwrap_err();
        assert!(!keys.join("other.key").exists());
    }

    #[test]
    fn a_key_that_is_there_is_never_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        // What an earlier process of this number left behind, linked already.
        let half = keys.join(format!(".new-{}", std::process::id()));
        let key = open_or_create(&keys, "seal.key", 32).unwrap();
        fs::hard_link(keys.join("seal.key"), &half).unwrap();
        let other = open_or_create(&keys, "other.key", 32).unwrap();
        assert!(key != other);
        assert!(key == read(&keys, "seal.key", 32).unwrap());
        create(&keys, "seal.key", &other).unwrap_err();
        assert!(key == read(&keys, "seal.key", 32).unwrap());
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 3);
    }

    #[test]
    fn a_key_of_somebody_elses_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        open_or_create(&keys, "seal.key", 32).unwrap();
        for path in [keys.join("seal.key"), keys] {
            let found = fs::metadata(&path).unwrap();
            owned_by(found.uid(), &path, &found).unwrap();
            let refused = owned_by(found.uid() + 1, &path, &found).unwrap_err();
            assert!(matches!(refused, OpenKeyError::Foreign { .. }), "{refused}");
        }
    }
}
