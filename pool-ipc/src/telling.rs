//! What is told to the program's logger, which is not ours: a record that makes it panic is lost, and nothing else.
//!
//! Keeps true: no thread of a pool leaves what it is at because of a logger. Costs nothing for a level that is off.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Logs as `log::log!` does, by the level's name, and survives a logger that panics.
#[doc(hidden)]
#[macro_export]
macro_rules! tell {
    ($level:ident, $($text:tt)+) => {{
        const LEVEL: ::log::Level = ::log::Level::$level;
        if LEVEL <= ::log::STATIC_MAX_LEVEL && LEVEL <= ::log::max_level() {
            $crate::survive(|| ::log::log!(LEVEL, $($text)+));
        }
    }};
}

/// Calls the logger. Its panic has been told by the panic hook and goes no further.
#[doc(hidden)]
#[cold]
pub fn survive(log: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(log)) {
        discard(payload);
    }
}

/// Drops a panic's payload, whose destructor may panic in turn; what that one throws is leaked.
#[doc(hidden)]
pub fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::survive;

    struct Spiteful;

    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("and so does what it throws");
        }
    }

    #[test]
    fn a_logger_that_panics_is_survived_whatever_it_throws() {
        survive(|| panic!("a logger panics"));
        survive(|| std::panic::panic_any(Spiteful));
    }
}
