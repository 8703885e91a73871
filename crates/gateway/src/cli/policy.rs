//! `gatewright policy`: what roles and policies come to, without a gateway, and those of one that runs.

use std::io::{self, Write};

use clap::Subcommand;
use gatewright_policy_cedar::{ADMIN_SCHEMA, SCHEMA};

use super::{
    FileArgs, Found, Outcome, complain, explain,
    publishing::{self, DraftArgs, PublishArgs, RevertArgs},
    things::Place,
};
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
    /// Draft policies, or show what is drafted (asks the running gateway)
    #[command(
        after_help = "Examples:\n  gatewright policy draft policies/ --note 'no transfers at night'\n  gatewright policy draft"
    )]
    Draft(DraftArgs),
    /// Show what publishing the draft changes in the texts (asks the running gateway)
    Diff(Place),
    /// Put the draft in force, after showing what it changes (asks the running gateway)
    #[command(after_help = "Example: gatewright policy publish --note 'ticket 4711'")]
    Publish(PublishArgs),
    /// Show every version that was published (asks the running gateway)
    History(Place),
    /// Put an earlier version in force again, as a new one (asks the running gateway)
    #[command(after_help = "Example: gatewright policy revert v0003")]
    Revert(RevertArgs),
}

pub(super) fn run(command: PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Check(args) => check(&args),
        PolicyCommand::Explain(args) => explain::run(&args),
        PolicyCommand::Draft(args) => args.run(),
        PolicyCommand::Diff(place) => publishing::diff(&place),
        PolicyCommand::Publish(args) => args.run(),
        PolicyCommand::History(place) => publishing::history(&place),
        PolicyCommand::Revert(args) => args.run(),
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
