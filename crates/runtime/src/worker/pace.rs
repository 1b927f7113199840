//! How long what a worker has been sent will take it, so that what is short goes to one worker after the other.
//!
//! A frame costs a worker and the server as much as several short steps, most of it for being woken. So of several workers
//! that would all be done soon the first gets more, and others begin to get something when it would keep them waiting; what
//! is not short is spread over all of them.

use std::time::{Duration, Instant};

use super::WorkerId;
use crate::limits;

/// Runs that it takes to move what is expected half of the way.
const MEMORY: u32 = 16;

/// What was seen of one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Processor time for each run, in the mean of the last ones.
    each: Duration,
    /// Processor time for runs that have not ended.
    spent: Duration,
    /// While it has something to do: when it last said something, or got the first of it.
    since: Option<Instant>,
}

impl Default for Pace {
    /// Of a worker of which nothing is known, one run is enough.
    fn default() -> Self {
        Self { each: limits::SHORT_RUN_MAX, spent: Duration::ZERO, since: None }
    }
}

impl Pace {
    /// It has been sent something.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// It has said something: that so many runs have ended, perhaps none, and how busy it was; so many are left. (With all
    /// processors busy, time that it waited for one would only seem to say that others could do it sooner.)
    pub(crate) fn said(&mut self, ended: u32, left: usize, busy: Option<Duration>, now: Instant) {
        self.since = (left > 0).then_some(now);
        let Some(busy) = busy else { return };
        self.spent += busy;
        if ended > 0 {
            // The mean of these, and of those before as if they were so many.
            self.each = (self.each * MEMORY + self.spent) / (MEMORY + ended);
        }
        if ended > 0 || left == 0 {
            self.spent = Duration::ZERO;
        }
    }

    /// It has nothing to do, or so many runs that are short, and has not been silent for long.
    pub(crate) fn is_done_soon(&self, runs: usize, now: Instant) -> bool {
        let silent = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let expected = self.each.saturating_mul(u32::try_from(runs).unwrap_or(u32::MAX));
        let is_short = self.each < limits::SHORT_RUN_MAX && expected < limits::EXPECTED_WAIT_MAX;
        runs == 0 || is_short && silent < limits::SILENT_MAX
    }
}

/// Of workers that have room, with how many runs each has: the first that will be done soon, otherwise the one with the
/// fewest.
pub(crate) fn soonest<'a>(
    workers: impl Iterator<Item = (WorkerId, usize, &'a Pace)>,
    now: Instant,
) -> Option<WorkerId> {
    let mut freest = None;
    for (id, runs, pace) in workers {
        if pace.is_done_soon(runs, now) {
            return Some(id);
        }
        if freest.is_none_or(|(fewest, _)| runs < fewest) {
            freest = Some((runs, id));
        }
    }
    freest.map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(20);

    /// It ends so many runs one by one, which take so long and, of that, so much of a processor.
    fn work(pace: &mut Pace, runs: u32, (each, busy): (Duration, Duration), now: &mut Instant) {
        for _ in 0..runs {
            pace.begins(*now);
            *now += each;
            pace.said(1, 0, Some(busy), *now);
        }
    }

    /// A worker that has ended so many runs of this length one by one.
    fn worked(runs: u32, each: Duration, now: &mut Instant) -> Pace {
        let mut pace = Pace::default();
        work(&mut pace, runs, (each, each), now);
        pace
    }

    #[test]
    fn nothing_is_known_of_a_new_worker() {
        let now = Instant::now();
        assert!(Pace::default().is_done_soon(0, now));
        assert!(!Pace::default().is_done_soon(1, now));
    }

    #[test]
    fn of_short_runs_it_gets_many_and_of_long_ones_one() {
        let mut now = Instant::now();
        let short = worked(1000, SHORT, &mut now);
        let most = limits::EXPECTED_WAIT_MAX.as_micros() / SHORT.as_micros();
        assert!(short.is_done_soon(most as usize / 2, now));
        assert!(!short.is_done_soon(most as usize * 2, now));
        let long = worked(1000, limits::SHORT_RUN_MAX * 2, &mut now);
        assert!(long.is_done_soon(0, now));
        assert!(!long.is_done_soon(1, now));
    }

    #[test]
    fn one_long_run_counts_and_is_forgotten() {
        let mut now = Instant::now();
        let mut pace = worked(1000, SHORT, &mut now);
        let long = Duration::from_millis(50);
        work(&mut pace, 1, (long, long), &mut now);
        assert!(!pace.is_done_soon(1, now));
        work(&mut pace, 200, (SHORT, SHORT), &mut now);
        assert!(pace.is_done_soon(2, now));
    }

    #[test]
    fn runs_that_end_together_share_the_time() {
        let mut now = Instant::now();
        let mut pace = Pace::default();
        pace.begins(now);
        for left in (0..100).rev() {
            now += SHORT * 10;
            pace.said(10, left, Some(SHORT * 10), now);
        }
        assert!(pace.is_done_soon(10, now));
    }

    #[test]
    fn waiting_for_a_processor_does_not_count() {
        let mut now = Instant::now();
        let mut pace = Pace::default();
        work(&mut pace, 100, (SHORT * 100, SHORT), &mut now);
        assert!(pace.is_done_soon(5, now));
    }

    #[test]
    fn what_a_run_took_before_it_asked_for_a_cell_counts() {
        let mut now = Instant::now();
        let mut pace = worked(1000, SHORT, &mut now);
        for _ in 0..100 {
            pace.begins(now);
            pace.said(0, 1, Some(limits::SHORT_RUN_MAX), now);
            pace.said(1, 0, Some(SHORT), now);
        }
        assert!(!pace.is_done_soon(1, now));
        // Loading the application is no run.
        let mut pace = worked(1000, SHORT, &mut now);
        pace.said(0, 0, Some(Duration::from_secs(10)), now);
        pace.said(1, 0, Some(SHORT), now);
        assert!(pace.is_done_soon(1, now));
    }

    #[test]
    fn who_is_silent_gets_nothing_more() {
        let mut now = Instant::now();
        let mut pace = worked(1000, SHORT, &mut now);
        pace.begins(now);
        now += limits::SILENT_MAX / 2;
        assert!(pace.is_done_soon(2, now));
        now += limits::SILENT_MAX;
        assert!(!pace.is_done_soon(2, now));
        // What it has not begun is no reason to wait.
        pace.said(1, 0, None, now);
        now += limits::SILENT_MAX * 2;
        assert!(pace.is_done_soon(0, now));
    }
}
