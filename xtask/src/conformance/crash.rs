//! `cargo xtask conformance --crash`: the crash table, from tests that ran just now.
//!
//! Keeps true: a cell is good only if a test printed so and passed; a row without a test, on any backend, is missing, and
//! a failure. Figures are shown and never judged. What other pools do is measured where it is asked for, and never
//! fails us.

mod peers;
mod side_by_side;
mod table;

use crate::libtest::Reader;
use crate::print;
use crate::run;
use crate::task::TaskError;
use crate::workspace;
use table::Table;

/// Whether other pools are measured, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peers {
    No,
    Yes,
}

/// Runs the crash table's tests and prints it.
pub(super) fn perform(peers: Peers) -> Result<u8, TaskError> {
    // One at a time, so that the figures are those of a quiet machine.
    let mut command = workspace::cargo();
    command.args(["test", "--package", "pool-core", "--test", "crash_table", "--no-fail-fast", "--"]);
    command.args(["--nocapture", "--test-threads", "1"]);
    let mut reader = Reader::default();
    let mut text = Vec::new();
    let status = run::stream(&mut command, |piece| {
        print::aside(piece);
        reader.piece(piece);
        text.extend_from_slice(piece);
    })?;
    let table = Table::new(&String::from_utf8_lossy(&text), &reader.results);
    print::out(&table.text());
    if peers == Peers::Yes {
        let measured = peers::measure()?;
        side_by_side::write(&table, &measured)?;
    }
    print::out(&format!("{}\n", table.summary()));
    Ok(u8::from(!table.good() || !status.success()))
}
