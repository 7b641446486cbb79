//! What a replayed seed tells, line by line as it happens.

use log::{LevelFilter, Log, Metadata, Record};

/// Prints what is logged.
struct Teller;

impl Log for Teller {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        println!("{}", record.args());
    }

    fn flush(&self) {}
}

/// Runs something, and tells what it logs.
pub(crate) fn told<T>(run: impl FnOnce() -> T) -> T {
    static TELLER: Teller = Teller;
    // It fails where it is set already, which is as good.
    let _ = log::set_logger(&TELLER);
    log::set_max_level(LevelFilter::Trace);
    let outcome = run();
    log::set_max_level(LevelFilter::Off);
    outcome
}
