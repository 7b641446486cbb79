//! What futures ask of their pool: to run their callbacks, and to hear what was taken back or is to be stopped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pool_ipc::Owner;

use super::{GONE, Pool};
use crate::future::{Callback, Desk, Recall};
use crate::manager::event::Event;
use crate::manager::sentence::Why;
use crate::manager::stopping::Stop;

impl Desk for Pool {
    fn run_soon(&self, callbacks: Vec<Callback>) -> Result<(), Vec<Callback>> {
        if callbacks.is_empty() {
            return Ok(());
        }
        let mut inbox = self.inbox.lock();
        if self.gate.load(Ordering::SeqCst) == GONE || self.is_foreign() {
            return Err(callbacks);
        }
        inbox.callbacks.extend(callbacks);
        drop(inbox);
        self.wake();
        Ok(())
    }

    fn is_current_thread(&self) -> bool {
        let current = std::thread::current().id();
        [&self.manager, &self.feeder].into_iter().any(|thread| thread.get() == Some(&current))
    }

    fn is_foreign(&self) -> bool {
        self.home != pool_ipc::fork_generation()
    }

    fn recalling(&self) {
        self.recalling.fetch_add(1, Ordering::SeqCst);
    }

    fn recalled(&self, recall: Option<Recall>) {
        let link = recall.map(|Recall { link, rest }| {
            self.take_back(rest);
            link
        });
        self.recalling.fetch_sub(1, Ordering::SeqCst);
        if let Some(link) = link {
            self.tell(Event::Recalled(link));
            self.fail_if_finished();
        }
    }

    fn withdrawn(&self) {
        self.inbox.lock().withdrawn = true;
        self.wake();
    }

    fn kill(&self, owner: Owner) {
        self.stop(Stop { owner: Arc::downgrade(&owner), why: Why::Killed, at: None });
    }
}
