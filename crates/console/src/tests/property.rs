//! Through the door nobody comes to more than they had, whatever delegated administrators do one after the other.

use std::collections::BTreeSet;

use gatewright_core::{
    AdminVerb, Group, PolicyEngine as _,
    access::{AdminPermission, Scope},
};
use gatewright_directory::{
    Edit, Expected,
    model::{Document, MemberRef},
    records::Kind,
};
use proptest::{prelude::*, test_runner::TestRunner};

use super::*;

/// Whose work it is; everybody else acts not.
const PEOPLE: [&str; 3] = ["ann", "eve", "mallory"];
/// As whom they may try to come.
const OTHERS: [&str; 2] = ["carol", "root"];
const GROUPS: [&str; 3] = ["staff", "others", "admins"];
const SERVERS: [&str; 2] = ["billing", "wiki"];
const ROLES: [&str; 4] = ["r0", "r1", "administrator", "clerk"];
const VERBS: [&str; 8] = [
    "grants.write",
    "grants.remove",
    "members.write",
    "roles.write",
    "identities.write",
    "users.write",
    "directory.read",
    "*",
];

/// Edits that are made as one change.
type Step = Vec<(Kind, String, Option<Value>)>;

fn holder() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => prop::sample::select(PEOPLE.to_vec()).prop_map(|id| json!({"user": id})),
        1 => prop::sample::select(OTHERS.to_vec()).prop_map(|id| json!({"user": id})),
        2 => prop::sample::select(GROUPS.to_vec()).prop_map(|id| json!({"group": id})),
    ]
}

fn over() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        1 => Just(None),
        2 => prop::sample::select(GROUPS.to_vec()).prop_map(|id| Some(json!({"group": id}))),
        1 => prop::sample::select(SERVERS.to_vec()).prop_map(|id| Some(json!({"server": id}))),
    ]
}

fn grant() -> impl Strategy<Value = (Kind, String, Option<Value>)> {
    let role = prop::sample::select(ROLES.to_vec());
    (0..4_u8, role, holder(), over()).prop_map(|(id, role, to, over)| {
        let mut grant = json!({"role": role, "to": to});
        if let Some(over) = over {
            grant["over"] = over;
        }
        (Kind::Grant, format!("new{id}"), Some(grant))
    })
}

fn role() -> impl Strategy<Value = (Kind, String, Option<Value>)> {
    let verbs = prop::collection::vec(prop::sample::select(VERBS.to_vec()), 0..3);
    let server = prop::sample::select(vec!["billing", "wiki", "*"]);
    (prop::sample::select(vec!["r0", "r1"]), verbs, server).prop_map(|(name, verbs, server)| {
        let mut role =
            json!({"name": name, "permissions": [{"servers": [server], "tools": ["*"]}]});
        if !verbs.is_empty() {
            role["admin"] = json!([{ "actions": verbs }]);
        }
        (Kind::Role, name.to_owned(), Some(role))
    })
}

/// The identities of a person, one of which may be anybody's.
fn user() -> impl Strategy<Value = (Kind, String, Option<Value>)> {
    let id = prop::sample::select([&PEOPLE[..], &OTHERS[..]].concat());
    (id, any::<bool>(), any::<bool>()).prop_map(|(id, more, off)| {
        let mut user = person(id);
        if more {
            user["identities"] = json!([
                {"issuer": IDP, "subject": id}, {"issuer": IDP, "subject": "ours"},
            ]);
        }
        if off {
            user["disabled"] = json!({"at": 1});
        }
        (Kind::User, id.to_owned(), Some(user))
    })
}

fn member() -> impl Strategy<Value = (Kind, String, Option<Value>)> {
    let group = prop::sample::select(GROUPS.to_vec());
    let id = prop::sample::select([&PEOPLE[..], &OTHERS[..], &GROUPS[..]].concat());
    (group, id, prop::bool::weighted(0.8)).prop_map(|(group, id, joins)| {
        (
            Kind::Member,
            format!("{group}/{id}"),
            joins.then_some(Value::Null),
        )
    })
}

fn step() -> impl Strategy<Value = Step> {
    let gone = (0..4_u8).prop_map(|id| (Kind::Grant, format!("new{id}"), None));
    let one = prop_oneof![4 => grant(), 2 => role(), 2 => user(), 4 => member(), 1 => gone];
    prop::collection::vec(one, 1..3)
}

fn edits(step: &Step) -> Vec<Edit> {
    let edit = |(kind, id, document): &(Kind, String, Option<Value>)| match (kind, document) {
        (Kind::Member, document) => {
            let (group, id) = id.split_once('/').unwrap();
            let group = group.into();
            let member = if GROUPS.contains(&id) {
                MemberRef::group(id)
            } else {
                MemberRef::user(id)
            };
            match document {
                Some(_) => Edit::Join { group, member },
                None => Edit::Leave { group, member },
            }
        }
        (kind, Some(document)) => Edit::Put {
            id: id.as_str().into(),
            document: Document::parse(*kind, &id.as_str().into(), &document.to_string()).unwrap(),
            expected: Expected::Any,
        },
        (kind, None) => Edit::Remove {
            kind: *kind,
            id: id.as_str().into(),
            expected: Expected::Any,
        },
    };
    step.iter().map(edit).collect()
}

struct World {
    directory: Directory,
    live: Live,
}

