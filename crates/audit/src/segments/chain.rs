//! One chain that this process writes: a queue in front, the file behind it.

use std::{
    mem,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gatewright_core::{Clock, TenantId, Timestamp};
use tokio::sync::oneshot;

use super::{recover::Tail, reserve::Reserve, writer::Writer};
use crate::{AppendError, Record, RecordKind, chain::Head, disk::Disk};

/// What all chains of a log share.
pub(crate) struct Setting {
    pub(crate) dir: PathBuf,
    pub(crate) writer: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) reserve: Reserve,
    /// A segment that is longer than this, in bytes, gets a successor.
    pub(crate) segment_bytes: u64,
    /// No more records than this wait in a chain.
    pub(crate) queue_records: usize,
    /// Nor more bytes than this.
    pub(crate) queue_bytes: usize,
    /// Records written since the last checkpoint.
    pub(crate) since_checkpoint: AtomicU64,
    /// Records that were lost so far, in all chains.
    pub(crate) lost: AtomicU64,
    pub(crate) closed: AtomicBool,
}

/// Gets the number of its record once that is in the file.
type Waiter = oneshot::Sender<Result<u64, AppendError>>;

struct Item {
    line: String,
    waiter: Option<Waiter>,
}

#[derive(Default)]
struct Queue {
    items: Vec<Item>,
    bytes: usize,
    /// Somebody who waits for a record of theirs will write the queue.
    has_leader: bool,
    lost: u64,
    lost_since: Option<Timestamp>,
}

/// What came of [`Chain::push`].
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Resolves once the record is in the file.
    pub(crate) written: oneshot::Receiver<Result<u64, AppendError>>,
    /// Whoever gets this must call [`Chain::flush`].
    pub(crate) leads: bool,
}

/// See the module.
pub(crate) struct Chain {
    tenant: TenantId,
    setting: Arc<Setting>,
    queue: Mutex<Queue>,
    writer: Mutex<Writer>,
    /// Whether the log's thread knows that something waits here.
    announced: AtomicBool,
}

