//! The arrows between the crates: who may never name whom.
//!
//! pool-demo -> pool-core -> pool-ipc, and xtask -> nothing of ours. Keeps true: a forbidden arrow is found in a
//! manifest and in code, and pool-core's code touches no descriptor, system call or raw memory.

use super::Complaint;
use super::lexer;
use super::tree::SourceFile;

/// A crate's folder, and the crates that it may not name.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    ("pool-ipc/", &["pool-core", "pool-demo", "pool-bench", "pool-proof", "pool-macros", "xtask"]),
    ("pool-core/", &["pool-demo", "pool-bench", "pool-proof", "xtask"]),
    ("pool-demo/", &["pool-ipc", "pool-bench", "pool-proof", "xtask"]),
    ("pool-proof/", &["pool-demo", "pool-bench", "xtask"]),
    ("xtask/", &["pool-core", "pool-ipc", "pool-demo", "pool-bench", "pool-proof", "pool-macros"]),
];

/// What pool-core's code leaves to pool-ipc.
const RAW: [&str; 8] = ["rustix", "libc", "RawFd", "AsRawFd", "FromRawFd", "IntoRawFd", "as_raw_fd", "from_raw_fd"];

/// The two places of pool-core that may: the task table, and the hook that runs before main.
const RAW_PLACES: [&str; 2] = ["pool-core/src/task/table", "pool-core/src/init"];

/// Every forbidden arrow that leaves this file.
pub(super) fn complaints(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (folder, crates) in FORBIDDEN {
        if !file.path.starts_with(folder) {
            continue;
        }
        let folder = folder.trim_end_matches('/');
        if file.path == format!("{folder}/Cargo.toml") {
            complaints.extend(dependencies(file, folder, crates));
        }
        let names: Vec<String> = crates.iter().map(|name| name.replace('-', "_")).collect();
        complaints.extend(words(file, &names, &format!("{folder} may not name")));
    }
    if file.path.starts_with("pool-core/src/") && !RAW_PLACES.iter().any(|place| stands_in(&file.path, place)) {
        let names: Vec<String> = RAW.iter().map(ToString::to_string).collect();
        complaints.extend(words(file, &names, "pool-core leaves to pool-ipc:"));
    }
    complaints
}

/// Whether a file is that module's, or lies in its folder.
fn stands_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn dependencies(file: &SourceFile, folder: &str, crates: &[&str]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        let key = line.split(['#', '=', '.']).next().unwrap_or("").trim();
        let table = line.trim().trim_matches(['[', ']']);
        for name in crates {
            let renamed = line.contains(&format!("package = \"{name}\""));
            if key == *name || table.ends_with(&format!("dependencies.{name}")) || renamed {
                complaints.push(Complaint::new(&file.path, number, format!("{folder} may not depend on {name}")));
            }
        }
    }
    complaints
}

fn words(file: &SourceFile, names: &[String], rule: &str) -> Vec<Complaint> {
    lexer::words(&file.views.code)
        .filter(|(word, _)| names.iter().any(|name| name == word))
        .map(|(word, line)| Complaint::new(&file.path, line, format!("{rule} `{word}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, text: &str) -> usize {
        complaints(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn pool_ipc_never_learns_of_tasks() {
        assert_eq!(said("pool-ipc/src/a.rs", "use pool_core::Future;\n"), 1);
        assert_eq!(said("pool-ipc/tests/a.rs", "fn a() { pool_core::init(); }\n"), 1);
        assert_eq!(said("pool-ipc/src/a.rs", "//! pool_core uses this.\nfn pool_core_like() {}\n"), 0);
        assert_eq!(said("pool-ipc/Cargo.toml", "pool-core.workspace = true\n"), 1);
    }

    #[test]
    fn a_demo_uses_the_public_api_only() {
        assert_eq!(said("pool-demo/src/bin/workers.rs", "use pool_ipc::SharedMemory;\n"), 1);
        assert_eq!(said("pool-demo/src/bin/workers.rs", "use pool_core::SharedMemory;\n"), 0);
    }

    #[test]
    fn xtask_depends_on_nothing_of_ours() {
        assert_eq!(said("xtask/Cargo.toml", "[dependencies]\npool-core = { path = \"../pool-core\" }\n"), 1);
        assert_eq!(said("xtask/Cargo.toml", "[dependencies.pool-ipc]\n"), 1);
        assert_eq!(said("xtask/Cargo.toml", "p = { package = \"pool-ipc\", path = \"x\" }\n"), 1);
        assert_eq!(said("xtask/Cargo.toml", "# pool-core is not here\n[dependencies]\n"), 0);
    }

    #[test]
    fn pool_core_touches_nothing_raw_but_in_two_places() {
        assert_eq!(said("pool-core/src/executor.rs", "use std::os::fd::{AsRawFd, RawFd};\n"), 2);
        assert_eq!(said("pool-core/src/executor.rs", "rustix::process::getpid();\n"), 1);
        assert_eq!(said("pool-core/src/task/table.rs", "libc::abort();\n"), 0);
        assert_eq!(said("pool-core/src/task/table/build.rs", "libc::abort();\n"), 0);
        assert_eq!(said("pool-core/src/task/tables.rs", "libc::abort();\n"), 1);
        assert_eq!(said("pool-core/tests/a.rs", "rustix::process::getpid();\n"), 0);
        assert_eq!(said("pool-core/src/executor.rs", "use std::os::fd::BorrowedFd;\n"), 0);
    }
}
