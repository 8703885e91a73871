//! Ids for what a file names otherwise. The same names make the same ids, so that a file applied again changes nothing.

use std::sync::Arc;

use gatewright_core::Subject;

use crate::model::{Grant, Holder, Identity, Over};

/// Ids are no longer than this; [`check_id`](crate::plan) allows more.
const LONGEST: usize = 120;

/// An id for a name: itself where it can be one; what cannot stand in an id is written as its bytes.
pub(super) fn id_of(name: &str) -> Arc<str> {
    let mut id = String::with_capacity(name.len());
    let bytes = name.as_bytes();
    for (place, byte) in bytes.iter().copied().enumerate() {
        // What reads as a byte that was written so is written so itself: no two names make one id.
        let looks_written = byte == b'_'
            && bytes.get(place + 1..place + 3).is_some_and(|next| {
                next.iter()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
            });
        let fits = byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
        if fits && !looks_written {
            id.push(char::from(byte));
        } else {
            id.push_str(&format!("_{byte:02x}"));
        }
    }
    if matches!(id.as_str(), "" | "." | "..") {
        // No byte is written so.
        id.push_str("_id");
    }
    shortened(id)
}

/// Somebody's name with that of who vouches for them.
pub(crate) fn at_issuer(subject: &Subject) -> String {
    let issuer = subject.issuer();
    let host = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    format!("{}@{}", subject.id(), host.trim_end_matches('/'))
}

/// The ids that somebody could have, by their name there: as the issuer says, or with the issuer in it. Who is local is known
/// by the id itself.
pub(super) fn ids_of(identity: &Identity) -> Vec<Arc<str>> {
    let short = id_of(&identity.subject);
    if identity.issuer == Subject::LOCAL {
        return vec![short];
    }
    let issuer = &identity.issuer;
    let host = issuer.split_once("://").map_or(issuer.as_str(), |it| it.1);
    vec![short, id_of(&format!("{}@{host}", identity.subject))]
}

/// The ids that an issuer could have. Two that differ by a slash at the end are two.
pub(super) fn ids_of_issuer(issuer: &str) -> [Arc<str>; 2] {
    let host = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    [id_of(host), id_of(issuer)]
}

pub(super) fn grant_id(grant: &Grant) -> Arc<str> {
    let to = match &grant.to {
        Holder::User(id) => format!("user:{id}"),
        Holder::Agent(id) => format!("agent:{id}"),
        Holder::Group(id) => format!("group:{id}"),
        Holder::ClaimedGroup { issuer, name } => format!("claimed:{name}@{issuer}"),
    };
    let over = match &grant.over {
        None => String::new(),
        Some(Over::Server(server)) => format!(":over-server:{server}"),
        Some(Over::Group(group)) => format!(":over-group:{group}"),
    };
    id_of(&format!("{}:{to}{over}", grant.role))
}

/// What is too long is cut, with a number that tells it from others that begin alike.
fn shortened(id: String) -> Arc<str> {
    if id.len() <= LONGEST {
        return id.into();
    }
    // FNV-1a: the same in every version, and nothing is decided on it but a name.
    let number = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let kept: String = id.chars().take(LONGEST - 17).collect();
    format!("{kept}-{number:016x}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_make_ids_that_differ() {
        let names = [
            "ann", "a b", "a_20b", "a_5f20b", "ä", "", ".", "..", "a/b", "a|b",
        ];
        let ids: std::collections::BTreeSet<Arc<str>> = names.iter().map(|it| id_of(it)).collect();
        assert_eq!(&*id_of("ann"), "ann");
        assert_eq!(&*id_of("a b"), "a_20b");
        assert_eq!(ids.len(), names.len());
        assert_eq!(&*id_of("report_bot"), "report_bot");
        let long = |end: &str| id_of(&format!("{}{end}", "x".repeat(300)));
        assert_ne!(long("1"), long("2"));
        assert!(long("1").len() <= LONGEST);
    }
}
