//! What a hostile or broken task can do to its pool: nothing, but for its own link.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pool_ipc::{Backend, Corrupt, ExitCause};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::gate::Gate;
use crate::isolated;
use crate::rig::{Rig, Story, echo, frame, number, post};
use crate::script::request;

pub(crate) fn d02_request_of_another_task_cannot_be_changed_by_any_call(backend: &dyn Backend) {
    // What is attacked is all that the parent has, and other tests of this process have memory that is not sealed yet.
    isolated::run("change-requests", backend);
}

/// Runs alone in a process.
pub(crate) fn change_requests(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    for (size, memory) in [(10, "requests"), (100_000, "requests"), (300_000, "frozen")] {
        post(&link, frame(0, request(&format!("stop {}", gate.name()), &[]), 1));
        let held = gate.next();
        post(&link, frame(1, request(&format!("attack change-{memory}"), &vec![5; size]), 1));
        post(&link, frame(2, request("echo", &vec![5; size]), 1));
        // Both are sealed by now.
        held.release();
        assert_eq!(rig.outcome(&link).owner, 0);
        let report = String::from_utf8(rig.outcome(&link).result.expect("it was carried")).expect("text");
        let failed = ["mprotect", "/proc/self/mem", "map_files"];
        assert!(failed.iter().all(|call| report.contains(call)), "every way was tried: {report}");
        assert!(!report.contains("done"), "{report}");
        assert_eq!(rig.outcome(&link), echo(2, 0, &vec![5; size]));
    }
    post(&link, frame(3, request("attack store", &[]), 1));
    let _ = link.post(frame(4, request("echo", b"whole"), 1));
    let mut end = rig.end(&link);
    assert_eq!((end.cause, end.lost[0].blamed), (ExitCause::Signal(libc::SIGSEGV), Some(0)));
    if let Some(rest) = end.lost.pop().and_then(|lost| lost.rest) {
        assert_eq!(rest.payload.as_slice(), request("echo", b"whole"));
    }
}

pub(crate) fn contract_05_garbage_on_the_channel_ends_the_link_and_hands_back_the_rest(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    GARBAGE.iter().for_each(|kind| judge(&mut rig, kind));
}

pub(crate) fn d12_strange_descriptors_in_place_of_a_sealed_memfd_are_judged_and_closed(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    STRANGE_DESCRIPTORS.iter().for_each(|kind| judge(&mut rig, kind));
    for kind in ["memfd:hostile", "/#"] {
        assert!(descriptors(kind).is_empty(), "nothing of what came is kept: {kind}");
    }
}

/// A worker that sends this is judged: what it had not begun comes back, and another one goes on.
fn judge(rig: &mut Rig, kind: &str) {
    let other = rig.start();
    let link = rig.start();
    post(&link, frame(0, request("echo", b"before"), 1));
    assert_eq!(rig.outcome(&link), echo(0, 0, b"before"));
    post(&link, frame(1, request(&format!("attack send-{kind}"), &[]), 3));
    for (owner, size) in [(2, 10), (3, 100_000), (4, 300_000)] {
        post(&link, frame(owner, request("echo", &vec![6; size]), 2));
    }
    let Story { delivered, end, .. } = rig.story(&link);
    assert!(delivered.is_empty(), "{kind}: {delivered:?}");
    assert_eq!(end.cause, ExitCause::Signal(libc::SIGKILL), "{kind}");
    assert!(matches!(end.corrupt, Some(Corrupt::Message { .. } | Corrupt::Descriptor { .. })), "{kind}: {end:?}");
    let blamed: Vec<_> = end.lost.iter().map(|lost| (number(&lost.owner), lost.blamed)).collect();
    assert_eq!(blamed, [(1, Some(0)), (2, None), (3, None), (4, None)], "{kind}");
    for (lost, size) in end.lost.into_iter().skip(1).zip([10, 100_000, 300_000]) {
        let rest = lost.rest.expect("nobody began it");
        assert_eq!((rest.payload.as_slice(), rest.window.clone()), (request("echo", &vec![6; size]).as_slice(), 0..2));
    }
    post(&other, frame(9, request("echo", b"as ever"), 1));
    assert_eq!(rig.outcome(&other), echo(9, 0, b"as ever"));
    rig.close(&other);
}

pub(crate) fn contract_05_worker_that_overwrites_its_outcomes_ends_and_others_go_on(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let other = rig.start();
    for byte in [0, 1, 0x55, 0x7f, 0x80, 0xa5, 0xff] {
        let link = rig.start();
        post(&link, frame(1, request(&format!("attack overwrite-{byte}"), b"x"), 3));
        post(&link, frame(2, request("echo", b"behind"), 2));
        for owner in 100..120 {
            post(&other, frame(owner, request("echo", b"as ever"), 1));
            assert_eq!(rig.outcome(&other), echo(owner, 0, b"as ever"));
        }
        let Story { delivered, end, .. } = rig.story(&link);
        assert!(delivered.is_empty());
        assert_eq!(end.cause, ExitCause::Signal(libc::SIGKILL), "{byte}");
        assert!(matches!(end.corrupt, Some(Corrupt::Word { .. })), "{byte}: {end:?}");
        let accounts: Vec<_> = end
            .lost
            .iter()
            .map(|lost| (number(&lost.owner), lost.blamed, lost.rest.as_ref().map(|rest| rest.window.clone())))
            .collect();
        assert_eq!(accounts, [(1, Some(0), Some(1..3)), (2, None, Some(0..2))]);
    }
    rig.close(&other);
}

