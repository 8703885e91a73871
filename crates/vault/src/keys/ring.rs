//! Master keys that this process holds itself.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use gatewright_core::SecretBytes;
use zeroize::Zeroizing;

use super::{DerivedKey, MasterKeyId, UseMasterKeyError, WrappedKey};

/// Bytes of a master key, of a record's key, and of what is derived.
pub(crate) const KEY_LEN: usize = 32;
/// Sets our derivations apart from those of whoever else might use the same key.
const SALT: &[u8] = b"gatewright master key 1";
/// Hexadecimal digits of a key's fingerprint.
const FINGERPRINT_BYTES: usize = 8;

/// Some master keys, the current one first.
pub(crate) struct Ring {
    current: Master,
    older: Vec<Master>,
}

struct Master {
    id: MasterKeyId,
    key: SecretBytes,
}

impl Ring {
    /// A ring of these keys, of [`KEY_LEN`] bytes each.
    pub(crate) fn new(
        current: SecretBytes,
        older: impl IntoIterator<Item = SecretBytes>,
    ) -> Result<Self, UseMasterKeyError> {
        Ok(Self {
            current: Master::new(current)?,
            older: older
                .into_iter()
                .map(Master::new)
                .collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn current(&self) -> MasterKeyId {
        self.current.id.clone()
    }

    /// The current one's first.
    pub(crate) fn names(&self) -> Vec<&MasterKeyId> {
        self.masters().map(|master| &master.id).collect()
    }

    pub(crate) fn wrap(
        &self,
        key: &SecretBytes,
        bound: &[u8],
    ) -> Result<WrappedKey, UseMasterKeyError> {
        let master = &self.current;
        Ok(WrappedKey {
            bytes: seal(&master.wrapping()?, bound, key.expose())?,
            master: master.id.clone(),
        })
    }

    pub(crate) fn unwrap(
        &self,
        wrapped: &WrappedKey,
        bound: &[u8],
    ) -> Result<SecretBytes, UseMasterKeyError> {
        let mut masters = self.masters();
        let master = masters
            .find(|master| master.id == wrapped.master)
            .ok_or_else(|| UseMasterKeyError::Missing(wrapped.master.clone()))?;
        let mut key = open(&master.wrapping()?, bound, &wrapped.bytes)?;
        Ok(SecretBytes::new(std::mem::take(&mut *key)))
    }

    pub(crate) fn derive(&self, purpose: &str) -> Result<Vec<DerivedKey>, UseMasterKeyError> {
        let derived = |master: &Master| {
            Ok(DerivedKey {
                key: master.derive(&[b"purpose", purpose.as_bytes()])?,
                master: master.id.clone(),
            })
        };
        self.masters().map(derived).collect()
    }

    fn masters(&self) -> impl Iterator<Item = &Master> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl Master {
    fn new(key: SecretBytes) -> Result<Self, UseMasterKeyError> {
        let mut master = Self {
            id: MasterKeyId("".into()),
            key,
        };
        let print = master.derive(&[b"id"])?;
        let digits: String = print
            .expose()
            .iter()
            .take(FINGERPRINT_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        master.id = MasterKeyId(format!("local-{digits}").into());
        Ok(master)
    }

    /// What wraps: the master key itself encrypts nothing.
    fn wrapping(&self) -> Result<RandomizedNonceKey, UseMasterKeyError> {
        let key = self.derive(&[b"wrap"])?;
        aead_key(&key)
    }

    fn derive(&self, info: &[&[u8]]) -> Result<SecretBytes, UseMasterKeyError> {
        // The parts are told apart: no purpose of a caller's reads as one of ours.
        let lengths: Vec<[u8; 8]> = info
            .iter()
            .map(|part| (part.len() as u64).to_be_bytes())
            .collect();
        let info: Vec<&[u8]> = lengths
            .iter()
            .zip(info)
            .flat_map(|(length, part)| [length.as_slice(), part])
            .collect();
        let mut derived = Zeroizing::new(vec![0; KEY_LEN]);
        Salt::new(HKDF_SHA256, SALT)
            .extract(self.key.expose())
            .expand(&info, Length)
            .and_then(|key| key.fill(&mut derived))
            .map_err(unusable)?;
        Ok(SecretBytes::new(std::mem::take(&mut *derived)))
    }
}

/// The length of what HKDF makes.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_LEN
    }
}

/// A random key for one record.
pub(crate) fn random_key() -> Result<SecretBytes, UseMasterKeyError> {
    let mut key = Zeroizing::new(vec![0; KEY_LEN]);
    aws_lc_rs::rand::fill(&mut key).map_err(unusable)?;
    Ok(SecretBytes::new(std::mem::take(&mut *key)))
}

pub(crate) fn aead_key(key: &SecretBytes) -> Result<RandomizedNonceKey, UseMasterKeyError> {
    RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(unusable)
}

/// Nonce, ciphertext and tag.
pub(crate) fn seal(
    key: &RandomizedNonceKey,
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, UseMasterKeyError> {
    // Room for the tag: a buffer that grows would leave the plaintext behind.
    let mut text = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    text.extend_from_slice(plaintext);
    let nonce = key
        .seal_in_place_append_tag(Aad::from(bound), &mut text)
        .map_err(unusable)?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

/// Opens what [`seal`] made.
pub(crate) fn open(
    key: &RandomizedNonceKey,
    bound: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, UseMasterKeyError> {
    let (nonce, text) = sealed
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(UseMasterKeyError::Foreign)?;
    let mut text = Zeroizing::new(text.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key
        .open_in_place(nonce, Aad::from(bound), &mut text)
        .map_err(|_unspecified| UseMasterKeyError::Foreign)?
        .len();
    text.truncate(length);
    Ok(text)
}

fn unusable(_: aws_lc_rs::error::Unspecified) -> UseMasterKeyError {
    UseMasterKeyError::Unavailable("there is no randomness, or the key cannot be used".into())
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.masters().map(|master| &master.id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretBytes {
        SecretBytes::new(vec![byte; KEY_LEN])
    }

    fn ring(current: u8, older: &[u8]) -> Ring {
        Ring::new(key(current), older.iter().map(|byte| key(*byte))).unwrap()
    }

    #[test]
    fn a_key_opens_under_its_master_key_and_what_it_was_bound_to() {
        let wrapped = ring(1, &[]).wrap(&key(9), b"here").unwrap();
        assert_eq!(ring(1, &[]).unwrap(&wrapped, b"here").unwrap(), key(9));
        assert_eq!(ring(2, &[1]).unwrap(&wrapped, b"here").unwrap(), key(9));
        let elsewhere = ring(1, &[]).unwrap(&wrapped, b"there").unwrap_err();
        assert!(matches!(elsewhere, UseMasterKeyError::Foreign));
        let gone = ring(2, &[]).unwrap(&wrapped, b"here").unwrap_err();
        assert!(gone.to_string().contains(wrapped.master.as_str()), "{gone}");
    }

    #[test]
    fn two_keys_have_two_names_and_show_nothing() {
        let (one, two) = (ring(1, &[]), ring(2, &[1]));
        assert_ne!(one.current(), two.current());
        assert_eq!(one.current(), ring(1, &[]).current());
        let shown = format!("{two:?}");
        assert!(shown.contains(one.current().as_str()), "{shown}");
        assert!(
            !shown.contains("0202") && !shown.contains("0101"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_derived_depends_on_key_and_purpose_alone() {
        let of = |ring: &Ring, purpose: &str| ring.derive(purpose).unwrap();
        let two = of(&ring(1, &[2]), "api-keys");
        assert_eq!(two.len(), 2);
        assert_eq!(two[0].key, of(&ring(1, &[]), "api-keys")[0].key);
        assert_eq!(two[1].key, of(&ring(2, &[]), "api-keys")[0].key);
        assert_ne!(two[0].key, two[1].key);
        assert_ne!(two[0].key, of(&ring(1, &[]), "other")[0].key);
        // Neither is what wraps, nor the fingerprint.
        for ours in ["wrap", "id", ""] {
            let wrapping = ring(1, &[]).current.derive(&[ours.as_bytes()]).unwrap();
            assert_ne!(wrapping, of(&ring(1, &[]), ours)[0].key);
        }
    }
}
