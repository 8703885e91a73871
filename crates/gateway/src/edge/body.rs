//! The body of an answer as it leaves.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError};
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::reading::{Readers, Reading};
use crate::metrics::Counted;

/// The largest piece where the client's reading is watched: whoever takes one within the time is reading.
const PIECE: usize = 16 << 10;

/// An answer's body that is counted while it is under way, and that is ended if it would stand otherwise.
pub(crate) struct Watched {
    body: AnswerBody,
    _open: Option<Counted>,
    ends: Vec<Pin<Box<WaitForCancellationFutureOwned>>>,
    reading: Option<Reading>,
    /// What is left of a large piece.
    rest: Bytes,
}

impl Watched {
    /// Bytes that are all there.
    pub(crate) const fn known(body: AnswerBody) -> Self {
        Self {
            body,
            _open: None,
            ends: Vec::new(),
            reading: None,
            rest: Bytes::new(),
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
            reading: None,
            rest: Bytes::new(),
        }
    }

    /// Counts among the answers of its connection, if those are watched.
    pub(crate) fn read_by(mut self, readers: Option<&Readers>) -> Self {
        self.reading = readers.map(Readers::answer);
        self
    }

    /// The next piece of the body, if it is there or the stream has ended.
    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.rest)))));
        }
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
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let polled = this.poll_piece(context);
        let Some(reading) = &this.reading else {
            return polled;
        };
        let Poll::Ready(Some(Ok(frame))) = polled else {
            reading.our_turn();
            return polled;
        };
        reading.clients_turn();
        let frame = match frame.into_data() {
            Ok(mut data) => {
                let piece = data.split_to(data.len().min(PIECE));
                this.rest = data;
                Frame::data(reading.piece(piece))
            }
            Err(trailers) => trailers,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
