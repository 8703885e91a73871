//! The revisions of MCP, and the two ways in which they speak.

use std::fmt;

/// How a revision speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Era {
    /// 2025-11-25 and earlier: `initialize`, sessions, server-to-client requests.
    Legacy,
    /// 2026-07-28 and later: stateless requests that carry their version and capabilities.
    Modern,
}

/// A revision that this codec knows. Orders by date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(&'static str);

impl Version {
    /// HTTP+SSE with two endpoints.
    pub const V2024_11_05: Self = Self("2024-11-05");
    /// Streamable HTTP; what a legacy request without a version header speaks.
    pub const V2025_03_26: Self = Self("2025-03-26");
    /// The version header, no batches.
    pub const V2025_06_18: Self = Self("2025-06-18");
    /// The newest revision with `initialize`.
    pub const V2025_11_25: Self = Self("2025-11-25");
    /// The stateless revision.
    pub const V2026_07_28: Self = Self("2026-07-28");

    /// Every known revision, oldest first.
    pub const KNOWN: &[Self] = &[
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];
    /// The known revisions of the legacy era, oldest first.
    pub const LEGACY: &[Self] = &[
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
    ];
    /// The known revisions of the modern era, oldest first.
    pub const MODERN: &[Self] = &[Self::V2026_07_28];

    /// The known revision of this exact name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::KNOWN.iter().copied().find(|known| known.0 == name)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The era it belongs to.
    #[must_use]
    pub fn era(self) -> Era {
        if self >= Self::V2026_07_28 {
            Era::Modern
        } else {
            Era::Legacy
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether a version name, known or not, is a date on or after the first modern revision.
pub(crate) fn names_modern(name: &str) -> bool {
    let dated = name.len() == 10
        && name.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    dated && name >= Version::V2026_07_28.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_is_legacy_then_modern() {
        let joined: Vec<Version> = Version::LEGACY
            .iter()
            .chain(Version::MODERN)
            .copied()
            .collect();
        assert_eq!(joined, Version::KNOWN);
        assert!(Version::LEGACY.iter().all(|v| v.era() == Era::Legacy));
        assert!(Version::MODERN.iter().all(|v| v.era() == Era::Modern));
        assert!(Version::KNOWN.is_sorted());
    }

    #[test]
    fn only_exact_names_are_known() {
        assert_eq!(Version::parse("2026-07-28"), Some(Version::V2026_07_28));
        assert_eq!(Version::parse("2026-07-28 "), None);
        assert_eq!(Version::parse("2099-01-01"), None);
    }

    #[test]
    fn modern_names_are_dates_from_the_first_modern_revision_on() {
        assert!(names_modern("2026-07-28"));
        assert!(names_modern("2099-01-01"));
        assert!(!names_modern("2026-07-27"));
        assert!(!names_modern("3"));
        assert!(!names_modern("9999/99/99"));
        assert!(!names_modern("draft-2027"));
    }
}
