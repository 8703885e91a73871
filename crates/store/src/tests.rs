//! What every database has to do, written over the storage traits, and run for each that there is.

mod api_keys;
mod directory;
mod events;
mod file;
mod killed;
mod row_security;
mod sealed;
mod secrets;
mod server;
mod silent;
mod transfer;
mod upgrade;

use gatewright_core::{CredentialOwner, ServerName, Subject, TenantId};
use gatewright_directory::MemoryRecords;
use tempfile::TempDir;

use crate::{PostgresStore, SqliteStore};

/// An empty database of one kind, which can be opened more than once.
trait Database {
    type Store: Clone;

    fn create() -> Self;

    async fn open(&self) -> Self::Store;
}

/// A [`Database`] that other processes can open, too.
trait SharedDatabase: Database {
    fn place(&self) -> String;

    async fn open_at(place: &str) -> Self::Store;
}

struct Sqlite(TempDir);

impl Database for Sqlite {
    type Store = SqliteStore;

    fn create() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> SqliteStore {
        Self::open_at(&self.place()).await
    }
}

impl SharedDatabase for Sqlite {
    fn place(&self) -> String {
        let path = self.0.path().join("gatewright.db");
        path.to_str().unwrap().to_owned()
    }

    async fn open_at(place: &str) -> SqliteStore {
        SqliteStore::open(place.as_ref()).await.unwrap()
    }
}

struct Postgres(gatewright_test_postgres::Database);

impl Database for Postgres {
    type Store = PostgresStore;

    fn create() -> Self {
        Self(gatewright_test_postgres::Database::create())
    }

    async fn open(&self) -> PostgresStore {
        Self::open_at(self.0.url()).await
    }
}

impl SharedDatabase for Postgres {
    fn place(&self) -> String {
        self.0.url().to_owned()
    }

    async fn open_at(place: &str) -> PostgresStore {
        PostgresStore::open(place).await.unwrap()
    }
}

/// What other crates test with in the place of a database.
struct Memory(MemoryRecords);

impl Database for Memory {
    type Store = MemoryRecords;

    fn create() -> Self {
        Self(MemoryRecords::new())
    }

    async fn open(&self) -> MemoryRecords {
        self.0.clone()
    }
}

/// Runs the tests that are written over [`Database`] for each that there is.
macro_rules! run_for_each {
    ($($module:ident::$test:ident,)+) => {
        mod sqlite {
            run_for_each! { Sqlite: $($module::$test,)+ }
        }

        mod postgres {
            run_for_each! { Postgres: $($module::$test,)+ }
        }
    };
    ($database:ident: $($module:ident::$test:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::tests::$module::$test(&<crate::tests::$database as crate::tests::Database>::create()).await;
            }
        )+
    };
}

macro_rules! run_also_in_memory {
    ($($test:tt)+) => {
        mod records {
            run_for_each! { $($test)+ }

            mod memory {
                run_for_each! { Memory: $($test)+ }
            }
        }
    };
}

run_for_each! {
    sealed::a_record_is_found_in_its_place_only,
    sealed::all_of_an_owner_is_removed_and_nothing_else,
    sealed::a_lower_version_replaces_nothing,
    sealed::versions_are_given_out_once,
    sealed::an_envelope_is_replaced_under_its_version_only,
    sealed::a_removed_record_is_gone_and_its_version_does_not_come_back,
    sealed::a_tenant_is_read_in_pages,
    sealed::what_was_acknowledged_is_there_after_reopening,
    sealed::any_subject_and_any_bytes_come_back_as_they_were,
    api_keys::a_key_comes_back_as_it_was_in_its_tenant_only,
    api_keys::the_keys_of_a_holder_are_found_and_no_others,
    api_keys::an_id_is_taken_once,
    api_keys::a_key_stays_revoked_as_of_the_first_time,
    api_keys::a_use_is_noted_and_never_an_earlier_one,
    api_keys::ended_keys_are_purged,
    api_keys::a_tenant_is_read_in_pages_of_ids,
    api_keys::a_ring_finds_its_keys_again,
    directory::a_write_that_only_one_database_would_take_is_refused,
    directory::what_was_committed_is_there_after_reopening,
}

run_also_in_memory! {
    directory::the_first_commit_makes_a_tenant_and_each_counts,
    directory::a_commit_made_from_another_revision_writes_nothing,
    directory::records_come_back_as_they_were,
    directory::of_two_writes_to_a_record_the_later_counts,
    directory::a_name_is_one_records_alone,
    directory::a_name_is_passed_on_in_one_commit,
    directory::a_commit_that_is_refused_leaves_nothing,
    directory::a_record_keeps_only_the_names_of_its_last_write,
    directory::a_kind_is_read_in_pages_by_the_bytes_of_its_ids,
    directory::what_changed_since_a_revision_is_read_in_pages,
    directory::what_was_removed_and_came_back_is_changed_and_not_removed,
    directory::a_tenant_sees_nothing_of_another,
    directory::many_who_commit_at_once_lose_nothing,
    directory::a_large_commit_is_written_whole,
    directory::whoever_listens_hears_of_every_commit,
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn user(id: &str) -> CredentialOwner {
    CredentialOwner::User(Subject::new("https://idp.example", id))
}
