//! No sequence of what delegated administrators may do gives anybody more than they had.

use std::collections::BTreeSet;

use gatewright_core::access::{AdminPermission, Permission};
use proptest::prelude::*;

use super::*;

const SERVERS: [&str; 2] = ["billing", "wiki"];
const GROUPS: [&str; 2] = ["staff", "others"];
/// Whom the delegate works with; nobody else ever acts.
const PEOPLE: [&str; 3] = ["ann", "eve", "mallory"];
const VERBS: [&str; 9] = [
    "grants.write",
    "members.write",
    "roles.write",
    "keys.write",
    "identities.write",
    "users.write",
    "metadata.read",
    "policies.publish",
    "*",
];
/// Those that roles name, some that only `*` does, and what reaches the whole tenant.
const WATCHED: [AdminVerb; 9] = [
    AdminVerb::GrantsWrite,
    AdminVerb::MembersWrite,
    AdminVerb::RolesWrite,
    AdminVerb::KeysWrite,
    AdminVerb::UsersWrite,
    AdminVerb::MetadataRead,
    AdminVerb::PoliciesPublish,
    AdminVerb::MembersProvision,
    AdminVerb::ServersWrite,
];
const ROLES: [&str; 5] = ["r0", "r1", "r2", "r3", "r4"];

/// The state of a tenant that administrators change.
#[derive(Clone, Debug)]
struct World {
    roles: Vec<Role>,
    grants: Vec<Grant>,
    members: BTreeSet<(&'static str, &'static str)>,
    /// Whose keys the people have: they can act as these.
    keys: BTreeSet<&'static str>,
    policies: &'static str,
}

/// Whom the people may get a key of.
const OWNERS: [&str; 2] = ["carol", "dave"];

#[derive(Clone, Debug)]
enum Move {
    Grant(Grant),
    Join(&'static str, &'static str),
    Role(Role),
    Key(&'static str),
}

fn scope() -> impl Strategy<Value = Option<Scope>> {
    prop_oneof![
        3 => Just(None),
        2 => (0..SERVERS.len()).prop_map(|n| Some(over_server(SERVERS[n]))),
        2 => (0..GROUPS.len()).prop_map(|n| Some(over_group(GROUPS[n]))),
    ]
}

fn end() -> impl Strategy<Value = Option<Timestamp>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Timestamp::from_secs(NOON + 60))),
        1 => Just(Some(Timestamp::from_secs(NOON + 3_600))),
    ]
}

fn grantee() -> impl Strategy<Value = Grantee> {
    prop_oneof![
        (0..PEOPLE.len()).prop_map(|n| Grantee::User(subject(PEOPLE[n]))),
        (0..OWNERS.len()).prop_map(|n| Grantee::User(subject(OWNERS[n]))),
        (0..GROUPS.len()).prop_map(|n| Grantee::Group(group(GROUPS[n]))),
    ]
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let built_in = prop::sample::select(vec![
        "administrator",
        "metadata-viewer",
        "r0",
        "r1",
        "r2",
        "r3",
        "r4",
        "r0",
        "r0",
        "r1",
    ]);
    (built_in, grantee(), scope(), end()).prop_map(|(role, to, over, expires)| Grant {
        over,
        expires,
        ..grant(role, to)
    })
}

fn permissions() -> impl Strategy<Value = Json> {
    let one = (
        prop::sample::select(vec!["billing", "wiki", "*"]),
        prop::sample::select(vec!["a", "b"]),
    );
    prop::collection::vec(one, 0..2).prop_map(|all| {
        let all = all
            .into_iter()
            .map(|(server, tool)| json!({"servers": [server], "tools": [tool]}));
        all.collect()
    })
}

