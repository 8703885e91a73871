//! Load: as fast as it goes, or at a rate that does not wait for answers.

use std::{
    net::SocketAddr,
    num::NonZeroU64,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;

use crate::connection::{Connection, Template};

/// The most calls of one measurement, whatever its time.
const MOST_CALLS: u64 = 5_000_000;

/// Who is called, with what, over how many connections.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) template: Template,
    pub(crate) connections: usize,
}

/// What a saturated server did in a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saturated {
    pub(crate) calls: u64,
    pub(crate) elapsed: Duration,
}

impl Saturated {
    pub(crate) fn rate(self) -> f64 {
        to_f64(self.calls) / self.elapsed.as_secs_f64()
    }
}

/// Every connection calls as soon as it has its answer. `around` is called at the beginning and the end of the time
/// that counts.
pub(crate) fn saturate<T>(
    target: &Target,
    warm_up: Duration,
    time: Duration,
    mut around: impl FnMut() -> Result<T>,
) -> Result<(Saturated, T, T)> {
    let (calls, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let lane = || -> Result<()> {
        let mut connection = Connection::open(target.address)?;
        let mut template = target.template.clone();
        while !stop.load(Ordering::Relaxed) && calls.load(Ordering::Relaxed) < MOST_CALLS {
            connection.call(&mut template)?;
            calls.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..target.connections).map(|_| scope.spawn(lane)).collect();
        sleep(warm_up);
        let measured = (|| {
            let (before, first, start) = (around()?, calls.load(Ordering::Relaxed), Instant::now());
            sleep(time);
            let elapsed = start.elapsed();
            let last = calls.load(Ordering::Relaxed);
            let after = around()?;
            let saturated = Saturated {
                calls: last - first,
                elapsed,
            };
            Ok((saturated, before, after))
        })();
        stop.store(true, Ordering::Relaxed);
        for lane in lanes {
            join(lane)?;
        }
        measured
    })
}

/// Calls at this rate, whether or not earlier ones are answered: each takes the next moment of the schedule on the
/// next free connection. Latency counts from that moment if all connections were busy then, so that waiting for a
/// slow server is not left out; from the sending if the generator itself woke up late.
pub(crate) fn paced(target: &Target, rate: f64, time: Duration) -> Result<Histogram<u64>> {
    let next = AtomicU64::new(0);
    let most = rate * time.as_secs_f64();
    let start = Instant::now() + Duration::from_millis(50);
    let lane = || -> Result<Histogram<u64>> {
        // Otherwise the kernel may wake us up to 50 µs late, to save wake-ups.
        rustix::thread::set_current_timer_slack(Some(NonZeroU64::MIN))?;
        let mut histogram = histogram()?;
        let mut connection = Connection::open(target.address)?;
        let mut template = target.template.clone();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if to_f64(number) >= most || number >= MOST_CALLS {
                return Ok(histogram);
            }
            let due = start + Duration::from_secs_f64(to_f64(number) / rate);
            let from = if wait_until(due) { Instant::now() } else { due };
            connection.call(&mut template)?;
            let taken = u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX);
            histogram.saturating_record(taken);
        }
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..target.connections).map(|_| scope.spawn(lane)).collect();
        let mut all = histogram()?;
        for lane in lanes {
            all.add(join(lane)?)?;
        }
        Ok(all)
    })
}

/// From 1 µs to 30 s, in nanoseconds, to three digits.
fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1_000, 30_000_000_000, 3).context("a histogram")
}

/// Whether there was anything to wait for.
fn wait_until(due: Instant) -> bool {
    let Some(pause) = due.checked_duration_since(Instant::now()) else {
        return false;
    };
    sleep(pause);
    true
}

fn join<T>(lane: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    match lane.join() {
        Ok(result) => result,
        Err(_panic) => bail!("a connection of the load generator panicked"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the load generator has threads of its own and no runtime that could be blocked"
)]
fn sleep(time: Duration) {
    thread::sleep(time);
}

/// Counts of a few minutes are exact in a float.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}
