use super::*;
use crate::{DocumentCheck, Fault, TenantSettings};

#[tokio::test]
async fn no_record_no_change() {
    let bed = Bed::start().await;
    *bed.log.1.lock().unwrap() = true;
    let refused = bed
        .put(Kind::User, "u", json!({"user_name": "u"}))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "no-record");
    assert_eq!(bed.get(Kind::User, "u").await, None);
    *bed.log.1.lock().unwrap() = false;
    bed.put(Kind::User, "u", json!({"user_name": "u"}))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_is_in_the_log_with_before_and_after_and_once_only() {
    let bed = Bed::start().await;
    bed.put(Kind::User, "u", json!({"user_name": "u"}))
        .await
        .unwrap();
    let before = bed.log().len();
    bed.put(
        Kind::User,
        "u",
        json!({"user_name": "u", "display_name": "U"}),
    )
    .await
    .unwrap();
    // The same again is no change.
    bed.put(
        Kind::User,
        "u",
        json!({"user_name": "u", "display_name": "U"}),
    )
    .await
    .unwrap();
    let log = bed.log().split_off(before);
    let stages: Vec<Stage> = log.iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages, [Stage::Begun, Stage::Done]);
    let difference = &log[0].1.differences[0];
    assert_eq!(difference.of, "user u");
    assert_eq!(difference.before, Some(json!({})));
    assert_eq!(difference.after, Some(json!({"display_name": "U"})));
    let server = json!({"url": "https://a.example", "env": {"TOKEN": "planted-secret"}});
    bed.put(Kind::Server, "s", server).await.unwrap();
    assert!(!format!("{:?}", bed.log()).contains("planted-secret"));
}

#[tokio::test]
async fn who_decided_on_something_older_is_told() {
    let bed = Bed::start().await;
    let made = bed
        .put(Kind::User, "u", json!({"user_name": "u"}))
        .await
        .unwrap();
    let at = |expected, name: &str| {
        let Edit::Put { id, document, .. } = put(Kind::User, "u", json!({"user_name": name}))
        else {
            panic!()
        };
        vec![Edit::Put {
            id,
            document,
            expected,
        }]
    };
    bed.make(at(Expected::At(made.revision), "one"))
        .await
        .unwrap();
    let stale = bed
        .make(at(Expected::At(made.revision), "two"))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), "stale");
    let exists = bed.make(at(Expected::Absent, "two")).await.unwrap_err();
    assert_eq!(exists.code(), "exists");
    let gone = bed.remove(Kind::User, "none").await.unwrap_err();
    assert_eq!(gone.code(), "not-found");
    assert_eq!(bed.get(Kind::User, "u").await.unwrap()["user_name"], "one");
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let bed = Bed::start().await;
    bed.ann().await;
    bed.put(Kind::Group, "admins", json!({"display_name": "Admins"}))
        .await
        .unwrap();
    bed.join("admins", MemberRef::user("u-ann")).await.unwrap();
    let grant = json!({"role": "administrator", "to": {"group": "admins"}});
    bed.put(Kind::Grant, "a", grant).await.unwrap();
    let leave = Edit::Leave {
        group: "admins".into(),
        member: MemberRef::user("u-ann"),
    };
    for edit in [
        remove(Kind::User, "u-ann"),
        put(
            Kind::User,
            "u-ann",
            json!({"user_name": "ann", "active": false}),
        ),
        remove(Kind::Grant, "a"),
        remove(Kind::Group, "admins"),
        leave.clone(),
        put(
            Kind::Grant,
            "a",
            json!({"role": "administrator", "to": {"group": "admins"}, "expires": 2_000_000}),
        ),
        put(
            Kind::Grant,
            "a",
            json!({"role": "administrator", "to": {"group": "admins"}, "over": {"group": "admins"}}),
        ),
    ] {
        let made = bed.make(vec![edit.clone()]).await;
        assert_eq!(made.unwrap_err().code(), "last-administrator", "{edit:?}");
    }
    bed.put(Kind::User, "u-ben", json!({"user_name": "ben"}))
        .await
        .unwrap();
    bed.put(
        Kind::Grant,
        "b",
        json!({"role": "administrator", "to": {"user": "u-ben"}}),
    )
    .await
    .unwrap();
    bed.make(vec![leave]).await.unwrap();
}

