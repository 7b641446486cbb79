//! A callback that takes its time holds up other callbacks and nothing else.

use std::pin::pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use pool_core::{Builder, Future, ProcessPoolExecutor, ReturnWhen, TaskError, as_completed, thread, wait};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::losses::{await_successor, kill};
use crate::watchdog::{LIMIT, Watched, until};

claims! { on_each_backend:
    b13_a_callback_that_stands_still_holds_up_no_result_no_wait_no_as_completed_and_no_await,
    b13_callbacks_behind_one_that_stands_still_keep_their_order_and_their_thread,
    b13_a_callback_that_stands_still_holds_up_no_map_and_no_cancel,
    b13_a_pool_drains_while_a_callback_stands_still,
    b13_a_callback_that_submits_and_stands_still_gets_its_results_brought,
    b13_waiting_in_a_callback_is_still_an_error_while_the_feeder_takes_the_turns,
    b13_many_callbacks_run_once_each_and_in_order,
}

claims! { on_processes:
    b13_deaths_are_healed_while_a_callback_stands_still,
}

/// A callback stands in here until this is dropped.
pub(crate) struct Stand(#[expect(dead_code, reason = "held for its drop")] Sender<()>);

/// Has a callback of the pool stand still. Returns when it does.
pub(crate) fn stand_still(pool: &ProcessPoolExecutor) -> Stand {
    let (go, gone) = mpsc::channel::<()>();
    let (there, arrived) = mpsc::channel();
    pool.submit(u32::pow, (2, 8)).unwrap().add_done_callback(move |_| {
        there.send(()).unwrap();
        let _ = gone.recv();
    });
    arrived.recv_timeout(LIMIT).unwrap();
    Stand(go)
}

fn square(number: u32) -> u32 {
    number * number
}

fn b13_a_callback_that_stands_still_holds_up_no_result_no_wait_no_as_completed_and_no_await(builder: Builder) {
    let pool = pool(builder, 2);
    let stand = stand_still(&pool);
    for number in 0..20 {
        assert_eq!(pool.submit(square, (number,)).unwrap().result().unwrap(), number * number);
    }
    let futures: Vec<Future<u32>> = (0..20).map(|number| pool.submit(square, (number,)).unwrap()).collect();
    assert_eq!(wait(&futures, None, ReturnWhen::AllCompleted).unwrap().done.len(), 20);
    let futures: Vec<Future<u32>> = (0..20).map(|number| pool.submit(square, (number,)).unwrap()).collect();
    assert_eq!(as_completed(&futures, None).filter(|end| end.as_ref().unwrap().done()).count(), 20);
    for number in 0..20 {
        assert_eq!(block_on(pool.submit(square, (number,)).unwrap()).unwrap(), number * number);
    }
    drop(stand);
}

fn b13_callbacks_behind_one_that_stands_still_keep_their_order_and_their_thread(builder: Builder) {
    let pool = pool(builder, 2);
    let (said, heard) = mpsc::channel();
    let name = said_by(&pool);
    let stand = stand_still(&pool);
    for number in 0..50 {
        let future = pool.submit(square, (number,)).unwrap();
        let said = said.clone();
        future.add_done_callback(move |_| said.send((number, thread::current().name().to_owned())).unwrap());
        assert_eq!(future.result().unwrap(), number * number);
    }
    assert!(heard.try_recv().is_err(), "no callback runs beside another");
    drop(stand);
    for number in 0..50 {
        assert_eq!(heard.recv_timeout(LIMIT).unwrap(), (number, name.clone()));
    }
}

/// The name of the thread that runs callbacks.
fn said_by(pool: &ProcessPoolExecutor) -> String {
    let (said, heard): (_, Receiver<String>) = mpsc::channel();
    let future = pool.submit(square, (1,)).unwrap();
    future.add_done_callback(move |_| said.send(thread::current().name().to_owned()).unwrap());
    heard.recv_timeout(LIMIT).unwrap()
}

fn b13_a_callback_that_stands_still_holds_up_no_map_and_no_cancel(builder: Builder) {
    let (pool, gate) = (pool(builder, 1), Gate::new());
    let stand = stand_still(&pool);
    let results: Vec<u32> = pool.batch().chunksize(3).map(square, 0..20).unwrap().map(Result::unwrap).collect();
    assert!(results.into_iter().eq((0..20).map(square)));
    let running = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let queued = pool.submit(square, (1,)).unwrap();
    assert!(queued.cancel() && matches!(queued.result(), Err(TaskError::Cancelled)));
    drop(held);
    assert_eq!(running.result().unwrap(), 0);
    drop(stand);
}

fn b13_a_pool_drains_while_a_callback_stands_still(builder: Builder) {
    let pool = pool(builder, 2);
    let stand = stand_still(&pool);
    let futures: Vec<Future<u32>> = (0..20).map(|number| pool.submit(square, (number,)).unwrap()).collect();
    let (said, heard) = mpsc::channel();
    let last = futures.last().unwrap().clone();
    last.add_done_callback(move |last| said.send(last.result().unwrap()).unwrap());
    let owner = pool.share();
    let shutdown = thread::spawn(move || owner.shutdown());
    assert_eq!(wait(&futures, None, ReturnWhen::AllCompleted).unwrap().done.len(), 20);
    until("the workers to go", || match pool.worker_pids().len() {
        0 => Ok(0),
        left => Err(left),
    });
    assert!(!shutdown.is_finished(), "it waits for the callbacks");
    drop(stand);
    shutdown.join().unwrap();
    assert_eq!(heard.try_recv().unwrap(), 19 * 19);
}

fn b13_a_callback_that_submits_and_stands_still_gets_its_results_brought(builder: Builder) {
    let pool = pool(builder, 1);
    let (handle, (told, tell)) = (pool.handle(), mpsc::channel());
    pool.submit(square, (3,)).unwrap().add_done_callback(move |first| {
        let second = handle.submit(square, (first.result().unwrap(),)).unwrap();
        // Somebody else may wait for it, and this callback for them.
        let (second, third) = (second.clone(), second);
        let waiter = thread::spawn(move || second.result().unwrap());
        told.send((waiter.join().unwrap(), third.result_timeout(std::time::Duration::ZERO).unwrap())).unwrap();
    });
    assert_eq!(tell.recv_timeout(LIMIT).unwrap(), (81, 81));
}

fn b13_waiting_in_a_callback_is_still_an_error_while_the_feeder_takes_the_turns(builder: Builder) {
    let (pool, gate) = (pool(builder, 1), Gate::new());
    let running = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let done = pool.submit(square, (1,)).unwrap();
    assert!(done.cancel());
    let (said, heard) = mpsc::channel();
    done.add_done_callback(move |_| said.send(running.result()).unwrap());
    assert!(matches!(heard.recv_timeout(LIMIT).unwrap(), Err(TaskError::WouldDeadlock)));
    drop(held);
}

fn b13_many_callbacks_run_once_each_and_in_order(builder: Builder) {
    let pool = pool(builder, 1);
    let (said, heard) = mpsc::channel();
    for number in 0..2_000 {
        let said = said.clone();
        let future = pool.submit(square, (number,)).unwrap();
        future.add_done_callback(move |_| said.send(number).unwrap());
    }
    drop(said);
    assert!((0..2_000).all(|number| heard.recv_timeout(LIMIT).unwrap() == number));
    assert!(heard.recv_timeout(LIMIT).is_err(), "each runs once");
}

fn b13_deaths_are_healed_while_a_callback_stands_still(builder: Builder) {
    let (pool, gate): (Watched, _) = (pool(builder, 1), Gate::new());
    let stand = stand_still(&pool);
    for number in 0..5 {
        let victim = pool.submit(stop_at, (gate.name(), number)).unwrap();
        let behind = pool.submit(square, (number,)).unwrap();
        let held = gate.next();
        kill(held.pid);
        assert!(matches!(victim.result(), Err(TaskError::WorkerDied(died)) if died.pid == held.pid));
        assert_eq!(behind.result().unwrap(), number * number);
        assert_ne!(await_successor(&pool, held.pid), held.pid);
    }
    drop(stand);
}

/// Waits for a future as an executor does.
fn block_on<F: std::future::Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut rung = bell.rung.lock().unwrap();
        while !std::mem::take(&mut *rung) {
            let (guard, waited) = bell.changed.wait_timeout(rung, LIMIT).unwrap();
            assert!(!waited.timed_out() || *guard, "nobody woke the waker within {LIMIT:?}");
            rung = guard;
        }
    }
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_all();
    }
}
