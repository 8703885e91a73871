//! Whose tokens are taken.

use gatewright_core::TenantId;
use gatewright_identity::{InvalidIssuer, TrustedIssuer};
use gatewright_jose::Profile;

use crate::config::{Issuer, Tenant};

/// Every issuer, with the tenant that trusts it.
pub(crate) fn trusted<'a>(
    tenants: impl IntoIterator<Item = &'a Tenant>,
) -> Result<Vec<(TenantId, TrustedIssuer)>, InvalidIssuer> {
    let mut all = Vec::new();
    for tenant in tenants {
        for issuer in &tenant.issuers {
            all.push((tenant.id.clone(), trust(issuer)?));
        }
    }
    Ok(all)
}

fn trust(issuer: &Issuer) -> Result<TrustedIssuer, InvalidIssuer> {
    let mut trusted = TrustedIssuer::new(&issuer.issuer)?;
    if let Some(url) = &issuer.jwks_url {
        trusted = trusted.keys_at(url.clone());
    }
    if !issuer.algorithms.is_empty() {
        trusted = trusted.algorithms(issuer.algorithms.clone());
    }
    if issuer.accept_plain_jwt {
        trusted = trusted.profile(Profile::Plain);
    }
    if let Some(claim) = &issuer.user_claim {
        trusted = trusted.user_claim(claim);
    }
    if let Some(claim) = &issuer.groups_claim {
        trusted = trusted.groups_claim(claim);
    }
    if let Some(claim) = &issuer.roles_claim {
        trusted = trusted.roles_claim(claim);
    }
    if let Some(claim) = &issuer.name_claim {
        trusted = trusted.name_claim(claim);
    }
    if let Some(claim) = &issuer.client_claim {
        trusted = trusted.client_claim(claim);
    }
    Ok(trusted)
}
