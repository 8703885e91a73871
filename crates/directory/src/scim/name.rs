//! Which names people and groups can have, and when two of them are the same.
//!
//! The rule is that of PRECIS's `UsernameCaseMapped` (RFC 8265 §3.3) with what identity providers need beside it: compatibility
//! forms and case fold away before names are compared (NFKC and lower case), spaces are allowed inside, controls and everything
//! invisible or turning the direction of text is refused. Against look-alikes each part of a name (between `@`, `.`, `-`, `_`,
//! `+`, `'` and spaces) has to be of one script as UTS 39 §5.2 "Highly Restrictive" has it, and a part that is not Latin must
//! not look like one that is ASCII altogether (UTS 39 §4).

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::{
    GeneralSecurityProfile as _, MixedScript as _, RestrictionLevel,
    RestrictionLevelDetection as _, skeleton,
};

use super::error::excerpt;

/// Why a text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitName {
    /// There is nothing in it.
    #[error("a name cannot be empty")]
    Empty,
    /// It has too many bytes.
    #[error("a name has at most {LONGEST} bytes")]
    Long,
    /// Spaces at an end are not seen.
    #[error("the name `{0}` begins or ends with a space")]
    Spaces(String),
    /// A character shows nothing, or something else than what is there.
    #[error(
        "the name `{name}` has the character U+{character:04X}, which is not seen or hides another: leave it out"
    )]
    Hidden {
        /// The name.
        name: String,
        /// The character.
        character: u32,
    },
    /// Letters of several scripts stand where they can be taken for one another.
    #[error(
        "the name `{0}` mixes scripts, or looks like another one in Latin letters: write each of its parts in one script"
    )]
    LookAlike(String),
}

/// How many bytes a name has at most.
const LONGEST: usize = 256;

/// The form in which a name is compared: two that are equal in it are the same name.
///
/// # Errors
/// [`UnfitName`] for what cannot be a name.
pub fn comparable_name(name: &str) -> Result<String, UnfitName> {
    if name.is_empty() {
        return Err(UnfitName::Empty);
    }
    if name.len() > LONGEST {
        return Err(UnfitName::Long);
    }
    if name.trim() != name {
        return Err(UnfitName::Spaces(excerpt(name)));
    }
    if name.is_ascii() {
        return match name.bytes().find(u8::is_ascii_control) {
            Some(control) => Err(hidden(name, char::from(control))),
            None => Ok(name.to_ascii_lowercase()),
        };
    }
    if let Some(character) = name.chars().find(|character| is_hidden(*character)) {
        return Err(hidden(name, character));
    }
    let comparable = folded(name);
    if comparable.len() > LONGEST {
        return Err(UnfitName::Long);
    }
    if comparable.trim() != comparable {
        return Err(UnfitName::Spaces(excerpt(name)));
    }
    let parts = comparable.split(['@', '.', '-', '_', '+', '\'', ' ']);
    for part in parts {
        if let Some(character) = part.chars().find(|character| is_hidden(*character)) {
            return Err(hidden(name, character));
        }
        if is_look_alike(part) {
            return Err(UnfitName::LookAlike(excerpt(name)));
        }
    }
    Ok(comparable)
}

/// Compatibility forms and case, folded until nothing changes any more.
fn folded(name: &str) -> String {
    let mut folded: String = name.nfkc().collect();
    for _ in 0..4 {
        let next: String = folded.to_lowercase().nfkc().collect();
        if next == folded {
            break;
        }
        folded = next;
    }
    folded
}

fn hidden(name: &str, character: char) -> UnfitName {
    UnfitName::Hidden {
        name: excerpt(name),
        character: character.into(),
    }
}

/// Controls, spaces other than the usual one, and what Unicode keeps out of identifiers for showing nothing: joiners,
/// directions, fillers, variation selectors, tags, private use, what is not assigned.
fn is_hidden(character: char) -> bool {
    if character.is_control() || (character.is_whitespace() && character != ' ') {
        return true;
    }
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}'
    )
}

