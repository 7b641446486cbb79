//! Where there are no worker processes, nobody has to be stopped with the program, and its clock is the usual one.

use std::time::Instant;

/// The time on a clock that stands still while this program is stopped.
pub fn running_now() -> Instant {
    Instant::now()
}

/// What the clock of [`running_now`] showed at a moment.
pub fn in_running_time(moment: Instant) -> Instant {
    moment
}

/// When the clock of [`running_now`] will show this.
pub fn in_real_time(running: Instant) -> Instant {
    running
}
