//! The body of an answer as it leaves.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError};
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::metrics::Counted;

/// An answer's body that is counted while it is under way, and that is ended if it would stand otherwise.
pub(crate) struct Watched {
    body: AnswerBody,
    _open: Option<Counted>,
    ends: Vec<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Watched {
    /// Bytes that are all there.
    pub(crate) const fn known(body: AnswerBody) -> Self {
        Self {
            body,
            _open: None,
            ends: Vec::new(),
        }
    }

    /// A body that is under way; it ends with any of these.
    pub(crate) fn stream(
        body: AnswerBody,
        open: Counted,
        ends: impl Iterator<Item = CancellationToken>,
    ) -> Self {
        let ends = ends.map(|token| Box::pin(token.cancelled_owned()));
        Self {
            body,
            _open: Some(open),
            ends: ends.collect(),
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // What is there goes out first; a stream that waits is one that may end.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        for end in &mut self.ends {
            if end.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
