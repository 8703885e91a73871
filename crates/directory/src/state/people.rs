//! People, and the ways to find one.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use gatewright_core::{Subject, Timestamp};

use crate::model::{Identity, Invited, User};

/// A person, as far as requests and rules need them. There may be very many.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) user_name: Box<str>,
    pub(crate) external_id: Option<Box<str>>,
    pub(crate) alive: bool,
    pub(crate) identities: Box<[Subject]>,
    /// The address, and until when.
    invited: Option<(Box<str>, i64)>,
}

/// Everybody.
#[derive(Debug, Default)]
pub(crate) struct People {
    all: HashMap<Arc<str>, Person>,
    by_identity: HashMap<Subject, Arc<str>>,
    by_external_id: HashMap<Box<str>, Arc<str>>,
    by_user_name: HashMap<Box<str>, Arc<str>>,
    by_invitation: HashMap<Box<str>, Arc<str>>,
}

impl People {
    pub(crate) fn set(&mut self, id: &Arc<str>, user: Option<&User>) {
        if let Some(before) = self.all.remove(id) {
            for identity in &before.identities {
                take_back(&mut self.by_identity, identity, id);
            }
            if let Some(external_id) = &before.external_id {
                take_back(&mut self.by_external_id, external_id, id);
            }
            if let Some((email, _)) = &before.invited {
                take_back(&mut self.by_invitation, email, id);
            }
            let folded = User::folded(&before.user_name).into_boxed_str();
            take_back(&mut self.by_user_name, &folded, id);
        }
        let Some(user) = user else { return };
        let person = Person {
            user_name: user.user_name.as_str().into(),
            external_id: user.external_id.as_deref().map(Box::from),
            alive: user.is_alive(),
            identities: user.identities.iter().map(Identity::subject).collect(),
            invited: user.invited.as_ref().map(|to| {
                let email = Invited::folded(&to.email).into_boxed_str();
                (email, to.expires)
            }),
        };
        for identity in &person.identities {
            self.by_identity.insert(identity.clone(), Arc::clone(id));
        }
        if let Some(external_id) = &person.external_id {
            self.by_external_id
                .insert(external_id.clone(), Arc::clone(id));
        }
        if let Some((email, _)) = &person.invited {
            self.by_invitation.insert(email.clone(), Arc::clone(id));
        }
        let folded = User::folded(&person.user_name).into_boxed_str();
        self.by_user_name.insert(folded, Arc::clone(id));
        self.all.insert(Arc::clone(id), person);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Person> {
        self.all.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Person)> {
        self.all.iter()
    }

    pub(crate) fn known(&self, id: &str) -> Option<Arc<str>> {
        self.all.get_key_value(id).map(|(id, _)| Arc::clone(id))
    }

    pub(crate) fn by_identity(&self, subject: &Subject) -> Option<Arc<str>> {
        self.by_identity.get(subject).cloned()
    }

    pub(crate) fn by_external_id(&self, external_id: &str) -> Option<Arc<str>> {
        self.by_external_id.get(external_id).cloned()
    }

    pub(crate) fn by_user_name(&self, folded: &str) -> Option<Arc<str>> {
        self.by_user_name.get(folded).cloned()
    }

    /// Who is invited at this address at this moment.
    pub(crate) fn invited(&self, email: &str, now: Timestamp) -> Option<Arc<str>> {
        let folded = Invited::folded(email);
        let id = self.by_invitation.get(folded.as_str())?;
        let (_, until) = self.all.get(id)?.invited.as_ref()?;
        (now.millis() < *until).then(|| Arc::clone(id))
    }
}

/// Takes a name back from somebody. One commit can pass it on, and then it is another's already.
pub(super) fn take_back<K: Eq + Hash>(names: &mut HashMap<K, Arc<str>>, name: &K, id: &Arc<str>) {
    if names.get(name) == Some(id) {
        names.remove(name);
    }
}
