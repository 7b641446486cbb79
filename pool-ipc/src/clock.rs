//! The monotonic clock that all processes of a machine share, as numbers that can travel between them.

use std::time::{Duration, Instant};

/// Nanoseconds since a moment that is the same for all processes, and never 0.
pub(crate) fn ticks() -> u64 {
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64).max(1)
    }
    // Workers are threads there, so the moment need not be the same for anybody else.
    #[cfg(not(all(target_os = "linux", not(pool_portable))))]
    {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        nanoseconds(START.get_or_init(Instant::now).elapsed()).max(1)
    }
}

/// The ticks of a moment.
pub(crate) fn ticks_of(moment: Instant) -> u64 {
    let (now, ticks) = (Instant::now(), ticks());
    let ahead = ticks.saturating_add(nanoseconds(moment.saturating_duration_since(now)));
    ahead.saturating_sub(nanoseconds(now.saturating_duration_since(moment))).max(1)
}

/// The moment of some ticks, or `None` where that is beyond the clock.
pub(crate) fn moment_of(moment: u64) -> Option<Instant> {
    let (now, ticks) = (Instant::now(), ticks());
    match moment.checked_sub(ticks) {
        Some(ahead) => now.checked_add(Duration::from_nanos(ahead)),
        None => now.checked_sub(Duration::from_nanos(ticks - moment)),
    }
}

/// As many nanoseconds as can be told, and at least 1 where there is any time at all.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back_from_their_ticks() {
        let now = Instant::now();
        for moment in [now, now + Duration::from_secs(1000), now - Duration::from_millis(500)] {
            let back = moment_of(ticks_of(moment)).expect("it is near");
            let error = back.saturating_duration_since(moment) + moment.saturating_duration_since(back);
            assert!(error < Duration::from_secs(60), "{error:?}: the two readings of the clock were that far apart");
        }
        assert!(moment_of(u64::MAX).is_none_or(|far| far > now));
    }
}
