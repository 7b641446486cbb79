//! What the library logs while the tests run.

use std::sync::{Mutex, Once};

/// Keeps all lines from now on.
pub(crate) fn keep() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&Journal).expect("no other logger is set");
        log::set_max_level(log::LevelFilter::Error);
    });
}

/// How many lines have this in them.
pub(crate) fn lines_with(words: &str) -> usize {
    LINES.lock().expect("nobody panics with it").iter().filter(|line| line.contains(words)).count()
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Journal;

impl log::Log for Journal {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().expect("nobody panics with it").push(record.args().to_string());
    }

    fn flush(&self) {}
}
