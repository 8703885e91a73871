//! Finding the resources of a page.

use std::sync::Arc;

use super::{
    Caller, ScimService,
    candidates::Candidates,
    documents::{Shows, kind_of, unavailable},
    list::{Found, Part, question},
};
use crate::{
    directory::Listed,
    records::Kind,
    scim::{Cursor, Query, ScimError, ScimType, page::Shown},
};

/// So many resources are looked through for one answer at most; each member of a group that is looked at counts as one.
const MOST_SCANNED: usize = 200_000;
/// So many records are read at a time.
const CHUNK: u32 = 500;

impl ScimService {
    pub(super) async fn by_index(
        &self,
        caller: &Caller,
        parts: &[Part],
        start: usize,
        count: usize,
    ) -> Result<(Shown, Vec<Found>), ScimError> {
        let skip = start - 1;
        let (total, found) = if parts.iter().all(Part::is_plain) {
            self.all_by_index(caller, parts, skip, count).await?
        } else {
            let (total, window) = self.fitting(caller, parts, skip, count).await?;
            (u64::try_from(total).unwrap_or(u64::MAX), window)
        };
        Ok((Shown::Index { total, start }, found))
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

    pub(super) async fn by_cursor(
        &self,
        caller: &Caller,
        parts: &[Part],
        query: &Query,
        cursor: &str,
        count: usize,
    ) -> Result<(Shown, Vec<Found>), ScimError> {
        if parts.iter().any(|part| part.sort.is_some()) {
            return self
                .sorted_by_cursor(caller, parts, query, cursor, count)
                .await;
        }
        let question = question(parts, query);
        let mut after = None;
        let mut first = 0;
        if !cursor.is_empty() {
            let cursor = Cursor::read(cursor, &question, self.now())?;
            let invalid =
                || ScimError::new(ScimType::InvalidCursor, "the cursor is none of this list");
            let (name, id) = cursor.after.split_once('/').ok_or_else(invalid)?;
            first = parts
                .iter()
                .position(|part| part.resource_type.name == name)
                .ok_or_else(invalid)?;
            after = Some(id.to_owned());
        }
        let mut budget = Budget::new(self, caller);
        let (mut found, mut last) = (Vec::new(), None);
        'all: for part in parts.iter().skip(first) {
            let mut candidates = Candidates::of(
                self,
                caller,
                part.resource_type,
                part.condition.as_ref(),
                after.take(),
            )
            .await?;
            while let Some(listed) = candidates.next(CHUNK).await? {
                for listed in listed {
                    // There is more, so there is a next page: also where this one was spent looking for it.
                    let spent = budget
                        .spend(1 + self.weight(caller, part, &listed))
                        .is_err();
                    if found.len() == count || (spent && last.is_some()) {
                        let next = last
                            .map(|last: String| Cursor::new(&question, &last, self.now()).text());
                        return Ok((Shown::Cursor { total: None, next }, found));
                    }
                    last = Some(format!("{}/{}", part.resource_type.name, listed.record.id));
                    if self.fits(caller, part, &listed) {
                        found.push(part.found(listed));
                    }
                }
                if count == 0 {
                    break 'all;
                }
            }
        }
        Ok((
            Shown::Cursor {
                total: None,
                next: None,
            },
            found,
        ))
    }

    /// Where a list is sorted, a cursor is a number in it.
    async fn sorted_by_cursor(
        &self,
        caller: &Caller,
        parts: &[Part],
        query: &Query,
        cursor: &str,
        count: usize,
    ) -> Result<(Shown, Vec<Found>), ScimError> {
        let question = question(parts, query);
        let skip = if cursor.is_empty() {
            0
        } else {
            let cursor = Cursor::read(cursor, &question, self.now())?;
            cursor.after.parse().map_err(|_no_number| {
                ScimError::new(ScimType::InvalidCursor, "the cursor is none of this list")
            })?
        };
        let (total, found) = self.fitting(caller, parts, skip, count).await?;
        let seen = skip.saturating_add(found.len());
        let next = (seen < total && !found.is_empty())
            .then(|| Cursor::new(&question, &seen.to_string(), self.now()).text());
        let total = u64::try_from(total).ok();
        Ok((Shown::Cursor { total, next }, found))
    }

    fn fits(&self, caller: &Caller, part: &Part, listed: &Listed) -> bool {
        part.condition.as_ref().is_none_or(|condition| {
            let shows = Shows {
                memberships: condition.looks_at("members") || condition.looks_at("groups"),
                credentials: condition.looks_at("credentials"),
            };
            condition.matches(&self.resource(caller, part.resource_type, listed, shows))
        })
    }

    /// What looking at a resource costs more than at others.
    fn weight(&self, caller: &Caller, part: &Part, listed: &Listed) -> usize {
        let looks = part
            .condition
            .as_ref()
            .is_some_and(|condition| condition.looks_at("members"));
        if looks && listed.record.kind == Kind::Group {
            self.0
                .directory
                .count_members(&caller.tenant, &listed.record.id)
        } else {
            0
        }
    }

    fn sort_key(
        &self,
        caller: &Caller,
        part: &Part,
        listed: &Listed,
    ) -> Option<crate::scim::SortKey> {
        let shows = Shows {
            memberships: false,
            credentials: false,
        };
        let resource = self.resource(caller, part.resource_type, listed, shows);
        part.sort.map(|sort| sort.key(&resource))
    }
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
