//! What workers do in these tests: each request begins with a line that says it.

use std::fs::read_dir;
use std::io::Write;

use pool_ipc::{Entry, FarEnd};

use crate::isolated;

/// Runs before `main` in every process of this test binary.
#[used]
// SAFETY: the section holds pointers to functions that the loader calls one by one before `main`; this is one.
#[unsafe(link_section = ".init_array")]
static HOOK: extern "C" fn() = hook;

extern "C" fn hook() {
    if pool_ipc::awaiting().is_none() {
        return;
    }
    // SAFETY: a watchdog: whatever goes wrong, no worker of a test stays for ever.
    unsafe { libc::alarm(240) };
    match pool_ipc::enter() {
        Ok(Entry::Worker(far)) => script(far),
        Ok(Entry::Process(_)) => std::process::exit(90),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "a worker of a test could not come up: {error}");
            std::process::exit(91);
        }
    }
    std::process::exit(0);
}

fn script(mut far: Box<dyn FarEnd>) {
    let boot = String::from_utf8_lossy(far.boot()).into_owned();
    if let Some(name) = boot.strip_prefix("isolated ") {
        return isolated::run_here(&mut *far, name);
    }
    far.serve(&mut |job| {
        while let Some(item) = job.claim() {
            let outcome = act(job.request(), item);
            job.publish(&outcome);
        }
    });
}

/// One item: does what the request's first line says, and gives the outcome.
fn act(request: &[u8], item: u32) -> Vec<u8> {
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let words: Vec<&str> = std::str::from_utf8(line).unwrap_or_default().split(' ').collect();
    match words.as_slice() {
        ["echo"] => return request[line.len() + 1..].to_vec(),
        ["give", size] => return pattern(number(size)),
        ["give-and-die-at", at, size] => {
            die_at(at, item);
            return pattern(number(size));
        }
        ["die-at", at] => die_at(at, item),
        ["hang"] => pause(),
        ["fork-and-die"] if item == 0 => return fork().to_string().into_bytes(),
        ["fork-and-die"] => std::process::exit(3),
        ["close-low"] => close(3..200),
        ["close-all"] => close(3..1024),
        ["babble"] => babble(),
        ["garbage", seed] => write_garbage(number(seed)),
        ["storm"] => start_storm(),
        _ => panic!("no such request: {words:?}"),
    }
    b"done".to_vec()
}

/// Bytes that depend on their place.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..251).collect();
    let mut bytes = block.repeat(size / block.len() + 1);
    bytes.truncate(size);
    bytes
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

fn die_at(at: &str, item: u32) {
    if at == item.to_string() {
        // SAFETY: ends this process.
        unsafe { libc::raise(libc::SIGKILL) };
    }
}

/// A copy of this process, out of its group, that holds all descriptors for as long as it is let.
fn fork() -> i32 {
    // SAFETY: the copy has one thread and calls nothing that takes a lock; the rest asks for numbers.
    unsafe {
        match libc::fork() {
            0 => {
                libc::setsid();
                libc::alarm(120);
                loop {
                    libc::pause();
                }
            }
            copy => {
                // Before that it would be killed with the group, when this process ends.
                while libc::getsid(copy) != copy {
                    libc::sched_yield();
                }
                copy
            }
        }
    }
}

fn pause() -> ! {
    loop {
        // SAFETY: waits for a signal.
        unsafe { libc::pause() };
    }
}

fn close(numbers: std::ops::Range<i32>) {
    for number in numbers {
        // SAFETY: the worker is made for losing its descriptors, and ends soon.
        unsafe { libc::close(number) };
    }
}

/// Says on the control channel what makes no sense there, again and again.
fn babble() -> ! {
    let (sockets, _) = descriptors();
    loop {
        for socket in &sockets[..2] {
            // SAFETY: sends from memory of ours; a receiving end refuses.
            unsafe { libc::send(*socket, b"la".as_ptr().cast(), 2, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
        }
    }
}

/// Writes what looks like a message of the crate's, with the right sizes in front and anything behind, on each socket
/// but the first two, which are the control channel, and rings the bell.
fn write_garbage(seed: usize) -> ! {
    let mut state = seed as u64 * 2 + 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let len = 1 + random() % 64;
    let body: Vec<u8> = (0..len).map(|_| random() as u8).collect();
    let message = [&(len + 16).to_ne_bytes(), &len.to_ne_bytes(), body.as_slice()].concat();
    let (sockets, bells) = descriptors();
    for socket in &sockets[2..] {
        // SAFETY: sends from memory of ours; a receiving end refuses.
        unsafe { libc::send(*socket, message.as_ptr().cast(), message.len(), libc::MSG_DONTWAIT) };
    }
    for bell in bells {
        // SAFETY: writes 8 bytes from memory of ours.
        unsafe { libc::write(bell, 1u64.to_ne_bytes().as_ptr().cast(), 8) };
    }
    // The garbage is to be found before anything else comes.
    pause()
}

/// The numbers of this process's sockets and eventfds, from low to high.
fn descriptors() -> (Vec<i32>, Vec<i32>) {
    let mut numbers: Vec<i32> = read_dir("/proc/self/fd")
        .expect("/proc is there")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    let of_kind = |kind: &str| {
        let target = |number: &i32| std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
        numbers.iter().copied().filter(|number| target(number).to_string_lossy().starts_with(kind)).collect()
    };
    (of_kind("socket:"), of_kind("anon_inode:[eventfd]"))
}

/// From now on a signal with a handler interrupts this process all the time.
fn start_storm() {
    extern "C" fn nothing(_: i32) {}
    let every = libc::timeval { tv_sec: 0, tv_usec: 300 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the handler does nothing; without SA_RESTART, system calls end early by it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}
