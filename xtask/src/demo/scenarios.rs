//! The table of the scenarios: the one place that names them.
//!
//! Keeps true: it has exactly the programs of pool-demo, the five of the tutorials first.

/// How much of a scenario's output is shown when all of them run.
pub(super) enum Output {
    /// All of it, as it comes.
    Whole,
    /// Its first lines, a count, and its last line.
    Ends,
}

/// One program of pool-demo.
pub(super) struct Scenario {
    /// What the caller types, and the program's file name.
    pub(super) name: &'static str,
    /// What it shows, in one line.
    pub(super) shows: &'static str,
    /// How many arguments it takes at most.
    pub(super) arguments: usize,
    /// How much of it is shown among all the others.
    pub(super) output: Output,
}

/// Every scenario, in the order in which they are shown.
pub(super) const SCENARIOS: [Scenario; 8] = [
    whole("main-thread", "a program is one process with one thread"),
    whole("workers", "two tasks on two worker processes, each with a main thread of its own"),
    whole("helper-threads", "the threads that a pool adds to the main process"),
    whole("callbacks", "a done callback runs in the main process, on the manager's thread"),
    whole("threads-in-processes", "five processes of three threads each, side by side"),
    Scenario {
        name: "checksums",
        shows: "SHA-256 of every file below a directory (the toolchain's library), on all cores",
        arguments: 1,
        output: Output::Ends,
    },
    whole("crash", "tasks that segfault, exit, panic and are killed, among healthy ones"),
    whole("swap-backend", "the same code on all three backends, chosen by value"),
];

const fn whole(name: &'static str, shows: &'static str) -> Scenario {
    Scenario { name, shows, arguments: 0, output: Output::Whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_program_of_pool_demo_is_in_the_table_and_nothing_else() {
        let folder = crate::workspace::root().join("pool-demo/src/bin");
        let programs: BTreeSet<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let table: BTreeSet<String> = SCENARIOS.iter().map(|scenario| scenario.name.to_owned()).collect();
        assert_eq!(programs, table);
    }

    #[test]
    fn the_scenarios_of_the_tutorials_come_first() {
        let names: Vec<&str> = SCENARIOS.iter().take(5).map(|scenario| scenario.name).collect();
        assert_eq!(names, ["main-thread", "workers", "helper-threads", "callbacks", "threads-in-processes"]);
    }
}
