//! Our table beside those of other pools, as Markdown, for the README and the documentation.
//!
//! Keeps true: what was not measured is shown as such; what a word means stands below the table.

use std::fs;

use super::peers::{Cell, Measured};
use super::table::{Cells, Row, Table, in_ms};
use crate::task::{TaskError, file_error};
use crate::workspace;

/// The file, from the root.
const FILE: &str = "docs/crash-table.md";

/// Our backend in it.
const OURS: &str = "shared_memory";

/// Writes the file anew.
pub(super) fn write(table: &Table, measured: &Measured) -> Result<(), TaskError> {
    let path = workspace::root().join(FILE);
    let folder = path.parent().expect("it lies in a folder");
    fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
    fs::write(&path, page(table, measured)).map_err(|error| file_error(&path, &error))
}

fn page(table: &Table, measured: &Measured) -> String {
    let mut text = format!("{HEAD}\n{}", header(measured));
    let rows: Vec<&Row> = table.rows_of(OURS).collect();
    for row in &rows {
        let peers = measured.peers.iter().map(|peer| verdict(measured, &peer.name, &row.name));
        text.push_str(&line([row.name.clone(), ours(row)].into_iter().chain(peers)));
    }
    text.push_str(FOOT);
    for absent in &measured.absent {
        text.push_str(&format!("- {absent}\n"));
    }
    text.push_str("\n## What they said\n\n");
    for cell in measured.cells.iter().filter(|cell| cell.verdict != "exact") {
        text.push_str(&said(cell));
    }
    text
}

const HEAD: &str = "\
# What a crash costs, here and elsewhere

Written by `cargo xtask conformance --crash --peers`: do not edit. A pool of two workers, of which one runs a neighbour;
the other one runs a task that does what the row says. The column of pool-core stands for seven situations, each with
more checks than the others had to stand, and shows the median time from the event to the future's answer. The others
ran with two workers, each cell in a process of its own, three times unless it hung; where that made a difference, all
verdicts are given.
";

const FOOT: &str = "
- exact: that task alone failed, and its error tells the cause; or it did no harm, and answered
- no cause: that task alone failed, and the error does not tell why
- broken: tasks that did nothing wrong failed with it, or the pool took nothing more
- hang: somebody was not answered within five seconds, or the pool did not end
- wrong: an answer where there should be none, an error where there should be an answer, or a process that stayed
- n/a: there is no such thing there
- exact, but in a batch: what tells which item of a chunk ran was written over, so items before it may get the blame,
  and it may be begun again
- The time of an overflow or of exhausted memory includes using them up.
";

fn header(measured: &Measured) -> String {
    let peers = measured.peers.iter().map(|peer| format!("{} {}", peer.name, peer.version));
    let titles = ["the task ...".to_owned(), "pool-core".to_owned()].into_iter().chain(peers);
    let rule = std::iter::repeat_n("---".to_owned(), measured.peers.len() + 2);
    line(titles) + &line(rule)
}

fn line(words: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", words.collect::<Vec<_>>().join(" | "))
}

/// Our own verdict, by the same words.
fn ours(row: &Row) -> String {
    match &row.cells {
        Cells::NotApplicable(_) => "n/a".to_owned(),
        _ if !row.good() => "**FAILED**".to_owned(),
        Cells::Played { columns, .. } if columns.iter().any(|(_, result)| result != "ok") => {
            "exact, but in a batch".to_owned()
        }
        Cells::Played { median_us: None, .. } => "exact".to_owned(),
        Cells::Played { median_us, .. } => format!("exact, {}", in_ms(*median_us)),
    }
}

fn verdict(measured: &Measured, peer: &str, row: &str) -> String {
    let cell = measured.cells.iter().find(|cell| cell.peer == peer && cell.row == row);
    cell.map_or("n/a".to_owned(), |cell| cell.verdict.clone())
}

fn said(cell: &Cell) -> String {
    let Cell { peer, row, verdict, detail } = cell;
    format!("- {peer}, {row}: {verdict}: `{}`\n", detail.replace('`', "'"))
}

#[cfg(test)]
mod tests {
    use super::super::peers::Peer;
    use super::*;

    #[test]
    fn each_peer_has_a_column_and_what_was_not_measured_is_said_to_be_absent() {
        let line = "crash-table | aborts | shared_memory | direct: ok | median: 900 us\n";
        let table = Table::new(line, &[]);
        let peer = |name: &str| Peer { name: name.to_owned(), version: "1".to_owned() };
        let (verdict, detail) = ("broken".to_owned(), "`pool`".to_owned());
        let cell = Cell { peer: "loky".to_owned(), row: "aborts".to_owned(), verdict, detail };
        let measured =
            Measured { peers: vec![peer("loky"), peer("mpire")], absent: vec!["x".to_owned()], cells: vec![cell] };
        let page = page(&table, &measured);
        assert!(page.contains("| the task ... | pool-core | loky 1 | mpire 1 |\n"), "{page}");
        assert!(page.contains("| aborts | exact, 0.90 ms | broken | n/a |\n"), "{page}");
        assert!(page.ends_with("- loky, aborts: broken: `'pool'`\n"), "{page}");
    }
}
