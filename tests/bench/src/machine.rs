//! What the kernel says of a process.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// Processor time of a process and all its threads, user and system, since it began.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    // The name, which may hold anything, is in parentheses; `utime` and `stime` are fields 14 and 15 (proc_pid_stat(5)).
    let (_, rest) = stat.rsplit_once(')').context("a process has a name")?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64> { Ok(fields.next().context("a time")?.parse()?) };
    let ticks = ticks()? + ticks()?;
    let each = 1_000_000 / rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_micros(ticks * each))
}

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} has ended"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .context("a process has memory")?
        .parse()?;
    Ok(crate::load::to_f64(kib) / 1024.0)
}

/// The model of the processor and how many of them there are, for the report.
pub(crate) fn name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = info
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(':'))
        .map(|(_, name)| name.trim())
        .collect();
    format!(
        "{} × {}",
        models.len(),
        models.first().unwrap_or(&"unknown processor")
    )
}
