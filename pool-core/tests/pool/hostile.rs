//! Workers that write random bytes over all that they share with their pool, again and again: each is judged, killed and
//! replaced, and nobody else notices.
//!
//! The attack is a task's, through the mappings and descriptors that it finds in its own process, and without a word of
//! `unsafe`. It goes on for `POOL_CORE_HOSTILE_SECONDS`; the seed is printed, and `POOL_CORE_TEST_SEED` sets it.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use pool_core::{Builder, Bytes, ExitCause, Future, TaskError, WorkerDied};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType};
use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use crate::backends::{again, pool, shared_memory};
use crate::chaos::{Random, length, seed};
use crate::gate::{Gate, stop_at};
use crate::holdings::Holdings;
use crate::watchdog::{Watched, until, when};

/// How much memory the parent may take for all that hostile workers do, beyond what it has after the first of them.
const FURTHER_MEMORY: u64 = 96 << 20;

/// So many rounds have something posted behind a worker.
const ENOUGH: usize = 500;

/// The sizes of what honest tasks carry: in a slot, in an arena, and in memory of their own.
const SIZES: [usize; 5] = [8, 400, 5_000, 100_000, 300_000];

#[test]
fn hostile_workers_harm_nobody_and_are_replaced() {
    let path = concat!(module_path!(), "::hostile_workers_harm_nobody_and_are_replaced");
    crate::alone::run(path, || {
        let before = Holdings::count();
        attack_for_long(shared_memory());
        before.assert_as_before();
    });
}

fn attack_for_long(builder: Builder) {
    let seed = seed();
    let mut random = Random::new(seed);
    let (start, length) = (Instant::now(), length("POOL_CORE_HOSTILE_SECONDS"));
    let (mut rounds, mut ahead, mut memory) = (0, 0, None);
    // On a busy machine a worker may have nothing behind it in a few rounds. Then there are more of them.
    let is_over = |rounds, ahead| start.elapsed() >= length && (ahead > 0 || rounds >= ENOUGH);
    // A pool for each few seconds, so that the watchdog tells a hang from a long test.
    while !is_over(rounds, ahead) {
        let (pool, begun) = (pool(again(&builder), 3), Instant::now());
        while !is_over(rounds, ahead) && begun.elapsed().as_secs() < 10 {
            ahead += attack(&pool, &mut random, seed);
            rounds += 1;
            let peak = *memory.get_or_insert_with(peak_memory) + FURTHER_MEMORY;
            assert!(peak_memory() < peak, "seed {seed}: {} bytes, allowed were {peak}", peak_memory());
        }
        println!("{rounds} rounds of two attackers, {ahead} tasks posted behind one, seed {seed}");
    }
    assert!(ahead > 0, "nothing was posted ahead of a worker: this test tests little");
}

/// One round: two of three workers run wild while the third works. Gives how many tasks had been posted to one of them.
fn attack(pool: &Watched, random: &mut Random, seed: u64) -> usize {
    // So many short tasks that what comes behind them is posted ahead.
    let warm: Vec<_> = (0..300).map(|n| pool.submit(u32::wrapping_mul, (n, 3)).unwrap()).collect();
    let gate = Gate::new();
    let attackers: Vec<Future<()>> =
        (0..2).map(|item| pool.submit(run_wild, (gate.name(), item, random.next())).unwrap()).collect();
    let honest = pool.submit(stop_at, (gate.name(), 9)).unwrap();
    let tasks: Vec<(u64, Future<(u64, Bytes)>)> = (0..30)
        .map(|n| {
            let size = SIZES[random.below(SIZES.len() as u64) as usize];
            (n, pool.submit(echo, (n, pattern(n, size))).unwrap())
        })
        .collect();
    let held = [gate.next(), gate.next(), gate.next()];
    // All that came before is done, so that nobody but the attackers can be blamed.
    assert!((0..).zip(&warm).all(|(n, future)| future.result().unwrap() == n * 3));
    let ahead = tasks.len().saturating_sub(waiting(pool));
    let hostile: Vec<u32> = held.iter().filter(|held| held.item < 2).map(|held| held.pid).collect();
    drop(held);
    for (n, future) in &tasks {
        let (number, bytes) = future.result().unwrap_or_else(|error| panic!("seed {seed}: {n}: {error}"));
        assert!(number == *n && bytes == pattern(*n, bytes.len()), "seed {seed}: {n} came back as {number}");
    }
    for attacker in &attackers {
        let Err(TaskError::WorkerDied(died)) = attacker.result() else { panic!("seed {seed}: {attacker:?}") };
        let WorkerDied { pid, cause, corrupt, .. } = &*died;
        assert!(hostile.contains(pid) && *cause == ExitCause::Signal(9) && corrupt.is_some(), "seed {seed}: {died}");
    }
    assert_eq!(honest.result().unwrap(), 9, "seed {seed}");
    until("the attackers to be gone", || {
        let pids = pool.worker_pids();
        when(!hostile.iter().any(|pid| pids.contains(pid)), pids)
    });
    ahead
}

/// How many tasks no worker has yet.
fn waiting(pool: &Watched) -> usize {
    let text = format!("{:?}", **pool);
    let (_, rest) = text.split_once("waiting: ").unwrap();
    rest.split(',').next().unwrap().parse().unwrap()
}

