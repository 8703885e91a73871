use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use gatewright_core::{
    Timestamp,
    access::{Grant, Grantee, Scope},
};

/// The grants of one tenant. Changing those of one grantee costs what they are, however many others there are.
///
/// Clones share the grants. Engines that are built one after another take the same grants, so that other policies and
/// roles leave them as they are, and a change of grants needs no other engine. It counts from the next decision on.
#[derive(Clone, Default)]
pub struct Grants(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Changes under the lock of `all`, so that who holds it knows which generation it reads.
    generation: AtomicU64,
    all: RwLock<HashMap<Grantee, Vec<Arc<Grant>>>>,
}

/// Why a grant cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGrant {
    /// A party or group has an issuer with a `|` in it, which ids are split at.
    #[error("a grant names the issuer `{0}`: an issuer may not hold a `|`")]
    Issuer(String),
    /// A grant among those of one grantee is to another.
    #[error("a grant of the role `{role}` is to `{to}`, and not to whom grants are set")]
    OfAnother {
        /// The role.
        role: String,
        /// To whom the grant is.
        to: String,
    },
}

impl Grants {
    /// These grants.
    ///
    /// # Errors
    /// [`InvalidGrant`] where one cannot be kept.
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Self, InvalidGrant> {
        let all = Self::default();
        all.replace(grants)?;
        Ok(all)
    }

    /// Puts these grants in the place of all that there are.
    ///
    /// # Errors
    /// [`InvalidGrant`] where one cannot be kept; then nothing changes.
    pub fn replace(&self, grants: impl IntoIterator<Item = Grant>) -> Result<(), InvalidGrant> {
        let mut all: HashMap<Grantee, Vec<Arc<Grant>>> = HashMap::new();
        for grant in grants {
            checked(&grant)?;
            let of_one = all.entry(grant.to.clone()).or_default();
            of_one.push(Arc::new(grant));
        }
        let mut present = crate::write(&self.0.all);
        *present = all;
        self.0.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Adds grants to those that there are.
    ///
    /// # Errors
    /// [`InvalidGrant`] where one cannot be kept; then nothing changes.
    pub fn add(&self, grants: impl IntoIterator<Item = Grant>) -> Result<(), InvalidGrant> {
        let grants: Vec<Grant> = grants.into_iter().collect();
        grants.iter().try_for_each(checked)?;
        let mut all = crate::write(&self.0.all);
        for grant in grants {
            let of_one = all.entry(grant.to.clone()).or_default();
            of_one.push(Arc::new(grant));
        }
        self.0.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Puts these grants in the place of those of one grantee; none takes everything away.
    ///
    /// # Errors
    /// [`InvalidGrant`] where one cannot be kept; then nothing changes.
    pub fn set(
        &self,
        to: &Grantee,
        grants: impl IntoIterator<Item = Grant>,
    ) -> Result<(), InvalidGrant> {
        let mut of_one = Vec::new();
        for grant in grants {
            checked(&grant)?;
            if grant.to != *to {
                return Err(InvalidGrant::OfAnother {
                    role: grant.role,
                    to: grant.to.to_string(),
                });
            }
            of_one.push(Arc::new(grant));
        }
        let mut all = crate::write(&self.0.all);
        if of_one.is_empty() {
            all.remove(to);
        } else {
            all.insert(to.clone(), of_one);
        }
        self.0.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// The grants of one grantee, those that have ended included.
    #[must_use]
    pub fn of(&self, to: &Grantee) -> Vec<Arc<Grant>> {
        crate::read(&self.0.all)
            .get(to)
            .cloned()
            .unwrap_or_default()
    }

    /// Every grant, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Grant>> {
        let all = crate::read(&self.0.all);
        all.values().flatten().cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        crate::read(&self.0.all).values().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        crate::read(&self.0.all).is_empty()
    }

    /// Another one whenever a grant has changed.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// The grants of these grantees, in order and each with its grantee's place, that have not ended, and the
    /// generation that they are of.
    pub(crate) fn held<'a>(
        &self,
        grantees: impl Iterator<Item = &'a Grantee>,
        now: Timestamp,
    ) -> (Vec<(usize, Arc<Grant>)>, u64) {
        let all = crate::read(&self.0.all);
        let mut held = Vec::new();
        for (place, grantee) in grantees.enumerate() {
            let of_one = all.get(grantee).into_iter().flatten();
            let alive = of_one.filter(|grant| grant.expires.is_none_or(|end| now < end));
            held.extend(alive.map(|grant| (place, Arc::clone(grant))));
        }
        (held, self.generation())
    }
}

fn checked(grant: &Grant) -> Result<(), InvalidGrant> {
    let to = match &grant.to {
        Grantee::User(subject) | Grantee::Agent(subject) => subject.issuer(),
        Grantee::Group(group) => group.issuer(),
        // It is no issuer's, and no part of an id.
        Grantee::Account(_) => "",
    };
    let over = match &grant.over {
        Some(Scope::Group(group)) => Some(group.issuer()),
        Some(Scope::Server(_)) | None => None,
    };
    match [Some(to), over]
        .into_iter()
        .flatten()
        .find(|issuer| issuer.contains('|'))
    {
        Some(issuer) => Err(InvalidGrant::Issuer(issuer.to_owned())),
        None => Ok(()),
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("grants", &self.len())
            .finish_non_exhaustive()
    }
}
