//! A file as a change: what it has and the tenant has not is made, what it had made and no longer has is taken away, and
//! nothing else is touched.

mod applying;
mod groups;
mod names;
mod parties;
mod settings;
mod wanted;

use gatewright_core::{Actor, Difference, TenantId};

use self::applying::Applying;
pub(crate) use self::names::at_issuer;
pub use self::wanted::{
    Wanted, WantedAgent, WantedGrant, WantedGroup, WantedHolder, WantedOver, WantedServer,
    WantedSettings, WantedTenant, WantedUser,
};
use crate::{
    Directory,
    directory::LookError,
    edit::{ChangeError, Edit},
    model::Tenant,
    records::{Kind, Revision},
};

/// What keeps in mind what a file has made.
const FILE: &str = "file";
/// So often a file is held against the tenant again, since somebody changed meanwhile what it was held against.
const ATTEMPTS: usize = 8;

/// What applying a file comes to in one tenant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AppliedTenant {
    /// Which.
    pub tenant: TenantId,
    /// What becomes of what. Nothing, where the tenant is as the file has it.
    pub differences: Vec<Difference>,
    /// The commit; nothing where it was only planned.
    pub revision: Option<Revision>,
}

impl Directory {
    /// What applying a file would come to.
    ///
    /// # Errors
    /// [`ChangeError`] says why it cannot be applied.
    pub async fn plan_file(
        &self,
        actor: &Actor,
        wanted: &Wanted,
    ) -> Result<Vec<AppliedTenant>, ChangeError> {
        let mut plans = Vec::new();
        for (tenant, wanted) in &wanted.tenants {
            let mut attempts = 1;
            let differences = loop {
                match self.plan_tenant(actor, tenant, wanted).await {
                    Err(error) if is_outrun(&error) && attempts < ATTEMPTS => attempts += 1,
                    planned => break planned?,
                }
            };
            plans.push(AppliedTenant {
                tenant: tenant.clone(),
                differences: told(differences),
                revision: None,
            });
        }
        Ok(plans)
    }

    async fn plan_tenant(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        wanted: &WantedTenant,
    ) -> Result<Vec<Difference>, ChangeError> {
        let edits = self.edits_of(tenant, wanted).await?;
        self.plan_even_new(actor, tenant, &edits).await
    }

    /// Makes the tenants as a file has them, one after the other, each in one piece.
    ///
    /// # Errors
    /// [`ChangeError`] says why it was not applied to the tenant that it names, and those after it by name.
    pub async fn apply_file(
        &self,
        actor: &Actor,
        wanted: &Wanted,
    ) -> Result<Vec<AppliedTenant>, ChangeError> {
        let mut applied = Vec::new();
        for (tenant, wanted) in &wanted.tenants {
            let mut attempts = 1;
            applied.push(loop {
                match self.apply_tenant(actor, tenant, wanted).await {
                    Err(error) if is_outrun(&error) && attempts < ATTEMPTS => attempts += 1,
                    made => break made?,
                }
            });
        }
        Ok(applied)
    }

    async fn apply_tenant(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        wanted: &WantedTenant,
    ) -> Result<AppliedTenant, ChangeError> {
        if !self.has_tenant(tenant) {
            let settings = wanted.settings.over(Tenant::default());
            self.create_tenant(actor.clone(), tenant, settings).await?;
        }
        let edits = self.edits_of(tenant, wanted).await?;
        let differences = self.plan(actor, tenant, &edits).await?;
        let made = self.change(actor.clone(), tenant, "file.apply", edits);
        Ok(AppliedTenant {
            tenant: tenant.clone(),
            differences: told(differences),
            revision: Some(made.await?.revision),
        })
    }

    pub(crate) async fn edits_of(
        &self,
        tenant: &TenantId,
        wanted: &WantedTenant,
    ) -> Result<Vec<Edit>, ChangeError> {
        let mut applying = Applying::begin(self, tenant, wanted).await?;
        applying.settings(wanted)?;
        applying.parties(wanted)?;
        applying.groups(wanted)?;
        applying.grants(wanted).await?;
        Ok(applying.end())
    }
}

/// Somebody changed it since it was looked at.
const fn is_outrun(error: &ChangeError) -> bool {
    matches!(
        error,
        ChangeError::Stale { .. }
            | ChangeError::Exists { .. }
            | ChangeError::NotFound { .. }
            | ChangeError::Taken { .. }
    )
}

/// What it comes to for people: not what is kept in mind for the next time.
fn told(mut differences: Vec<Difference>) -> Vec<Difference> {
    let own = format!("{} {FILE}", Kind::Applied);
    differences.retain(|difference| difference.of != own);
    differences
}

fn unlooked(error: LookError) -> ChangeError {
    match error {
        LookError::Records(error) => ChangeError::Unavailable(error),
        LookError::Unreadable(error) => ChangeError::Unreadable(error),
    }
}
