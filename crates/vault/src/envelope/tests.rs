use gatewright_core::Subject;
use proptest::prelude::*;

use super::*;
use crate::testing::{Keys, agent, server, tenant, user};

struct At {
    tenant: TenantId,
    owner: CredentialOwner,
    server: ServerName,
    version: u64,
}

impl At {
    fn place(&self) -> Place<'_> {
        Place {
            tenant: &self.tenant,
            owner: &self.owner,
            server: &self.server,
            version: self.version,
        }
    }
}

fn at(owner: CredentialOwner) -> At {
    At {
        tenant: tenant("acme"),
        owner,
        server: server("wiki"),
        version: 7,
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn sealed(at: &At, secret: &str) -> Vec<u8> {
    let secret = Secret::new(secret.to_owned());
    now(seal(&Keys::new(&[1]), &at.place(), &secret)).unwrap()
}

fn opened(at: &At, envelope: &[u8]) -> Result<Secret, OpenEnvelopeError> {
    now(open(&Keys::new(&[1]), &at.place(), envelope))
}

#[test]
fn a_credential_opens_in_its_place_only() {
    let home = at(user("ann"));
    let envelope = sealed(&home, "planted");
    assert_eq!(opened(&home, &envelope).unwrap().expose(), "planted");

    let subject = |issuer: &str, id: &str| CredentialOwner::User(Subject::new(issuer, id));
    for owner in [
        user("ben"),
        agent("ann"),
        CredentialOwner::Shared,
        subject("other", "ann"),
        // The same letters, cut elsewhere.
        subject("idpa", "nn"),
        subject("id", "pann"),
    ] {
        let refused = opened(&at(owner.clone()), &envelope);
        assert!(refused.is_err(), "{owner}");
    }
    for elsewhere in [
        At {
            tenant: tenant("acme2"),
            ..at(user("ann"))
        },
        At {
            server: server("wiki2"),
            ..at(user("ann"))
        },
        At {
            version: 8,
            ..at(user("ann"))
        },
        At {
            version: 6,
            ..at(user("ann"))
        },
    ] {
        assert!(opened(&elsewhere, &envelope).is_err());
    }
}

#[test]
fn owners_whose_texts_are_alike_are_two_owners() {
    let one = CredentialOwner::User(Subject::new("a|b", "c"));
    let two = CredentialOwner::User(Subject::new("a", "b|c"));
    assert_eq!(one.to_string(), two.to_string());
    let envelope = sealed(&at(one.clone()), "s");
    assert!(opened(&at(one), &envelope).is_ok());
    assert!(opened(&at(two), &envelope).is_err());
}

#[test]
fn the_wrapped_key_of_one_record_does_not_open_another() {
    let (here, there) = (at(user("ann")), at(user("ben")));
    let (ours, theirs) = (sealed(&here, "ours"), sealed(&there, "theirs"));
    let (wrapped, _) = read(&ours).unwrap();
    let (_, payload) = read(&theirs).unwrap();
    let spliced = write(&wrapped, payload).unwrap();
    assert!(opened(&here, &spliced).is_err());
    assert!(opened(&there, &spliced).is_err());
}

#[test]
fn another_master_key_takes_over_without_the_payload() {
    let home = at(user("ann"));
    let old = sealed(&home, "planted");
    let rotated = Keys::new(&[2, 1]);
    let new = now(rewrap(&rotated, &home.place(), &old)).unwrap().unwrap();
    assert_eq!(read(&old).unwrap().1, read(&new).unwrap().1);
    assert_ne!(master(&old), master(&new));
    let only_new = Keys::new(&[2]);
    let secret = now(open(&only_new, &home.place(), &new)).unwrap();
    assert_eq!(secret.expose(), "planted");
    assert_eq!(now(rewrap(&rotated, &home.place(), &new)).unwrap(), None);

    // Not for another place, and not without the older key.
    let elsewhere = at(user("ben"));
    assert!(now(rewrap(&rotated, &elsewhere.place(), &old)).is_err());
    let gone = now(rewrap(&only_new, &home.place(), &old)).unwrap_err();
    assert!(gone.to_string().contains("is not here"), "{gone}");
}

#[test]
fn what_was_never_sealed_does_not_open() {
    let home = at(user("ann"));
    let envelope = sealed(&home, "s");
    for length in 0..envelope.len() {
        assert!(opened(&home, &envelope[..length]).is_err(), "{length}");
    }
    let mut longer = envelope.clone();
    longer.push(0);
    assert!(opened(&home, &longer).is_err());
    let mut other_form = envelope;
    other_form[0] = 2;
    let refused = opened(&home, &other_form).unwrap_err();
    assert!(matches!(refused, OpenEnvelopeError::Form));
}

#[test]
fn two_seals_of_one_secret_share_nothing() {
    let home = at(user("ann"));
    let (one, two) = (sealed(&home, "same"), sealed(&home, "same"));
    let (one, two) = (read(&one).unwrap(), read(&two).unwrap());
    assert_ne!(one.0.bytes, two.0.bytes);
    assert_ne!(one.1, two.1);
}

proptest! {
    #[test]
    fn a_changed_bit_never_opens(secret in ".{1,40}", bit in any::<proptest::sample::Index>()) {
        let home = at(user("ann"));
        let mut envelope = sealed(&home, &secret);
        let found = opened(&home, &envelope).unwrap();
        prop_assert_eq!(found.expose(), secret);
        let bit = bit.index(envelope.len() * 8);
        envelope[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(opened(&home, &envelope).is_err());
    }

    #[test]
    fn no_bytes_make_the_reader_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(opened(&at(user("ann")), &bytes).is_err());
        let framed = [&[FORM, 4][..], b"mast", &bytes].concat();
        prop_assert!(opened(&at(user("ann")), &framed).is_err());
    }

    #[test]
    fn every_envelope_is_read_as_it_was_written(
        master in "[!-~]{1,255}",
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        payload in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let wrapped = WrappedKey { master: MasterKeyId::new(&master).unwrap(), bytes };
        let envelope = write(&wrapped, &payload).unwrap();
        prop_assert_eq!(read(&envelope), Some((wrapped, payload.as_slice())));
    }
}
