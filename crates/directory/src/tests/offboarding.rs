//! What is cut when somebody leaves, and what the receipts say.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use gatewright_core::{Attestation, Changes, Found, GoneParty, Held, HeldKind};

use super::*;
use crate::records::Records as _;

/// Keys and credentials in memory, which can be told to fail or to hang.
#[derive(Clone, Default)]
struct Holdings(Arc<Inside>);

#[derive(Default)]
struct Inside {
    held: Mutex<BTreeSet<Held>>,
    forgotten: Mutex<Vec<GoneParty>>,
    /// Credentials cannot be destroyed.
    vault_is_down: AtomicBool,
    hangs: AtomicBool,
    cuts: AtomicUsize,
}

impl Holdings {
    fn give(&self, kind: PartyKind, issuer: &str, id: &str, what: HeldKind, name: &str) {
        let subject = Subject::new(issuer, id);
        self.0.held.lock().unwrap().insert(Held {
            of: GoneParty { kind, subject },
            kind: what,
            name: name.to_owned(),
        });
    }

    fn names(&self) -> Vec<String> {
        let held = self.0.held.lock().unwrap();
        held.iter().map(|held| held.name.clone()).collect()
    }

    fn of(&self, gone: &[GoneParty], takes: bool) -> Vec<Found> {
        let mut all = self.0.held.lock().unwrap();
        let down = self.0.vault_is_down.load(Ordering::SeqCst);
        let found = HeldKind::ALL.map(|kind| {
            if kind == HeldKind::Credential && down {
                let held = Err("the disk is gone".into());
                return Found { kind, held };
            }
            let mine = |held: &&Held| held.kind == kind && gone.contains(&held.of);
            let held: Vec<Held> = all.iter().filter(mine).cloned().collect();
            if takes {
                all.retain(|one| !held.contains(one));
            }
            Found {
                kind,
                held: Ok(held),
            }
        });
        found.into()
    }
}

impl Changes for Holdings {
    fn held<'a>(
        &'a self,
        _: &'a TenantId,
        gone: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>> {
        Box::pin(std::future::ready(self.of(gone, false)))
    }

    fn forget(&self, _: &TenantId, gone: &[GoneParty], _: Timestamp) {
        self.0.forgotten.lock().unwrap().extend_from_slice(gone);
    }

    fn cut<'a>(
        &'a self,
        _: &'a TenantId,
        gone: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>> {
        self.0.cuts.fetch_add(1, Ordering::SeqCst);
        if self.0.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(self.of(gone, true)))
    }

    fn attest(&self, statement: &Value) -> Option<Attestation> {
        Some(Attestation {
            key: "test".to_owned(),
            signature: statement.to_string().len().to_string(),
        })
    }
}

/// Ann with a key, two credentials and an agent that has both, too; and Ben, who stays.
async fn bed() -> (Bed, Holdings) {
    let bed = Bed::start().await;
    let holdings = Holdings::default();
    bed.directory.cut_by(holdings.clone());
    bed.ann().await;
    for id in ["ben", "eve"] {
        let user = json!({"user_name": id, "identities": [{"issuer": IDP, "subject": id}]});
        bed.put(Kind::User, &format!("u-{id}"), user).await.unwrap();
    }
    let bot =
        json!({"name": "Bot", "owner": "u-ann", "identities": [{"issuer": IDP, "subject": "bot"}]});
    bed.put(Kind::Agent, "bot", bot).await.unwrap();
    let (user, agent) = (PartyKind::User, PartyKind::Agent);
    holdings.give(user, Subject::LOCAL, "u-ann", HeldKind::ApiKey, "k-ann");
    holdings.give(user, IDP, "ann", HeldKind::Credential, "wiki");
    holdings.give(user, IDP, "ann", HeldKind::Credential, "notes");
    holdings.give(agent, Subject::LOCAL, "bot", HeldKind::ApiKey, "k-bot");
    holdings.give(agent, IDP, "bot", HeldKind::Credential, "bots");
    holdings.give(user, IDP, "ben", HeldKind::Credential, "bens");
    // The same text on the other side of a call is somebody else.
    holdings.give(agent, IDP, "ann", HeldKind::Credential, "namesake");
    (bed, holdings)
}

const OTHERS: [&str; 4] = ["bens", "k-bot", "bots", "namesake"];

