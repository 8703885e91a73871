use gatewright_core::TenantId;
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// Whose rows a transaction sees. The policies of the tables read it from the setting `gatewright.tenant`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// Those of one tenant, to read and to write.
    Tenant(&'a TenantId),
    /// Those of all, to read: for what concerns the whole installation.
    EveryTenant,
}

impl Scope<'_> {
    /// Begins a transaction and names its tenant, in one round. The setting ends with the transaction.
    pub(super) fn begin(self) -> SqlStr {
        let (tenant, access) = match self {
            Self::Tenant(tenant) => (tenant.as_str(), "READ WRITE"),
            Self::EveryTenant => ("*", "READ ONLY"),
        };
        // Each statement sees what was committed before it, whatever the server's default is.
        // A tenant's name is of letters, digits and hyphens, so that none ends the literal.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED {access}; SET LOCAL gatewright.tenant = '{tenant}'"
        );
        AssertSqlSafe(begin).into_sql_str()
    }
}