/// What a worker sends that no worker of ours sends.
const GARBAGE: [&str; 5] = ["unknown", "nothing", "too-long", "cut-short", "a-message-with-a-descriptor"];

/// What it sends along with a message that is in order.
const STRANGE_DESCRIPTORS: [&str; 8] = [
    "a-pipe",
    "an-open-memfd",
    "a-smaller-memfd",
    "a-sparse-memfd",
    "a-shrinking-memfd",
    "a-shrinking-file",
    "many-descriptors",
    "two-hundred-descriptors",
];

/// The worker's side: the attack, and the report.
pub(crate) fn attack(how: &str) -> Vec<u8> {
    match how.split_once('-') {
        Some(("change", memory)) => return change(memory).into_bytes(),
        Some(("send", garbage)) => send(garbage),
        Some(("overwrite", byte)) => overwrite(byte.parse().expect("a number")),
        Some(("close", _)) => {
            // SAFETY: what the descriptors belonged to is broken from here on; that is what this test wants.
            unsafe { libc::close_range(3, u32::MAX, 0) };
            return Vec::new();
        }
        _ => store(),
    }
    // Waits for the end that this attack must bring.
    loop {
        // SAFETY: waits for a signal; there are no handlers, so only death ends it.
        unsafe { libc::pause() };
    }
}

/// A child that stays in this worker's group.
#[expect(clippy::zombie_processes, reason = "a task that looks after nobody")]
pub(crate) fn start_sleeper() -> Vec<u8> {
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "stands for what a task may start")]
    let child = command.spawn().expect("sleep is there");
    child.id().to_le_bytes().to_vec()
}

/// A child with a group that this worker may join. Not its program's, which may be from outside of the pid namespace and
/// then has no number.
pub(crate) fn start_in_a_group_of_its_own() -> Child {
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    #[expect(clippy::disallowed_methods, reason = "stands for what a task may start")]
    let child = command.spawn();
    child.expect("sleep is there")
}

/// Where a memfd of this name is mapped.
fn mapping(name: &str) -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc is there");
    let line = maps.lines().find(|line| line.contains(&format!("/memfd:pool-{name}"))).expect("it is mapped");
    let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
    let number = |hex| usize::from_str_radix(hex, 16).expect("a hexadecimal number");
    (number(start), number(end) - number(start))
}

/// Tries to change a byte of memory that is sealed against this process.
fn change(name: &str) -> String {
    let (start, len) = mapping(name);
    let mut report = String::new();
    let mut tell = |call: &str, result: Result<(), String>| {
        report += &format!("{call}: {}\n", result.err().as_deref().unwrap_or("done"));
    };
    // SAFETY: changes the protection of memory that this process only reads.
    let protected = unsafe { libc::mprotect(start as *mut libc::c_void, len, libc::PROT_READ | libc::PROT_WRITE) };
    tell("mprotect", if protected == 0 { Ok(()) } else { Err(last()) });
    let memory = OpenOptions::new().write(true).open("/proc/self/mem");
    tell("/proc/self/mem", text(memory.and_then(|memory| memory.write_at(b"X", start as u64))));
    let map_file = format!("/proc/self/map_files/{start:x}-{:x}", start + len);
    let paths = [PathBuf::from(map_file)].into_iter().chain(descriptors_to(name));
    for path in paths {
        let call = |call: &str| format!("{call} of {}", path.display());
        match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) => tell(&call("open"), Err(error.to_string())),
            Ok(file) => {
                tell(&call("write"), text(file.write_at(b"X", 0)));
                tell(&call("truncation"), text(file.set_len(0)));
                tell(&call("hole"), punch(&file));
                tell(&call("mapping"), map_writable(file.as_raw_fd(), len));
            }
        }
    }
    report
}

/// Descriptors of such memory that this process or its parent has.
fn descriptors_to(name: &str) -> Vec<PathBuf> {
    let parent = std::os::unix::process::parent_id();
    let folders = ["/proc/self/fd".to_owned(), format!("/proc/{parent}/fd")];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let is_it = |path: &Path| std::fs::read_link(path).is_ok_and(|to| to.display().to_string().contains(name));
    entries.map(|entry| entry.path()).filter(|path| is_it(path)).collect()
}

fn punch(file: &std::fs::File) -> Result<(), String> {
    use rustix::fs::FallocateFlags;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(file, flags, 0, 4096).map_err(|errno| errno.to_string())
}