/// The most memory that this process ever held.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Bytes that tell whose they are.
fn pattern(n: u64, size: usize) -> Bytes {
    let mut random = Random::new(n);
    let mut bytes: Vec<u8> =
        std::iter::repeat_with(|| random.next().to_le_bytes()).take(size / 8 + 1).flatten().collect();
    bytes.truncate(size);
    bytes.into()
}

/// An honest task.
fn echo(n: u64, bytes: Bytes) -> (u64, Bytes) {
    (n, bytes)
}

/// A hostile task: writes wherever this process shares something with its parent, until it is killed.
fn run_wild(gate: String, item: u32, seed: u64) {
    let mut reach = Reach::find();
    stop_at(gate, item);
    let mut random = Random::new(seed);
    // Some begin with words, the others with deeds. In the end nothing of what tells how far the worker is may be left:
    // what is changed only in part could be a lie that cannot be told from the truth.
    for _ in 0..random.below(3) * 20 {
        reach.talk(&mut random);
    }
    let everything = reach.memory.clone();
    reach.scribble(everything, &mut random);
    loop {
        match random.below(3) {
            0 => reach.talk(&mut random),
            1 => {
                let range = reach.memory.clone();
                let start = range.start + random.below(range.end - range.start);
                reach.scribble(start..range.end.min(start + 1 + random.below(10_000)), &mut random);
            }
            _ => reach.ring(),
        }
    }
}

/// What a worker shares with its parent.
struct Reach {
    own: File,
    memory: Range<u64>,
    channel: OwnedFd,
    bells: Vec<OwnedFd>,
    gifts: Vec<OwnedFd>,
}

impl Reach {
    fn find() -> Self {
        let own = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.contains("/memfd:pool-outcomes")).unwrap();
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let is_channel = |fd: &OwnedFd| rustix::net::sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET);
        let channel = descriptors("socket:").into_iter().find(is_channel).unwrap();
        Self { own, memory: address(from)..address(to), channel, bells: descriptors("[eventfd]"), gifts: gifts() }
    }

    /// Writes random bytes over memory, and rings, so that somebody looks.
    fn scribble(&self, range: Range<u64>, random: &mut Random) {
        let len = usize::try_from(range.end - range.start).unwrap();
        let bytes: Vec<u8> =
            std::iter::repeat_with(|| random.next().to_le_bytes()).take(len / 8 + 1).flatten().collect();
        self.own.write_all_at(&bytes[..len], range.start).unwrap();
        self.ring();
    }

    fn ring(&self) {
        for bell in &self.bells {
            // A bell that rings already may be full.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }

    /// Sends something, perhaps with descriptors. The parent may have closed its end.
    fn talk(&mut self, random: &mut Random) {
        let length = [1, 9, 17, 100, 70_000][random.below(5) as usize];
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| random.next() as u8).take(length).collect();
        if random.below(2) == 0 {
            bytes[0] = 16 + random.below(4) as u8;
        }
        let count = [0, 0, 1, 1, 2, 4, 5, 200][random.below(8) as usize];
        let gifts: Vec<BorrowedFd<'_>> =
            (0..count).map(|_| self.gifts[random.below(self.gifts.len() as u64) as usize].as_fd()).collect();
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(gifts.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(&gifts)));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = rustix::net::sendmsg(&self.channel, &[IoSlice::new(&bytes)], &mut ancillary, flags);
    }
}

/// Descriptors of a kind that this process has, each a second time, to be owned here.
pub(crate) fn descriptors(kind: &str) -> Vec<OwnedFd> {
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
    let paths = std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
    let wanted = paths.filter(|path| std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains(kind)));
    let numbers = wanted.map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap());
    numbers.map(|fd| rustix::process::pidfd_getfd(&own, fd, PidfdGetfdFlags::empty()).unwrap()).collect()
}

/// What no parent expects: a pipe, memory that can still shrink, memory that is sealed, a device.
fn gifts() -> Vec<OwnedFd> {
    let memory = |seals| {
        let memory = rustix::fs::memfd_create("hostile", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&memory, &[7; 5000]).unwrap();
        rustix::fs::fcntl_add_seals(&memory, seals).unwrap();
        memory
    };
    let sealed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    let device = File::open("/dev/zero").unwrap();
    vec![rustix::pipe::pipe().unwrap().0, memory(SealFlags::empty()), memory(sealed), device.into()]
}

/// The one word that its parent would take at face value, was it not the second.
fn greet_again(words: Vec<u8>) {
    let reach = Reach::find();
    let message = [&[17], &*words].concat();
    rustix::net::send(&reach.channel, &message, SendFlags::NOSIGNAL).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_task_that_speaks_for_its_worker_costs_itself_and_not_the_pool() {
    let pool = pool(shared_memory(), 1);
    // Of no build; of another build; an initializer that failed; and the greeting of a worker that is well.
    for words in [vec![99], vec![1], vec![2, 1, 1, b'x'], vec![0, 1, 2, 3, 4, 5, 6, 7, 8]] {
        let liar = pool.submit(greet_again, (words,)).unwrap();
        let behind = pool.submit(u32::pow, (2, 8)).unwrap();
        let Err(TaskError::WorkerDied(died)) = liar.result() else { panic!("{liar:?}") };
        assert!(died.to_string().contains("a second greeting"), "{died}");
        assert_eq!(behind.result().unwrap(), 256);
    }
}
