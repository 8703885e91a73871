//! How one line follows from the one before it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use gatewright_core::TenantId;

/// A SHA-256 value, shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these parts, one after the other.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        let mut digest = [0; 32];
        // SHA-256 yields 32 bytes, so both sides are of one length.
        digest
            .iter_mut()
            .zip(context.finish().as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(digest)
    }

    /// Reads 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(Self(digest))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn push_hex(&self, out: &mut Vec<u8>) {
        for byte in self.0 {
            for nibble in [byte >> 4, byte & 15] {
                out.push(if nibble < 10 {
                    b'0' + nibble
                } else {
                    b'a' + nibble - 10
                });
            }
        }
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("64 hexadecimal digits are needed"))
    }
}

/// Where a chain ends: the number of its last record, and the hash that stands for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Number of the last record; 0 where there is none.
    pub(crate) seq: u64,
    /// Its hash.
    pub(crate) hash: Digest,
}

impl Head {
    /// The head of a chain without records. It holds the names, so that no chain passes for another's.
    pub(crate) fn genesis(tenant: &TenantId, writer: &str) -> Self {
        let (tenant, writer) = (tenant.as_str(), writer);
        let hash = Digest::of(&[
            b"gatewright-audit-chain-v1",
            &len(tenant.as_bytes()),
            tenant.as_bytes(),
            &len(writer.as_bytes()),
            writer.as_bytes(),
        ]);
        Self { seq: 0, hash }
    }

    /// Writes the line that follows this head, and returns the head after it.
    pub(crate) fn append(self, record: &[u8], out: &mut Vec<u8>) -> Self {
        let next = self.next(record);
        out.extend_from_slice(b"{\"seq\":");
        out.extend_from_slice(next.seq.to_string().as_bytes());
        out.extend_from_slice(b",\"prev\":\"");
        self.hash.push_hex(out);
        out.extend_from_slice(b"\",\"hash\":\"");
        next.hash.push_hex(out);
        out.extend_from_slice(b"\",\"record\":");
        out.extend_from_slice(record);
        out.extend_from_slice(b"}\n");
        next
    }

    fn next(self, record: &[u8]) -> Self {
        let seq = self.seq.saturating_add(1);
        let hash = Digest::of(&[
            &len(self.hash.as_bytes()),
            self.hash.as_bytes(),
            &seq.to_be_bytes(),
            &len(record),
            record,
        ]);
        Self { seq, hash }
    }
}

fn len(bytes: &[u8]) -> [u8; 8] {
    (bytes.len() as u64).to_be_bytes()
}

/// A line of a segment file, taken apart. Its form is fixed to the byte, so that no change of a byte is without
/// effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) prev: Digest,
    pub(crate) head: Head,
    pub(crate) record: &'a str,
}

impl<'a> Line<'a> {
    /// Takes a line apart, without its line feed.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (number, rest) = line.strip_prefix("{\"seq\":")?.split_once(",\"prev\":\"")?;
        let (prev, rest) = rest.split_once("\",\"hash\":\"")?;
        let (hash, rest) = rest.split_once("\",\"record\":")?;
        let record = rest.strip_suffix('}')?;
        let seq = number
            .parse::<u64>()
            .ok()
            // One way to write a number: no `+`, no leading zeros.
            .filter(|seq| *seq > 0 && seq.to_string() == number)?;
        let (prev, hash) = (Digest::parse(prev)?, Digest::parse(hash)?);
        let head = Head { seq, hash };
        Some(Self { prev, head, record })
    }

    /// Whether its hash is that of its own content.
    pub(crate) fn is_intact(&self) -> bool {
        let before = Head {
            seq: self.head.seq.saturating_sub(1),
            hash: self.prev,
        };
        before.next(self.record.as_bytes()) == self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn genesis() -> Head {
        Head::genesis(&TenantId::default(), "local")
    }

    #[test]
    fn a_line_reads_back() {
        let mut out = Vec::new();
        let first = genesis().append(b"{\"a\":1}", &mut out);
        let line = Line::parse(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(line.record, "{\"a\":1}");
        assert_eq!(line.head, first);
        assert_eq!(line.prev, genesis().hash);
        assert!(line.is_intact());
    }

    #[test]
    fn chains_of_other_tenants_and_writers_begin_elsewhere() {
        let acme = TenantId::new("acme").unwrap();
        assert_ne!(genesis(), Head::genesis(&acme, "local"));
        assert_ne!(genesis(), Head::genesis(&TenantId::default(), "other"));
    }

    #[test]
    fn a_digest_is_read_in_one_form_only() {
        let text = genesis().hash.to_string();
        assert_eq!(Digest::parse(&text), Some(genesis().hash));
        assert_eq!(Digest::parse(&text.to_uppercase()), None);
        assert_eq!(Digest::parse(text.strip_suffix(|_| true).unwrap()), None);
    }

    /// Records that look like the line around them, and any other text of one line.
    fn record() -> impl Strategy<Value = String> {
        prop_oneof![
            "[^\\n]{0,60}",
            "(\\}|\\{|\"|,|\"prev\":\"|\",\"hash\":\"|\",\"record\":|[0-9a-f]{64}|é){0,8}",
        ]
    }

    proptest! {
        #[test]
        fn every_chain_reads_back_and_only_in_its_order(
            records in prop::collection::vec(record(), 1..8), moved: prop::sample::Index, to: prop::sample::Index,
        ) {
            let (mut out, mut head) = (Vec::new(), genesis());
            for record in &records {
                head = head.append(record.as_bytes(), &mut out);
            }
            let mut lines: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
            prop_assert_eq!(lines.pop(), Some(&b""[..]));
            let follows = |lines: &[&[u8]]| {
                let mut head = genesis();
                lines.iter().all(|line| {
                    let Some(line) = Line::parse(line) else { return false };
                    let fits = line.is_intact() && line.prev == head.hash && line.head.seq == head.seq + 1;
                    head = line.head;
                    fits
                }).then_some(head)
            };
            prop_assert_eq!(follows(&lines), Some(head));
            let texts: Vec<&str> = lines.iter().map(|line| Line::parse(line).unwrap().record).collect();
            prop_assert_eq!(&texts, &records);
            let (from, to) = (moved.index(lines.len()), to.index(lines.len()));
            let line = lines.remove(from);
            prop_assert_ne!(follows(&lines), Some(head), "one is missing");
            lines.insert(to, line);
            prop_assert_eq!(follows(&lines).is_some(), from == to, "one was moved");
        }

        #[test]
        fn no_two_records_or_places_have_one_hash(
            one in record(), other in record(), seq in 0_u64..3, at in 0_u64..3,
        ) {
            let hash = |seq, record: &str| Head { seq, ..genesis() }.next(record.as_bytes()).hash;
            prop_assert_eq!(hash(seq, &one) == hash(at, &other), (seq, &one) == (at, &other));
        }

        #[test]
        fn any_changed_byte_of_a_line_shows(record in "\\{\"[a-z]{0,20}\":[0-9]{1,5}\\}", at: prop::sample::Index, to: u8) {
            let mut out = Vec::new();
            genesis().append(record.as_bytes(), &mut out);
            out.pop();
            let at = at.index(out.len());
            prop_assume!(out[at] != to);
            out[at] = to;
            let unchanged = Line::parse(&out)
                .is_some_and(|line| line.is_intact() && line.head.seq == 1 && line.prev == genesis().hash);
            prop_assert!(!unchanged);
        }
    }
}
