use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::*;

/// Adds a value to somebody as a careful client does: reads, and patches that version, until it was the one.
async fn add_with_version(bed: &Bed, path: &str, value: &str) -> usize {
    for tries in 1.. {
        let version = bed.get(path).await.header("etag").to_owned();
        let operation = json!([{"op": "add", "path": "roles", "value": [{"value": value}]}]);
        let answered = bed.patch_if(path, &version, operation).await;
        match answered.status {
            StatusCode::OK => return tries,
            StatusCode::PRECONDITION_FAILED => {}
            other => panic!("{other}: {}", answered.body),
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_patches_with_versions_lose_nothing() {
    let bed = Arc::new(Bed::start().await);
    let other = Bed::over(bed.records.clone()).await;
    let beds = [Arc::clone(&bed), Arc::new(other)];
    let path = format!("/Users/{}", bed.user("ann").await);
    let mut tasks = JoinSet::new();
    for number in 0..24_usize {
        let (bed, path) = (Arc::clone(&beds[number % 2]), path.clone());
        tasks.spawn(async move { add_with_version(&bed, &path, &format!("role{number}")).await });
    }
    let tries = tasks.join_all().await;
    let ann = bed.get(&path).await.body;
    let found: BTreeSet<&str> = ann["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["value"].as_str().unwrap())
        .collect();
    assert_eq!(found.len(), 24, "{tries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_patches_without_versions_lose_nothing_either() {
    let bed = Arc::new(Bed::start().await);
    let path = format!("/Users/{}", bed.user("ann").await);
    let mut tasks = JoinSet::new();
    for number in 0..12 {
        let (bed, path) = (Arc::clone(&bed), path.clone());
        tasks.spawn(async move {
            let operation = json!([{"op": "add", "path": "roles", "value": [{"value": format!("role{number}")}]}]);
            bed.patch(&path, operation).await.status
        });
    }
    let statuses = tasks.join_all().await;
    let made = statuses
        .iter()
        .filter(|status| **status == StatusCode::OK)
        .count();
    let ann = bed.get(&path).await.body;
    // Who was told that it was done finds it done.
    assert_eq!(ann["roles"].as_array().unwrap().len(), made);
    assert!(
        statuses
            .iter()
            .all(|status| matches!(status.as_u16(), 200 | 503))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_that_are_added_at_once_are_all_there() {
    let bed = Arc::new(Bed::start().await);
    let group = bed.group("Staff", &[]).await;
    let mut tasks = JoinSet::new();
    for number in 0..24 {
        let (bed, path) = (Arc::clone(&bed), format!("/Groups/{group}"));
        tasks.spawn(async move {
            let user = bed.user(&format!("user{number}")).await;
            let operation = json!([{"op": "add", "path": "members", "value": [{"value": user}]}]);
            bed.patch(&path, operation).await.expect(204);
        });
    }
    tasks.join_all().await;
    assert_eq!(bed.members(&group).await.len(), 24);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_replace_the_members_of_a_version_one_is_refused() {
    let bed = Arc::new(Bed::start().await);
    let users = [bed.user("ann").await, bed.user("bob").await];
    let path = format!("/Groups/{}", bed.group("Staff", &[]).await);
    let version = bed.get(&path).await.header("etag").to_owned();
    let mut tasks = JoinSet::new();
    for user in users {
        let (bed, path, version) = (Arc::clone(&bed), path.clone(), version.clone());
        tasks.spawn(async move {
            let operation =
                json!([{"op": "replace", "path": "members", "value": [{"value": user}]}]);
            bed.patch_if(&path, &version, operation)
                .await
                .status
                .as_u16()
        });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 412]);
}

#[tokio::test]
async fn who_was_made_by_another_replica_can_be_a_member_at_once() {
    let bed = Bed::start().await;
    let other = Bed::over(bed.records.clone()).await;
    let group = other.group("Staff", &[]).await;
    let user = bed.user("ann").await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": user}]}]);
    other
        .patch(&format!("/Groups/{group}"), add)
        .await
        .expect(204);
    assert_eq!(other.members(&group).await, [user]);
}
