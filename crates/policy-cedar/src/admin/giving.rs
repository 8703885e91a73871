//! Nobody can give away more than they hold: see [`CedarEngine::may_grant`].

use std::collections::BTreeSet;

use gatewright_core::{
    AdminVerb, Given, ServerName, Timestamp,
    access::{AdminPermission, BuiltInRole, Grantee, Pattern, Permission, Role, Scope},
};

use super::mentions::Named;
use crate::{
    CedarEngine,
    view::{Held, View},
};

/// One party, as it gives something away.
pub(super) struct Giver<'a> {
    engine: &'a CedarEngine,
    held: &'a [Held],
    /// A role that it has by what it is, for the whole tenant and without an end.
    also: Option<&'static str>,
    now: Timestamp,
}

/// What is given: as far as `over` says, until then.
#[derive(Clone, Copy)]
struct Reach<'a> {
    over: Option<&'a Scope>,
    until: Option<Timestamp>,
}

const ALWAYS: Reach<'_> = Reach {
    over: None,
    until: None,
};

impl<'a> Giver<'a> {
    pub(super) fn new(
        engine: &'a CedarEngine,
        view: &'a View,
        also: Option<&'static str>,
        now: Timestamp,
    ) -> Self {
        Self {
            engine,
            held: &view.held,
            also,
            now,
        }
    }

    /// # Errors
    /// What it lacks.
    pub(super) fn may_give(&self, given: &Given) -> Result<(), String> {
        match given {
            Given::Grant(grant) => {
                let reach = Reach {
                    over: grant.over.as_ref(),
                    until: grant.expires,
                };
                self.role(&grant.role, reach)
            }
            Given::Holdings(grantee) => self.holdings(grantee),
            Given::Role(role) => self.definition(role),
            _ => Err("the engine does not know what is given".to_owned()),
        }
    }

    /// A role, with those that it inherits from.
    fn role(&self, name: &str, reach: Reach<'_>) -> Result<(), String> {
        let all = self.engine.roles.with_inherited(name);
        if all.is_empty() {
            return Err(format!("the role `{name}` is not defined"));
        }
        for name in all.iter() {
            self.named(&self.engine.admin.mentions.calls, name, reach, |giver| {
                giver.has(
                    AdminVerb::GrantsWrite,
                    Reach {
                        over: None,
                        ..reach
                    },
                )
            })?;
            self.named(&self.engine.admin.mentions.admin, name, reach, |giver| {
                giver.has_everything(reach.until)
            })?;
            let verbs = self.engine.roles.verbs(name);
            // What reaches the whole tenant is not permitted by a role over a part of it.
            let real = |verb: &&AdminVerb| reach.over.is_none() || !verb.is_of_tenant();
            for verb in verbs.into_iter().flatten().filter(real) {
                self.must_have(*verb, reach)?;
            }
            if self.holds(name, None, reach.until) {
                continue;
            }
            let role = self.engine.roles.role(name);
            for permission in role.iter().flat_map(|role| &role.permissions) {
                self.permission(permission, reach.until).map_err(|server| {
                    format!(
                        "`{}` over {server}, for the role `{name}`",
                        AdminVerb::GrantsWrite
                    )
                })?;
            }
        }
        Ok(())
    }

    fn named(
        &self,
        named: &Named,
        role: &str,
        reach: Reach<'_>,
        otherwise: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        if !named.role(role) || self.holds(role, Some(reach), reach.until) || otherwise(self) {
            return Ok(());
        }
        Err(format!(
            "the role `{role}`, which policies written by hand name"
        ))
    }

    /// Everything that is granted to somebody.
    fn holdings(&self, grantee: &Grantee) -> Result<(), String> {
        let mentions = &self.engine.admin.mentions;
        let fits = (!mentions.calls.grantee(grantee) || self.has(AdminVerb::GrantsWrite, ALWAYS))
            && (!mentions.admin.grantee(grantee) || self.has_everything(None));
        if !fits {
            return Err(format!("what policies written by hand permit {grantee}"));
        }
        for grant in self.engine.grants.of(grantee) {
            let ended = grant.expires.is_some_and(|end| end <= self.now);
            // Of a role that is not defined nobody has anything; who defines it gives it.
            let defined = self.engine.roles.role(&grant.role).is_some();
            if ended || !defined {
                continue;
            }
            let reach = Reach {
                over: grant.over.as_ref(),
                until: grant.expires,
            };
            self.role(&grant.role, reach)?;
        }
        Ok(())
    }

