use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use url::{Host, Url};

use crate::address::{is_global, is_loopback};

/// Who chose a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The operator, in the settings of the process: allowed networks are reachable.
    Operator,
    /// A caller, a server or a tenant's administrator: only the public internet is reachable.
    Foreign,
}

/// Why a URL is not fetched. The text names no address, so that nobody can map the network by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// Another scheme than `https`, or `http` to somewhere else than loopback in development.
    #[error("only `https` URLs are fetched")]
    Scheme,
    /// No host, or user information in the URL.
    #[error("the URL has no plain host")]
    Host,
    /// The name leads to an address that is not public and not in an allowed network.
    #[error("the host is at an address that may not be reached: see `outbound.allow`")]
    Address,
}

/// Decides which addresses may be reached.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
    development: bool,
}

impl Guard {
    pub(crate) const fn new(allow: Vec<IpNet>, development: bool) -> Self {
        Self { allow, development }
    }

    /// Whether a URL may be fetched at all, before its name is resolved.
    ///
    /// # Errors
    /// [`Forbidden`] says why not.
    pub fn check_url(&self, class: Class, url: &Url) -> Result<(), Forbidden> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::Host);
        }
        let literal = match url.host() {
            None => return Err(Forbidden::Host),
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
        };
        match url.scheme() {
            "https" => {}
            "http" if self.development && is_loopback(url) => {}
            _ => return Err(Forbidden::Scheme),
        }
        match literal {
            Some(address) => self.check(class, address),
            None => Ok(()),
        }
    }

    /// Whether an address may be reached.
    ///
    /// # Errors
    /// [`Forbidden::Address`] if not.
    pub fn check(&self, class: Class, address: IpAddr) -> Result<(), Forbidden> {
        // `::ffff:10.0.0.1` is 10.0.0.1 by another name.
        let address = address.to_canonical();
        let allowed = is_global(address)
            || (self.development && address.is_loopback())
            || (class == Class::Operator
                && self.allow.iter().any(|network| network.contains(&address)));
        if allowed {
            Ok(())
        } else {
            Err(Forbidden::Address)
        }
    }

    /// The addresses of a host, all of them checked: a name with one address that may not be reached is refused
    /// as a whole, since the next look-up could give that one alone.
    pub(crate) async fn resolve(
        &self,
        class: Class,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = match literal.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_name) => tokio::net::lookup_host((host, port)).await?.collect(),
        };
        for address in &addresses {
            self.check(class, address.ip())?;
        }
        if addresses.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        }
        Ok(addresses)
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("the name cannot be resolved")]
    Unresolved(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str], development: bool) -> Guard {
        Guard::new(
            allow
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
            development,
        )
    }

    fn url(guard: &Guard, class: Class, text: &str) -> Result<(), Forbidden> {
        guard.check_url(class, &Url::parse(text).unwrap())
    }

    #[test]
    fn only_https_is_fetched() {
        let guard = guard(&[], false);
        assert_eq!(
            url(&guard, Class::Operator, "https://login.example.com/x"),
            Ok(())
        );
        for text in [
            "http://login.example.com/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "gopher://a.example/",
        ] {
            assert!(url(&guard, Class::Operator, text).is_err(), "{text}");
        }
        assert_eq!(
            url(&guard, Class::Operator, "https://user@a.example/"),
            Err(Forbidden::Host)
        );
    }

    #[test]
    fn private_addresses_are_reached_only_in_allowed_networks_and_by_the_operator() {
        let guard = guard(&["10.0.0.0/8"], false);
        assert_eq!(url(&guard, Class::Operator, "https://10.1.2.3/"), Ok(()));
        assert_eq!(
            url(&guard, Class::Operator, "https://[::ffff:10.1.2.3]/"),
            Ok(())
        );
        for (class, text) in [
            (Class::Foreign, "https://10.1.2.3/"),
            (Class::Operator, "https://192.168.0.1/"),
            (Class::Operator, "https://127.0.0.1/"),
            (Class::Foreign, "https://[::ffff:10.1.2.3]/"),
            (Class::Foreign, "https://0x0a010203/"),
            (Class::Foreign, "https://167838211/"),
        ] {
            assert_eq!(url(&guard, class, text), Err(Forbidden::Address), "{text}");
        }
    }

    #[test]
    fn development_opens_loopback_and_nothing_else() {
        let guard = guard(&[], true);
        for text in [
            "http://127.0.0.1:8080/",
            "http://localhost:8080/",
            "http://[::1]/",
        ] {
            assert_eq!(url(&guard, Class::Foreign, text), Ok(()), "{text}");
        }
        assert_eq!(
            url(&guard, Class::Foreign, "http://10.0.0.1/"),
            Err(Forbidden::Scheme)
        );
        assert_eq!(
            url(&guard, Class::Foreign, "https://10.0.0.1/"),
            Err(Forbidden::Address)
        );
        assert_eq!(
            url(&guard, Class::Foreign, "http://localhost.example.com/"),
            Err(Forbidden::Scheme)
        );
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let closed = guard(&[], false)
            .resolve(Class::Operator, "localhost", 443)
            .await;
        assert!(matches!(
            closed,
            Err(ResolveError::Forbidden(Forbidden::Address))
        ));
        assert!(
            guard(&[], true)
                .resolve(Class::Foreign, "localhost", 443)
                .await
                .is_ok()
        );
    }
}