fn is_look_alike(part: &str) -> bool {
    if part.is_ascii() {
        return false;
    }
    // The library's levels are of whole identifiers, which leave out more than names of people have to; so it is asked for
    // scripts only where every letter is one that an identifier can have.
    let letters: String = part
        .chars()
        .filter(|character| character.is_alphanumeric() && character.identifier_allowed())
        .collect();
    let mixed = !letters.is_empty()
        && matches!(
            letters.detect_restriction_level(),
            RestrictionLevel::ModeratelyRestrictive
                | RestrictionLevel::MinimallyRestrictive
                | RestrictionLevel::Unrestricted
        );
    let all: String = part
        .chars()
        .filter(|character| character.is_alphanumeric())
        .collect();
    let latin = all
        .chars()
        .any(|character| matches!(u32::from(character), 0x41..=0x24f | 0x1e00..=0x1eff));
    mixed
        || !(all.is_single_script() || is_highly_restrictive(&letters, &all))
        || (!latin && !all.is_empty() && skeleton(&all).all(|c| c.is_ascii()))
}

/// Combinations that people write, as Latin beside Japanese, where the library knows every letter.
fn is_highly_restrictive(letters: &str, all: &str) -> bool {
    letters.len() == all.len()
        && matches!(
            letters.detect_restriction_level(),
            RestrictionLevel::ASCIIOnly
                | RestrictionLevel::SingleScript
                | RestrictionLevel::HighlyRestrictive
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_differ_in_case_or_form_are_the_same() {
        for (one, other) in [
            ("Ann@Example.COM", "ann@example.com"),
            ("JOSÉ", "jose\u{301}"),
            ("ａｎｎ", "ann"),
            ("ﬁona", "FIONA"),
            ("Ünal", "u\u{308}nal"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ] {
            let (one, other) = (comparable_name(one), comparable_name(other));
            assert!(one.is_ok(), "{one:?}");
            assert_eq!(one, other);
        }
        assert_ne!(comparable_name("ann"), comparable_name("anna"));
    }

    #[test]
    fn names_of_people_everywhere_are_taken() {
        for name in [
            "ann",
            "Ann Smith",
            "o'brien+work@example.com",
            "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1",
            "DOMAIN\\ann",
            "josé.garcía@example.com",
            "иван.петров",
            "иван@example.com",
            "γιώργος",
            "山田太郎",
            "山田たろう",
            "金正",
            "김철수",
            "محمد",
            "राम",
            "kadın",
            "straße",
            "nguyễn.văn@example.com",
        ] {
            assert!(
                comparable_name(name).is_ok(),
                "{name}: {:?}",
                comparable_name(name)
            );
        }
    }

    #[test]
    fn what_hides_is_refused() {
        for name in [
            "ann\u{200b}",
            "a\u{202e}nn",
            "ann\0",
            "a\tb",
            "an\u{ad}n",
            "ann\u{2066}",
            "ann\u{feff}x",
            "a\u{e0061}",
            "a\u{a0}b",
            "a\u{3164}b",
            "a\u{7f}",
        ] {
            assert!(
                matches!(comparable_name(name), Err(UnfitName::Hidden { .. })),
                "{name:?}"
            );
        }
        assert_eq!(comparable_name(""), Err(UnfitName::Empty));
        assert_eq!(comparable_name(&"a".repeat(257)), Err(UnfitName::Long));
        for name in [" ann", "ann ", "ann\n"] {
            assert!(
                matches!(comparable_name(name), Err(UnfitName::Spaces(_))),
                "{name:?}"
            );
        }
    }

    #[test]
    fn look_alikes_are_refused() {
        for name in [
            "pаypal",          // one Cyrillic letter
            "аnn@example.com", // Cyrillic first letter
            "сосо",            // Cyrillic altogether, and looks Latin
            "ann@ехаmple.com", // Cyrillic in the domain
            "αdmin",           // Greek first letter
        ] {
            assert!(
                matches!(comparable_name(name), Err(UnfitName::LookAlike(_))),
                "{name:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_comparable_form_is_its_own(name in "\\PC{1,40}") {
            if let Ok(comparable) = comparable_name(&name) {
                let again = comparable_name(&comparable);
                prop_assert_eq!(again, Ok(comparable));
            }
        }
    }
}
