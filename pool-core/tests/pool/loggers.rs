//! A program's logger is not the pool's: whatever it does, tasks come to their ends.

use pool_core::TaskError;

use crate::backends::{in_process, ipc_channel, pool, shared_memory};
use crate::gate::{Gate, stop_at};

/// Takes no record.
struct Spiteful;

impl log::Log for Spiteful {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &log::Record<'_>) {
        panic!("a logger panics");
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_that_panics_at_each_record_costs_no_result() {
    let path = concat!(module_path!(), "::a_logger_that_panics_at_each_record_costs_no_result");
    crate::alone::run(path, || {
        log::set_logger(&Spiteful).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        for builder in [shared_memory(), ipc_channel()] {
            let (pool, gate) = (pool(builder, 2), Gate::new());
            let held = pool.submit(stop_at, (gate.name(), 5)).unwrap();
            let worker = gate.next();
            let lost = pool.submit(die, ()).unwrap();
            assert!(matches!(lost.result(), Err(TaskError::WorkerDied(_))), "{lost:?}");
            drop(worker);
            assert_eq!(held.result().unwrap(), 5);
            assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
        }
        let pool = pool(in_process(), 1);
        let panicked = pool.submit(|| -> () { panic!("a task panics") }, ()).unwrap();
        panicked.add_done_callback(|_| panic!("a callback panics"));
        assert!(matches!(panicked.result(), Err(TaskError::Panicked(_))), "{panicked:?}");
        assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    });
}

fn die() {
    std::process::abort();
}
