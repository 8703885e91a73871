//! URIs that everybody reads alike.
//!
//! Policies compare URIs as they are written; servers take them apart. `file:///docs/../etc/passwd` fits
//! `file:///docs/*`, and `file:///docs/%73ecret` does not fit a denial of `file:///docs/secret`: a server that
//! normalises (RFC 3986 §6.2.2) would serve both. So a URI that normalising would change in this way is nobody's.

/// Further rounds of decoding are for servers that decode what was decoded.
const ROUNDS: usize = 3;

/// Whether no part of the URI hides or climbs: no segments `.` and `..`, also written otherwise, no encoded
/// character that needs no encoding, and nothing that parsers strip.
pub(crate) fn is_plain(uri: &str) -> bool {
    let stripped = uri.chars().any(char::is_control) || uri != uri.trim_matches(' ');
    if stripped || hides_a_letter(uri) {
        return false;
    }
    let mut text = uri.as_bytes().to_vec();
    for _ in 0..ROUNDS {
        if climbs(&text) {
            return false;
        }
        text = decoded(&text);
    }
    !climbs(&text)
}

/// RFC 3986 §2.3: unreserved characters mean the same with and without encoding.
fn hides_a_letter(uri: &str) -> bool {
    let mut rest = uri.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%'
            && let Some(byte) = encoded(after)
            && (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
        {
            return true;
        }
    }
    false
}

/// A segment ends at a slash of either kind and where the path does; what follows a `;` are its parameters.
fn climbs(text: &[u8]) -> bool {
    text.split(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#'))
        .filter_map(|segment| segment.split(|byte| *byte == b';').next())
        .any(|segment| matches!(segment, b"." | b".."))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match encoded(after).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The byte that the two digits after a `%` stand for.
fn encoded(after: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(after.get(..2)?).ok()?;
    let fits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_uris_are_plain() {
        for uri in [
            "file:///docs/a.txt",
            "file:///C:/Users/a",
            "file:////host/share",
            "postgres://db/schema/table?x=1&y=..%20a",
            "greeting://{name}",
            "docs://{+path}",
            "cache://https%3A%2F%2Fexample.com%2Fa",
            "note://caf%C3%A9/caf%c3%a9",
            "note://größe",
            "v1..2://a/..b/c../d...e",
            "urn:isbn:0451450523",
            "x",
            "",
        ] {
            assert!(is_plain(uri), "{uri}");
        }
    }

    #[test]
    fn what_servers_may_read_otherwise_is_not() {
        for uri in [
            "file:///docs/../etc/passwd",
            "file:///docs/..",
            "file:///docs/./a",
            "file:///docs/..?x",
            "file:///docs/..#x",
            "file:///docs/..;v=1/etc",
            "file:///docs\\..\\etc",
            "file:///docs/%2e%2e/etc",
            "file:///docs/.%2E/etc",
            "file:///docs/..%2Fetc",
            "file:///docs%2f..%2fetc",
            "file:///docs%5c..%5cetc",
            "file:///docs/%252e%252e/etc",
            "file:///docs/..%252fetc",
            "file:///docs/%73ecret",
            "file:///docs/.\t./etc",
            "file:///docs/a\n",
            " file:///docs/a",
            "file:///docs/a ",
            "../a",
            "..",
        ] {
            assert!(!is_plain(uri), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_uri_keeps_its_folder_when_it_is_normalised(path in "(\\.|%2e|%2E|%25|/|%2f|\\\\|%5C|a|;|\\?){0,10}") {
            let uri = format!("https://host/docs/{path}");
            prop_assume!(is_plain(&uri));
            for _ in 0..2 {
                let text = String::from_utf8(decoded(uri.as_bytes())).unwrap();
                for text in [uri.clone(), text] {
                    let read = url::Url::parse(&text).unwrap();
                    prop_assert!(read.path().starts_with("/docs/"), "{} is read as {}", text, read);
                }
            }
        }
    }
}
