//! One cell: a process that makes a pool, lets the deed happen, and checks what holds whatever happens.

use std::time::Duration;

use pool_core::{Builder, InProcess, ProcessPoolExecutor, SharedMemory, SubmitError};
use pool_ipc::IpcChannel;

use crate::alone::Host;
use crate::columns::{Column, Ended, Scene};
use crate::counts::{self, Counts};
use crate::deeds::Deed;
use crate::gate::{Held, stop_at};
use crate::watchdog::{Watched, until, when};

/// Tells a cell's process which column it is.
const VARIABLE: &str = "POOL_CORE_CRASH_TABLE_COLUMN";

/// What a good cell prints, with the time in nanoseconds and a remark behind it.
const GOOD: &str = "cell: ok ";

/// How a cell came out.
pub(crate) enum Outcome {
    Good {
        /// What is not as it should be and yet no failure; empty in all but few cells.
        remark: String,
        /// From the event to the future, where there is a time.
        took: Option<Duration>,
    },
    Failed(String),
}

/// Plays a cell in a process of its own.
pub(crate) fn host(host: Host, column: Column) -> Outcome {
    let setting = format!("{VARIABLE}={}", column.name());
    let end = std::panic::catch_unwind(|| host.through(["env", &setting]).start().end());
    let Ok(ended) = end else {
        return Outcome::Failed("it hangs".to_owned());
    };
    let good = ended.stdout.lines().find_map(|line| Some(line.split_once(GOOD)?.1));
    match good {
        Some(rest) if ended.status.success() => {
            let (took, remark) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            Outcome::Good { remark: remark.to_owned(), took: took.parse().ok().map(Duration::from_nanos) }
        }
        _ => Outcome::Failed(format!("{}\n{}\n{}", ended.status, ended.stdout, ended.stderr)),
    }
}

/// Plays the cell that this process is for.
pub(crate) fn play(deed: Deed, backend: &str) {
    let name = std::env::var(VARIABLE).unwrap();
    let column = crate::columns::COLUMNS.into_iter().find(|column| column.name() == name).unwrap();
    let scene = Scene::new(deed);
    let before = Counts::now();
    let pool = Watched::new(builder(backend).max_workers(column.workers()).build().unwrap());
    warm(&scene, &pool, column.workers());
    let ready = Counts::now();
    let ended = column.play(&scene, &pool);
    // Held by a connection of this process, which has to be counted.
    let behind = await_what_is_left_behind(&scene, backend);
    let held = usize::from(behind.is_some());
    match column {
        Column::Shutdown => assert_refuses(&pool, backend),
        _ => {
            // As many workers as before, and nothing besides.
            warm(&scene, &pool, column.workers());
            ready.and_descriptors(held).await_again("with the pool's workers ready");
        }
    }
    drop(pool);
    before.and_descriptors(held).await_again("before the pool");
    await_the_end_of_a_grandchild(deed, &ended);
    drop(behind);
    let took = ended.took.map_or("-".to_owned(), |took| took.as_nanos().to_string());
    println!("{GOOD}{took}{}", remark(&scene));
}

fn remark(scene: &Scene) -> String {
    match (scene.lost.get(), scene.again.get()) {
        (0, 0) => String::new(),
        (lost, again) => format!(", {lost} lost with it, begun again {again} times"),
    }
}

pub(crate) fn builder(backend: &str) -> Builder {
    let builder = ProcessPoolExecutor::builder();
    match backend {
        "shared_memory" => builder.backend(SharedMemory::new()),
        "ipc_channel" => builder.backend(IpcChannel::new()),
        "in_process" => builder.backend(InProcess::new()),
        _ => panic!("{backend} is no backend"),
    }
}

/// Lets each worker have a task at the same time.
fn warm(scene: &Scene, pool: &ProcessPoolExecutor, workers: usize) {
    let futures: Vec<_> =
        (0..workers).map(|_| pool.submit(stop_at, (scene.gate.name(), 9)).expect("the next submit works")).collect();
    let held: Vec<Held> = futures.iter().map(|_| scene.gate.next()).collect();
    drop(held);
    assert!(futures.iter().all(|future| future.result().unwrap() == 9));
}

/// The thread that was left runs, and goes on running for as long as this is held. Where it is a thread of this process,
/// nobody but itself can end it: it is let go.
fn await_what_is_left_behind(scene: &Scene, backend: &str) -> Option<Held> {
    let held = (scene.deed == Deed::LeavesAThread).then(|| scene.behind.next());
    held.filter(|_| backend != "in_process")
}

/// A pool that is being shut down says so, and another one works.
fn assert_refuses(pool: &ProcessPoolExecutor, backend: &str) {
    assert!(matches!(pool.submit(u64::pow, (2, 8)), Err(SubmitError::ShutDown)));
    let another = builder(backend).max_workers(1).build().unwrap();
    assert_eq!(another.submit(u64::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

/// It stayed in its worker's group, so it ends with it.
fn await_the_end_of_a_grandchild(deed: Deed, ended: &Ended) {
    let pid = ended.answer.as_ref().filter(|_| deed == Deed::LeavesAGrandchild).map(|answer| answer.value);
    if let Some(pid) = pid {
        let pid = pid.try_into().unwrap();
        until("the end of the grandchild", || when(!counts::is_alive(pid), pid));
    }
}
