//! Memory that is handed to a task and back, of three sizes.

use std::sync::atomic::Ordering;
use std::time::Instant;

use pool_core::{ProcessPoolExecutor, SharedBuffer};

use crate::case::{Beside, Case, Failure, Goal, Measure, Rounds, Sides, Stage, Unit};
use crate::setting::Setting;
use crate::{cores, pools};

const SMALL: &str = "64kib";
const LARGE: &str = "1gib";
const PING_PONG: &str = "ping_pong";

pub(crate) const ECHO_SHARED: Case = Case {
    name: "echo_shared",
    about: "64 MiB, 64 KiB and 1 GiB of shared memory to a worker and back, a word changed here and there each time",
    stages: &[Stage {
        sides: start,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[
            Goal::at_most(1.5).times_variant(SMALL, "pool"),
            Goal::at_most(1.5).on(SMALL).times("pool"),
            Goal::at_most(1.5).on(LARGE).times("pool"),
            Goal::at_most(1.5).on(LARGE).times_variant(SMALL, "pool"),
            Goal::at_most(5.0).times_variant(PING_PONG, "pool"),
            Goal::at_most(5.0).on(LARGE).times_variant(PING_PONG, "pool"),
        ],
    }],
};

fn start(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let times = setting.pick(1000, 200);
    // As those of a ping-pong: on one core the same takes a fifth of the time.
    cores::pin(setting.cores.near)?;
    for (variant, bytes) in [("", 64 << 20), (SMALL, 64 << 10), (LARGE, 1 << 30)] {
        sides.own(variant, "pool", Unit::Millis, there_and_back(setting, bytes, times)?);
    }
    let pool = pools::pinned(setting.cores.far)?;
    sides.own(PING_PONG, "pool", Unit::Millis, move || {
        mean(times, |_| match pool.submit(pools::add, (1, 2))?.result()? {
            3 => Ok(()),
            sum => Err(format!("1 + 2 is {sum}").into()),
        })
    });
    Ok(())
}

fn there_and_back(setting: &Setting, bytes: usize, times: u32) -> Result<Measure, Failure> {
    let pool = pools::pinned(setting.cores.far)?;
    let mut buffer = Some(SharedBuffer::new(bytes)?);
    Ok(Box::new(move || mean(times, |number| exchange(&pool, &mut buffer, number))))
}

/// Writes a number, and wants its successor back.
fn exchange(pool: &ProcessPoolExecutor, slot: &mut Option<SharedBuffer>, number: u64) -> Result<(), Failure> {
    let buffer = slot.take().ok_or("the buffer was lost")?;
    let last = buffer.words()?.last().ok_or("it is empty")?;
    last.store(number, Ordering::Relaxed);
    let back = pool.submit(count_up, (buffer,))?.result()?;
    let counted = back.words()?.last().map(|word| word.load(Ordering::Relaxed));
    *slot = Some(back);
    if counted == Some(number + 1) { Ok(()) } else { Err(format!("{counted:?} came back for {number}").into()) }
}

/// A task.
fn count_up(buffer: SharedBuffer) -> SharedBuffer {
    if let Some(last) = buffer.words().ok().and_then(|words| words.last()) {
        last.fetch_add(1, Ordering::Relaxed);
    }
    buffer
}

/// The mean of one time, in milliseconds.
fn mean(times: u32, mut once: impl FnMut(u64) -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    (0..u64::from(times)).try_for_each(&mut once)?;
    Ok(pools::millis(start.elapsed()) / f64::from(times))
}
