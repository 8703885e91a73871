//! `gatewright quickstart`: a demo organisation in front of two demo servers, and a tour of what the gateway does.
//!
//! Everything but the gateway itself is made up here: the issuer of the tokens, the servers, the people. What is
//! between them is what `serve` starts.

mod client;
mod files;
mod issuer;
mod log;
mod loopback;
mod paste;
mod people;
mod screen;
mod servers;
mod tour;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use gatewright_core::{Actor, Clock as _, SystemClock};
use gatewright_directory::ChangeError;

pub(crate) use self::{
    files::PrepareFilesError,
    screen::{Paint, Step},
};
use self::{
    files::{Files, Places},
    issuer::DemoIssuer,
    log::Log,
    people::{AGENT_FOR_ANN, ANN, BEN, Caller, Persona},
    servers::DemoServers,
};
use crate::{
    config::{LoadConfigError, Organisation, Settings},
    serve::{self, Running, StartError},
};

/// Where the gateway is, unless another program is there.
pub(crate) const PORT: u16 = 7400;
/// How often another free port is tried: between finding one and using it, another program may take it.
const TRIES: usize = 5;
/// The names of the demo servers.
const SERVERS: [&str; 2] = ["invoices", "notes"];

/// Why the demo does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartDemoError {
    /// The directory cannot be used.
    #[error(transparent)]
    Files(#[from] PrepareFilesError),
    /// The machine does not let us listen, or has no randomness.
    #[error("the demo servers cannot be started: {0}")]
    Listen(#[from] io::Error),
    /// The tokens cannot be signed.
    #[error("the demo tokens cannot be made: {0}")]
    Sign(#[from] gatewright_jose::SignError),
    /// What we wrote is no configuration.
    #[error("the configuration of the demo is wrong: {0}")]
    Config(#[from] LoadConfigError),
    /// The port that was asked for is taken.
    #[error("another program listens on port {0}: choose another `--port`, or none for a free one")]
    PortTaken(u16),
    /// The gateway does not start.
    #[error(transparent)]
    Gateway(#[from] StartError),
    /// The organisation of the demo cannot be made.
    #[error("the organisation of the demo cannot be made: {0}")]
    Apply(#[source] ChangeError),
}

/// Which port the gateway gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// This one and no other.
    Only(u16),
    /// This one, or a free one if it is taken.
    Rather(u16),
    /// A free one.
    Free,
}

/// Everything that the demo consists of, running.
pub(crate) struct Scene {
    gateway: Running,
    issuer: DemoIssuer,
    servers: DemoServers,
    files: Files,
    base: String,
    ann: Caller,
    ben: Caller,
    agent: Caller,
}

impl Scene {
    /// Starts it, with its files in this directory; without one, in a new one that goes with the scene.
    pub(crate) async fn start(
        port: Port,
        directory: Option<PathBuf>,
    ) -> Result<Self, StartDemoError> {
        let files = Files::prepare(directory)?;
        let issuer = DemoIssuer::start().await?;
        let servers = DemoServers::start().await?;
        let gateway = start_gateway(port, &files, &issuer, &servers).await?;
        let base = gateway.settings().public_url.origin().ascii_serialization();
        let now = SystemClock.now();
        let caller = |persona: Persona| -> Result<Caller, StartDemoError> {
            let mut tokens = Vec::new();
            for server in SERVERS {
                let audience = format!("{base}/mcp/{server}");
                let token = issuer.token(&persona.claims(), &audience, now)?;
                files.keep_token(persona, server, &token)?;
                tokens.push((server, token));
            }
            Ok(Caller::new(persona.name, tokens))
        };
        let (ann, ben, agent) = (caller(ANN)?, caller(BEN)?, caller(AGENT_FOR_ANN)?);
        Ok(Self {
            gateway,
            issuer,
            servers,
            files,
            base,
            ann,
            ben,
            agent,
        })
    }

    /// Plays the tour and shows each step as it ends.
    pub(crate) async fn tour(&self, show: impl FnMut(&Step)) -> Vec<Step> {
        tour::play(self, show).await
    }

    /// What there is, before the tour.
    pub(crate) fn introduction(&self, paint: Paint) -> String {
        screen::introduction(paint, &self.base)
    }

    /// What to do with it, after the tour.
    pub(crate) fn invitation(&self, paint: Paint, program: &str) -> String {
        let server = "invoices";
        let token = self.ann.token(server);
        let file = self.files.token(ANN, server);
        let snippets = paste::snippets(server, &self.endpoint(server), token, &file);
        screen::invitation(paint, &snippets, self.files.dir(), program)
    }

    /// Where its files are.
    pub(crate) fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// Leaves the files where they are.
    pub(crate) fn keep_files(&mut self) {
        self.files.keep();
    }

    /// Takes it apart: the gateway, to be served until it is to end, and what must stay until then.
    pub(crate) fn into_parts(self) -> (Running, impl Sized) {
        (self.gateway, (self.issuer, self.servers, self.files))
    }

    fn base(&self) -> &str {
        &self.base
    }

    fn endpoint(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.base)
    }

    fn issuer(&self) -> &str {
        self.issuer.id()
    }

    const fn servers(&self) -> &DemoServers {
        &self.servers
    }

    const fn ann(&self) -> &Caller {
        &self.ann
    }

    const fn ben(&self) -> &Caller {
        &self.ben
    }

    const fn agent(&self) -> &Caller {
        &self.agent
    }

    fn log(&self) -> Log<'_> {
        Log::new(&self.gateway, self.files.dir())
    }
}

/// Starts the gateway from files, as `serve` does.
async fn start_gateway(
    port: Port,
    files: &Files,
    issuer: &DemoIssuer,
    servers: &DemoServers,
) -> Result<Running, StartDemoError> {
    let mut wanted = port;
    let mut tries = 0;
    loop {
        let free = choose(wanted)?;
        let places = Places {
            port: free,
            issuer: issuer.id(),
            servers: SERVERS.map(|name| (name, servers.url(name))),
        };
        files.configure(&places)?;
        let settings = Settings::load(&files.settings())?;
        let organisation = Organisation::load(&files.organisation(), &settings)?;
        match serve::start(settings).await {
            Err(StartError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && tries < TRIES =>
            {
                if let Port::Only(port) = port {
                    return Err(StartDemoError::PortTaken(port));
                }
                wanted = Port::Free;
                tries += 1;
            }
            started => {
                let running = started?;
                apply(&running, &organisation).await?;
                return Ok(running);
            }
        }
    }
}

/// Makes the demo's organisation, by the door that everybody's is made by.
async fn apply(running: &Running, organisation: &Organisation) -> Result<(), StartDemoError> {
    let by = Actor::Operator(rustix::process::geteuid().as_raw());
    let applied = running.directory().apply_file(&by, &organisation.wanted);
    applied.await.map_err(StartDemoError::Apply)?;
    Ok(())
}

/// A port that was free a moment ago.
fn choose(port: Port) -> Result<u16, StartDemoError> {
    let free = |port: u16| {
        let bound = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        bound.and_then(|listener| Ok(listener.local_addr()?.port()))
    };
    match port {
        Port::Only(port) => free(port).map_err(|_taken| StartDemoError::PortTaken(port)),
        Port::Rather(port) => Ok(free(port).or_else(|_taken| free(0))?),
        Port::Free => Ok(free(0)?),
    }
}

#[cfg(test)]
mod tests;
