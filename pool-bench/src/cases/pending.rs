//! What a future costs that waits for its turn.

use pool_core::{ProcessPoolExecutor, Shutdown};

use crate::case::{Beside, Case, Failure, Goal, Rounds, Stage, Unit};
use crate::gate::Gate;
use crate::{children, pools, roles};

pub(crate) const PENDING: Case = Case {
    name: "pending_1m",
    about: "what each of very many pending futures of a small task adds to the memory of the parent",
    stages: &[Stage {
        sides: |setting, sides| {
            let count = setting.pick("1000000", "200000");
            // A process of its own each time: memory that was used before would be used again.
            sides.own("", "pool", Unit::Bytes, move || children::figure(&["pending", count]));
            Ok(())
        },
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(128.0)],
    }],
};

/// The role: submits so many tasks to a pool that is held, and prints what each of them takes.
pub(crate) fn print(count: usize) -> Result<(), Failure> {
    let pool = ProcessPoolExecutor::new(1)?;
    let mut gate = Gate::new()?;
    let held = gate.hold(&pool, 1)?;
    let before = resident_bytes()?;
    let futures = (0..count).map(|_| pool.submit(pools::add, (1, 2))).collect::<Result<Vec<_>, _>>()?;
    let after = resident_bytes()?;
    roles::say((after - before) / count as f64)?;
    gate.open();
    pool.shutdown_with(Shutdown::new().cancel_pending());
    drop((held, futures));
    Ok(())
}

fn resident_bytes() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    Ok(line.ok_or("no resident size")?.trim().parse::<f64>()? * 1024.0)
}
