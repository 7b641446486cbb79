//! One row on one backend: its cells one after the other, and the line that tells how they came out.

use std::time::Duration;

use pool_core::{Backend, InProcess};

use crate::alone::Scene;
use crate::cell::{self, Outcome};
use crate::columns::COLUMNS;
use crate::deeds::{self, Deed};
use crate::watchdog::Watched;

/// Opens each line of the table; what follows is separated by this.
const LINE: &str = "crash-table";
const SEPARATOR: &str = " | ";

/// Plays the cells of a row, prints the row, and fails if a cell did. In a cell's process it plays that cell.
pub(crate) fn hold(deed: Deed, backend: &str, path: &str) {
    let mut cells = Vec::new();
    for column in COLUMNS {
        match Scene::of(path) {
            Scene::Alone => return cell::play(deed, backend),
            Scene::Outside(host) => cells.push((column, cell::host(host, column))),
        }
    }
    let words = cells.iter().map(|(column, outcome)| match outcome {
        Outcome::Good { remark, .. } => format!("{}: ok{remark}", column.name()),
        Outcome::Failed(_) => format!("{}: FAILED", column.name()),
    });
    print(deed, backend, words.chain([median(&cells.iter().map(|(_, outcome)| outcome).collect::<Vec<_>>())]));
    let failed = cells.iter().filter_map(|(column, outcome)| match outcome {
        Outcome::Failed(why) => Some(format!("{}: {why}\n", column.name())),
        Outcome::Good { .. } => None,
    });
    let failed: String = failed.collect();
    assert!(failed.is_empty(), "{} on {backend}\n{failed}", deed.name());
}

/// A row that makes no sense where workers are threads of this program.
pub(crate) fn not_on_threads(deed: Deed) {
    assert!(!InProcess::new().abilities().processes);
    print(deed, "in_process", ["n/a: a thread shares the program's fate".to_owned()]);
}

/// A row that makes no sense where a worker can write nothing that its parent reads.
pub(crate) fn not_without_shared_memory(deed: Deed) {
    let pool = Watched::new(cell::builder("ipc_channel").max_workers(1).build().unwrap());
    assert!(!pool.submit(deeds::shares_memory, ()).unwrap().result().unwrap());
    print(deed, "ipc_channel", ["n/a: a worker shares no memory with its parent".to_owned()]);
}

fn median(outcomes: &[&Outcome]) -> String {
    let mut times: Vec<Duration> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Good { took, .. } => *took,
            Outcome::Failed(_) => None,
        })
        .collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2);
    median.map_or("median: -".to_owned(), |median| format!("median: {} us", median.as_micros()))
}

fn print(deed: Deed, backend: &str, words: impl IntoIterator<Item = String>) {
    let words: Vec<String> = words.into_iter().collect();
    // In one piece, whoever else prints at the moment.
    println!("{LINE}{SEPARATOR}{}{SEPARATOR}{backend}{SEPARATOR}{}", deed.name(), words.join(SEPARATOR));
}
