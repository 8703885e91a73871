use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether a URL leads to this machine by its name: `localhost`, or a loopback address. Names under `localhost` do not count,
/// for resolvers ask others about them.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether an address is one of the public internet (IANA special-purpose address registries).
///
/// IPv6 is decided by what is allowed: global unicast (`2000::/3`) without the ranges in it that are not. That
/// leaves out IPv4-mapped and NAT64 forms, which would reach an IPv4 address by another name.
#[must_use]
pub const fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

const fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)                       // this network, private, loopback
            | (100, 64..=127, _)                   // shared (carrier-grade NAT)
            | (169, 254, _)                        // link-local, cloud metadata
            | (172, 16..=31, _)                    // private
            | (192, 0, 0 | 2)                      // protocol assignments, documentation
            | (192, 88, 99)                        // 6to4 relays
            | (192, 168, _)                        // private
            | (198, 18..=19, _)                    // benchmarking
            | (198, 51, 100)                       // documentation
            | (203, 0, 113)                        // documentation
            | (224..=255, _, _) // multicast, reserved, broadcast
    )
}

const fn is_global_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let unicast = a & 0xe000 == 0x2000;
    // Protocol assignments with Teredo, documentation.
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        || a == 0x2002                             // 6to4
        || (a == 0x3fff && b < 0x1000); // documentation
    unicast && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_global() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.0.1",
            "172.32.0.1",
            "2606:4700::1111",
        ] {
            assert!(is_global(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn everything_special_is_not() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_global(address.parse().unwrap()), "{address}");
        }
    }
}
