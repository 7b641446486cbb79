//! What the system tells about the memory of a child.
//!
//! What holds: it is the kernel's word, never the child's. What never happens here: a wait.

/// How many bytes a process has in RAM. The caller sees to it that the number is the process's own.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_written_is_resident() {
        let before = resident(std::process::id()).expect("it runs");
        let written = vec![1_u8; 64 << 20];
        let after = resident(std::process::id()).expect("it runs");
        drop(std::hint::black_box(written));
        assert!(before > 0 && after >= before + (32 << 20), "{before} and {after}");
        assert_eq!(resident(u32::MAX), None);
    }
}
