//! `gatewright policy`: what roles and policies come to, without a gateway.

use std::io::{self, Write};

use clap::Subcommand;
use gatewright_policy_cedar::{ADMIN_SCHEMA, SCHEMA};

use super::{FileArgs, Found, Outcome, complain, explain};
use crate::config::{LoadConfigError, Organisation};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Compile roles, grants and Cedar files, and say what they come to (works offline)
    #[command(after_help = "Example: gatewright policy check -f org.toml")]
    Check(FileArgs),
    /// Decide on a call that nobody makes, and name the policies that decide (works offline)
    #[command(
        after_help = "Ends with 0 when the call is allowed and with 1 when it is not.\n\n\
        Examples:\n  \
        gatewright policy explain --as user:alice --group finance --server billing \\\n    \
        --call '{\"name\":\"pay_invoice\",\"arguments\":{\"amount\":1200}}'\n  \
        gatewright policy explain --as 'agent:report-bot for user:alice' \\\n    \
        --call '{\"method\":\"resources/read\",\"params\":{\"uri\":\"file:///a\"}}'"
    )]
    Explain(Box<explain::ExplainArgs>),
    /// Print the Cedar schema that hand-written policies are held against (works offline)
    Schema,
}

pub(super) fn run(command: PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Check(args) => check(&args),
        PolicyCommand::Explain(args) => explain::run(&args),
        PolicyCommand::Schema => {
            write!(io::stdout().lock(), "{SCHEMA}\n{}", *ADMIN_SCHEMA)?;
            Ok(Found::Good)
        }
    }
}

fn check(args: &FileArgs) -> Outcome {
    match args.load() {
        Ok((_, organisation)) => {
            let mut out = io::stdout().lock();
            writeln!(out, "{}: no mistakes", args.file.display())?;
            summary(&mut out, &organisation)?;
            Ok(Found::Good)
        }
        Err(error @ LoadConfigError::Invalid(_)) => {
            complain(&error);
            Ok(Found::Bad)
        }
        Err(error) => Err(error.into()),
    }
}

/// What there is, by tenant, and what looks like a mistake.
fn summary(out: &mut impl Write, organisation: &Organisation) -> io::Result<()> {
    for (tenant, engine) in organisation.tenants.iter().zip(&organisation.engines) {
        writeln!(
            out,
            "tenant {}: {} servers, {} issuers, {} roles, {} grants, {} policies",
            tenant.id,
            tenant.servers.len(),
            tenant.issuers.len(),
            tenant.roles.len(),
            tenant.grants.len(),
            engine.policies()
        )?;
        for warning in engine.warnings() {
            writeln!(out, "  warning: {warning}")?;
        }
    }
    Ok(())
}
