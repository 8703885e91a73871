//! What one caller, or one standing stream, has still to be told.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use crate::failure::Failure;

/// The most messages that wait for a reader.
const MOST: usize = 256;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A message, and more may follow.
    Message(Bytes),
    /// The answer: nothing follows.
    Last(Bytes),
    /// There will be no answer.
    Failed(Failure),
    /// The stream ends, and nothing was missing.
    Closed,
}

/// The reader is too slow, or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A bounded queue between the reader of a child and the body of an answer. Clones are the same mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: VecDeque<Bytes>,
    held: usize,
    most_bytes: usize,
    end: Option<Mail>,
    waker: Option<Waker>,
}

impl Mailbox {
    /// Holds at most `most_bytes` of messages, or one message.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            queue: VecDeque::new(),
            held: 0,
            most_bytes,
            end: None,
            waker: None,
        })))
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`Full`] when too much waits, or the mailbox has ended.
    pub(crate) fn offer(&self, message: Bytes) -> Result<(), Full> {
        let mut inner = self.lock();
        let fits = inner.queue.is_empty()
            || (inner.queue.len() < MOST && inner.held + message.len() <= inner.most_bytes);
        if inner.end.is_some() || !fits {
            return Err(Full);
        }
        inner.held += message.len();
        inner.queue.push_back(message);
        inner.wake();
        Ok(())
    }

    /// Ends it with the answer, behind what waits. A mailbox ends once.
    pub(crate) fn finish(&self, answer: Bytes) {
        self.end(Mail::Last(answer));
    }

    /// Ends it without an answer, behind what waits.
    pub(crate) fn fail(&self, failure: Failure) {
        self.end(Mail::Failed(failure));
    }

    /// Ends it in good order.
    pub(crate) fn close(&self) {
        self.end(Mail::Closed);
    }

    fn end(&self, end: Mail) {
        let mut inner = self.lock();
        if inner.end.is_none() {
            inner.end = Some(end);
            inner.wake();
        }
    }

    /// What comes next; after the end, [`Mail::Closed`] for ever.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Mail> {
        let mut inner = self.lock();
        if let Some(message) = inner.queue.pop_front() {
            inner.held -= message.len();
            return Poll::Ready(Mail::Message(message));
        }
        if inner.end.is_some() {
            return Poll::Ready(inner.end.replace(Mail::Closed).unwrap_or(Mail::Closed));
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// What comes next.
    pub(crate) async fn next(&self) -> Mail {
        poll_fn(|context| self.poll(context)).await
    }

    /// Whether both are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_in_order_and_then_the_answer() {
        let mailbox = Mailbox::new(100);
        mailbox.offer(Bytes::from_static(b"1")).unwrap();
        mailbox.finish(Bytes::from_static(b"2"));
        mailbox.fail(Failure::Gone);
        assert_eq!(mailbox.offer(Bytes::from_static(b"3")), Err(Full));
        assert!(matches!(mailbox.next().await, Mail::Message(m) if m == "1"));
        assert!(matches!(mailbox.next().await, Mail::Last(m) if m == "2"));
        assert!(matches!(mailbox.next().await, Mail::Closed));
    }

    #[tokio::test]
    async fn a_slow_reader_bounds_what_waits() {
        let mailbox = Mailbox::new(10);
        let large = Bytes::from(vec![b'x'; 50]);
        mailbox.offer(large.clone()).unwrap();
        assert_eq!(mailbox.offer(Bytes::from_static(b"1")), Err(Full));
        assert!(matches!(mailbox.next().await, Mail::Message(m) if m == large));
        mailbox.offer(Bytes::from_static(b"1")).unwrap();

        let many = Mailbox::new(usize::MAX);
        let taken = (0..1000)
            .filter(|_| many.offer(Bytes::from_static(b"1")).is_ok())
            .count();
        assert_eq!(taken, MOST);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let mailbox = Mailbox::new(10);
        let sender = mailbox.clone();
        let (read, ()) = tokio::join!(mailbox.next(), async move { sender.close() });
        assert!(matches!(read, Mail::Closed));
    }
}
