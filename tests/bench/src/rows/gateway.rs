//! The gateway under load.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    organisation::{self, LIST_SERVER},
    process::{Running, free_address},
};

pub(super) struct Gateway {
    running: Running,
    address: SocketAddr,
    folder: PathBuf,
}

impl Gateway {
    /// Starts the program as an operator would, with its files in `folder`.
    pub(super) fn start(
        program: &Path,
        folder: &Path,
        workers: usize,
        issuer: &str,
        upstream: SocketAddr,
        permits: usize,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let config = folder.join("gatewright.toml");
        fs::write(&config, organisation::settings(address))?;
        fs::write(
            folder.join("org.toml"),
            organisation::text(issuer, upstream, permits),
        )?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null());
        command.env("TOKIO_WORKER_THREADS", workers.to_string());
        let mut running = Running::start("gateway", &mut command, folder)?;
        running.wait_until_open(address)?;
        apply(program, &config)?;
        for server in [0, LIST_SERVER] {
            store_credential(program, &config, &organisation::server(server))?;
        }
        Ok(Self {
            running,
            address,
            folder: folder.to_owned(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What tokens for a server must name.
    pub(super) fn audience(&self, server: usize) -> String {
        format!(
            "http://{}/mcp/{}",
            self.address,
            organisation::server(server)
        )
    }

    /// The size of the audit log.
    pub(super) fn log_bytes(&self) -> Result<u64> {
        bytes_in(&self.folder.join("data"))
    }
}

/// Makes the organisation as the file beside the configuration has it, as an operator would.
fn apply(program: &Path, config: &Path) -> Result<()> {
    let applied = Command::new(program)
        .args(["apply", "--yes", "--config"])
        .arg(config)
        .arg("--file")
        .arg(config.with_file_name("org.toml"))
        .stdout(Stdio::null())
        .status()?;
    ensure!(applied.success(), "the organisation was not applied");
    Ok(())
}

/// Stores the credential that all callers share, as an operator would.
fn store_credential(program: &Path, config: &Path, server: &str) -> Result<()> {
    let mut put = Command::new(program)
        .args(["vault", "put", server, "--shared", "--config"])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut stdin = put.stdin.take().context("its input is written")?;
    stdin.write_all(b"the-credential-of-the-bench")?;
    drop(stdin);
    ensure!(
        put.wait()?.success(),
        "the credential of `{server}` was not stored"
    );
    Ok(())
}

impl Drop for Gateway {
    /// What was logged is measured, and large.
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.folder.join("data")) {
            println!("the audit log stays behind: {error}");
        }
    }
}

fn bytes_in(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() {
            bytes_in(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(sum)
}
