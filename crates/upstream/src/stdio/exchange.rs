//! A call under way, as its caller sees it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    link::Link,
    mailbox::{Mail, Mailbox},
};
use crate::failure::Failure;

/// Dropped before the answer, it is cancelled.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(super) link: Arc<Link>,
    pub(super) wire: i64,
    pub(super) mailbox: Mailbox,
    pub(super) begun: Instant,
    pub(super) sent: bool,
    pub(super) done: bool,
    pub(super) cancellable: bool,
}

impl Exchange {
    /// What comes next.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<Mail> {
        let mail = self.mailbox.poll(context);
        if let Poll::Ready(mail) = &mail {
            self.done |= !matches!(mail, Mail::Message(_));
        }
        mail
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Mail {
        let mail = self.mailbox.next().await;
        self.done |= !matches!(mail, Mail::Message(_));
        mail
    }

    /// The answer; what comes before is passed over.
    pub(crate) async fn answer(mut self) -> Result<Bytes, Failure> {
        loop {
            match self.next().await {
                Mail::Message(_) => {}
                Mail::Last(answer) => return Ok(answer),
                Mail::Failed(failure) => return Err(failure),
                Mail::Closed => return Err(Failure::Ending),
            }
        }
    }

    /// It took too long. A child that has said nothing at all since it was asked hangs, and is ended.
    pub(crate) fn gives_up(&self) {
        if self.link.heard() < self.begun {
            tracing::warn!("a child does not answer any more and is ended");
            self.link.stop();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let unanswered = self.link.take(self.wire).is_some();
        if unanswered && self.sent && self.cancellable && !self.link.is_over() {
            self.link.cancel(self.wire);
        }
    }
}