/// A role that inherits only from those after it, so that there is no circle.
fn any_role(number: usize) -> impl Strategy<Value = Role> {
    let parents: Vec<&'static str> = ROLES[number + 1..].to_vec();
    let parents = prop::collection::vec(
        prop::sample::select(if parents.is_empty() {
            vec![""]
        } else {
            parents
        }),
        0..2,
    );
    let verbs = prop::collection::vec(prop::sample::select(VERBS.to_vec()), 0..3);
    (parents, verbs, permissions()).prop_map(move |(parents, verbs, permissions)| {
        let admin = if verbs.is_empty() {
            json!([])
        } else {
            json!([{"actions": verbs}])
        };
        let mut role: Role = serde_json::from_value(
            json!({"name": ROLES[number], "permissions": permissions, "admin": admin}),
        )
        .unwrap();
        role.inherits = parents
            .into_iter()
            .filter(|parent| !parent.is_empty())
            .map(str::to_owned)
            .collect();
        role
    })
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        5 => any_grant().prop_map(Move::Grant),
        2 => (0..GROUPS.len(), 0..PEOPLE.len()).prop_map(|(g, p)| Move::Join(GROUPS[g], PEOPLE[p])),
        2 => (0..ROLES.len()).prop_flat_map(any_role).prop_map(Move::Role),
        1 => (0..OWNERS.len()).prop_map(|n| Move::Key(OWNERS[n])),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let roles = (
        any_role(0),
        any_role(1),
        any_role(2),
        any_role(3),
        any_role(4),
    );
    let policies = prop::sample::select(vec![
        "",
        "",
        r#"permit(principal in Gatewright::Role::"r1", action, resource == Gatewright::Tool::"wiki/b");"#,
        r#"permit(principal in GatewrightAdmin::Role::"r2", action == GatewrightAdmin::Action::"users.write", resource);"#,
        r#"permit(principal in Gatewright::Group::"https://idp.example.com|staff", action, resource == Gatewright::Tool::"wiki/b");"#,
        r#"permit(principal, action == GatewrightAdmin::Action::"users.write", resource) when { principal.subject == "carol" };"#,
    ]);
    let member = (0..GROUPS.len(), 0..PEOPLE.len()).prop_map(|(g, p)| (GROUPS[g], PEOPLE[p]));
    (
        roles,
        (prop::sample::select(VERBS.to_vec()), scope(), end()),
        prop::collection::vec(any_grant(), 0..4),
        prop::collection::btree_set(member, 0..3),
        policies,
    )
        .prop_map(
            |((mut a, b, c, d, e), delegate, grants, members, policies)| {
                // Otherwise hardly anybody could give anything.
                let mut verbs = vec!["grants.write", "members.write"];
                verbs.push(delegate.0);
                a.admin = serde_json::from_value(json!([{"actions": verbs}])).unwrap();
                let delegate = Grant {
                    over: delegate.1,
                    expires: delegate.2,
                    ..to_user("r0", "ann")
                };
                World {
                    roles: vec![a, b, c, d, e],
                    grants: grants.into_iter().chain([delegate]).collect(),
                    members,
                    keys: BTreeSet::new(),
                    policies,
                }
            },
        )
}

impl World {
    fn engine(&self, after: i64) -> CedarEngine {
        CedarEngine::builder()
            .clock(ManualClock::at(Timestamp::from_secs(NOON + after)))
            .roles(self.roles.clone())
            .grants(self.grants.clone())
            .policies("own.cedar", self.policies)
            .build()
            .unwrap()
    }

    /// Everybody that the people can act as.
    async fn actors(&self) -> Vec<Principal> {
        let mut all = Vec::new();
        for name in PEOPLE.iter().chain(&self.keys) {
            let groups = self.members.iter().filter(|(_, member)| member == name);
            let groups = groups.map(|(name, _)| group(name));
            all.push(principal(Identity::user(party(name).with_groups(groups))).await);
        }
        all
    }

    /// What the people may do at some moment, together.
    async fn power(&self, after: i64) -> BTreeSet<String> {
        let engine = self.engine(after);
        let mut power = BTreeSet::new();
        let scopes = [
            None,
            Some(over_server("billing")),
            Some(over_server("wiki")),
            Some(over_group("staff")),
            Some(over_group("others")),
        ];
        for actor in self.actors().await {
            for verb in WATCHED {
                for scope in &scopes {
                    let mut one = action(verb).drafted_by([subject("nobody")]);
                    one.concerns.extend(scope.clone());
                    if may(&engine, &actor, &one).await {
                        power.insert(format!("{verb} over {scope:?}"));
                    }
                }
            }
            for server in SERVERS {
                let route = Route::single(server, "https://gw.example.com/mcp").unwrap();
                let there = on(&route, who(&actor)).await;
                for name in ["a", "b"] {
                    let text = format!(
                        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#
                    );
                    if allows(&engine, &there, &body_on(&route, &text)).await {
                        power.insert(format!("{server}/{name}"));
                    }
                }
            }
        }
        power
    }