fn map_writable(fd: RawFd, len: usize) -> Result<(), String> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the kernel chooses the address; nothing is written through the mapping.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
    if mapped == libc::MAP_FAILED { Err(last()) } else { Ok(()) }
}

fn text<T>(result: std::io::Result<T>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

fn last() -> String {
    std::io::Error::last_os_error().to_string()
}

/// Stores where only loads are allowed.
fn store() {
    let (start, _) = mapping("requests");
    // SAFETY: the store ends this process, which is what this test wants.
    unsafe { std::ptr::write_volatile(start as *mut u8, 1) };
}

/// Overwrites everything that this worker can write, then rings.
fn overwrite(byte: u8) {
    let (start, len) = mapping("outcomes");
    // SAFETY: the memory is mapped, writable, and raw; what it meant is lost, which is what this test wants.
    unsafe { std::ptr::write_bytes(start as *mut u8, byte, len) };
    for fd in descriptors("eventfd") {
        rustix::io::write(fd, &1u64.to_ne_bytes()).expect("the doorbell rings");
    }
}

/// Sends something on the control channel.
fn send(garbage: &str) {
    let large = |len: u64| [[18].as_slice(), &(77u64 << 40).to_le_bytes(), &len.to_le_bytes()].concat();
    let pipe = rustix::pipe::pipe().expect("a pipe").0;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    let (bytes, fds): (Vec<u8>, Vec<BorrowedFd<'_>>) = match garbage {
        "unknown" => (vec![99, 1, 2, 3], vec![]),
        "nothing" => (vec![], vec![]),
        "too-long" => (vec![17; 70_000], vec![]),
        "cut-short" => (large(10)[..12].to_vec(), vec![]),
        "a-pipe" => (large(10), vec![pipe.as_fd()]),
        "an-open-memfd" => return send_memfd(&large(10), 10, SealFlags::SHRINK | SealFlags::GROW),
        "a-smaller-memfd" => return send_memfd(&large(1000), 10, seals),
        "a-sparse-memfd" => return send_sparse(&large(1 << 40), 1 << 40, seals),
        "a-shrinking-memfd" => return send_and_shrink(&large(5000), memfd().into()),
        "a-shrinking-file" => return send_and_shrink(&large(5000), unnamed_file()),
        "many-descriptors" => (large(10), vec![pipe.as_fd(); 5]),
        "two-hundred-descriptors" => (large(10), vec![pipe.as_fd(); 200]),
        "a-message-with-a-descriptor" => (vec![17, 1], vec![pipe.as_fd()]),
        _ => panic!("no such garbage: {garbage}"),
    };
    send_raw(&bytes, &fds);
}

fn send_memfd(bytes: &[u8], size: usize, seals: SealFlags) {
    let mut file = std::fs::File::from(memfd());
    file.write_all(&vec![1; size]).expect("there is memory");
    rustix::fs::fcntl_add_seals(&file, seals).expect("it can be sealed");
    send_raw(bytes, &[file.as_fd()]);
}

fn send_sparse(bytes: &[u8], size: u64, seals: SealFlags) {
    let memfd = memfd();
    rustix::fs::ftruncate(&memfd, size).expect("holes cost nothing");
    rustix::fs::fcntl_add_seals(&memfd, seals).expect("it can be sealed");
    send_raw(bytes, &[memfd.as_fd()]);
}

/// What it refers to shrinks as soon as it was sent.
fn send_and_shrink(bytes: &[u8], mut file: std::fs::File) {
    file.write_all(&[1; 5000]).expect("there is memory");
    send_raw(bytes, &[file.as_fd()]);
    file.set_len(0).expect("nothing keeps it from it");
}

fn unnamed_file() -> std::fs::File {
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let folder = std::env::temp_dir();
    rustix::fs::open(&folder, flags, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("a file without a name")
        .into()
}

fn memfd() -> OwnedFd {
    rustix::fs::memfd_create("hostile", MemfdFlags::ALLOW_SEALING).expect("a memfd")
}

fn send_raw(bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType};
    let is_channel = |fd: &BorrowedFd<'_>| rustix::net::sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET);
    let channel = descriptors("socket").into_iter().find(is_channel).expect("the channel is there");
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(fds)));
    rustix::net::sendmsg(channel, &[std::io::IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
        .expect("the parent listens");
}

/// This process's descriptors of a kind.
fn descriptors(kind: &str) -> Vec<BorrowedFd<'static>> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc is there").flatten();
    let is_one = |path: &Path| std::fs::read_link(path).is_ok_and(|to| to.display().to_string().contains(kind));
    let paths = entries.map(|entry| entry.path()).filter(|path| is_one(path));
    let numbers = paths.filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    // SAFETY: the channel and the doorbell stay open for as long as this worker lives.
    numbers.map(|number: RawFd| unsafe { BorrowedFd::borrow_raw(number) }).collect()
}
