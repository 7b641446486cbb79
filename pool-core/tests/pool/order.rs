//! Tasks that wait for what was submitted before them: workers begin in that order, or at least no task is left behind by
//! those that wait for it, whatever is taken back from one worker for another meanwhile.

use pool_core::{Builder, Future};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};

claims! { on_each_backend:
    tasks_that_hold_all_workers_until_earlier_ones_are_done_do_not_hold_those_up,
}

fn tasks_that_hold_all_workers_until_earlier_ones_are_done_do_not_hold_those_up(builder: Builder) {
    const WORKERS: u32 = 3;
    let pool = pool(builder, 3);
    for round in 0..20 {
        let gate = Gate::new();
        let earlier: Vec<Future<u32>> = (0..300).map(|n| pool.submit(u32::wrapping_mul, (n, round)).unwrap()).collect();
        let holding: Vec<Future<u32>> = (0..WORKERS).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
        let later: Vec<Future<u32>> = (0..30).map(|n| pool.submit(u32::wrapping_add, (n, round)).unwrap()).collect();
        let held: Vec<_> = (0..WORKERS).map(|_| gate.next()).collect();
        assert!((0..).zip(&earlier).all(|(n, future)| future.result().unwrap() == n * round), "round {round}");
        drop(held);
        assert!((0..).zip(&holding).all(|(n, future)| future.result().unwrap() == n), "round {round}");
        assert!((0..).zip(&later).all(|(n, future)| future.result().unwrap() == n + round), "round {round}");
    }
}
