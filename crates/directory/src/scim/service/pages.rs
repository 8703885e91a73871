//! Finding the resources of a page.

use std::sync::Arc;

use super::{
    Caller, ScimService,
    candidates::Candidates,
    documents::{Memberships, Shows, is_id, kind_of, unavailable},
    list::{Found, Part},
};
use crate::{
    directory::Listed,
    model::MemberRef,
    records::Kind,
    scim::{Condition, ScimError, ScimType, schema::ResourceType},
};

/// So many resources are looked through for one answer at most; each member of a group that is looked at counts as one.
const MOST_SCANNED: usize = 200_000;
/// So many records are read at a time.
const CHUNK: u32 = 500;

/// A page by cursor.
#[derive(Default)]
pub(super) struct CursorPage {
    pub(super) total: Option<u64>,
    pub(super) found: Vec<Found>,
    /// The place of the next page, if there is one.
    pub(super) next: Option<String>,
    /// Where places are numbers: the number of those before.
    numbered_from: Option<usize>,
}

impl CursorPage {
    /// Where the next page begins, if only so many of this one are shown.
    pub(super) fn next_after(&self, shown: usize) -> Option<String> {
        if shown >= self.found.len() {
            return self.next.clone();
        }
        match self.numbered_from {
            Some(before) => Some(before.saturating_add(shown).to_string()),
            None => {
                let last = self.found.get(shown.checked_sub(1)?)?;
                Some(place_of(last.resource_type, &last.listed))
            }
        }
    }
}

fn place_of(resource_type: &ResourceType, listed: &Listed) -> String {
    format!("{}/{}", resource_type.name, listed.record.id)
}

fn no_place() -> ScimError {
    let detail = "the cursor is none of this list: begin again with an empty one";
    ScimError::new(ScimType::InvalidCursor, detail)
}

impl ScimService {
    /// How many fit, and those of them from a number on.
    pub(super) async fn by_index(
        &self,
        caller: &Caller,
        parts: &[Part],
        start: usize,
        count: usize,
    ) -> Result<(u64, Vec<Found>), ScimError> {
        let skip = start.saturating_sub(1);
        if parts.iter().all(Part::is_plain) {
            return self.all_by_index(caller, parts, skip, count).await;
        }
        let (total, window) = self.fitting(caller, parts, skip, count).await?;
        Ok((u64::try_from(total).unwrap_or(u64::MAX), window))
    }

    /// Of lists that are asked for whole, only the page is read.
    async fn all_by_index(
        &self,
        caller: &Caller,
        parts: &[Part],
        skip: usize,
        count: usize,
    ) -> Result<(u64, Vec<Found>), ScimError> {
        let directory = &self.0.directory;
        let (mut total, mut found) = (0, Vec::new());
        for part in parts {
            let kind = kind_of(part.resource_type);
            let of_kind = directory
                .count(&caller.tenant, kind)
                .await
                .map_err(|error| unavailable(&error))?;
            let skip = u64::try_from(skip)
                .unwrap_or(u64::MAX)
                .saturating_sub(total);
            total += of_kind;
            let left = count - found.len();
            if left == 0 || skip >= of_kind {
                continue;
            }
            let limit = u32::try_from(left).unwrap_or(u32::MAX);
            let page = directory
                .page(&caller.tenant, kind, None, skip, limit)
                .await
                .map_err(|error| unavailable(&error))?;
            found.extend(page.into_iter().map(|listed| part.found(listed)));
        }
        Ok((total, found))
    }

    /// How many fit, and those of them in a window.
    async fn fitting(
        &self,
        caller: &Caller,
        parts: &[Part],
        skip: usize,
        count: usize,
    ) -> Result<(usize, Vec<Found>), ScimError> {
        let sorted = parts.iter().any(|part| part.sort.is_some());
        let (mut total, mut window, mut keys) = (0, Vec::new(), Vec::new());
        let mut budget = Budget::new(self, caller);
        for (index, part) in parts.iter().enumerate() {
            let mut candidates = Candidates::of(
                self,
                caller,
                part.resource_type,
                part.condition.as_ref(),
                None,
            )
            .await?;
            while let Some(listed) = candidates.next(CHUNK).await? {
                for listed in listed {
                    budget.spend(1 + self.weight(caller, part, &listed))?;
                    if !self.fits(caller, part, &listed) {
                        continue;
                    }
                    if sorted {
                        keys.push((
                            self.sort_key(caller, part, &listed),
                            index,
                            Arc::clone(&listed.record.id),
                        ));
                    } else if total >= skip && window.len() < count {
                        window.push(part.found(listed));
                    }
                    total += 1;
                }
            }
        }
        if sorted {
            keys.sort();
            for (_, index, id) in keys.into_iter().skip(skip).take(count) {
                if let Some(part) = parts.get(index)
                    // Who is gone meanwhile is left out.
                    && let Ok(listed) = self.look(caller, part.resource_type, &id).await
                {
                    window.push(part.found(listed));
                }
            }
        }
        Ok((total, window))
    }

