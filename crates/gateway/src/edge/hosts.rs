//! Which hosts a request may name. A page of a rebound name (DNS rebinding) reaches us with that name here.

use http::{Request, header, uri::Authority};
use url::Url;

use super::Refusal;

/// The hosts that are ours, with their ports.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    default_port: u16,
    known: Vec<(String, u16)>,
}

impl Hosts {
    /// The host of the public URL, and these.
    pub(crate) fn new(public_url: &Url, others: &[Authority]) -> Self {
        let default_port = if public_url.scheme() == "http" {
            80
        } else {
            443
        };
        let own = (
            public_url
                .host_str()
                .unwrap_or_default()
                .to_ascii_lowercase(),
            public_url.port().unwrap_or(default_port),
        );
        let others = others.iter().map(|host| named(host, default_port));
        Self {
            default_port,
            known: std::iter::once(own).chain(others).collect(),
        }
    }

    /// Takes a request that names one of them.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let mut given = request.headers().get_all(header::HOST).iter();
        let (first, second) = (given.next(), given.next());
        if second.is_some() {
            return Err(Refusal::NoHost);
        }
        let header = first
            .map(|value| Authority::try_from(value.as_bytes()).map_err(|_form| Refusal::NoHost))
            .transpose()?;
        // HTTP/2 has `:authority`, and a proxy's HTTP/1.1 request an absolute target; a `Host` beside it must agree.
        let target = request.uri().authority();
        let mut hosts = target.into_iter().chain(&header).peekable();
        if hosts.peek().is_none() {
            return Err(Refusal::NoHost);
        }
        for host in hosts {
            if host.as_str().contains('@') || host.host().is_empty() {
                return Err(Refusal::NoHost);
            }
            if !self.known.contains(&named(host, self.default_port)) {
                return Err(Refusal::Host);
            }
        }
        Ok(())
    }
}

fn named(host: &Authority, default_port: u16) -> (String, u16) {
    (
        host.host().to_ascii_lowercase(),
        host.port_u16().unwrap_or(default_port),
    )
}
