//! The directory of the demo: a configuration as an operator writes it, tokens, and what the gateway makes.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{issuer::unique, people::Persona};
use crate::keys::{OpenKeyError, private_dir};

/// The first line of the files that are ours to write anew.
const OURS: &str = "# Written anew by `gatewright quickstart` at each start.\n";
const SETTINGS: &str = include_str!("gatewright.toml");
const ORGANISATION: &str = include_str!("org.toml");

/// Why the directory of the demo cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PrepareFilesError {
    /// The directory cannot be made, or others may enter it.
    #[error(transparent)]
    Directory(#[from] OpenKeyError),
    /// A file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is there that is not the demo's.
    #[error("`{}` is not of a quickstart: choose an empty directory", .0.display())]
    Foreign(PathBuf),
    /// There is no temporary directory, or no randomness for a name in it.
    #[error("cannot make a temporary directory: {0}")]
    Temporary(io::Error),
}

/// What the configuration must name.
pub(super) struct Places<'a> {
    pub(super) port: u16,
    pub(super) issuer: &'a str,
    pub(super) servers: [(&'a str, String); 2],
}

/// The directory; a temporary one is removed with this.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    temporary: bool,
}

impl Files {
    /// Uses this directory, or makes one.
    pub(super) fn prepare(directory: Option<PathBuf>) -> Result<Self, PrepareFilesError> {
        let files = match directory {
            Some(dir) => {
                private_dir(&dir)?;
                // Snippets name files in it, and are pasted elsewhere.
                let absolute = dir.canonicalize();
                let dir = absolute.map_err(|source| PrepareFilesError::Write { path: dir, source });
                let temporary = false;
                Self {
                    dir: dir?,
                    temporary,
                }
            }
            None => Self {
                dir: temporary_dir().map_err(PrepareFilesError::Temporary)?,
                temporary: true,
            },
        };
        private_dir(&files.tokens())?;
        Ok(files)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves the directory where it is.
    pub(super) const fn keep(&mut self) {
        self.temporary = false;
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.dir.join("gatewright.toml")
    }

    pub(super) fn organisation(&self) -> PathBuf {
        self.dir.join("org.toml")
    }

    /// Writes both files of the configuration.
    pub(super) fn configure(&self, places: &Places<'_>) -> Result<(), PrepareFilesError> {
        let mut organisation = ORGANISATION.replace("{issuer}", places.issuer);
        for (name, url) in &places.servers {
            organisation = organisation.replace(&format!("{{{name}}}"), url);
        }
        let settings = SETTINGS.replace("{port}", &places.port.to_string());
        for (path, text) in [
            (self.settings(), settings),
            (self.organisation(), organisation),
        ] {
            match fs::read_to_string(&path) {
                Ok(before) if !before.starts_with(OURS) => {
                    return Err(PrepareFilesError::Foreign(path));
                }
                _ => write(&path, &format!("{OURS}{text}"))?,
            }
        }
        Ok(())
    }

    /// The file of a token.
    pub(super) fn token(&self, persona: Persona, server: &str) -> PathBuf {
        self.tokens().join(format!("{}-{server}", persona.file))
    }

    pub(super) fn keep_token(
        &self,
        persona: Persona,
        server: &str,
        token: &str,
    ) -> Result<(), PrepareFilesError> {
        write(&self.token(persona, server), token)
    }

    fn tokens(&self) -> PathBuf {
        self.dir.join("tokens")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed is left to whoever clears the temporary directory.
            let _removed = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A new directory of our own. It fails if there is anything of the name, so that nobody else prepares it for us.
fn temporary_dir() -> io::Result<PathBuf> {
    let name = format!("gatewright-{}", unique::<4>()?);
    let dir = env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

fn write(path: &Path, text: &str) -> Result<(), PrepareFilesError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| PrepareFilesError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quickstart::people::ANN;

    fn places() -> Places<'static> {
        Places {
            port: 7400,
            issuer: "http://127.0.0.1:1",
            servers: [
                ("invoices", "http://127.0.0.1:2/invoices".to_owned()),
                ("notes", "http://127.0.0.1:2/notes".to_owned()),
            ],
        }
    }

    #[test]
    fn the_configuration_is_one_that_serve_takes() {
        let files = Files::prepare(None).unwrap();
        files.configure(&places()).unwrap();
        let settings = crate::config::Settings::load(&files.settings()).unwrap();
        let organisation =
            crate::config::Organisation::load(&files.organisation(), &settings).unwrap();
        assert_eq!(organisation.warnings().count(), 0);
        let [tenant] = organisation.tenants.as_slice() else {
            panic!("one tenant")
        };
        assert_eq!(tenant.servers.len(), 2);
        assert_eq!(tenant.issuers[0].issuer, "http://127.0.0.1:1");
    }

    #[test]
    fn a_temporary_directory_goes_and_another_stays() {
        let files = Files::prepare(None).unwrap();
        files.keep_token(ANN, "invoices", "t").unwrap();
        let dir = files.dir().to_owned();
        assert!(files.token(ANN, "invoices").exists());
        drop(files);
        assert!(!dir.exists());

        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("demo");
        drop(Files::prepare(Some(dir.clone())).unwrap());
        assert!(dir.exists());
        let mut kept = Files::prepare(None).unwrap();
        kept.keep();
        let dir = kept.dir().to_owned();
        drop(kept);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_configuration_of_somebody_is_not_written_over() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("demo");
        let files = Files::prepare(Some(dir.clone())).unwrap();
        files.configure(&places()).unwrap();
        files.configure(&places()).unwrap();
        let theirs = "[[issuers]]\nissuer = 'https://login.example.com'\n";
        fs::write(dir.join("org.toml"), theirs).unwrap();
        let refused = files.configure(&places()).unwrap_err();
        assert!(
            matches!(refused, PrepareFilesError::Foreign(_)),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(dir.join("org.toml")).unwrap(), theirs);
    }
}
