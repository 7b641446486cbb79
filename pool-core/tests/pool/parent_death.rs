//! The parent's sudden end: nobody who worked for it stays.

use std::process::Command;

use pool_core::Builder;

use crate::alone::Scene;
use crate::backends::{ipc_channel, pool, shared_memory};
use crate::gate::{Gate, stop_at};
use crate::holdings::is_alive;
use crate::watchdog::{until, when};

/// A task: starts a process that stays in the worker's group, and tells both.
#[expect(clippy::disallowed_methods, clippy::zombie_processes, reason = "what this task starts is to outlive it")]
fn start_a_sleeper() -> (u32, u32) {
    let sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    (std::process::id(), sleeper.id())
}

/// In the process that will be killed: one worker is idle and has a child, another one is in a task.
pub(crate) fn wait_to_be_killed(builder: Builder, before: impl FnOnce()) {
    let gate = Gate::new();
    let pool = pool(builder, 2);
    let busy = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    let (worker, sleeper) = pool.submit(start_a_sleeper, ()).unwrap().result().unwrap();
    before();
    println!("pids: {worker} {sleeper} {}", held.pid);
    loop {
        std::thread::park();
        drop(busy.result());
    }
}

/// Kills the process once it has said who works for it, and waits for the end of all those.
pub(crate) fn assert_nobody_stays(host: crate::alone::Host) {
    let mut running = host.start();
    let said = running.told("pids: ");
    let pids: Vec<u32> = said.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 3 && pids.iter().all(|&pid| is_alive(pid)), "{said}");
    running.kill();
    until("the workers to end", || {
        let left: Vec<u32> = pids.iter().copied().filter(|&pid| is_alive(pid)).collect();
        when(left.is_empty(), left)
    });
}

mod b09_nobody_outlives_a_killed_parent {
    #[test]
    fn shared_memory() {
        super::assert_ends_with_parent(concat!(module_path!(), "::shared_memory"), super::shared_memory());
    }

    #[test]
    fn ipc_channel() {
        super::assert_ends_with_parent(concat!(module_path!(), "::ipc_channel"), super::ipc_channel());
    }
}

fn assert_ends_with_parent(path: &str, builder: Builder) {
    match Scene::of(path) {
        Scene::Alone => wait_to_be_killed(builder, || {}),
        Scene::Outside(host) => assert_nobody_stays(host),
    }
}