impl Chain {
    pub(crate) fn new(tenant: TenantId, setting: Arc<Setting>, tail: &Tail) -> Self {
        Self {
            queue: Mutex::default(),
            writer: Mutex::new(Writer::new(&tenant, &setting, tail)),
            tenant,
            setting,
            announced: AtomicBool::new(false),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record into the queue for somebody who waits for it.
    pub(crate) fn push(&self, line: String) -> Result<Pushed, AppendError> {
        let mut queue = self.queue();
        self.room_for(&queue, line.len())?;
        let (waiter, written) = oneshot::channel();
        queue.bytes += line.len();
        queue.items.push(Item {
            line,
            waiter: Some(waiter),
        });
        let leads = !mem::replace(&mut queue.has_leader, true);
        Ok(Pushed { written, leads })
    }

    /// Puts a record into the queue that nobody waits for; whether the log's thread must be told.
    pub(crate) fn enqueue(&self, line: String) -> bool {
        let mut queue = self.queue();
        if self.room_for(&queue, line.len()).is_err() {
            self.lose(&mut queue, 1);
            return false;
        }
        queue.bytes += line.len();
        queue.items.push(Item { line, waiter: None });
        drop(queue);
        !self.announced.swap(true, Ordering::AcqRel)
    }

    fn room_for(&self, queue: &Queue, bytes: usize) -> Result<(), AppendError> {
        // Looked at under the queue's lock: what passed before `closed` was set is in the queue when close flushes.
        if self.setting.closed.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        let full = queue.items.len() >= self.setting.queue_records
            || queue.bytes.saturating_add(bytes) > self.setting.queue_bytes;
        if full { Err(AppendError::Full) } else { Ok(()) }
    }

    /// Counts a record that is not kept.
    pub(crate) fn count_lost(&self) {
        self.lose(&mut self.queue(), 1);
    }

    fn lose(&self, queue: &mut Queue, count: u64) {
        if count > 0 {
            self.setting.lost.fetch_add(count, Ordering::Relaxed);
            queue.lost += count;
            queue
                .lost_since
                .get_or_insert_with(|| self.setting.clock.now());
        }
    }

    /// Writes what waits, all at once, and tells those who wait.
    pub(crate) fn flush(&self) {
        self.flush_with(None);
    }

    /// Writes what waits, for the log's thread: what comes from now on is to be announced to it again. Whoever else flushes
    /// leaves it to look in vain.
    pub(crate) fn flush_announced(&self) {
        self.announced.store(false, Ordering::Release);
        self.flush();
    }

    /// Writes what waits, and then that this writer closes, if it had opened the chain.
    pub(crate) fn close(&self) -> Result<(), AppendError> {
        let idle = {
            let queue = self.queue();
            queue.items.is_empty() && queue.lost == 0
        };
        if idle && !self.writer().opened {
            return Ok(());
        }
        let (waiter, mut written) = oneshot::channel();
        let record = self.of_writer(RecordKind::Closed);
        self.flush_with(Some(Item {
            line: record.to_json(),
            waiter: Some(waiter),
        }));
        match written.try_recv() {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(AppendError::Closed),
        }
    }

    fn flush_with(&self, last: Option<Item>) {
        let mut writer = self.writer();
        // Taken after the writer's lock, so that two who flush do not swap the order of the queue.
        let mut queue = self.queue();
        queue.has_leader = false;
        queue.bytes = 0;
        let mut items = mem::take(&mut queue.items);
        let (lost, lost_since) = (mem::take(&mut queue.lost), queue.lost_since.take());
        drop(queue);
        items.extend(last);
        if items.is_empty() && lost == 0 && !writer.took_reserve {
            return;
        }

        let mut first = Vec::new();
        if !writer.opened {
            first.push(self.of_writer(RecordKind::Opened));
        }
        if let Some(since) = lost_since {
            let now = self.setting.clock.now();
            first.push(Record::lost(self.tenant.clone(), lost, since, now));
        }
        if writer.took_reserve {
            first.push(self.of_writer(RecordKind::Space));
        }
        let first: Vec<String> = first.iter().map(Record::to_json).collect();
        let lines = first.iter().chain(items.iter().map(|item| &item.line));
        match writer.write(lines.map(String::as_str)) {
            Ok(written) => {
                writer.opened = true;
                // What was said in this batch is said; what happened while it was written is for the next.
                writer.took_reserve = written.took_reserve;
                let before = written.before;
                drop(writer);
                let mut seq = before.seq + first.len() as u64;
                for item in items {
                    seq += 1;
                    if let Some(waiter) = item.waiter {
                        // Who no longer waits needs no answer.
                        drop(waiter.send(Ok(seq)));
                    }
                }
            }
            Err(error) => {
                drop(writer);
                let mut queue = self.queue();
                queue.lost += lost;
                queue.lost_since = lost_since.or(queue.lost_since);
                let unseen = items.iter().filter(|item| item.waiter.is_none()).count();
                self.lose(&mut queue, unseen as u64);
                drop(queue);
                for waiter in items.into_iter().filter_map(|item| item.waiter) {
                    drop(waiter.send(Err(error.clone())));
                }
            }
        }
    }

    fn of_writer(&self, kind: RecordKind) -> Record {
        let now = self.setting.clock.now();
        Record::of_writer(kind, self.tenant.clone(), &self.setting.writer, now)
    }

    /// Writes records that a crash made necessary, before any other.
    pub(crate) fn write_first(&self, record: &Record) -> Result<(), AppendError> {
        let opened = self.of_writer(RecordKind::Opened).to_json();
        let mut writer = self.writer();
        writer.write([opened.as_str(), &record.to_json()].into_iter())?;
        writer.opened = true;
        Ok(())
    }

    /// Makes everything durable that is written, and returns the head of that. Not for the serving runtime.
    pub(crate) fn sync(&self) -> Result<Head, AppendError> {
        // The lock goes before the disk is asked: others go on writing meanwhile.
        let unsynced = self.writer().take_unsynced()?;
        match unsynced.sync() {
            Ok(()) => Ok(unsynced.head),
            // After a failed fsync nobody knows what the disk holds, and asking again would not tell.
            Err(error) => Err(self
                .writer()
                .break_off(format!("the disk did not confirm a record: {error}"))),
        }
    }

    /// Counts a tick without a record, and lets go of the file after many.
    pub(crate) fn tick(&self, idle_ticks: u32) {
        self.writer().tick(idle_ticks);
    }
}
