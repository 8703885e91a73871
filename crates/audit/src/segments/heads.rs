//! Where all chains of a directory stand, signed.

use std::io::Write as _;

use super::{Shared, recover};
use crate::{AppendError, Checkpoint, CheckpointKey, checkpoint::ChainHead, layout};

/// Makes the chains durable, and appends a checkpoint that names the heads of all chains in the directory.
pub(super) fn sign(shared: &Shared, key: &CheckpointKey) -> Result<Checkpoint, AppendError> {
    let setting = &shared.setting;
    // From here on: what is written while we look belongs to the next checkpoint.
    setting
        .since_checkpoint
        .store(0, std::sync::atomic::Ordering::Relaxed);
    let mut heads = Vec::new();
    // One tenant's chain that is broken off leaves the others their checkpoint.
    let mut broken = None;
    let own = shared.open_chains();
    for (tenant, chain) in &own {
        // Durable first: a checkpoint that names what a loss of power can take would accuse nobody's deed.
        match chain.sync() {
            Ok(head) => heads.push(ChainHead::new(tenant, &setting.writer, head)),
            Err(error) => broken = Some(error),
        }
    }
    for (tenant, writer) in layout::chains(&setting.dir)? {
        if writer == setting.writer && own.iter().any(|(open, _)| *open == tenant) {
            continue;
        }
        // A damaged chain of somebody else is for the verifier to name.
        if let Ok(tail) = recover::tail(&setting.dir, &tenant, &writer) {
            heads.push(ChainHead::new(&tenant, &writer, tail.head));
        }
    }
    heads.retain(|head| head.seq > 0);
    heads.sort_unstable_by(|a, b| (&a.tenant, &a.writer).cmp(&(&b.tenant, &b.writer)));

    let checkpoint = Checkpoint::sign(key, &setting.writer, setting.clock.now(), heads)
        .ok_or_else(|| AppendError::Other("the key does not sign".to_owned()))?;
    let mut line = checkpoint.to_json();
    line.push('\n');
    let mut file = layout::private_append(&layout::checkpoints(&setting.dir, &setting.writer))?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    broken.map_or(Ok(checkpoint), Err)
}
