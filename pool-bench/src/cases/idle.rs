//! What a pool does that has nothing to do.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::case::{Beside, Case, Failure, Goal, Rounds, Stage, Unit};
use crate::{children, pools, roles};

pub(crate) const IDLE: Case = Case {
    name: "idle",
    about: "wake-ups of an idle pool of eight workers: of all threads, in the parent and in the workers, in 10 s",
    stages: &[Stage {
        sides: |setting, sides| {
            let millis = setting.pick("10000", "3000");
            // A process of its own has no threads but those of its pool.
            sides.own("", "pool", Unit::Count, move || children::figure(&["idle", millis]));
            Ok(())
        },
        rounds: Rounds::Once,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(0.0)],
    }],
};

/// How long after its last task a pool may still put things in order.
const SETTLED: Duration = Duration::from_secs(2);

/// The role: lets a pool work, and prints how often its threads woke up in a time in which it had no work.
pub(crate) fn print(millis: u64) -> Result<(), Failure> {
    let pool = pools::started(8)?;
    pools::submit_one_by_one(&pool, 1_000)?;
    std::thread::sleep(SETTLED);
    let before = switches(&pool.worker_pids())?;
    std::thread::sleep(Duration::from_millis(millis));
    let after = switches(&pool.worker_pids())?;
    let woken: u64 = after.iter().map(|(thread, count)| count - before.get(thread).unwrap_or(&0)).sum();
    roles::say(woken as f64)
}

/// How often each thread, but for this one, gave up its core by itself.
fn switches(workers: &[u32]) -> Result<HashMap<PathBuf, u64>, Failure> {
    let own = std::process::id();
    let mut found = HashMap::new();
    for pid in workers.iter().copied().chain([own]) {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.path();
            let status = std::fs::read_to_string(thread.join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let count = line.ok_or("no count of context switches")?.trim().parse()?;
            // The main thread has the number of its process, and is the one that measures.
            if !thread.ends_with(format!("{own}/task/{own}")) {
                found.insert(thread, count);
            }
        }
    }
    Ok(found)
}
