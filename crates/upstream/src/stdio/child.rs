//! The task that keeps one child: it writes, reads, logs, and ends it.

use std::{pin::pin, process::ExitStatus, sync::Arc, time::Duration};

use bytes::Bytes;
use gatewright_core::Secret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout},
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    errors::{self, Source},
    frame::Lines,
    link::Link,
    process::{Process, Streams},
};
use crate::failure::Failure;

/// How long a child may take to read a reply.
const DEAF: Duration = Duration::from_secs(30);
/// How long what an ended child has written is still read.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A child, and what its task needs.
pub(crate) struct Kept {
    pub(crate) process: Process,
    pub(crate) streams: Streams,
    pub(crate) link: Arc<Link>,
    pub(crate) queue: mpsc::Receiver<Bytes>,
    pub(crate) source: Source,
    pub(crate) credential: Option<Secret>,
    pub(crate) idle: Duration,
    pub(crate) grace: Duration,
}

/// How a child came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) lived: Duration,
    /// Nobody wanted it to.
    pub(crate) by_itself: bool,
    /// It was a failure: it left calls without an answer, or broke the protocol.
    pub(crate) failed: bool,
}

#[derive(Debug)]
enum End {
    Wanted,
    Idle,
    Closed,
    Exited(Option<ExitStatus>),
    Broke(&'static str),
}

/// Keeps it until it has ended, and its group with it. `ended` is told once it takes no calls any more.
pub(crate) async fn keep(kept: Kept, ended: impl FnOnce(Ended)) {
    let Kept {
        mut process,
        streams,
        link,
        queue,
        source,
        credential,
        idle,
        grace,
    } = kept;
    let Streams {
        input,
        output,
        errors,
    } = streams;
    let started = Instant::now();
    let stop = link.stopped().clone();
    let mut log = pin!(errors::log(errors, source.clone(), credential));
    let mut write = Box::pin(write(input, queue));
    let mut read = Box::pin(read(output, Arc::clone(&link)));
    let mut idle = pin!(link.idle(idle));
    let mut logging = true;
    let mut end = loop {
        tokio::select! {
            () = stop.cancelled() => break End::Wanted,
            end = &mut read => break end,
            status = process.wait() => break End::Exited(status.ok()),
            () = &mut idle => break End::Idle,
            // It takes nothing any more, so that whatever is asked would wait for ever.
            () = &mut write => break End::Closed,
            () = &mut log, if logging => logging = false,
        }
    };
    match end {
        // What it wrote before it ended is still in the pipe.
        End::Exited(_) => {
            if let Ok(End::Broke(reason)) = timeout(LAST_WORDS, &mut read).await {
                end = End::Broke(reason);
            }
        }
        End::Closed => {
            if let Ok(status) = timeout(LAST_WORDS, process.wait()).await {
                end = End::Exited(status.ok());
            }
        }
        End::Wanted | End::Idle | End::Broke(_) => {}
    }
    let waited_for = link.end(&end.failure());
    ended(end.ended(started.elapsed(), waited_for));
    end.log(&source, waited_for);
    // Closing its input is the first sign to leave (2025-11-25, Shutdown).
    drop(write);
    drop(read);
    let last = async {
        if logging && timeout(grace + LAST_WORDS, &mut log).await.is_err() {
            tracing::debug!(
                process = source.process,
                "somebody else holds the standard error of a child"
            );
        }
    };
    tokio::join!(process.end(grace), last);
}

impl End {
    const fn failure(&self) -> Failure {
        match self {
            Self::Wanted | Self::Idle => Failure::Ending,
            Self::Closed | Self::Exited(_) => Failure::Gone,
            Self::Broke(reason) => Failure::Protocol(reason),
        }
    }

    fn ended(&self, lived: Duration, waited_for: bool) -> Ended {
        let (by_itself, failed) = match self {
            Self::Wanted | Self::Idle => (false, false),
            Self::Broke(_) | Self::Closed => (true, true),
            // A server may leave when nothing is under way (2026-07-28, Shutdown).
            Self::Exited(status) => {
                let well = status.is_some_and(|status| status.success());
                (true, waited_for || !well)
            }
        };
        Ended {
            lived,
            by_itself,
            failed,
        }
    }

    fn log(&self, source: &Source, waited_for: bool) {
        let Source {
            tenant,
            server,
            process,
        } = source;
        match self {
            Self::Wanted | Self::Idle => {
                tracing::debug!(tenant, server, process, end = ?self, "a child is ended");
            }
            Self::Broke(reason) => tracing::warn!(
                tenant,
                server,
                process,
                reason,
                "a child broke the protocol and is ended; what is not a message belongs to its standard error"
            ),
            Self::Closed | Self::Exited(_) => {
                tracing::warn!(tenant, server, process, waited_for, end = ?self, "a child has ended by itself");
            }
        }
    }
}

async fn write(mut input: ChildStdin, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(line) = queue.recv().await {
        if input.write_all(&line).await.is_err() {
            return;
        }
    }
}

async fn read(mut output: ChildStdout, link: Arc<Link>) -> End {
    let mut lines = Lines::new(link.limits.max_bytes);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = output.read(&mut piece).await else {
            return End::Closed;
        };
        lines.push(piece.get(..read).unwrap_or_default());
        loop {
            match lines.next_line() {
                Ok(Some(line)) => {
                    let reply = match link.receive(&line) {
                        Ok(reply) => reply,
                        Err(reason) => return End::Broke(reason),
                    };
                    // Nothing more is read from a child that does not read the reply: it cannot make us hold many.
                    if let Some(reply) = reply
                        && !matches!(timeout(DEAF, link.send(&reply)).await, Ok(Ok(())))
                    {
                        return End::Broke("it does not read its input");
                    }
                }
                Ok(None) => break,
                Err(_too_long) => return End::Broke("a line is too long"),
            }
        }
    }
}
