//! How many instructions a task costs, which is stable where times are not.
//!
//! Keeps true: valgrind counts what a program executes, all threads taken together; what a run costs besides its tasks is left
//! out by the difference of two runs. The whole way is counted in one process, with a thread as worker; a worker process
//! by itself, since the pool's side of one needs system calls that valgrind does not know. Never: measures time.
//!
//! Threads wait for each other, and how often one finds another awake is not the same in each run: up to a fifth of a flood.
//! That is why a budget has room above what was counted. It is there to catch a way that has become longer.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pool_core::{InProcess, ProcessPoolExecutor};

use crate::case::Failure;
use crate::children;
use crate::pools::{add, nothing};
use crate::watchdog;

/// A way for tasks through the pool, and the most instructions that one may cost on it.
struct Way {
    name: &'static str,
    about: &'static str,
    drive: fn(&ProcessPoolExecutor, u32) -> Result<(), Failure>,
    /// So many tasks, and so many more.
    counts: [u32; 2],
    budget: Cost,
}

/// Instructions of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// Of the whole way, where the worker is a thread.
    whole: f64,
    /// Of the part of it that is a worker process's.
    worker: f64,
}

const WAYS: [Way; 3] = [
    Way {
        name: "one_by_one",
        about: "a submit, then its result, and only then the next",
        drive: one_by_one,
        counts: [500, 2500],
        budget: Cost { whole: 8500.0, worker: 1400.0 },
    },
    Way {
        name: "flood",
        about: "all submits, then all results",
        drive: flood,
        counts: [2000, 22000],
        budget: Cost { whole: 7000.0, worker: 450.0 },
    },
    Way {
        name: "map",
        about: "numbers in a map",
        drive: map,
        counts: [20_000, 220_000],
        budget: Cost { whole: 340.0, worker: 160.0 },
    },
];

fn one_by_one(pool: &ProcessPoolExecutor, count: u32) -> Result<(), Failure> {
    for n in 0..count {
        pool.submit(add, (n, 1))?.result()?;
    }
    Ok(())
}

fn flood(pool: &ProcessPoolExecutor, count: u32) -> Result<(), Failure> {
    let futures = (0..count).map(|_| pool.submit(nothing, ())).collect::<Result<Vec<_>, _>>()?;
    Ok(futures.iter().try_for_each(|future| future.result().map(drop))?)
}

fn map(pool: &ProcessPoolExecutor, count: u32) -> Result<(), Failure> {
    Ok(pool.map(u32::swap_bytes, 0..count)?.try_for_each(|result| result.map(drop))?)
}

/// Counts every way and prints it beside its budget; whether all are within theirs.
pub(crate) fn check() -> Result<bool, Failure> {
    children::run(Command::new("valgrind").arg("--version")).map_err(|error| format!("valgrind: {error}"))?;
    let directory = std::env::temp_dir().join(format!("pool-bench-instructions-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let costs = WAYS.iter().map(|way| cost(way, &directory)).collect::<Result<Vec<_>, _>>();
    fs::remove_dir_all(&directory)?;
    let costs = costs?;
    println!("instructions of a task, and how many it may have: on the whole way, and in a worker process");
    for (way, cost) in WAYS.iter().zip(&costs) {
        println!("{}", line(way, *cost));
    }
    let dear = WAYS.iter().zip(costs).filter(|(way, cost)| !cost.is_within(way.budget)).count();
    println!("instructions: {} ways, {dear} beyond their budget", WAYS.len());
    Ok(dear == 0)
}

fn line(way: &Way, cost: Cost) -> String {
    let Way { name, about, budget, .. } = way;
    let [whole, worker] = [(cost.whole, budget.whole), (cost.worker, budget.worker)]
        .map(|(cost, budget)| format!("{cost:>6.0} of {budget:>6}{}", if cost > budget { " (too many)" } else { "" }));
    format!("  {name:<10} {whole}  {worker}  {about}")
}

impl Cost {
    fn is_within(self, budget: Self) -> bool {
        self.whole <= budget.whole && self.worker <= budget.worker
    }
}

fn cost(way: &Way, directory: &Path) -> Result<Cost, Failure> {
    let [few, many] = way.counts;
    let tasks = f64::from(many - few);
    let slope = |run: fn(&Way, u32, &Path) -> Result<f64, Failure>| {
        let log = directory.join(way.name);
        Ok::<f64, Failure>((run(way, many, &log)? - run(way, few, &log)?) / tasks)
    };
    Ok(Cost { whole: slope(whole)?, worker: slope(worker)? })
}

/// What a run costs whose worker is a thread.
fn whole(way: &Way, count: u32, log: &Path) -> Result<f64, Failure> {
    let mut command = Command::new("valgrind");
    command.args(valgrind(log)).arg(std::env::current_exe()?);
    run(command.args([crate::roles::ARGUMENT, "way", way.name, &count.to_string()]), log)
}

/// What a run costs in a worker process.
fn worker(way: &Way, count: u32, log: &Path) -> Result<f64, Failure> {
    run(children::role(&["way", way.name, &count.to_string()]).arg(log), log)
}

fn run(command: &mut Command, log: &Path) -> Result<f64, Failure> {
    watchdog::expect(format!("{command:?}"));
    children::run(command)?;
    watchdog::calm();
    let text = fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    fs::remove_file(log)?;
    counted(&text).ok_or_else(|| format!("valgrind counted nothing: {text}").into())
}

fn valgrind(log: &Path) -> Vec<String> {
    let log = format!("--log-file={}", log.display());
    ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", &log].map(str::to_owned).to_vec()
}

/// The number in valgrind's line `I refs`.
fn counted(log: &str) -> Option<f64> {
    let number = log.lines().rev().find_map(|line| line.split_once("refs:").map(|(_, number)| number))?;
    number.trim().replace(',', "").parse().ok()
}

/// The role that is counted: so many tasks of a way, in this process, or by a worker that valgrind runs and writes of here.
pub(crate) fn drive(way: &str, count: u32, log: Option<&str>) -> Result<(), Failure> {
    let way = WAYS.iter().find(|known| known.name == way).ok_or("there is no such way")?;
    let builder = ProcessPoolExecutor::builder().max_workers(1).hello_timeout(Duration::from_secs(300));
    let pool = match log {
        None => builder.backend(InProcess::new()).build()?,
        Some(log) => {
            let program = std::env::current_exe()?.into_os_string();
            let arguments = valgrind(Path::new(log)).into_iter().map(OsString::from);
            builder.worker_command("valgrind", arguments.chain([program])).build()?
        }
    };
    pool.submit(nothing, ())?.result()?;
    (way.drive)(&pool, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_the_one_that_valgrind_says_last() {
        assert_eq!(counted("==1== Command: x\n==1==\n==1== I   refs:      1,234,567\n"), Some(1_234_567.0));
        assert_eq!(counted("==1== Command: x\n"), None);
    }

    #[test]
    fn a_way_beyond_its_budget_is_said_to_be() {
        let way = &WAYS[0];
        let dear = Cost { worker: way.budget.worker + 1.0, ..way.budget };
        assert!(way.budget.is_within(way.budget) && !dear.is_within(way.budget));
        assert!(!line(way, way.budget).contains("too many") && line(way, dear).contains("1401 of   1400 (too many)"));
    }
}
