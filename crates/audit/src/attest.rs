//! Statements that the key of checkpoints signs: receipts of what was cut when somebody left.

use gatewright_core::{Attestation, JsonLimits, json};
use serde_json::{Map, Value};

use crate::{CheckpointKey, PublicKey};

/// Signed before the statement's own bytes, so that the key's signature under anything else is none under this.
const DOMAIN: &str = "gatewright-receipt-v1\n";
/// Larger whole numbers are read differently by different readers (RFC 8785 §3.2.2.3, RFC 7493 §2.2).
const LARGEST: i64 = (1 << 53) - 1;
/// No receipt is larger, in bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;
const MOST_DEPTH: usize = 32;

/// Why a text is no receipt of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyAttestedError {
    /// It is no JSON object, or one that readers may read differently.
    #[error("it is no JSON object that everybody reads alike: {0}")]
    Json(String),
    /// It lacks what a receipt has.
    #[error(
        "it is no receipt: it needs the member `statement`, and `signed` with `key` and `signature`"
    )]
    Form,
    /// The statement has something that has no one way to be written.
    #[error("the statement holds a number that is not whole, or too large")]
    Number,
    /// None of the keys is the one that it names.
    #[error(
        "it is signed by the key `{0}`, which is none of the given ones: give the public key of whoever made it"
    )]
    UnknownKey(String),
    /// The key did not sign this statement: one of the two was changed.
    #[error("the key `{0}` did not sign this statement: it was changed, or forged")]
    Forged(String),
}

/// A statement whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attested {
    /// What was signed.
    pub statement: Map<String, Value>,
    /// Names the key that signed it.
    pub key: String,
}

impl CheckpointKey {
    /// Signs the canonical text (RFC 8785) of a statement, behind a text that stands before no other signature of the key.
    /// `None` for what has no such text, as fractions have none here, and where the key does not sign.
    #[must_use]
    pub fn attest(&self, statement: &Value) -> Option<Attestation> {
        let Value::Object(statement) = statement else {
            return None;
        };
        Some(Attestation {
            key: self.public().id(),
            signature: self.sign(&message(statement)?)?,
        })
    }
}

impl Attested {
    /// Reads a receipt, `{"statement": {…}, "signed": {"key": "…", "signature": "…"}}`, and verifies it. What stands beside
    /// these members is not signed, and is left out.
    ///
    /// # Errors
    /// [`VerifyAttestedError`] when it is not exactly what one of these keys signed.
    pub fn verify(text: &str, keys: &[PublicKey]) -> Result<Self, VerifyAttestedError> {
        let limits = JsonLimits {
            max_bytes: MOST_BYTES,
            max_depth: MOST_DEPTH,
        };
        // A member that stands there twice is read one way by us and another way by others.
        json::check(text.as_bytes(), &limits)
            .map_err(|error| VerifyAttestedError::Json(error.to_string()))?;
        let read: Value = serde_json::from_str(text)
            .map_err(|error| VerifyAttestedError::Json(error.to_string()))?;
        let (Some(statement), Some(key), Some(signature)) = (
            read.get("statement").and_then(Value::as_object),
            read.pointer("/signed/key").and_then(Value::as_str),
            read.pointer("/signed/signature").and_then(Value::as_str),
        ) else {
            return Err(VerifyAttestedError::Form);
        };
        let message = message(statement).ok_or(VerifyAttestedError::Number)?;
        let public = keys.iter().find(|public| public.id() == key);
        let public = public.ok_or_else(|| VerifyAttestedError::UnknownKey(key.to_owned()))?;
        if !public.verifies(&message, signature) {
            return Err(VerifyAttestedError::Forged(key.to_owned()));
        }
        Ok(Self {
            statement: statement.clone(),
            key: key.to_owned(),
        })
    }
}

fn message(statement: &Map<String, Value>) -> Option<Vec<u8>> {
    let mut text = DOMAIN.to_owned();
    write_object(&mut text, statement)?;
    Some(text.into_bytes())
}

/// RFC 8785 §3.2: no white space, members in the order of their names' UTF-16 code units, numbers and strings in one way.
fn write(text: &mut String, value: &Value) -> Option<()> {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(it) => text.push_str(if *it { "true" } else { "false" }),
        Value::Number(number) => {
            let whole = number.as_i64()?;
            if !(-LARGEST..=LARGEST).contains(&whole) {
                return None;
            }
            text.push_str(&whole.to_string());
        }
        // serde_json escapes exactly what §3.2.2.2 escapes, and in the same way.
        Value::String(it) => text.push_str(&serde_json::to_string(it).ok()?),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(text, item)?;
            }
            text.push(']');
        }
        Value::Object(members) => write_object(text, members)?,
    }
    Some(())
}

