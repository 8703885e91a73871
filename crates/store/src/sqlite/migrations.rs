//! The steps from an empty file to the present form. A step that was released is never changed; another one follows it.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

const STEPS: &[(i64, &str, &str)] = &[(
    1,
    "credentials and api keys",
    include_str!("migrations/0001_credentials_and_api_keys.sql"),
)];

pub(super) fn all() -> Migrator {
    let step = |(version, what, sql): &(i64, &'static str, &'static str)| {
        Migration::new(
            *version,
            (*what).into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
}
