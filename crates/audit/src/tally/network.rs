//! Where requests come from.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Where a request came from, coarse enough that one owner is one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4([u8; 3]),
    V6([u16; 4]),
    Unknown,
    /// Networks beyond those that are told apart.
    Others,
}

impl Network {
    pub(super) fn of(peer: Option<IpAddr>) -> Self {
        match peer.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c, d]) => {
                let ip = Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0);
                write!(f, "{ip}/64")
            }
            Self::Unknown => f.write_str("unknown"),
            Self::Others => f.write_str("others"),
        }
    }
}

/// So many networks of one count are named.
const MOST_NAMED: usize = 8;

/// The networks that counted requests of a caller came from.
#[derive(Debug, Default)]
pub(super) struct Networks {
    named: Vec<Network>,
    elsewhere: u64,
}

impl Networks {
    /// Notes one request.
    pub(super) fn add(&mut self, network: Network) {
        if self.named.contains(&network) {
            return;
        }
        if self.named.len() < MOST_NAMED {
            self.named.push(network);
        } else {
            self.elsewhere += 1;
        }
    }

    pub(super) fn to_strings(&self) -> Vec<String> {
        self.named.iter().map(Network::to_string).collect()
    }

    /// How many requests came from networks that are not named.
    pub(super) const fn elsewhere(&self) -> u64 {
        self.elsewhere
    }
}