    /// What follows a place in the list, which is that of the last resource of the page before; where the list is sorted, a
    /// number.
    pub(super) async fn by_cursor(
        &self,
        caller: &Caller,
        parts: &[Part],
        place: Option<&str>,
        count: usize,
    ) -> Result<CursorPage, ScimError> {
        if parts.iter().any(|part| part.sort.is_some()) {
            return self.sorted_by_cursor(caller, parts, place, count).await;
        }
        let (mut first, mut after) = (0, None);
        if let Some(place) = place {
            let (name, id) = place.split_once('/').ok_or_else(no_place)?;
            let mut types = parts.iter().map(|part| part.resource_type.name);
            first = types.position(|known| known == name).ok_or_else(no_place)?;
            after = Some(id.to_owned()).filter(|id| is_id(id));
            after.as_ref().ok_or_else(no_place)?;
        }
        let mut page = CursorPage::default();
        let mut budget = Budget::new(self, caller);
        let mut last = None;
        for part in parts.iter().skip(first) {
            let (of, condition) = (part.resource_type, part.condition.as_ref());
            let mut candidates = Candidates::of(self, caller, of, condition, after.take()).await?;
            let chunk = match condition {
                None => u32::try_from(count + 1).unwrap_or(CHUNK).min(CHUNK),
                Some(_) => CHUNK,
            };
            while let Some(listed) = candidates.next(chunk).await? {
                for listed in listed {
                    // There is more, so there is a next page: also where this one was spent looking for it.
                    let cost = 1 + self.weight(caller, part, &listed);
                    let spent = budget.spend(cost).is_err() && last.is_some();
                    if page.found.len() == count || spent {
                        page.next = last;
                        return Ok(page);
                    }
                    last = Some(place_of(of, &listed));
                    if self.fits(caller, part, &listed) {
                        page.found.push(part.found(listed));
                    }
                }
            }
        }
        Ok(page)
    }

    async fn sorted_by_cursor(
        &self,
        caller: &Caller,
        parts: &[Part],
        place: Option<&str>,
        count: usize,
    ) -> Result<CursorPage, ScimError> {
        let skip = match place {
            None => 0,
            Some(place) => place.parse().map_err(|_no_number| no_place())?,
        };
        let (total, found) = self.fitting(caller, parts, skip, count).await?;
        let seen = skip.saturating_add(found.len());
        Ok(CursorPage {
            total: u64::try_from(total).ok(),
            next: (seen < total && !found.is_empty()).then(|| seen.to_string()),
            numbered_from: Some(skip),
            found,
        })
    }

    fn fits(&self, caller: &Caller, part: &Part, listed: &Listed) -> bool {
        let Some(condition) = &part.condition else {
            return true;
        };
        let shows = Shows {
            memberships: match condition.member_asked() {
                // Whether somebody is in a group is known without looking at the others.
                Some(member) => Memberships::Of(member),
                None if looks_at_memberships(condition) => Memberships::All,
                None => Memberships::None,
            },
            credentials: condition.looks_at("credentials"),
        };
        condition.matches(&self.resource(caller, part.resource_type, listed, shows))
    }

    /// What looking at a resource costs more than at others.
    fn weight(&self, caller: &Caller, part: &Part, listed: &Listed) -> usize {
        let looks = part.condition.as_ref().is_some_and(|condition| {
            looks_at_memberships(condition) && condition.member_asked().is_none()
        });
        let (directory, id) = (&self.0.directory, &listed.record.id);
        match listed.record.kind {
            Kind::Group if looks => directory.count_members(&caller.tenant, id),
            Kind::User if looks => {
                let groups = directory.groups_of(&caller.tenant, &MemberRef::user(id));
                groups.len()
            }
            _ => 0,
        }
    }

    fn sort_key(
        &self,
        caller: &Caller,
        part: &Part,
        listed: &Listed,
    ) -> Option<crate::scim::SortKey> {
        let resource = self.resource(caller, part.resource_type, listed, Shows::default());
        part.sort.map(|sort| sort.key(&resource))
    }
}

fn looks_at_memberships(condition: &Condition) -> bool {
    condition.looks_at("members") || condition.looks_at("groups")
}

/// How much may still be looked through.
struct Budget<'a> {
    service: &'a ScimService,
    caller: &'a Caller,
    spent: usize,
}

impl<'a> Budget<'a> {
    const fn new(service: &'a ScimService, caller: &'a Caller) -> Self {
        Self {
            service,
            caller,
            spent: 0,
        }
    }

    fn spend(&mut self, units: usize) -> Result<(), ScimError> {
        self.spent = self.spent.saturating_add(units);
        if self.spent <= MOST_SCANNED {
            return Ok(());
        }
        let detail = format!(
            "more than {MOST_SCANNED} resources would have to be looked through: ask for a `userName`, an `externalId` or a \
             `displayName` with `eq`, or page by cursor"
        );
        Err(ScimError::new(ScimType::TooMany, detail))
    }
}

/// Whoever has much looked through has asked for more than one thing.
impl Drop for Budget<'_> {
    fn drop(&mut self) {
        let limiter = &self.service.0.limiter;
        limiter.charge_scan(&self.caller.tenant, &self.caller.bearer.id, self.spent);
    }
}
