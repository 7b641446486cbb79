//! What a watchdog shows: the pool of the round, its workers, and the tasks that have come to no end.

use std::sync::{Mutex, PoisonError, Weak};

use pool_core::ProcessPoolExecutor;

use crate::book::Book;
use crate::processes;

/// What is being done, for who wants to know why it hangs.
#[derive(Debug, Default)]
pub(super) struct Stage(Mutex<Scene>);

#[derive(Debug, Default)]
struct Scene {
    doing: &'static str,
    token: String,
    pool: Weak<ProcessPoolExecutor>,
    book: Weak<Book>,
}

impl Stage {
    /// A round begins.
    pub(super) fn set(&self, token: &str, pool: Weak<ProcessPoolExecutor>, book: Weak<Book>) {
        let doing = "the round begins";
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Scene { doing, token: token.to_owned(), pool, book };
    }

    /// The round has come so far.
    pub(super) fn note(&self, doing: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).doing = doing;
    }

    /// Prints all that can be known.
    pub(super) fn describe(&self) {
        let scene = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        println!("at: {}", scene.doing);
        if let Some(book) = scene.book.upgrade() {
            println!("{:?}", book.tally());
            println!("tasks without an end, some of them:");
            book.open_tasks().iter().for_each(|(task, account)| println!("  task {task}: {account}"));
        }
        let mut pids = vec![std::process::id()];
        if let Some(pool) = scene.pool.upgrade() {
            println!("{pool:#?}");
            pids.extend(pool.worker_pids());
            // Its drop would wait for what hangs.
            std::mem::forget(pool);
        }
        pids.extend(processes::children());
        pids.extend(processes::with_token(&scene.token));
        pids.sort_unstable();
        pids.dedup();
        pids.into_iter().for_each(|pid| println!("{}", processes::describe(pid)));
    }
}
