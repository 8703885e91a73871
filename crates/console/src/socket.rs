//! The socket, and whom it lets in.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use axum::serve::Listener;
use gatewright_vault::key_file::{self, OpenKeyError};
use tokio::net::{UnixListener, UnixStream};

/// The directory of the socket, within the data directory: nobody else may enter it, whatever the mode of that.
const FOLDER: &str = "admin";
const NAME: &str = "admin.sock";
/// `sun_path` of Linux has 108 bytes with the zero at its end; other systems have fewer.
const LONGEST: usize = 100;
const ROOT: u32 = 0;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindAdminError {
    /// Its directory is not ours alone.
    #[error(transparent)]
    Folder(#[from] OpenKeyError),
    /// Something else is in its place.
    #[error("`{}` is no socket: move it away", .0.display())]
    Taken(PathBuf),
    /// It cannot be made.
    #[error("cannot make the socket `{}`: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who asks: the user on the other side of the socket, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The number of the user.
    pub uid: u32,
}

/// The socket of the admin API. Dropping it leaves the file, which the next one replaces.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    own: u32,
    admits: fn(own: u32, peer: u32) -> bool,
}

/// The path of the socket of a data directory, as it can be connected to: of a long one by way of its open directory,
/// which must be kept as long as the path is used.
///
/// # Errors
/// An error where the directory is not there or may not be entered.
pub fn path_to(data_dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let folder = data_dir.join(FOLDER);
    let path = folder.join(NAME);
    if path.as_os_str().len() <= LONGEST {
        return Ok((path, None));
    }
    let folder = File::open(folder)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    Ok((short.join(NAME), Some(folder)))
}

impl AdminSocket {
    /// The socket of a data directory, for its owner only. One that is left over from another process is replaced: whoever
    /// calls this has made sure that no other gateway uses the directory.
    ///
    /// # Errors
    /// [`BindAdminError`] when it cannot be made, or others may reach it.
    pub fn bind(data_dir: &Path) -> Result<Self, BindAdminError> {
        let folder = data_dir.join(FOLDER);
        key_file::private_dir(&folder)?;
        let shown = folder.join(NAME);
        let failed = |source| BindAdminError::Io {
            path: shown.clone(),
            source,
        };
        let (path, _folder) = path_to(data_dir).map_err(failed)?;
        match fs::symlink_metadata(&path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(BindAdminError::Taken(shown));
            }
            Ok(_) => fs::remove_file(&path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        let own = fs::metadata(&path).map_err(failed)?.uid();
        Ok(Self {
            listener,
            own,
            admits,
        })
    }
}

/// Whether a peer may ask anything: root, and the user that the gateway runs as.
const fn admits(own: u32, peer: u32) -> bool {
    peer == ROOT || peer == own
}

impl Listener for AdminSocket {
    type Io = UnixStream;
    type Addr = Operator;

    async fn accept(&mut self) -> (UnixStream, Operator) {
        loop {
            let (stream, _) = Listener::accept(&mut self.listener).await;
            // The mode of the socket says the same; this says it for those to whom the socket was handed on.
            match stream.peer_cred().map(|peer| peer.uid()) {
                Ok(uid) if (self.admits)(self.own, uid) => return (stream, Operator { uid }),
                Ok(uid) => tracing::warn!(uid, "a user who is no operator was turned away"),
                Err(error) => tracing::warn!(%error, "somebody unknown was turned away"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Operator> {
        Ok(Operator { uid: self.own })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn only_root_and_the_gateways_own_user_are_let_in() {
        assert!(admits(1000, 0) && admits(1000, 1000) && admits(0, 0));
        assert!(!admits(1000, 1001) && !admits(0, 1000) && !admits(1000, u32::MAX));
    }

    #[tokio::test]
    async fn who_is_no_operator_gets_nothing_and_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut socket = AdminSocket::bind(dir.path()).unwrap();
        let (path, _) = path_to(dir.path()).unwrap();
        socket.admits = |_, _| false;
        let mut refused = UnixStream::connect(&path).await.unwrap();
        let read = async {
            let mut byte = [0];
            refused.read(&mut byte).await
        };
        tokio::select! {
            biased;
            accepted = socket.accept() => panic!("{accepted:?} was let in"),
            read = read => assert_eq!(read.unwrap_or(0), 0),
        }
        socket.admits = admits;
        let own = UnixStream::connect(&path);
        let (own, (_, operator)) = tokio::join!(own, socket.accept());
        own.unwrap();
        assert_eq!(operator.uid, socket.own);
    }

    #[tokio::test]
    async fn the_socket_is_for_its_owner_only_and_replaces_what_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        // Longer than a socket's name may be.
        for data in [dir.path().to_owned(), dir.path().join("d".repeat(120))] {
            drop(AdminSocket::bind(&data).unwrap());
            let _socket = AdminSocket::bind(&data).unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&data.join("admin")), 0o700);
            assert_eq!(mode(&data.join("admin/admin.sock")), 0o600);
            let (path, _folder) = path_to(&data).unwrap();
            UnixStream::connect(path).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_socket_is_not_removed_and_an_open_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(AdminSocket::bind(dir.path()).unwrap());
        let (path, _) = path_to(dir.path()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let refused = AdminSocket::bind(dir.path()).unwrap_err();
        assert!(matches!(refused, BindAdminError::Taken(_)), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();
        fs::set_permissions(dir.path().join("admin"), Permissions::from_mode(0o755)).unwrap();
        let refused = AdminSocket::bind(dir.path()).unwrap_err();
        assert!(matches!(refused, BindAdminError::Folder(_)), "{refused}");
    }
}
