use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where distributions put the server's programs, which they leave out of the search path.
const PLACES: &[&str] = &["/usr/lib/postgresql", "/usr/pgsql", "/opt/postgresql"];
/// The oldest version that the store takes.
const OLDEST: u32 = 14;

/// The programs of a Postgres server that is installed here.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

impl Programs {
    /// Those of the newest version that there is.
    ///
    /// # Errors
    /// What to install, when there is none of 14 or newer.
    pub fn find() -> io::Result<Self> {
        Self::find_in(PLACES)
    }

    fn find_in(places: &[&str]) -> io::Result<Self> {
        let versions = places.iter().flat_map(|place| versions(Path::new(place)));
        let newest = versions
            .filter(|(version, bin)| *version >= OLDEST && bin.join("initdb").is_file())
            .max_by_key(|(version, _)| *version);
        newest.map(|(_, bin)| Self(bin)).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "no Postgres server of version 14 or newer is installed (Debian, Ubuntu: apt install postgresql)",
            )
        })
    }

    /// Where one of them is, by its name.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

/// The versions under `<place>/<version>/bin`.
fn versions(place: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(place) else {
        return Vec::new();
    };
    let version = |entry: fs::DirEntry| {
        let version = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    };
    entries.flatten().filter_map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_server_it_is_said_what_to_install() {
        assert!(Programs::find().is_ok());
        let refused = Programs::find_in(&["/nonexistent"]).unwrap_err();
        assert!(refused.to_string().contains("apt install postgresql"));
    }
}
