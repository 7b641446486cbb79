//! Whether a pool can do what it could at first: as many tasks as it may have workers meet, which they can only if all of
//! them run at the same time.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use pool_core::ProcessPoolExecutor;

use crate::book::{Book, End};
use crate::tasks;

/// Holds a meeting. A pool that cannot bring all of them there hangs, for the watchdog to see.
///
/// # Errors
/// What went wrong.
pub(super) fn hold(pool: &ProcessPoolExecutor, book: &Book, token: &str) -> Result<(), String> {
    let place = format!("pool-proof-{token}");
    let failed = |error: std::io::Error| format!("no meeting at {place}: {error}");
    let address = SocketAddr::from_abstract_name(&place).map_err(failed)?;
    let listener = UnixListener::bind_addr(&address).map_err(failed)?;
    let submit = |_| {
        let task = book.open();
        let future = pool.submit(tasks::meet, (task, place.clone()));
        future.map(|future| (task, future)).map_err(|error| format!("a calm pool refuses a task: {error}"))
    };
    let futures: Vec<_> = (0..pool.max_workers()).map(submit).collect::<Result<_, _>>()?;
    let present: Vec<_> = futures.iter().map(|_| listener.accept()).collect::<Result<_, _>>().map_err(failed)?;
    let workers = pool.worker_pids().len();
    drop(present);
    for (task, future) in futures {
        match future.result() {
            Ok(value) if value == tasks::answer(task) => book.settle(task, End::Right),
            other => book.settle(task, End::Wrong(format!("{other:?}, in a calm pool"))),
        }
    }
    match workers {
        workers if workers == pool.max_workers() => Ok(()),
        workers => Err(format!("{workers} workers were there for {} tasks that met", pool.max_workers())),
    }
}
