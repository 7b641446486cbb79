//! What ends a simulation that waits for itself, which would wait for ever: when a thread has made no step for a minute, its
//! seed is told, and the process ends.
//!
//! Keeps true: a simulation that makes steps is left alone, however many they are.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use pool_core::simulation::Pulse;
use pool_core::thread;

/// After so long without a step a thread hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    alive: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watchdog {
    /// Watches these. `tell` says what hangs; the process ends then.
    pub(crate) fn new(pulses: Vec<Arc<Pulse>>, tell: impl FnOnce(u64) + Send + 'static) -> Self {
        let (alive, dropped) = mpsc::channel();
        let watch = move || {
            if let Some(seed) = wait_for_hung(&pulses, &dropped, LIMIT) {
                tell(seed);
                std::process::abort();
            }
        };
        Self { alive: Some(alive), thread: Some(thread::spawn(watch)) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The seed of one that does not get on, or none when nobody wants to know any more.
fn wait_for_hung(pulses: &[Arc<Pulse>], dropped: &mpsc::Receiver<()>, limit: Duration) -> Option<u64> {
    let look = || pulses.iter().map(|pulse| pulse.now()).collect::<Vec<_>>();
    let mut seen = look();
    while dropped.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
        let now = look();
        let hung = seen.iter().zip(&now).filter(|(before, after)| before == after).find_map(|(_, (seed, _))| *seed);
        if hung.is_some() {
            return hung;
        }
        seen = now;
    }
    None
}

#[cfg(test)]
mod tests {
    use pool_core::simulation;

    use super::*;

    #[test]
    fn a_thread_that_runs_nothing_does_not_hang_and_the_watch_ends_when_nobody_wants_it() {
        let pulse = Arc::new(Pulse::default());
        simulation::run(7, None, &pulse);
        let (alive, dropped) = mpsc::channel();
        let watch = thread::spawn(move || wait_for_hung(&[pulse], &dropped, Duration::from_millis(1)));
        std::thread::park_timeout(Duration::from_millis(20));
        drop(alive);
        assert_eq!(watch.join().unwrap(), None);
    }

    #[test]
    fn the_seed_of_a_thread_that_makes_no_step_is_told() {
        let stuck = Arc::new(Pulse::stuck_at(41));
        let (_alive, dropped) = mpsc::channel();
        assert_eq!(wait_for_hung(&[Arc::default(), stuck], &dropped, Duration::from_millis(1)), Some(41));
    }
}
