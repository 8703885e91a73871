use gatewright_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    CheckpointKey, PublicKey,
    chain::{Digest, Head},
};

/// Signed before the checkpoint's own bytes, so that the key's signature under anything else is none under this.
const DOMAIN: &[u8] = b"gatewright-audit-checkpoint-v1\n";

/// Where one chain stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// Whose records.
    pub tenant: TenantId,
    /// Which replica wrote them.
    pub writer: String,
    /// Number of the last record.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

impl ChainHead {
    pub(crate) fn new(tenant: &TenantId, writer: &str, head: Head) -> Self {
        Self {
            tenant: tenant.clone(),
            writer: writer.to_owned(),
            seq: head.seq,
            hash: head.hash,
        }
    }
}

/// Where every chain of a log stood at one moment, signed. A copy of it outside proves what the log was.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    body: Body,
    raw: Box<RawValue>,
    signature: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    v: u8,
    time: String,
    ms: i64,
    writer: String,
    key: String,
    heads: Vec<ChainHead>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    checkpoint: Box<RawValue>,
    signature: String,
}

impl Checkpoint {
    /// Signs these heads; `None` if the key does not sign.
    pub(crate) fn sign(
        key: &CheckpointKey,
        writer: &str,
        time: Timestamp,
        heads: Vec<ChainHead>,
    ) -> Option<Self> {
        let body = Body {
            v: 1,
            time: jiff::Timestamp::from_millisecond(time.millis())
                .map(|time| format!("{time:.3}"))
                .unwrap_or_default(),
            ms: time.millis(),
            writer: writer.to_owned(),
            key: key.public().id(),
            heads,
        };
        let raw = serde_json::value::to_raw_value(&body).ok()?;
        let signature = key.sign(&message(&raw))?;
        Some(Self {
            body,
            raw,
            signature,
        })
    }

    /// Reads a line of `checkpoints.jsonl`. This does not check the signature.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let Signed {
            checkpoint,
            signature,
        } = serde_json::from_str(line).ok()?;
        let body: Body = serde_json::from_str(checkpoint.get()).ok()?;
        (body.v == 1).then_some(Self {
            body,
            raw: checkpoint,
            signature,
        })
    }

    /// The line that [`parse`](Self::parse) reads, without the line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (raw, signature) = (self.raw.get(), &self.signature);
        format!("{{\"checkpoint\":{raw},\"signature\":\"{signature}\"}}")
    }

    /// Whether this key signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verifies(&message(&self.raw), &self.signature)
    }

    /// Names the key that signed it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.body.key
    }

    /// When it was made.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.body.ms)
    }

    /// Which replica made it.
    #[must_use]
    pub fn writer(&self) -> &str {
        &self.body.writer
    }

    /// Where each chain stood.
    #[must_use]
    pub fn heads(&self) -> &[ChainHead] {
        &self.body.heads
    }
}

fn message(raw: &RawValue) -> Vec<u8> {
    [DOMAIN, raw.get().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let tenant = TenantId::default();
        let head = Head::genesis(&tenant, "local").append(b"{}", &mut Vec::new());
        let heads = vec![ChainHead::new(&tenant, "local", head)];
        let key = CheckpointKey::from_seed(&[7; 32]);
        Checkpoint::sign(&key, "local", Timestamp::from_secs(1_790_000_000), heads).unwrap()
    }

    #[test]
    fn a_checkpoint_reads_back() {
        let read = Checkpoint::parse(&checkpoint().to_json()).unwrap();
        assert!(read.is_signed_by(&CheckpointKey::from_seed(&[7; 32]).public()));
        assert!(!read.is_signed_by(&CheckpointKey::from_seed(&[8; 32]).public()));
        assert_eq!(read.heads(), checkpoint().heads());
        assert_eq!(read.writer(), "local");
    }

    #[test]
    fn any_changed_byte_of_a_checkpoint_shows() {
        let public = CheckpointKey::from_seed(&[7; 32]).public();
        let text = checkpoint().to_json();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let accepted = String::from_utf8(changed)
                .ok()
                .and_then(|text| Checkpoint::parse(&text))
                .is_some_and(|read| read.is_signed_by(&public));
            assert!(!accepted, "byte {at}");
        }
    }

    #[test]
    fn the_form_of_a_checkpoint() {
        insta::assert_snapshot!(checkpoint().to_json());
    }
}
