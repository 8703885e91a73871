use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError};
use http_body::{Body, Frame, SizeHint};

use super::table::Admission;

/// The answer, with what it holds until it ends. One that is known in full already holds nothing: the server is done
/// with it, and how fast a client reads is the edge's to bound.
pub(super) fn holding(body: AnswerBody, admission: Admission) -> AnswerBody {
    if body.known().is_some() || body.is_end_stream() {
        return body;
    }
    AnswerBody::wrap(Holding {
        body,
        admission: Some(admission),
    })
}

struct Holding {
    body: AnswerBody,
    admission: Option<Admission>,
}

impl Body for Holding {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        // Nobody polls a body again that says it has ended.
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.admission = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