#[tokio::test]
async fn what_is_used_cannot_be_taken_away_and_what_is_not_there_cannot_be_used() {
    let bed = Bed::start().await;
    bed.ann().await;
    bed.put(Kind::Role, "reader", json!({"name": "reader"}))
        .await
        .unwrap();
    bed.put(Kind::Server, "s", json!({"url": "https://s.example"}))
        .await
        .unwrap();
    bed.put(
        Kind::VirtualServer,
        "v",
        json!({"parts": [{"server": "s"}]}),
    )
    .await
    .unwrap();
    bed.put(
        Kind::Grant,
        "g",
        json!({"role": "reader", "to": {"user": "u-ann"}}),
    )
    .await
    .unwrap();
    for (edit, rule) in [
        (remove(Kind::Role, "reader"), "role-in-use"),
        (remove(Kind::Server, "s"), "server-in-use"),
        (remove(Kind::Tenant, "default"), "tenant-stays"),
        (
            put(Kind::Role, "reader", json!({"name": "other"})),
            "role-name",
        ),
        (
            put(
                Kind::Role,
                "administrator",
                json!({"name": "administrator"}),
            ),
            "built-in-role",
        ),
        (
            put(
                Kind::Grant,
                "x",
                json!({"role": "none", "to": {"user": "u-ann"}}),
            ),
            "not-found",
        ),
        (
            put(
                Kind::Grant,
                "x",
                json!({"role": "reader", "to": {"user": "none"}}),
            ),
            "not-found",
        ),
        (
            put(
                Kind::Grant,
                "x",
                json!({"role": "reader", "to": {"group": "none"}}),
            ),
            "not-found",
        ),
        (
            put(
                Kind::Grant,
                "x",
                json!({"role": "reader", "to": {"user": "u-ann"}, "expires": 1}),
            ),
            "grant-expiry",
        ),
        (
            put(
                Kind::VirtualServer,
                "w",
                json!({"parts": [{"server": "none"}]}),
            ),
            "not-found",
        ),
        // One path for both.
        (put(Kind::VirtualServer, "s", json!({})), "taken"),
        (put(Kind::Issuer, "again", json!({"issuer": IDP})), "taken"),
        (
            put(Kind::Issuer, "x", json!({"issuer": "operator"})),
            "issuer",
        ),
        (put(Kind::User, "a/b", json!({"user_name": "ab"})), "id"),
        (
            put(
                Kind::User,
                "big",
                json!({"user_name": "big", "attributes": {"x": "y".repeat(70_000)}}),
            ),
            "too-large",
        ),
    ] {
        let refused = bed.make(vec![edit.clone()]).await.unwrap_err();
        assert_eq!(refused.code(), rule, "{edit:?}");
    }
    // A change that takes both away is whole.
    bed.make(vec![remove(Kind::Role, "reader"), remove(Kind::Grant, "g")])
        .await
        .unwrap();
}

struct NoSpies;

impl DocumentCheck for NoSpies {
    fn check(&self, _: &TenantId, settings: &TenantSettings) -> Result<(), Fault> {
        if settings.servers.contains_key("spy") {
            return Err(Fault::new("server", "spies are not served"));
        }
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_not_stored() {
    let bed = Bed::start().await;
    let checked = Directory::builder(bed.records.clone(), bed.log.clone()).check(NoSpies);
    let directory = checked.open().await.unwrap();
    let server = |id| vec![put(Kind::Server, id, json!({"url": "https://s.example"}))];
    let change = |edits| directory.change(Actor::Operator(0), &bed.tenant, "test", edits);
    change(server("good")).await.unwrap();
    assert_eq!(change(server("spy")).await.unwrap_err().code(), "server");
    let stranger = Actor::Provisioner("t".into());
    let refused = directory
        .change(stranger, &bed.tenant, "test", server("x"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "forbidden");
}
