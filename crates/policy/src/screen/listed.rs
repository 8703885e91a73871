//! Lists, without what the principal may not know of.

use bytes::Bytes;
use gatewright_core::PolicyEngine;
use gatewright_wire::{Envelope, ItemKind, ListView, Peer, Splice};

use super::{Members, Screen, Unfit, unreadable};

const LISTS: [ItemKind; 4] = [
    ItemKind::Tool,
    ItemKind::Prompt,
    ItemKind::Resource,
    ItemKind::ResourceTemplate,
];

impl<E: PolicyEngine> Screen<E> {
    /// The answer to a call for a list, with those items that may be seen.
    pub(super) async fn filter(
        &self,
        bytes: &Bytes,
        envelope: &Envelope,
        kind: ItemKind,
    ) -> Result<Bytes, Unfit> {
        let list = ListView::new(bytes.clone(), envelope, kind).map_err(unreadable)?;
        self.input_requests(&Members::beside(&list)).await?;
        self.retain(list, kind).await
    }

    /// The message with those items of its list that may be seen.
    async fn retain(&self, mut list: ListView, kind: ItemKind) -> Result<Bytes, Unfit> {
        let names: Vec<&str> = list.items().iter().map(|item| &*item.name).collect();
        let shown = self.visible(kind, &names).await;
        // What one caller may see is no other caller's answer, even if it happens to be everything.
        list.set_private_cache();
        list.retain(&shown).map_err(unreadable)
    }

    /// The message, the answer to an unknown request, with every list that it holds filtered.
    pub(super) async fn filter_all(
        &self,
        bytes: &Bytes,
        envelope: &Envelope,
        result: &Members<'_>,
    ) -> Result<Bytes, Unfit> {
        let (mut filtered, mut read) = (bytes.clone(), envelope.clone());
        for kind in LISTS {
            let list = result.find(kind.result_field())?;
            if list.is_some_and(|list| list.starts_with('[')) {
                let list = ListView::new(filtered, &read, kind).map_err(unreadable)?;
                filtered = self.retain(list, kind).await?;
                // The places of what stands behind the list are others now.
                read =
                    Envelope::parse(&filtered, Peer::Server, &self.limits).map_err(unreadable)?;
            }
        }
        Ok(filtered)
    }

    pub(super) async fn visible(&self, kind: ItemKind, names: &[&str]) -> Vec<bool> {
        let route = self.call.route();
        let visible = self.engine.visible(&self.principal, route, kind, names);
        visible.await.shown
    }
}

/// The message, without leave to share it (2026-07-28): that one caller may have it says nothing about others.
pub(super) fn unshared(message: &Bytes, result: &Members<'_>) -> Result<Bytes, Unfit> {
    let Some(scope) = result.find("cacheScope")? else {
        return Ok(message.clone());
    };
    // INVARIANT: the members are those of this message's result, so the text stands in it.
    let start = scope.as_ptr().addr().checked_sub(message.as_ptr().addr());
    let start =
        start.ok_or_else(|| Unfit::Unreadable("`cacheScope` cannot be found".to_owned()))?;
    let mut splice = Splice::new(message);
    splice.replace(start..start + scope.len(), r#""private""#);
    splice.build().map_err(unreadable)
}
