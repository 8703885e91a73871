use std::future::Future;

use gatewright_wire::ItemKind;

use crate::{AdminAction, Call, Decision, Principal, Route, SnapshotVersion};

/// Which items of a list a principal may know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// One answer per name that was asked about, in order.
    pub shown: Vec<bool>,
    /// What was asked.
    pub snapshot: SnapshotVersion,
}

/// Decides on calls and on what may be seen. Implemented by closures through [`engine_fn`].
///
/// Both halves of a permission are asked here: allowed = see ∧ call (invariant 4), so an engine that allows a
/// call must also show its target. An engine that cannot decide denies.
pub trait PolicyEngine: Send + Sync + 'static {
    /// May this principal make this very call? Also asked about messages that servers send to clients
    /// ([`Call::from_server`]): then, whether the server may send them to this principal.
    fn decide(&self, principal: &Principal, call: &Call) -> impl Future<Output = Decision> + Send;

    /// Which of the named tools, prompts, resources or templates of the route's server may the principal know of?
    fn visible(
        &self,
        principal: &Principal,
        route: &Route,
        kind: ItemKind,
        names: &[&str],
    ) -> impl Future<Output = Visible> + Send;

    /// May this principal do this to the organisation? An engine that knows nothing of administrators denies it.
    fn decide_admin(
        &self,
        principal: &Principal,
        action: &AdminAction,
    ) -> impl Future<Output = Decision> + Send {
        let denied = Decision::deny(&format!(
            "the engine knows nothing of administrators: {} by {}",
            action.verb,
            principal.key()
        ));
        std::future::ready(denied)
    }
}

/// A closure as a [`PolicyEngine`]; it shows an item when it allows the call that uses it without arguments.
pub fn engine_fn<F>(decide: F) -> EngineFn<F>
where
    F: Fn(&Principal, &Call) -> Decision + Send + Sync + 'static,
{
    EngineFn(decide)
}

/// See [`engine_fn`].
#[derive(Clone, Copy, Debug)]
pub struct EngineFn<F>(F);

impl<F> PolicyEngine for EngineFn<F>
where
    F: Fn(&Principal, &Call) -> Decision + Send + Sync + 'static,
{
    async fn decide(&self, principal: &Principal, call: &Call) -> Decision {
        (self.0)(principal, call)
    }

    async fn visible(
        &self,
        principal: &Principal,
        route: &Route,
        kind: ItemKind,
        names: &[&str],
    ) -> Visible {
        let shown = names
            .iter()
            .map(|name| match Call::using(route, kind, name) {
                Ok(call) => matches!((self.0)(principal, &call), Decision::Allow { .. }),
                Err(_) => false,
            })
            .collect();
        Visible {
            shown,
            snapshot: SnapshotVersion::default(),
        }
    }
}
