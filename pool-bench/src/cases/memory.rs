//! What an idle worker of an ordinary program takes for itself.

use std::process::Command;

use crate::case::{Beside, Case, Failure, Goal, Rounds, Sides, Stage, Unit};
use crate::children::Asked;
use crate::setting::Setting;

pub(crate) const WORKER_MEMORY: Case = Case {
    name: "worker_memory",
    about: "memory that an idle worker of a release build shares with nobody",
    stages: &[Stage {
        sides: idle_worker,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(1.5 * 1024.0 * 1024.0)],
    }],
};

fn idle_worker(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let Some(program) = setting.idle_worker.clone() else {
        println!("  left out: `cargo xtask bench` builds the program that it needs");
        return Ok(());
    };
    sides.own("", "pool", Unit::Bytes, move || {
        let mut asked = Asked::start(&mut Command::new(&program))?;
        // It says the pid of its worker, which has worked and is idle now.
        let pid = asked.answer()?;
        let figure = private_dirty_bytes(pid as u32)?;
        asked.end()?;
        Ok(figure)
    });
    Ok(())
}

fn private_dirty_bytes(pid: u32) -> Result<f64, Failure> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")?.strip_suffix("kB"));
    Ok(line.ok_or("no private memory")?.trim().parse::<f64>()? * 1024.0)
}
