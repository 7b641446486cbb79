//! Contract 7, where the kernel is older, or has no memory: a filter of system calls plays it, for one thread of a process of
//! its own and for what that starts.

use pool_ipc::{Backend, RefusedWhy};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::isolated::{self, Holdings};
use crate::rig::{Rig, echo, frame, post};
use crate::script::{pattern, request};

/// A payload that lies beside others, of whose memory more is committed for it.
const BESIDE_OTHERS: usize = 100_000;

/// `MADV_POPULATE_WRITE`, since 5.14.
const COMMIT_BY_THE_MAPPING: u32 = 23;

pub(crate) fn contract_07_payload_without_memory_for_it_is_an_error_with_its_size(backend: &dyn Backend) {
    isolated::run("post-without-memory", backend);
}

/// Runs alone in a process.
pub(crate) fn post_without_memory(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let before = Holdings::count();
    let link = rig.start();
    if Holdings::count().more_memory_than(&before) > 0 {
        // This kernel is that old itself, and its memory cannot be made short.
        return rig.close(&link);
    }
    refuse_commits(libc::ENOMEM);
    let payload = request("echo", &vec![1; BESIDE_OTHERS]);
    let refused =
        without_descriptors(|| link.post(frame(1, payload.clone(), 1))).expect_err("there is no memory at all");
    assert_eq!(refused.why, RefusedWhy::NoMemory { size: payload.len() as u64, errno: libc::EMFILE });
    assert_eq!(refused.frame.payload.as_slice(), payload);
    without_descriptors(|| post(&link, frame(2, request("echo", b"small"), 1)));
    assert_eq!(rig.outcome(&link), echo(2, 0, b"small"));
    // With descriptors it has memory of its own.
    post(&link, refused.frame);
    assert_eq!(rig.outcome(&link), echo(1, 0, &vec![1; BESIDE_OTHERS]));
    rig.close(&link);
}

pub(crate) fn contract_07_kernel_that_commits_by_descriptors_alone_will_do(backend: &dyn Backend) {
    isolated::run("commit-by-descriptors", backend);
}

/// Runs alone in a process.
pub(crate) fn commit_by_descriptors(backend: &dyn Backend) {
    refuse_commits(libc::EINVAL);
    let mut rig = Rig::new(backend);
    let before = Holdings::count();
    let link = rig.start();
    assert_eq!(Holdings::count().more_memory_than(&before), 1);
    let data = pattern(1, BESIDE_OTHERS);
    without_descriptors(|| post(&link, frame(1, request("echo", &data), 1)));
    assert_eq!(rig.outcome(&link), echo(1, 0, &data));
    rig.close(&link);
}

fn without_descriptors<T>(act: impl FnOnce() -> T) -> T {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("a limit may be lowered");
    let acted = act();
    setrlimit(Resource::Nofile, limit).expect("and raised again");
    acted
}

/// From here on memory is not committed by its mapping in this thread, and that error is why.
fn refuse_commits(errno: i32) {
    let step = |code, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let unless_equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    let number = u32::try_from(libc::SYS_madvise).expect("it is a small one");
    // The number of the call comes first in what is looked at, the third argument 32 bytes behind it.
    let mut steps = [
        step(load, 0, 0, 0),
        step(unless_equal, 0, 3, number),
        step(load, 0, 0, 32 + if cfg!(target_endian = "big") { 4 } else { 0 }),
        step(unless_equal, 0, 1, COMMIT_BY_THE_MAPPING),
        step(give, 0, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()),
        step(give, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the kernel reads the program, which is alive, and keeps a copy. Every other call is as before.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
