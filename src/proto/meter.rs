//! Numbers about what happens, counted where it happens and read by whoever shows them. Counting
//! takes no lock and no memory.
//!
//! Invariant: what was counted once is never taken back, so that whoever reads twice sees how much
//! happened between.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The upper bounds of times that a client notices, in microseconds.
pub const RESPONSE_TIMES_US: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// The upper bounds of times that a database takes, in microseconds.
pub const STORAGE_TIMES_US: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

/// How often something happened.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// It happened.
    pub fn increment(&self) {
        self.add(1);
    }

    /// It happened several times.
    pub fn add(&self, times: u64) {
        self.0.fetch_add(times, Relaxed);
    }

    /// How often until now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many of something there are right now; each is there as long as its [`Present`].
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more, until what comes back is dropped.
    pub fn enter(&self) -> Present<'_> {
        self.0.fetch_add(1, Relaxed);
        Present(self)
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One that is counted by a [`Gauge`].
#[derive(Debug)]
pub struct Present<'g>(&'g Gauge);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// How often something took how long.
#[derive(Debug)]
pub struct Histogram {
    bounds_us: &'static [u64],
    /// One for each bound, and one for what is beyond.
    counts: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Histogram {
    /// With ascending bounds, each the longest time of its bucket.
    pub fn new(bounds_us: &'static [u64]) -> Self {
        let counts = (0..=bounds_us.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds_us, counts, sum_us: AtomicU64::new(0) }
    }

    /// It took so long.
    pub fn observe(&self, time: Duration) {
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds_us.iter().take_while(|bound| time_us > **bound).count();
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(time_us, Relaxed);
    }

    /// What was counted until now.
    pub fn read(&self) -> Times {
        let mut count = 0;
        let mut up_to = |counter: &AtomicU64| {
            count += counter.load(Relaxed);
            count
        };
        let buckets = self.bounds_us.iter().zip(&self.counts);
        let buckets = buckets.map(|(bound_us, counter)| (*bound_us, up_to(counter))).collect();
        let count = self.counts.last().map_or(0, up_to);
        Times { buckets, count, sum_us: self.sum_us.load(Relaxed) }
    }
}

/// What a [`Histogram`] has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// For each bound in microseconds: how many took no longer.
    pub buckets: Vec<(u64, u64)>,
    /// How many there were.
    pub count: u64,
    /// All their times together, in microseconds.
    pub sum_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_every_bucket_that_reaches_so_far() {
        let histogram = Histogram::new(&[10, 100]);
        for time_us in [1, 10, 11, 100, 101] {
            histogram.observe(Duration::from_micros(time_us));
        }
        let expected = Times { buckets: vec![(10, 2), (100, 4)], count: 5, sum_us: 223 };
        assert_eq!(histogram.read(), expected);
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [RESPONSE_TIMES_US, STORAGE_TIMES_US] {
            assert!(bounds.is_sorted_by(|left, right| left < right));
        }
    }

    #[test]
    fn who_is_present_is_counted_until_the_end() {
        let gauge = Gauge::default();
        let first = gauge.enter();
        let second = gauge.enter();
        assert_eq!(gauge.get(), 2);
        drop((first, second));
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn a_counter_only_grows() {
        let counter = Counter::default();
        counter.increment();
        counter.add(2);
        assert_eq!(counter.get(), 3);
    }
}