    /// What a role has that it did not have. Whoever holds it gets that, wherever and until whenever they hold it.
    fn definition(&self, role: &Role) -> Result<(), String> {
        if BuiltInRole::named(&role.name).is_some() {
            return Err(format!("the role `{}` cannot be changed", role.name));
        }
        let before = self.engine.roles.role(&role.name);
        let had = |parent: &String| before.is_some_and(|role| role.inherits.contains(parent));
        for parent in role.inherits.iter().filter(|parent| !had(parent)) {
            self.role(parent, ALWAYS)?;
        }
        let had = before
            .and_then(|_| self.engine.roles.verbs(&role.name))
            .cloned()
            .unwrap_or_default();
        let verbs: BTreeSet<AdminVerb> =
            role.admin.iter().flat_map(AdminPermission::verbs).collect();
        for verb in verbs.difference(&had) {
            self.must_have(*verb, ALWAYS)?;
        }
        let had = |permission: &&Permission| {
            before.is_none_or(|role| !role.permissions.contains(permission))
        };
        for permission in role.permissions.iter().filter(had) {
            self.permission(permission, None)
                .map_err(|server| format!("`{}` over {server}", AdminVerb::GrantsWrite))?;
        }
        Ok(())
    }

    /// # Errors
    /// The server that it may not give permissions on.
    fn permission(&self, permission: &Permission, until: Option<Timestamp>) -> Result<(), String> {
        if self.has(AdminVerb::GrantsWrite, Reach { over: None, until }) {
            return Ok(());
        }
        let may_give = |server: &&Pattern| {
            let name = server.literal().and_then(|name| ServerName::new(name).ok());
            name.is_some_and(|name| {
                let over = Scope::Server(name);
                let reach = Reach {
                    over: Some(&over),
                    until,
                };
                self.has(AdminVerb::GrantsWrite, reach)
            })
        };
        match permission.servers.iter().find(|server| !may_give(server)) {
            None => Ok(()),
            Some(server) => Err(format!("the servers `{server}`")),
        }
    }

    fn must_have(&self, verb: AdminVerb, reach: Reach<'_>) -> Result<(), String> {
        if self.has(verb, reach) {
            return Ok(());
        }
        Err(match reach.over {
            Some(over) => format!("`{verb}` over {over}"),
            None => format!("`{verb}` over everything"),
        })
    }

    fn has_everything(&self, until: Option<Timestamp>) -> bool {
        let reach = Reach { over: None, until };
        AdminVerb::ALL.iter().all(|verb| self.has(*verb, reach))
    }

    /// Whether it may do this as far and as long.
    fn has(&self, verb: AdminVerb, reach: Reach<'_>) -> bool {
        let permits = |role: &str| {
            let verbs = self.engine.roles.verbs(role);
            verbs.is_some_and(|verbs| verbs.contains(&verb))
        };
        if self.also.is_some_and(permits) {
            return true;
        }
        self.held.iter().any(|held| {
            let over = held.grant.over.as_ref();
            covers(over, reach.over)
                && (over.is_none() || !verb.is_of_tenant())
                && outlasts(held.grant.expires, reach.until)
                && held.roles.iter().any(|role| permits(role))
        })
    }

    /// Whether it holds a role as long, and, where that is asked, as far.
    fn holds(&self, role: &str, reach: Option<Reach<'_>>, until: Option<Timestamp>) -> bool {
        self.held.iter().any(|held| {
            reach.is_none_or(|reach| covers(held.grant.over.as_ref(), reach.over))
                && outlasts(held.grant.expires, until)
                && held.roles.iter().any(|held| **held == *role)
        })
    }
}

/// Whether a part of the tenant has the other in it; `None` is all of it.
fn covers(over: Option<&Scope>, other: Option<&Scope>) -> bool {
    over.is_none_or(|over| other == Some(over))
}

/// Whether something lasts as long as the other; `None` never ends.
fn outlasts(end: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    end.is_none_or(|end| other.is_some_and(|other| other <= end))
}
