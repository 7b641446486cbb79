//! What /proc tells of processes: whose child one is, what it does, and which ones belong to a run.
//!
//! Never trusts a number by itself: a process may be gone, and its number another's, between two looks. Who acts on what
//! stands here holds a pidfd that was opened before and is still good afterwards.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::tokens;

/// The processes that have this word in their environment. Zombies have none.
pub(crate) fn with_token(token: &str) -> Vec<u32> {
    pids().into_iter().filter(|&pid| has_token(pid, token)).collect()
}

/// Whether this process has the word in its environment.
pub(crate) fn has_token(pid: u32, token: &str) -> bool {
    let wanted = format!("{}={token}", tokens::VARIABLE);
    fs::read(entry(pid, "environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|line| line == wanted.as_bytes()))
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// The children of this process, zombies among them.
pub(crate) fn children() -> Vec<u32> {
    let own = std::process::id();
    pids().into_iter().filter(|&pid| parent(pid) == Some(own)).collect()
}

/// What a process does and waits for, as far as the system lets us know.
pub(crate) fn describe(pid: u32) -> String {
    let command = fs::read(entry(pid, "cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let mut text = format!("process {pid}: {}\n", command.trim_end());
    for line in read(pid, "status").lines().filter(|line| SHOWN.iter().any(|name| line.starts_with(name))) {
        text.push_str(&format!("  {line}\n"));
    }
    for thread in threads(pid) {
        let of_thread = |name: &str| read(pid, &format!("task/{thread}/{name}"));
        let (name, wchan, call) = (of_thread("comm"), of_thread("wchan"), of_thread("syscall"));
        text.push_str(&format!("  thread {thread} {}: wchan {wchan}, system call {}\n", name.trim(), call.trim()));
        let stack = of_thread("stack");
        stack.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

/// The lines of a process's status that tell why it stands still.
const SHOWN: [&str; 8] = ["State", "PPid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "VmRSS"];

fn threads(pid: u32) -> Vec<u32> {
    numbers_in(entry(pid, "task")).unwrap_or_default()
}

fn pids() -> Vec<u32> {
    numbers_in(PathBuf::from("/proc")).expect("/proc is mounted")
}

fn numbers_in(folder: PathBuf) -> io::Result<Vec<u32>> {
    Ok(fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The fields behind the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = fs::read_to_string(entry(pid, "stat")).ok()?;
    let (_, fields) = line.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

fn read(pid: u32, name: &str) -> String {
    fs::read_to_string(entry(pid, name)).unwrap_or_else(|error| format!("({error})"))
}

fn entry(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_as_it_is() {
        let own = std::process::id();
        assert_eq!(parent(own), Some(std::os::unix::process::parent_id()));
        assert!(!has_token(own, "nobody has this"));
        assert!(describe(own).contains("State:"), "{}", describe(own));
    }
}
