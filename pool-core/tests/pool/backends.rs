//! The pools that claims are made about, one for each backend: a claim `a001_x` becomes the tests `a001_x::shared_memory`
//! and so on. A new backend is one line in each list here.

use pool_core::{Builder, InProcess, ProcessPoolExecutor, SharedMemory};
use pool_ipc::IpcChannel;

use crate::watchdog::Watched;

/// Makes tests of claims, which are functions that take a [`Builder`].
macro_rules! claims {
    (on_each_backend: $($name:ident),+ $(,)?) => {$(
        mod $name {
            test_on!(super::$name: shared_memory, ipc_channel, in_process);
        }
    )+};
    (on_processes: $($name:ident),+ $(,)?) => {$(
        mod $name {
            test_on!(super::$name: shared_memory, ipc_channel);
        }
    )+};
    (alone_on_each_backend: $($name:ident),+ $(,)?) => {$(
        mod $name {
            test_alone_on!(super::$name: shared_memory, ipc_channel, in_process);
        }
    )+};
    (alone_on_processes: $($name:ident),+ $(,)?) => {$(
        mod $name {
            test_alone_on!(super::$name: shared_memory, ipc_channel);
        }
    )+};
}

/// One test a backend.
macro_rules! test_on {
    ($claim:path: $($backend:ident),+) => {$(
        #[test]
        fn $backend() {
            $claim(crate::backends::$backend());
        }
    )+};
}

/// One test a backend, in a process of its own.
macro_rules! test_alone_on {
    ($claim:path: $($backend:ident),+) => {$(
        #[test]
        fn $backend() {
            let path = concat!(module_path!(), "::", stringify!($backend));
            crate::alone::run(path, || $claim(crate::backends::$backend()));
        }
    )+};
}

pub(crate) fn shared_memory() -> Builder {
    ProcessPoolExecutor::builder().backend(SharedMemory::new())
}

pub(crate) fn ipc_channel() -> Builder {
    ProcessPoolExecutor::builder().backend(IpcChannel::new())
}

pub(crate) fn in_process() -> Builder {
    ProcessPoolExecutor::builder().backend(InProcess::new())
}

/// A further builder of the same backend.
pub(crate) fn again(builder: &Builder) -> Builder {
    match format!("{builder:?}") {
        text if text.contains("InProcess") => in_process(),
        text if text.contains("IpcChannel") => ipc_channel(),
        _ => shared_memory(),
    }
}

/// A pool with a watchdog.
pub(crate) fn pool(builder: Builder, max_workers: usize) -> Watched {
    Watched::new(builder.max_workers(max_workers).build().unwrap())
}
