//! Who reads what they asked for, on connections that carry many answers at a time.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The answers of one HTTP/2 connection of which it is the client's turn to take something. A client can keep such a
/// connection alive and still take nothing of an answer, by not opening that answer's window (RFC 9113 §5.2): no timeout
/// of the socket sees that, and the body is not even asked for its next piece.
#[derive(Clone, Default)]
pub(crate) struct Readers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is one to watch.
    began: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Since when it is the client's turn, by answer.
    since: HashMap<u64, Instant>,
}

impl Readers {
    /// One more answer. The client's turn has begun.
    pub(super) fn answer(&self) -> Reading {
        let mut state = self.state();
        let key = state.next;
        state.next += 1;
        drop(state);
        let reading = Reading {
            readers: self.clone(),
            key,
        };
        reading.clients_turn();
        reading
    }

    /// The piece, of which it is the client's turn until the last byte has left: the connection lets go of it then, and
    /// of the body already when it has the last piece.
    pub(super) fn piece(&self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Piece {
            bytes,
            _reading: self.answer(),
        })
    }

    /// Ends when a client has taken nothing of an answer for so long.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            let oldest = self.state().since.values().min().copied();
            match oldest.map(|since| since + patience) {
                Some(end) if end <= Instant::now() => return,
                Some(end) => sleep_until(end).await,
                None => self.0.began.notified().await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

/// One answer among them, until it is dropped.
pub(super) struct Reading {
    readers: Readers,
    key: u64,
}

impl Reading {
    /// See [`Readers::piece`].
    pub(super) fn piece(&self, bytes: Bytes) -> Bytes {
        self.readers.piece(bytes)
    }

    /// A piece was handed out.
    pub(super) fn clients_turn(&self) {
        self.readers.state().since.insert(self.key, Instant::now());
        self.readers.0.began.notify_one();
    }

    /// The client has taken what there was, and waits for more.
    pub(super) fn our_turn(&self) {
        self.readers.state().since.remove(&self.key);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.our_turn();
    }
}

struct Piece {
    bytes: Bytes,
    _reading: Reading,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn only_a_client_whose_turn_it_is_can_be_late() {
        let readers = Readers::default();
        let idle = timeout(2 * PATIENCE, readers.stalled(PATIENCE)).await;
        assert!(idle.is_err(), "there is no answer");
        let (one, other) = (readers.answer(), readers.answer());
        one.our_turn();
        other.our_turn();
        let waits = timeout(2 * PATIENCE, readers.stalled(PATIENCE)).await;
        assert!(waits.is_err(), "both wait for us");
        let reads = async {
            for _ in 0..10 {
                one.clients_turn();
                tokio::time::sleep(PATIENCE / 2).await;
                one.our_turn();
            }
        };
        let busy = tokio::select! {
            () = readers.stalled(PATIENCE) => false,
            () = reads => true,
        };
        assert!(busy, "each piece was taken in time");
        other.clients_turn();
        let began = Instant::now();
        readers.stalled(PATIENCE).await;
        assert_eq!(began.elapsed(), PATIENCE);
        drop(other);
        let gone = timeout(2 * PATIENCE, readers.stalled(PATIENCE)).await;
        assert!(gone.is_err(), "what has ended is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_is_waited_for_until_all_of_it_has_left() {
        let readers = Readers::default();
        let mut piece = readers.piece(Bytes::from_static(b"answer"));
        let first = piece.split_to(1);
        drop(first);
        let began = Instant::now();
        readers.stalled(PATIENCE).await;
        assert_eq!(began.elapsed(), PATIENCE);
        drop(piece);
        let left = timeout(2 * PATIENCE, readers.stalled(PATIENCE)).await;
        assert!(left.is_err());
    }
}
