//! What things may be called.

use crate::{edit::ChangeError, records::Kind};

/// In characters.
const LONGEST_ID: usize = 128;
/// In bytes.
const LONGEST_TEXT: usize = 256;

/// Ids stand in paths, in the log and in policies: letters, digits and `. _ : @ -`, as most have them. Those of members are two.
pub(super) fn check_id(kind: Kind, id: &str) -> Result<(), ChangeError> {
    let parts: Vec<&str> = match kind {
        Kind::Member => id.split('/').collect(),
        _ => vec![id],
    };
    let fit = |part: &str| {
        (1..=LONGEST_ID).contains(&part.len())
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b))
    };
    let most = if kind == Kind::Member { 2 } else { 1 };
    if parts.len() == most && parts.iter().all(|part| fit(part)) {
        return Ok(());
    }
    let shown: String = id.chars().take(LONGEST_ID).collect();
    let message = format!(
        "`{}` cannot be the id of a {kind}: use 1 to {LONGEST_ID} letters, digits and `. _ : @ -`",
        shown.escape_debug()
    );
    Err(ChangeError::broken("id", message))
}

/// Texts that people read and compare: without characters that are not seen or that turn what is.
pub(super) fn check_text(what: &str, text: &str) -> Result<(), ChangeError> {
    let refuse = |why: &str| {
        let message = format!("the {what} {why}");
        Err(ChangeError::broken("text", message))
    };
    if text.trim().is_empty() {
        return refuse("is empty");
    }
    if text.len() > LONGEST_TEXT {
        return refuse(&format!(
            "has {} bytes, and may have {LONGEST_TEXT}",
            text.len()
        ));
    }
    if text.trim() != text {
        return refuse("begins or ends with a space");
    }
    if text.chars().any(is_unseen) {
        return refuse("has characters that cannot be seen, or that turn the direction of writing");
    }
    Ok(())
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fit_for_paths_and_policies() {
        for id in ["a", "report-bot", "Ann@a.example", "urn:x:1", "0199.a_b"] {
            check_id(Kind::User, id).unwrap();
            check_id(Kind::Member, &format!("g/{id}")).unwrap();
        }
        for id in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a\"b",
            "ä",
            "a\n",
            "a|b",
            &"x".repeat(129),
        ] {
            assert_eq!(check_id(Kind::User, id).unwrap_err().code(), "id", "{id}");
        }
        for id in ["g", "g/", "/m", "g/m/n"] {
            check_id(Kind::Member, id).unwrap_err();
        }
    }

    #[test]
    fn texts_show_what_they_are() {
        for text in ["Ann", "Zoë Ørsted", "山田", "a b"] {
            check_text("name", text).unwrap();
        }
        for text in [
            "",
            " ",
            " a",
            "a ",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\tb",
            "\u{feff}a",
            &"x".repeat(257),
        ] {
            check_text("name", text).unwrap_err();
        }
    }
}