fn left(holdings: &Holdings) -> BTreeSet<String> {
    holdings.names().into_iter().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn receipts(bed: &Bed) -> Vec<Value> {
    let page = bed
        .directory
        .page(&bed.tenant, Kind::Receipt, None, 0, 100)
        .await
        .unwrap();
    page.iter()
        .map(|listed| listed.document.to_value())
        .collect()
}

async fn one(bed: &Bed) -> Value {
    let mut all = receipts(bed).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// `what name` of a list of a statement, sorted.
fn listed(receipt: &Value, list: &str) -> Vec<String> {
    let items = receipt["statement"][list].as_array().unwrap();
    let shown = items.iter().map(|item| {
        let name = item["name"].as_str().unwrap_or_default();
        format!("{} {name}", item["what"].as_str().unwrap())
            .trim()
            .to_owned()
    });
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

fn ann(more: &Value) -> Value {
    let mut ann =
        json!({"user_name": "Ann@a.example", "identities": [{"issuer": IDP, "subject": "ann"}]});
    for (name, value) in more.as_object().unwrap() {
        ann[name] = value.clone();
    }
    ann
}

#[tokio::test]
async fn whoever_is_deactivated_loses_everything_and_a_signed_receipt_says_so() {
    let (bed, holdings) = bed().await;
    let side = [(PartyKind::User, Subject::new(IDP, "ann"))];
    let mut streams = [0, 1].map(|_| bed.directory.disabled(&bed.tenant, &side));
    assert!(streams.iter_mut().all(|stream| !is_done(stream)));
    bed.clock.advance(Duration::from_secs(7));
    let applied = bed
        .put(Kind::User, "u-ann", ann(&json!({"active": false})))
        .await
        .unwrap();
    assert!(streams.iter_mut().all(is_done));
    assert_eq!(bed.user("ann"), Status::Disabled);
    assert_eq!(
        bed.status(PartyKind::Agent, IDP, "bot"),
        Status::Disabled,
        "her agent"
    );
    assert!(is_active(&bed.user("ben")));
    assert_eq!(left(&holdings), set(&OTHERS));

    let receipt = one(&bed).await;
    let statement = &receipt["statement"];
    assert_eq!(
        listed(&receipt, "cut"),
        [
            "agent bot",
            "api-key k-ann",
            "calls",
            "credential notes",
            "credential wiki",
            "streams"
        ]
    );
    assert_eq!(listed(&receipt, "outstanding"), [""; 0]);
    assert_eq!(listed(&receipt, "kept"), ["agent bot"]);
    assert_eq!(
        listed(&receipt, "unknown"),
        ["replicas", "tokens", "upstream"]
    );
    let said = json!({"why": statement["why"], "by": statement["by"], "of": statement["of"], "complete": statement["complete"],
        "committed_at": statement["committed_at"], "tenant": statement["tenant"]});
    assert_eq!(
        said,
        json!({"why": "deactivated", "by": "uid:0", "complete": true, "tenant": "default",
            "of": {"kind": "user", "id": "u-ann", "name": "Ann@a.example"}, "committed_at": 1_007_000})
    );
    let cut = statement["cut"].as_array().unwrap();
    let streams = cut.iter().find(|cut| cut["what"] == "streams").unwrap();
    assert_eq!(streams["count"], 2);
    assert!(cut.iter().all(|cut| cut["at"] == 1_007_000));
    assert_eq!(receipt["signed"]["key"], "test");
    let length = statement.to_string().len().to_string();
    assert_eq!(
        receipt["signed"]["signature"], length,
        "of the last statement"
    );

    // The log has the change, the receipt's id with it, and the whole receipt.
    let id = applied.receipts[0].to_string();
    assert_eq!(statement["receipt"], id);
    let log = bed.log();
    let done = log
        .iter()
        .find(|(stage, change)| *stage == Stage::Done && change.details.contains_key("receipts"))
        .unwrap();
    assert_eq!(done.1.details["receipts"], id);
    assert_eq!(done.1.reference.to_string(), statement["reference"]);
    let written = log
        .iter()
        .find(|(stage, change)| *stage == Stage::Begun && change.action == "receipt.put");
    let written = &written.unwrap().1;
    assert_eq!(written.by.to_string(), "gateway:offboarding");
    let after = written.differences[0].after.as_ref().unwrap();
    assert_eq!(after["statement"], *statement);
    let forgotten = holdings.0.forgotten.lock().unwrap();
    assert!(forgotten.iter().any(|party| party.subject.id() == "ann"));
}

#[tokio::test]
async fn every_way_out_has_its_receipt_and_what_is_no_way_out_has_none() {
    let (bed, holdings) = bed().await;
    let disabled = json!({"disabled": {"reason": "left the company", "at": 5}});
    bed.put(Kind::User, "u-ann", ann(&disabled)).await.unwrap();
    let receipt = one(&bed).await;
    assert_eq!(receipt["statement"]["why"], "disabled");
    assert_eq!(receipt["statement"]["reason"], "left the company");
    // She is out already.
    let both = json!({"active": false, "disabled": {"at": 5}});
    bed.put(Kind::User, "u-ann", ann(&both)).await.unwrap();
    bed.put(
        Kind::User,
        "u-ben",
        json!({"user_name": "ben", "display_name": "Ben",
        "identities": [{"issuer": IDP, "subject": "ben"}]}),
    )
    .await
    .unwrap();
    assert_eq!(receipts(&bed).await.len(), 1);

    // Whatever was given to her since goes when she does.
    holdings.give(PartyKind::User, IDP, "ann", HeldKind::Credential, "later");
    bed.remove(Kind::User, "u-ann").await.unwrap();
    assert_eq!(left(&holdings), set(&OTHERS));
    let all = receipts(&bed).await;
    assert_eq!(all[1]["statement"]["why"], "removed");
    assert!(listed(&all[1], "cut").contains(&"credential later".to_owned()));

    bed.remove(Kind::Agent, "bot").await.unwrap();
    assert_eq!(left(&holdings), set(&["bens", "namesake"]));
    let all = receipts(&bed).await;
    assert_eq!(all[2]["statement"]["of"]["kind"], "agent");
    assert_eq!(all.len(), 3);
    for receipt in all {
        assert_eq!(receipt["statement"]["complete"], true, "{receipt}");
    }
}

#[tokio::test]
async fn who_is_suspended_keeps_what_they_have_and_who_is_disabled_does_not() {
    let (bed, holdings) = bed().await;
    let bot = |status: &str| json!({"name": "Bot", "status": status, "identities": [{"issuer": IDP, "subject": "bot"}]});
    bed.put(Kind::Agent, "bot", bot("suspended")).await.unwrap();
    assert_eq!(bed.status(PartyKind::Agent, IDP, "bot"), Status::Disabled);
    assert!(left(&holdings).is_superset(&set(&["k-bot", "bots"])));
    let receipt = one(&bed).await;
    assert_eq!(listed(&receipt, "kept"), ["api-key", "credential"]);
    assert_eq!(listed(&receipt, "cut"), ["calls", "streams"]);
    assert_eq!(receipt["statement"]["complete"], true);
    bed.put(Kind::Agent, "bot", bot("active")).await.unwrap();
    assert!(is_active(&bed.status(PartyKind::Agent, IDP, "bot")));
    bed.put(Kind::Agent, "bot", bot("disabled")).await.unwrap();
    assert!(left(&holdings).is_disjoint(&set(&["k-bot", "bots"])));

    let tenant = json!({"disabled": true});
    bed.put(Kind::Tenant, "default", tenant).await.unwrap();
    let all = receipts(&bed).await;
    let last = all.last().unwrap();
    assert_eq!(last["statement"]["of"]["kind"], "tenant");
    assert_eq!(listed(last, "kept"), ["api-key", "credential"]);
    assert!(left(&holdings).contains("bens"));
}

#[tokio::test]
async fn while_the_vault_is_down_they_are_refused_and_the_receipt_stays_open() {
    let (bed, holdings) = bed().await;
    holdings.0.vault_is_down.store(true, Ordering::SeqCst);
    let off = ann(&json!({"active": false}));
    bed.put(Kind::User, "u-ann", off).await.unwrap();
    assert_eq!(bed.user("ann"), Status::Disabled);
    let receipt = one(&bed).await;
    assert_eq!(receipt["statement"]["complete"], false);
    assert_eq!(listed(&receipt, "outstanding"), ["credential"]);
    assert_eq!(
        receipt["statement"]["outstanding"][0]["why"],
        "the disk is gone"
    );
    assert!(
        listed(&receipt, "cut").contains(&"api-key k-ann".to_owned()),
        "one that fails keeps no other"
    );
    // Nobody gets back what was to be destroyed: neither she, nor whoever takes her place.
    let refused = bed.put(Kind::User, "u-ann", ann(&json!({}))).await;
    assert_eq!(refused.unwrap_err().code(), "offboarding");
    bed.remove(Kind::User, "u-ann").await.unwrap();
    let again = bed.put(Kind::User, "u-new", ann(&json!({}))).await;
    assert_eq!(again.unwrap_err().code(), "offboarding");
    assert!(left(&holdings).contains("wiki"));
    let revision = bed.directory.settings(&bed.tenant).unwrap().revision;
    bed.directory.take_up(Duration::ZERO).await;
    assert_eq!(
        bed.directory.settings(&bed.tenant).unwrap().revision,
        revision,
        "what is as it was is not written"
    );

    holdings.0.vault_is_down.store(false, Ordering::SeqCst);
    bed.directory.take_up(Duration::from_secs(1)).await;
    assert!(
        left(&holdings).contains("wiki"),
        "whoever made the change has its time"
    );
    bed.clock.advance(Duration::from_secs(1));
    bed.directory.take_up(Duration::from_secs(1)).await;
    assert_eq!(left(&holdings), set(&OTHERS));
    for receipt in receipts(&bed).await {
        assert_eq!(receipt["statement"]["complete"], true, "{receipt}");
    }
    bed.put(Kind::User, "u-new", ann(&json!({}))).await.unwrap();
    assert!(is_active(&bed.user("ann")));
    assert_eq!(left(&holdings), set(&OTHERS), "and keeps nothing");
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_hangs_holds_nobody_up_for_long() {
    let (bed, holdings) = bed().await;
    holdings.0.hangs.store(true, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    let off = ann(&json!({"active": false}));
    bed.put(Kind::User, "u-ann", off).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(bed.user("ann"), Status::Disabled);
    assert_eq!(one(&bed).await["statement"]["complete"], false);
    // The attempt ends by itself, so that a process that ends does not wait for ever.
    bed.directory.close().await;
    let receipt = one(&bed).await;
    let why = receipt["statement"]["outstanding"][0]["why"].as_str();
    assert!(why.unwrap().contains("no answer within"), "{receipt}");
}

#[tokio::test]
async fn what_a_process_left_undone_another_one_does() {
    let (bed, holdings) = bed().await;
    holdings.0.hangs.store(true, Ordering::SeqCst);
    let off = bed.put(Kind::User, "u-ann", ann(&json!({"active": false})));
    // As far as a process comes that is killed between the commit and the cuts.
    off.await.unwrap();
    let receipt = one(&bed).await;
    assert_eq!(
        listed(&receipt, "outstanding"),
        [
            "api-key",
            "api-key k-ann",
            "credential",
            "credential notes",
            "credential wiki",
            "streams"
        ]
    );
    assert_eq!(
        receipt["signed"]["key"], "test",
        "it is signed as it stands"
    );

    // One of them was destroyed, and nobody lived to say so.
    let wiki = |held: &Held| held.name != "wiki";
    holdings.0.held.lock().unwrap().retain(wiki);
    holdings.0.hangs.store(false, Ordering::SeqCst);
    let other = Bed::over(bed.records.clone()).await;
    other.directory.cut_by(holdings.clone());
    assert_eq!(other.user("ann"), Status::Disabled);
    let follows = other.directory.clone().keep_current();
    let ends = async {
        while one(&other).await["statement"]["complete"] != true {
            tokio::task::yield_now().await;
        }
        other.directory.close().await;
    };
    tokio::join!(follows, ends);
    assert_eq!(left(&holdings), set(&OTHERS));
    let receipt = one(&other).await;
    let cut = listed(&receipt, "cut");
    for name in ["api-key k-ann", "credential notes", "credential wiki"] {
        assert!(cut.contains(&name.to_owned()), "{cut:?}");
    }
    let cuts = receipt["statement"]["cut"].as_array().unwrap();
    let streams = cuts.iter().find(|cut| cut["what"] == "streams").unwrap();
    assert_eq!(streams.get("count"), None, "it cannot know");
}

#[tokio::test]
async fn two_processes_that_finish_one_receipt_lose_nothing_of_it() {
    let (bed, holdings) = bed().await;
    holdings.0.vault_is_down.store(true, Ordering::SeqCst);
    let off = ann(&json!({"active": false}));
    bed.put(Kind::User, "u-ann", off).await.unwrap();
    holdings.0.vault_is_down.store(false, Ordering::SeqCst);
    let other = Bed::over(bed.records.clone()).await;
    other.directory.cut_by(holdings.clone());
    let both = [&bed, &other].map(|bed| bed.directory.take_up(Duration::ZERO));
    let [one_takes, other_takes] = both;
    tokio::join!(one_takes, other_takes);
    let receipt = one(&bed).await;
    assert_eq!(receipt["statement"]["complete"], true);
    let cut = listed(&receipt, "cut");
    let distinct: BTreeSet<&String> = cut.iter().collect();
    assert_eq!(distinct.len(), cut.len(), "{cut:?}");
    for name in ["api-key k-ann", "credential notes", "credential wiki"] {
        assert!(cut.contains(&name.to_owned()), "{cut:?}");
    }
}

#[tokio::test]
async fn what_others_shut_out_is_forgotten_here() {
    let (bed, _) = bed().await;
    let other = Bed::over(bed.records.clone()).await;
    let memory = Holdings::default();
    other.directory.cut_by(memory.clone());
    // In again before the other one hears of anything.
    let off = ann(&json!({"active": false}));
    bed.put(Kind::User, "u-ann", off).await.unwrap();
    bed.put(Kind::User, "u-ann", ann(&json!({}))).await.unwrap();
    other.directory.look_at_heads().await;
    assert!(is_active(&other.user("ann")));
    let forgotten = memory.0.forgotten.lock().unwrap();
    assert!(forgotten.iter().any(|party| party.subject.id() == "ann"));
    assert_eq!(memory.0.cuts.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_writes_receipts_but_the_gateway() {
    let (bed, _) = bed().await;
    bed.remove(Kind::User, "u-ann").await.unwrap();
    let receipt = one(&bed).await;
    let id = receipt["statement"]["receipt"].as_str().unwrap();
    let mut forged = receipt.clone();
    forged["statement"]["complete"] = json!(false);
    for edit in [
        put(Kind::Receipt, id, &forged),
        put(Kind::Receipt, "new", &forged),
        remove(Kind::Receipt, id),
    ] {
        let refused = bed.make(vec![edit]).await.unwrap_err();
        assert_eq!(refused.code(), "forbidden");
    }
    assert_eq!(one(&bed).await, receipt);
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_no_receipt() {
    let (bed, holdings) = bed().await;
    let grant = json!({"role": "administrator", "to": {"user": "u-ann"}});
    bed.put(Kind::Grant, "g", grant).await.unwrap();
    let off = ann(&json!({"active": false}));
    let refused = bed.put(Kind::User, "u-ann", off).await.unwrap_err();
    assert_eq!(refused.code(), "last-administrator");
    bed.remove(Kind::Grant, "g").await.unwrap_err();
    *bed.log.1.lock().unwrap() = true;
    let refused = bed.put(
        Kind::User,
        "u-eve",
        json!({"user_name": "eve", "active": false}),
    );
    assert_eq!(refused.await.unwrap_err().code(), "no-record");
    assert!(receipts(&bed).await.is_empty());
    assert!(left(&holdings).contains("k-ann"));
    assert_eq!(holdings.0.cuts.load(Ordering::SeqCst), 0);
    let heads = bed.records.heads().await.unwrap();
    assert_eq!(heads.len(), 1);
}

#[tokio::test]
async fn keys_under_another_attribute_go_too() {
    let (bed, holdings) = bed().await;
    let issuer = json!({"issuer": "https://other.example", "scim_attribute": "externalId"});
    bed.put(Kind::Issuer, "other", issuer).await.unwrap();
    let eve = |external: &str, active: bool| {
        json!({"user_name": "eve", "external_id": external, "active": active,
            "identities": [{"issuer": IDP, "subject": "eve"}]})
    };
    bed.put(Kind::User, "u-eve", eve("e1", true)).await.unwrap();
    for id in ["e1", "e2"] {
        let of = "https://other.example";
        holdings.give(PartyKind::User, of, id, HeldKind::Credential, id);
    }
    // The identity provider takes her number back as it lets her go.
    bed.put(Kind::User, "u-eve", eve("e2", false))
        .await
        .unwrap();
    assert!(left(&holdings).is_disjoint(&set(&["e1", "e2"])));
}
