use super::*;
use crate::records::{Records as _, Revision};

#[tokio::test]
async fn two_directories_over_one_storage_change_in_turn_and_lose_nothing() {
    let one = Bed::start().await;
    let other = Bed::over(one.records.clone()).await;
    // The other one has not heard of it, and finds out when it commits.
    one.put(Kind::User, "u1", json!({"user_name": "u1"}))
        .await
        .unwrap();
    other
        .put(Kind::User, "u2", json!({"user_name": "u2"}))
        .await
        .unwrap();
    assert!(is_active(&other.status(
        PartyKind::User,
        Subject::LOCAL,
        "u1"
    )));
    let taken = one
        .put(Kind::User, "u3", json!({"user_name": "U2"}))
        .await
        .unwrap_err();
    assert_eq!(taken.code(), "taken");
    assert!(is_active(&one.status(
        PartyKind::User,
        Subject::LOCAL,
        "u2"
    )));

    let both = [&one, &other];
    let writes = (0..40).map(|n| {
        let bed = both[n % 2];
        let id = format!("w{n}");
        async move { bed.put(Kind::User, &id, json!({"user_name": id})).await }
    });
    for made in futures_all(writes).await {
        made.unwrap();
    }
    assert_eq!(
        one.directory.count(&one.tenant, Kind::User).await.unwrap(),
        42
    );
}

async fn futures_all<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<Pin<Box<F>>> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_last_two_administrators_cannot_leave_by_two_doors() {
    let one = Bed::start().await;
    for id in ["u1", "u2"] {
        one.put(Kind::User, id, json!({"user_name": id}))
            .await
            .unwrap();
        one.put(
            Kind::Grant,
            id,
            json!({"role": "administrator", "to": {"user": id}}),
        )
        .await
        .unwrap();
    }
    let other = Bed::over(one.records.clone()).await;
    one.remove(Kind::User, "u1").await.unwrap();
    let refused = other.remove(Kind::User, "u2").await.unwrap_err();
    assert_eq!(refused.code(), "last-administrator");
}

#[tokio::test]
async fn what_others_change_is_followed() {
    let one = Bed::start().await;
    let other = Bed::over(one.records.clone()).await;
    one.ann().await;
    let side = [(PartyKind::User, Subject::new(IDP, "ann"))];
    other.directory.look_at_heads().await;
    assert!(is_active(&other.user("ann")));
    let stream = other.directory.disabled(&other.tenant, &side);
    let follows = other.directory.clone().keep_current();
    let ends = async {
        one.remove(Kind::User, "u-ann").await.unwrap();
        stream.await;
        other.directory.close().await;
    };
    tokio::join!(follows, ends);
    assert_eq!(other.user("ann"), Status::Unknown);
}

/// What observers were told, and whether there was something to look at then.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(TenantId, bool)>>>);

impl crate::Observer for Told {
    fn updated(&self, directory: &Directory, tenant: &TenantId, update: &crate::Update) {
        assert!(!update.kinds.is_empty());
        let seen = directory.settings(tenant).is_some();
        self.0.lock().unwrap().push((tenant.clone(), seen));
    }
}

#[tokio::test]
async fn whoever_serves_tenants_is_told_of_a_new_one_wherever_it_was_made() {
    let one = Bed::start().await;
    let other = Bed::over(one.records.clone()).await;
    let (here, there) = (Told::default(), Told::default());
    one.directory.observe(here.clone());
    other.directory.observe(there.clone());
    let new = TenantId::new("new").unwrap();
    let settings = crate::model::Tenant::default();
    let made = one
        .directory
        .create_tenant(Actor::Operator(0), &new, settings);
    made.await.unwrap();
    other.directory.look_at_heads().await;
    for told in [here, there] {
        let told = told.0.lock().unwrap();
        assert_eq!(told.last(), Some(&(new.clone(), true)));
    }
}

#[tokio::test]
async fn once_nothing_was_heard_for_too_long_nobody_is_let_in() {
    let bed = Bed::start().await;
    bed.ann().await;
    bed.clock.advance(std::time::Duration::from_secs(30));
    assert!(is_active(&bed.user("ann")));
    bed.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(bed.user("ann"), Status::Unavailable);
    bed.directory.look_at_heads().await;
    assert!(is_active(&bed.user("ann")));
}

