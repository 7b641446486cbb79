//! What happens to pools that are still there when the program ends: they take no further tasks, and the end waits for
//! those that they have, as Python's does.
//!
//! Never waits for itself: not on a pool's own thread, not in a task, and not in a fork of the pool's process.

use std::sync::{Arc, Once, Weak};

use parking_lot::Mutex;

use crate::executor::PANIC_GRACE;
use crate::future::Desk;
use crate::manager::Pool;

/// Pools that may be left at the end. Those that ended are swept out when the next one comes.
static POOLS: Mutex<Vec<Weak<Pool>>> = Mutex::new(Vec::new());

/// Looks after a pool at the end of the program.
pub(super) fn watch(pool: &Arc<Pool>) {
    static GUARD: Once = Once::new();
    GUARD.call_once(|| pool_ipc::at_exit(end_pools));
    let mut pools = POOLS.lock();
    pools.retain(|pool| pool.strong_count() > 0);
    pools.push(Arc::downgrade(pool));
}

extern "C" fn end_pools() {
    // Nothing of this may unwind into the C library.
    let _ = std::panic::catch_unwind(|| {
        let pools: Vec<Arc<Pool>> = POOLS.lock().iter().filter_map(Weak::upgrade).collect();
        let waits = crate::worker::identity().is_none();
        for pool in pools.iter().filter(|pool| !pool.is_foreign()) {
            pool.shut();
        }
        for pool in pools.iter().filter(|pool| waits && !pool.is_foreign() && !pool.is_current_thread()) {
            match pool.is_given_up() {
                true => pool.wait_for_end(Some(PANIC_GRACE)),
                false => pool.wait_unless_it_hangs(PANIC_GRACE),
            };
        }
    });
}
