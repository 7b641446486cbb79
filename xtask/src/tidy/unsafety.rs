//! Where `unsafe` may stand: in few files, each with its reason.

use super::Complaint;
use super::lexer;
use super::tree::SourceFile;

/// The files that may hold `unsafe`, and what for.
const FILES: &[(&str, &str)] = &[
    ("pool-bench/examples/procspawn_cell.rs", "crashes its process, as native code may"),
    ("pool-bench/src/words.rs", "maps two words that two processes share"),
    ("pool-core/src/init/hook.rs", "the hook that runs before main"),
    ("pool-core/src/init/tests.rs", "constructors of the kind that the hook runs"),
    ("pool-core/src/task/table/build_id.rs", "reads the identity of the loaded executable from its headers"),
    ("pool-core/src/task/table/linked.rs", "the table of tasks that the linker builds"),
    ("pool-core/src/task/table/mod.rs", "makes the value of a function that has no size"),
    ("pool-core/src/worker/last_word.rs", "lends the job to the panic hook of a program that aborts on panic"),
    ("pool-core/tests/crash_table/native.rs", "crashes its process, as native code may"),
    ("pool-core/tests/pool/forks.rs", "plays a host that forks"),
    ("pool-core/tests/pool/forced.rs", "leaves an exit handler that hangs"),
    ("pool-core/tests/pool/job_control.rs", "plays a host that handles signals"),
    ("pool-core/tests/pool/registry.rs", "a constructor that fills a registry before main"),
    ("pool-demo/src/bin/crash.rs", "crashes, as native code may"),
    ("pool-ipc/src/arrival.rs", "takes a worker's passport out of the environment"),
    ("pool-ipc/src/child.rs", "asks the kernel about children and their groups"),
    ("pool-ipc/src/exit_record.rs", "asks the kernel how a child ended"),
    ("pool-ipc/src/futex.rs", "waits on a word in shared memory"),
    ("pool-ipc/src/job_control.rs", "stops workers with their program, in a handler of SIGTSTP"),
    ("pool-ipc/src/launch/tests/children.rs", "plays a host that reaps children behind our back"),
    ("pool-ipc/src/launch/tests/isolated.rs", "plays a host in a process of its own"),
    ("pool-ipc/src/memfd.rs", "maps shared memory"),
    ("pool-ipc/src/memfd/tests.rs", "writes over a mapping, as a hostile worker may"),
    ("pool-ipc/src/preemption.rs", "asks the kernel how often a thread was preempted"),
    ("pool-ipc/src/process.rs", "asks to hear of forks and of the orderly end, and ends the process there"),
    ("pool-ipc/src/signals.rs", "sets a worker's signal table"),
    ("pool-ipc/src/slot/region.rs", "words and bytes in shared memory"),
    ("pool-ipc/src/slot/worker.rs", "reads a request's bytes where they lie"),
    ("pool-ipc/src/slot/worker/bulk.rs", "lends a request's bytes to the task where they lie"),
    ("pool-ipc/src/soft_stop.rs", "handles SIGTERM in a worker"),
    ("pool-ipc/src/watcher.rs", "ends a worker at once when its parent is gone"),
    ("pool-ipc/tests/contract/attacks.rs", "plays a worker that attacks its parent"),
    ("pool-ipc/tests/contract/kernels.rs", "plays a kernel that is older, or has no memory"),
    ("pool-ipc/tests/contract/script.rs", "takes workers over before main"),
    ("pool-ipc/tests/ipc_channel/script.rs", "plays workers that crash, fork and write garbage"),
    ("pool-ipc/tests/loom/main.rs", "cells whose accesses the model checker watches"),
];

/// A complaint if this file holds `unsafe` and is not on the list.
pub(super) fn complaints(file: &SourceFile) -> Option<Complaint> {
    let line = first_unsafe(file)?;
    let listed = FILES.iter().any(|(path, _)| *path == file.path);
    let what = "`unsafe` outside the files listed in xtask/src/tidy/unsafety.rs";
    (!listed).then(|| Complaint::new(&file.path, line, what))
}

/// Entries whose file holds no `unsafe` any more.
pub(super) fn stale_entries(files: &[SourceFile]) -> Vec<Complaint> {
    let stale = |path: &str| files.iter().any(|file| file.path == path && first_unsafe(file).is_none());
    FILES
        .iter()
        .filter(|(path, _)| stale(path))
        .map(|(path, _)| Complaint::new(path, 1, "holds no `unsafe`: take it off xtask/src/tidy/unsafety.rs"))
        .collect()
}

fn first_unsafe(file: &SourceFile) -> Option<usize> {
    lexer::words(&file.views.code).find(|(word, _)| *word == "unsafe").map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "pool-core/src/task/table/linked.rs";
    const BLOCK: &str = "//! X.\nfn a() {\n    unsafe { b() }\n}\n";

    #[test]
    fn unsafe_is_refused_outside_the_list() {
        let complaint = complaints(&SourceFile::new("pool-core/src/executor.rs", BLOCK)).unwrap();
        assert_eq!(complaint.line, 3);
        assert!(complaints(&SourceFile::new("pool-core/src/a.rs", "#[unsafe(no_mangle)]\n")).is_some());
        assert!(complaints(&SourceFile::new(LISTED, BLOCK)).is_none());
    }

    #[test]
    fn talking_of_unsafe_is_fine() {
        let text = "// unsafe\nlet a = \"unsafe\"; // #![deny(unsafe_op_in_unsafe_fn)]\n#![warn(unsafe_code)]\n";
        assert!(complaints(&SourceFile::new("pool-core/src/executor.rs", text)).is_none());
    }

    #[test]
    fn an_entry_that_is_not_needed_is_told() {
        let files = [SourceFile::new(LISTED, "//! X.\n")];
        assert_eq!(stale_entries(&files).len(), 1);
        assert_eq!(stale_entries(&[SourceFile::new(LISTED, BLOCK)]).len(), 0);
    }
}