#[tokio::test]
async fn a_directory_that_starts_knows_what_the_last_one_knew() {
    let bed = Bed::start().await;
    bed.ann().await;
    bed.put(Kind::Group, "g", json!({"display_name": "G"}))
        .await
        .unwrap();
    bed.join("g", MemberRef::user("u-ann")).await.unwrap();
    bed.put(Kind::User, "gone", json!({"user_name": "gone"}))
        .await
        .unwrap();
    bed.remove(Kind::User, "gone").await.unwrap();
    let later = Bed::over(bed.records.clone()).await;
    assert_eq!(later.user("ann"), bed.user("ann"));
    assert_eq!(groups(&later.user("ann")), ["g"]);
    let heads = bed.records.heads().await.unwrap();
    let known = later.directory.settings(&bed.tenant).unwrap().revision;
    assert_eq!(heads, [(bed.tenant.clone(), known)]);
    assert!(known > Revision::NONE);
}

#[tokio::test]
async fn what_one_directory_has_not_heard_of_yet_is_no_reason_to_say_no_or_to_do_nothing() {
    let one = Bed::start().await;
    let other = Bed::over(one.records.clone()).await;
    one.ann().await;
    one.put(Kind::Group, "staff", json!({"display_name": "Staff"}))
        .await
        .unwrap();
    // The other one knows neither of them.
    other.join("staff", MemberRef::user("u-ann")).await.unwrap();
    // Nor does the first one know that they are in it.
    let leave = Edit::Leave {
        group: "staff".into(),
        member: MemberRef::user("u-ann"),
    };
    one.make(vec![leave]).await.unwrap();
    assert!(one.get(Kind::Member, "staff/u-ann").await.is_none());
    assert_eq!(
        other.remove(Kind::User, "nobody").await.unwrap_err().code(),
        "not-found"
    );
}

#[tokio::test]
async fn a_rehearsal_says_of_names_what_a_commit_would() {
    let one = Bed::start().await;
    let other = Bed::over(one.records.clone()).await;
    one.ann().await;
    let plan = async |edits: Vec<Edit>| {
        let planned = other
            .directory
            .plan(&Actor::Operator(0), &other.tenant, &edits)
            .await;
        planned
            .map(|differences| differences.len())
            .map_err(|error| error.code())
    };
    let user = |id: &str, name: &str| put(Kind::User, id, json!({"user_name": name}));
    assert_eq!(plan(vec![user("u1", "ANN@a.example")]).await, Err("taken"));
    assert_eq!(
        plan(vec![user("u1", "x"), user("u2", "X")]).await,
        Err("taken")
    );
    assert_eq!(plan(vec![user("u-ann", "ann@a.example")]).await, Ok(1));
    // One change passes a name on.
    let passed = vec![user("u-ann", "new"), user("u1", "ann@a.example")];
    assert_eq!(plan(passed).await, Ok(2));
}

#[tokio::test]
async fn a_change_to_a_group_can_be_about_its_members_too() {
    let bed = Bed::start().await;
    bed.ann().await;
    let group = json!({"display_name": "Staff"});
    let first = bed.put(Kind::Group, "staff", group.clone()).await.unwrap();
    let digest = || bed.directory.members_digest(&bed.tenant, "staff");
    let before = digest();
    let renamed = |revision, members| {
        let document = json!({"display_name": "New"}).to_string();
        Edit::Put {
            id: "staff".into(),
            document: Document::parse(Kind::Group, &"staff".into(), &document).unwrap(),
            expected: Expected::AtWith(revision, members),
        }
    };
    bed.join("staff", MemberRef::user("u-ann")).await.unwrap();
    let joined = digest();
    assert_ne!(joined, before);
    let stale = bed.make(vec![renamed(first.revision, before)]).await;
    assert_eq!(stale.unwrap_err().code(), "stale");
    bed.make(vec![renamed(first.revision, joined)])
        .await
        .unwrap();
    let stale = bed.make(vec![renamed(first.revision, joined)]).await;
    assert_eq!(stale.unwrap_err().code(), "stale");
    // Whoever reads it anew has the same, and so has whoever saw them leave.
    let other = Bed::over(bed.records.clone()).await;
    assert_eq!(other.directory.members_digest(&bed.tenant, "staff"), joined);
    bed.remove(Kind::User, "u-ann").await.unwrap();
    assert_eq!(digest(), before);
}
