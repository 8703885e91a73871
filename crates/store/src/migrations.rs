//! The steps from an empty database to the present form, for each kind. A step that was released is never changed; another
//! one follows it. A step has the same number in both, and does the same.

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::OpenStoreError;

pub(crate) struct Step {
    pub(crate) number: i64,
    what: &'static str,
    sql: &'static str,
}

macro_rules! steps {
    ($folder:literal: $(($number:literal, $what:literal, $file:literal),)+) => {
        &[$(Step {
            number: $number,
            what: $what,
            sql: include_str!(concat!($folder, "/migrations/", $file)),
        }),+]
    };
}

pub(crate) const SQLITE: &[Step] = steps! { "sqlite":
    (1, "credentials and api keys", "0001_credentials_and_api_keys.sql"),
    (2, "records", "0002_records.sql"),
    (3, "changes of keys", "0003_changes_of_keys.sql"),
};

pub(crate) const POSTGRES: &[Step] = steps! { "postgres":
    (1, "credentials and api keys", "0001_credentials_and_api_keys.sql"),
    (2, "records", "0002_records.sql"),
    (3, "changes of keys", "0003_changes_of_keys.sql"),
};

pub(crate) fn all(steps: &'static [Step]) -> Migrator {
    let migration = |step: &Step| {
        Migration::new(
            step.number,
            step.what.into(),
            MigrationType::Simple,
            step.sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}

pub(crate) fn refused(error: MigrateError) -> OpenStoreError {
    match error {
        MigrateError::VersionMissing(step) => OpenStoreError::Newer(step),
        MigrateError::VersionMismatch(step) => OpenStoreError::Changed(step),
        error => OpenStoreError::Database(error.into()),
    }
}