fn write_object(text: &mut String, members: &Map<String, Value>) -> Option<()> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_by(|one, other| one.0.encode_utf16().cmp(other.0.encode_utf16()));
    text.push('{');
    for (at, (name, value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name).ok()?);
        text.push(':');
        write(text, value)?;
    }
    text.push('}');
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> CheckpointKey {
        CheckpointKey::from_seed(&[7; 32])
    }

    fn statement() -> Value {
        json!({"v": 1, "of": {"kind": "user", "id": "u-ann"}, "by": "uid:0\u{7}\u{1f512}", "cut": [{"at": 5}, true, null]})
    }

    fn receipt() -> String {
        let signed = key().attest(&statement()).unwrap();
        let signed = json!({"key": signed.key, "signature": signed.signature});
        json!({"statement": statement(), "signed": signed}).to_string()
    }

    #[test]
    fn a_receipt_verifies_under_its_key_and_no_other() {
        let public = key().public();
        let attested = Attested::verify(&receipt(), &[public]).unwrap();
        assert_eq!(Value::Object(attested.statement), statement());
        let other = CheckpointKey::from_seed(&[8; 32]).public();
        let refused = Attested::verify(&receipt(), &[other]).unwrap_err();
        assert_eq!(refused, VerifyAttestedError::UnknownKey(public.id()));
        assert!(Attested::verify(&receipt(), &[other, public]).is_ok());
    }

    #[test]
    fn the_order_of_members_and_white_space_are_no_change() {
        let signed = key().attest(&statement()).unwrap();
        let text = format!(
            "{{\"signed\":{{\"signature\":\"{}\",\n \"other\": 1, \"key\":\"{}\"}},\"statement\":{}}}",
            signed.signature,
            signed.key,
            serde_json::to_string_pretty(&statement()).unwrap()
        );
        assert!(Attested::verify(&text, &[key().public()]).is_ok());
    }

    #[test]
    fn any_changed_byte_of_a_receipt_shows() {
        let (public, text) = (key().public(), receipt());
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(changed) else {
                    continue;
                };
                let Ok(verified) = Attested::verify(&changed, &[public]) else {
                    continue;
                };
                panic!("byte {at}: {verified:?}");
            }
        }
    }

    #[test]
    fn what_is_said_twice_is_refused() {
        let text = receipt().replacen("\"v\":1", "\"v\":1,\"v\":1", 1);
        let refused = Attested::verify(&text, &[key().public()]).unwrap_err();
        assert!(matches!(refused, VerifyAttestedError::Json(_)), "{refused}");
        let twice = receipt().replacen('{', "{\"statement\":{\"v\":2},", 1);
        let refused = Attested::verify(&twice, &[key().public()]).unwrap_err();
        assert!(matches!(refused, VerifyAttestedError::Json(_)), "{refused}");
    }

    #[test]
    fn a_checkpoints_signature_is_none_of_a_receipt_and_something_else_is_no_receipt() {
        let text = statement().to_string();
        let signature = key()
            .sign(&[b"gatewright-audit-checkpoint-v1\n", text.as_bytes()].concat())
            .unwrap();
        let id = key().public().id();
        let forged =
            json!({"statement": statement(), "signed": {"key": id, "signature": signature}});
        let refused = Attested::verify(&forged.to_string(), &[key().public()]);
        assert_eq!(refused, Err(VerifyAttestedError::Forged(id)));
        for (text, error) in [
            ("[]", VerifyAttestedError::Form),
            ("{\"statement\": {}}", VerifyAttestedError::Form),
            (
                "{\"statement\": {\"a\": 1.5}, \"signed\": {\"key\": \"k\", \"signature\": \"\"}}",
                VerifyAttestedError::Number,
            ),
        ] {
            assert_eq!(
                Attested::verify(text, &[key().public()]),
                Err(error),
                "{text}"
            );
        }
        assert_eq!(key().attest(&json!({"a": 0.5})), None);
        assert_eq!(key().attest(&json!({"a": 1_u64 << 60})), None);
    }

    #[test]
    fn the_canonical_text_is_that_of_rfc_8785() {
        let statement = json!({"\u{20ac}": "\u{20ac}$\u{f}\nA'B\"\\\"/", "\r": 1, "1": [], "\u{1f600}": {}, "\u{fb33}": -7});
        let Value::Object(statement) = statement else {
            unreachable!();
        };
        let text = String::from_utf8(message(&statement).unwrap()).unwrap();
        assert_eq!(
            text,
            "gatewright-receipt-v1\n{\"\\r\":1,\"1\":[],\"\u{20ac}\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\"/\",\"\u{1f600}\":{},\"\u{fb33}\":-7}"
        );
    }
}
