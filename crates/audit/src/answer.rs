//! The record of a request whose answer has not ended.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError, Clock, Draft, Refused, Timestamp};
use gatewright_wire::{Envelope, Kind};
use http::{Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use serde::Deserialize;

use crate::{
    AuditSink, Ended, Record,
    layer::Recording,
    record::{OutcomeRecord, may_be_counted},
};

/// Larger answers are not searched for a JSON-RPC error, in bytes.
const LARGEST_ERROR: usize = 4 * 1024;

/// Writes the record of a request exactly once: when its answer ends, or when this is dropped before.
pub(crate) struct Open<S: AuditSink> {
    recording: Arc<Recording<S>>,
    draft: Draft,
    status: Option<u16>,
    /// What `content-length` promised.
    length: Option<u64>,
    bytes: u64,
    first_byte: Option<Timestamp>,
    error: Option<i64>,
    written: bool,
}

impl<S: AuditSink> Open<S> {
    pub(crate) fn new(recording: Arc<Recording<S>>, draft: Draft) -> Self {
        Self {
            recording,
            draft,
            status: None,
            length: None,
            bytes: 0,
            first_byte: None,
            error: None,
            written: false,
        }
    }

    /// The stack gave an error in place of an answer.
    pub(crate) fn failed(mut self) {
        self.write(Ended::Failed);
    }

    /// Takes note of the answer, and stays with its body until that ends.
    pub(crate) fn answered<RB>(mut self, response: Response<RB>) -> Response<AnswerBody>
    where
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<BoxError>,
    {
        let response = response.map(AnswerBody::wrap);
        if let Some(refused) = response.extensions().get::<Refused>() {
            self.draft.refuse(*refused, None);
        }
        self.status = Some(response.status().as_u16());
        let length = response.headers().get(header::CONTENT_LENGTH);
        self.length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(bytes) = response.body().known() {
            // One piece of memory: it is handed over with the answer itself.
            let result = |read: &Envelope| read.kind() == Kind::Response;
            if !response.body().envelope().is_some_and(result) {
                self.error = error_code(bytes);
            }
            self.sent(bytes.len());
            self.write(Ended::Complete);
            return response;
        }
        response.map(|body| AnswerBody::wrap(AuditedBody { body, open: self }))
    }

    fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.first_byte.is_none() {
            self.first_byte = Some(self.recording.clock.now());
        }
    }

    fn write(&mut self, ended: Ended) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        let now = self.recording.clock.now();
        if may_be_counted(&self.draft) && !self.recording.tally.is_among_first(&self.draft, now) {
            return;
        }
        let outcome = OutcomeRecord {
            status: self.status,
            ended,
            bytes: self.bytes,
            error: self.error,
        };
        if let Some(record) = Record::ended(&self.draft, outcome, self.first_byte, now) {
            // Queued: no answer waits for the record of how it ended (invariant 7).
            self.recording.sink.enqueue(record);
        }
    }
}

impl<S: AuditSink> Drop for Open<S> {
    fn drop(&mut self) {
        self.write(Ended::ClientGone);
    }
}

/// Writes the outcome of a call that the gateway itself makes, for no AuditLayer sees its answer.
pub(crate) struct Alone<S: AuditSink> {
    sink: Arc<S>,
    clock: Arc<dyn Clock>,
    draft: Draft,
    status: Option<StatusCode>,
    ended: Ended,
}

impl<S: AuditSink> Alone<S> {
    pub(crate) fn new(sink: Arc<S>, clock: Arc<dyn Clock>, draft: Draft) -> Self {
        Self {
            sink,
            clock,
            draft,
            status: None,
            // Unless an answer comes: whoever asked for it is gone before.
            ended: Ended::ClientGone,
        }
    }

    /// An answer came, whose body nobody waits for, or an error in place of one.
    pub(crate) fn answered(mut self, status: Option<StatusCode>) {
        self.status = status;
        self.ended = status.map_or(Ended::Failed, |_| Ended::Complete);
    }
}

impl<S: AuditSink> Drop for Alone<S> {
    fn drop(&mut self) {
        let outcome = OutcomeRecord {
            status: self.status.map(|status| status.as_u16()),
            ended: self.ended,
            bytes: 0,
            error: None,
        };
        if let Some(record) = Record::ended(&self.draft, outcome, None, self.clock.now()) {
            self.sink.enqueue(record);
        }
    }
}

/// The code of an answer that is one JSON-RPC error.
fn error_code(bytes: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Answer {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        code: i64,
    }
    if bytes.len() > LARGEST_ERROR || bytes.first() != Some(&b'{') {
        return None;
    }
    let answer: Answer = serde_json::from_slice(bytes).ok()?;
    Some(answer.error.code)
}

/// A body, and the record that is written when it ends.
struct AuditedBody<S: AuditSink> {
    body: AnswerBody,
    open: Open<S>,
}

impl<S: AuditSink> Body for AuditedBody<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.open.sent(data.len());
                }
            }
            Some(Err(_)) => self.open.write(Ended::UpstreamError),
            None => self.open.write(Ended::Complete),
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

impl<S: AuditSink> Drop for AuditedBody<S> {
    fn drop(&mut self) {
        // A server that has sent the announced length does not ask for the end of the body.
        let all = self.body.is_end_stream()
            || self.body.size_hint().exact() == Some(0)
            || self
                .open
                .length
                .is_some_and(|length| self.open.bytes >= length);
        if all {
            self.open.write(Ended::Complete);
        }
    }
}
