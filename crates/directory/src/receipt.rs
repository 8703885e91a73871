//! What receipts say, from the commit on until everything is cut.

use gatewright_core::{Change, Found, GoneParty, TenantId, Timestamp};

use crate::{
    model::{Cut, Identity, LeaverKind, Leaving, Open, Statement, What},
    plan::Gone,
    state::Ended,
};

/// The longest reason that is written, in characters.
const LONGEST_REASON: usize = 300;

/// As whom somebody could come.
pub(crate) fn parties(gone: &Gone) -> Vec<GoneParty> {
    let Some(kind) = gone.of.kind.party() else {
        return Vec::new();
    };
    let subjects = gone.subjects.iter().cloned();
    subjects
        .map(|subject| GoneParty { kind, subject })
        .collect()
}

/// When the change is committed: nothing is cut but that they are refused.
pub(crate) fn begun(
    id: &str,
    tenant: &TenantId,
    change: &Change,
    gone: &Gone,
    found: &[Found],
    now: Timestamp,
) -> Statement {
    let at = now.millis();
    let mut cut = vec![of(What::Calls, None, at)];
    let agents = gone.agents.iter();
    cut.extend(agents.map(|agent| of(What::Agent, Some(agent), at)));
    let grants = gone.grants.iter();
    cut.extend(grants.map(|grant| of(What::Grant, Some(grant), at)));
    let mut outstanding = vec![Open::new(What::Streams, "they are being ended")];
    if gone.loses_all() {
        let parties = parties(gone);
        for found in found {
            let what = What::from(found.kind);
            outstanding.push(Open::new(what, "what there is of it is being looked up"));
            let held = found.held.iter().flatten();
            let theirs = held.filter(|held| parties.contains(&held.of));
            outstanding.extend(
                theirs
                    .map(|held| Open::held(what, &held.name, &held.of.subject, "it is being cut")),
            );
        }
    }
    Statement {
        v: 1,
        receipt: id.to_owned(),
        tenant: tenant.to_string(),
        of: gone.of.clone(),
        subjects: gone.subjects.iter().map(Identity::from).collect(),
        why: gone.why,
        reason: gone.reason.clone(),
        by: change.by.to_string(),
        action: change.action.to_owned(),
        reference: change.reference.to_string(),
        committed_at: at,
        stated_at: at,
        complete: false,
        cut,
        outstanding,
        kept: kept(gone),
        unknown: unknown(gone.of.kind),
    }
}

fn of(what: What, name: Option<&str>, at: i64) -> Cut {
    Cut {
        what,
        name: name.map(str::to_owned),
        subject: None,
        count: None,
        at,
    }
}

fn kept(gone: &Gone) -> Vec<Open> {
    const SUSPENDED: &str = "refused while the agent is suspended";
    const OFF: &str = "refused while the tenant is switched off";
    let both = [What::ApiKey, What::Credential];
    match (gone.of.kind, gone.why) {
        (LeaverKind::Tenant, _) => both.map(|what| Open::new(what, OFF)).into(),
        (_, Leaving::Suspended) => both.map(|what| Open::new(what, SUSPENDED)).into(),
        _ => {
            let agents = gone.agents.iter().map(|agent| Open {
                name: Some(agent.to_string()),
                ..Open::new(
                    What::Agent,
                    "its API keys and credentials are refused while it is suspended, and stay for whoever answers for it next",
                )
            });
            agents.collect()
        }
    }
}

fn unknown(kind: LeaverKind) -> Vec<Open> {
    let mut unknown = vec![
        Open::new(
            What::Tokens,
            "tokens that issuers made are refused here; elsewhere they are good until they end or their issuer withdraws them",
        ),
        Open::new(
            What::Replicas,
            "other processes of the gateway refuse from when they hear of the change, and after 30 seconds without news all; \
             the streams that they ended are not counted",
        ),
    ];
    if kind != LeaverKind::Tenant {
        unknown.push(Open::new(
            What::Upstream,
            "credentials are destroyed here and not revoked at the servers that issued them: whoever has a copy can use it \
             there",
        ));
    }
    unknown
}

/// How many streams and calls of somebody ended; not known of a whole tenant.
pub(crate) fn ended(statement: &Statement, ended: &Ended) -> Option<u64> {
    statement.of.kind.party()?;
    let parties = statement.parties().into_iter();
    let counts = parties.filter_map(|party| ended.get(&(party.kind, party.subject)));
    u64::try_from(counts.sum::<usize>()).ok()
}

/// What the receipt says once this was cut, or could not be; nothing where that is what it says already. `ended` is given by
/// the process that made the change.
pub(crate) fn gone_on(
    statement: &Statement,
    found: &[Found],
    ended: Option<Option<u64>>,
    now: Timestamp,
) -> Option<Statement> {
    let mut next = statement.clone();
    let at = now.millis();
    let streams = |open: &Open| open.what == What::Streams;
    if next.outstanding.iter().any(streams) {
        next.outstanding.retain(|open| !streams(open));
        next.cut.push(Cut {
            count: ended.flatten(),
            ..of(What::Streams, None, at)
        });
    }
    if next.loses_all() {
        let parties = next.parties();
        for found in found {
            go_on_with(&mut next, found, &parties, at);
        }
    }
    if next.cut == statement.cut && next.outstanding == statement.outstanding {
        return None;
    }
    next.complete = next.outstanding.is_empty();
    next.stated_at = at;
    Some(next)
}

fn go_on_with(next: &mut Statement, found: &Found, parties: &[GoneParty], at: i64) {
    let what = What::from(found.kind);
    let held = match &found.held {
        Ok(held) => held,
        Err(error) => {
            let why: String = error.to_string().chars().take(LONGEST_REASON).collect();
            let open = next.outstanding.iter_mut();
            open.filter(|open| open.what == what)
                .for_each(|open| open.why.clone_from(&why));
            return;
        }
    };
    let (done, open) = std::mem::take(&mut next.outstanding)
        .into_iter()
        .partition(|open: &Open| open.what == what);
    next.outstanding = open;
    let theirs = held.iter().filter(|held| parties.contains(&held.of));
    let cut = theirs.map(|held| (held.name.clone(), Some(Identity::from(&held.of.subject))));
    // What was there when they left and is not any more was cut by somebody who could not say so.
    let done: Vec<Open> = done;
    let gone = done
        .into_iter()
        .filter_map(|open| Some((open.name?, open.subject)));
    for (name, subject) in cut.chain(gone).collect::<Vec<_>>() {
        let is_there = next.cut.iter().any(|cut| {
            cut.what == what && cut.name.as_ref() == Some(&name) && cut.subject == subject
        });
        if !is_there {
            next.cut.push(Cut {
                subject,
                ..of(what, Some(&name), at)
            });
        }
    }
}
