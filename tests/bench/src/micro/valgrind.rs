//! Instructions, counted by callgrind.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

pub(super) fn is_installed() -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// Instructions of one call: a short run and a longer one of the same, so that what is done once cancels out.
pub(super) fn instructions(
    (few, many): (u64, u64),
    program: impl Fn(u64) -> Result<Command>,
) -> Result<f64> {
    let (few_count, many_count) = (count(program(few)?)?, count(program(many)?)?);
    let more = many_count.saturating_sub(few_count);
    Ok(crate::load::to_f64(more) / crate::load::to_f64(many - few))
}

fn count(mut program: Command) -> Result<u64> {
    let folder = program.get_current_dir().context("a folder")?.to_owned();
    let output = program.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "callgrind ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let counts = fs::read_to_string(folder.join("counts.out"))?;
    total(&counts).context("callgrind says no total")
}

/// The total of one event, `Ir`, of a whole run.
fn total(counts: &str) -> Option<u64> {
    let line = |name: &str| counts.lines().find_map(|line| line.strip_prefix(name));
    line("totals:")
        .or_else(|| line("summary:"))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(
            total("events: Ir\nfn=(1) main\n3 4\ntotals: 1234\n"),
            Some(1234)
        );
        assert_eq!(total("events: Ir\n"), None);
    }
}