    /// What those may reach who hold this: whoever may give what is on a server may give it to themselves.
    fn reach(power: &BTreeSet<String>) -> BTreeSet<String> {
        let mut reach = power.clone();
        let gives = |scope: &Option<Scope>| {
            power.contains(&format!("{} over {scope:?}", AdminVerb::GrantsWrite))
        };
        for server in SERVERS {
            if gives(&None) || gives(&Some(over_server(server))) {
                reach.extend(["a", "b"].map(|name| format!("{server}/{name}")));
            }
        }
        reach
    }

    /// Makes the move if one of the people may.
    async fn make(&mut self, engine: &mut CedarEngine, step: &Move) -> bool {
        let action = match step {
            Move::Grant(given) => {
                let mut action = AdminAction::grant(TenantId::default(), "g", given.clone());
                if let Grantee::User(to) = &given.to {
                    let of = self
                        .members
                        .iter()
                        .filter(|(_, member)| subject(member) == *to);
                    action
                        .concerns
                        .extend(of.map(|(group, _)| over_group(group)));
                }
                action
            }
            Move::Join(to, _) => AdminAction::join(TenantId::default(), "m", group(to)),
            // Whoever asks is generous about what it concerns.
            Move::Role(role) => AdminAction::new(
                TenantId::default(),
                AdminVerb::RolesWrite,
                "role",
                &role.name,
            )
            .concerning(over_server("billing"))
            .concerning(over_group("staff"))
            .giving(Given::Role(role.clone())),
            Move::Key(whose) => {
                AdminAction::new(TenantId::default(), AdminVerb::KeysWrite, "key", "k")
                    .concerning(over_server("billing"))
                    .concerning(over_group("staff"))
                    .giving(Given::Holdings(Grantee::User(subject(whose))))
            }
        };
        let mut fits = false;
        for actor in self.actors().await {
            fits |= may(engine, &actor, &action).await;
        }
        if !fits {
            return false;
        }
        match step {
            Move::Grant(grant) => {
                self.grants.push(grant.clone());
                engine.grants().add([grant.clone()]).unwrap();
            }
            Move::Join(group, member) => drop(self.members.insert((group, member))),
            Move::Key(whose) => drop(self.keys.insert(whose)),
            Move::Role(role) => {
                self.roles.retain(|old| old.name != role.name);
                self.roles.push(role.clone());
                *engine = self.engine(0);
            }
        }
        true
    }
}

fn who(principal: &Principal) -> Identity {
    Identity::user(principal.user().unwrap().clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nobody_comes_to_more_than_they_had(
        mut world in world(), steps in prop::collection::vec(any_move(), 1..16),
        after in prop::sample::select(vec![0, 60, 3_600]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let before = world.clone();
            let (mut made, mut engine) = (Vec::new(), world.engine(0));
            for step in &steps {
                if world.make(&mut engine, step).await {
                    made.push(step.clone());
                }
            }
            if made.is_empty() {
                return Ok(());
            }
            let had = World::reach(&before.power(after).await);
            let has = world.power(after).await;
            let more: Vec<&String> = has.difference(&had).collect();
            prop_assert!(more.is_empty(), "after {after}: {more:?}\nby {made:#?}\nfrom {before:#?}");
            Ok(())
        })?;
    }
}

/// The tests of this file would not notice if nothing could be given at all.
#[tokio::test]
async fn moves_are_made() {
    let mut world = World {
        roles: ROLES.map(Role::new).to_vec(),
        grants: vec![over(
            to_user(BuiltInRole::ADMINISTRATOR, "ann"),
            over_server("billing"),
        )],
        members: BTreeSet::new(),
        keys: BTreeSet::new(),
        policies: "",
    };
    world.roles[0].permissions = serde_json::from_value::<Vec<Permission>>(
        json!([{"servers": ["billing"], "tools": ["a"]}]),
    )
    .unwrap();
    world.roles[1].admin =
        serde_json::from_value::<Vec<AdminPermission>>(json!([{"actions": ["grants.write"]}]))
            .unwrap();
    let mut engine = world.engine(0);
    assert!(!world.power(0).await.contains("billing/a"));
    assert!(
        world
            .make(&mut engine, &Move::Grant(to_user("r0", "eve")))
            .await
    );
    assert!(world.power(0).await.contains("billing/a"));
    assert!(World::reach(&world.power(0).await).contains("billing/b"));
    assert!(
        !world
            .make(&mut engine, &Move::Grant(to_user("r1", "eve")))
            .await
    );
    assert!(world.make(&mut engine, &Move::Key("carol")).await);
}