impl World {
    async fn new(start: &[Step]) -> Self {
        let live = Live::default();
        let directory = Directory::builder(MemoryRecords::new(), Quiet)
            .authorise(Authority::new(live.clone()))
            .open()
            .await
            .unwrap();
        live.0.set(directory.clone()).unwrap();
        let (root, tenant) = (Actor::Operator(0), TenantId::default());
        let made = directory.create_tenant(root, &tenant, Default::default());
        made.await.unwrap();
        let world = Self { directory, live };
        let mut base: Step = vec![(Kind::Issuer, "idp".into(), Some(json!({"issuer": IDP})))];
        for id in SERVERS {
            let url = json!({"url": format!("https://{id}.example")});
            base.push((Kind::Server, id.into(), Some(url)));
        }
        for id in PEOPLE.into_iter().chain(OTHERS) {
            base.push((Kind::User, id.into(), Some(person(id))));
        }
        for id in GROUPS {
            base.push((Kind::Group, id.into(), Some(json!({"display_name": id}))));
        }
        for (name, server) in [("r0", "wiki"), ("r1", "wiki"), ("clerk", "billing")] {
            let role =
                json!({"name": name, "permissions": [{"servers": [server], "tools": ["*"]}]});
            base.push((Kind::Role, name.into(), Some(role)));
        }
        let root = json!({"role": "administrator", "to": {"user": "root"}});
        base.push((Kind::Grant, "root".into(), Some(root)));
        let admins = json!({"role": "administrator", "to": {"group": "admins"}});
        base.push((Kind::Grant, "admins".into(), Some(admins)));
        let root = Actor::Operator(0);
        assert!(world.make(&root, &base).await);
        for step in start {
            // What a rule is against is not there at the start.
            world.make(&root, step).await;
        }
        world
    }

    async fn make(&self, actor: &Actor, step: &Step) -> bool {
        let tenant = TenantId::default();
        let made = self
            .directory
            .change(actor.clone(), &tenant, "test", edits(step));
        made.await.is_ok()
    }

    /// Everybody that they can come as now.
    async fn actors(&self) -> Vec<Principal> {
        let mut all = Vec::new();
        for name in PEOPLE.into_iter().chain(["ours"]) {
            let identity = Identity::user(Party::new(Subject::new(IDP, name)));
            let server = ServerName::new("admin").unwrap();
            let resource = "https://admin.example/";
            let route =
                Route::new(TenantId::default(), server, resource, Profile::default()).unwrap();
            let mut request = Request::new(());
            request.extensions_mut().insert(route);
            let (parts, ()) = request.into_parts();
            let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(identity.clone())));
            let came = authenticate(&resolver, &self.directory, &SystemClock, &parts).await;
            all.extend(came);
        }
        all
    }

    /// What they may do, together; and on which servers they may give what there is, which they could give themselves.
    async fn power(&self) -> BTreeSet<String> {
        let scopes = [None]
            .into_iter()
            .chain(GROUPS.map(|id| Some(Scope::Group(Group::new(Group::DIRECTORY, id)))))
            .chain(SERVERS.map(|id| Some(Scope::Server(ServerName::new(id).unwrap()))));
        let scopes: Vec<Option<Scope>> = scopes.collect();
        let watched: Vec<AdminVerb> = AdminPermission {
            actions: VERBS.map(gatewright_core::access::Pattern::new).to_vec(),
        }
        .verbs()
        .collect();
        let mut power = BTreeSet::new();
        for actor in self.actors().await {
            for verb in &watched {
                for scope in &scopes {
                    let tenant = TenantId::default();
                    let mut action = AdminAction::new(tenant, *verb, "thing", "x")
                        .drafted_by([Subject::new(IDP, "nobody")]);
                    if verb.must_give() {
                        let nothing = gatewright_core::access::Role::new("nothing");
                        action = action.giving(gatewright_core::Given::Role(nothing));
                    }
                    action.concerns.extend(scope.clone());
                    let decision = self.live.decide_admin(&actor, &action).await;
                    if matches!(decision, Decision::Allow { .. }) {
                        power.insert(format!("{verb} over {scope:?}"));
                    }
                }
            }
        }
        power
    }
}

/// Takes every record.
struct Quiet;

impl Recorder for Quiet {
    fn record<'a>(
        &'a self,
        _: &'a gatewright_core::Change,
        _: gatewright_core::Stage,
        _: gatewright_core::Timestamp,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), gatewright_core::RecordError>> + Send + 'a>>
    {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// How many steps were made, and what they have now that they had not.
async fn run(start: &[Step], steps: &[Step]) -> (usize, Vec<String>) {
    let world = World::new(start).await;
    let had = world.power().await;
    let mut made = 0;
    for step in steps {
        for actor in world.actors().await {
            if world.make(&Actor::Principal(actor), step).await {
                made += 1;
                break;
            }
        }
    }
    let has = world.power().await;
    (made, has.difference(&had).cloned().collect())
}

#[test]
fn nobody_comes_to_more_than_they_had() {
    let config = ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..Default::default()
    };
    let start = prop::collection::vec(step(), 1..5);
    let steps = prop::collection::vec(step(), 1..8);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let all = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&(start, steps), |(start, steps)| {
            let (made, more) = runtime.block_on(run(&start, &steps));
            all.set(all.get() + made);
            prop_assert!(more.is_empty(), "{more:?}");
            Ok(())
        })
        .unwrap();
    // It would notice nothing if nothing could be done.
    assert!(all.get() > 0);
}
