//! Whether calls of the suite really reached the server: some of its checks take an error for a success.
use anyhow::Result;
use serde_json::Value;

pub(super) fn check(_records: &[Value], _era: &str) -> Result<()> {
    Ok(())
}
