//! The floor of a ping-pong through shared memory: a word, and a futex that both sides sleep on at once.

use std::io;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::getppid;
use rustix::thread::futex;
use rustix::time::Timespec;

use super::RoundTrip;
use crate::case::Failure;
use crate::children::{self, Held};
use crate::{cores, words};

/// The role: counts up after whoever asks. The words lie in the file that is its standard input.
pub(crate) fn echo(core: usize) -> Result<(), Failure> {
    cores::pin(core)?;
    let words = words::map(io::stdin())?;
    let parent = getppid();
    let mut turn = 0_u32;
    while getppid() == parent {
        if await_change(&words.asked.0, turn)? {
            turn = turn.wrapping_add(1);
            publish(&words.answered.0, turn)?;
        }
    }
    Ok(())
}

/// A process that answers on that core, and what goes to it and back.
pub(crate) fn round_trip(core: usize) -> Result<RoundTrip, Failure> {
    let (file, words) = words::create()?;
    let child = Held::start(children::role(&["futex-echo", &core.to_string()]).stdin(Stdio::from(file)))?;
    let mut turn = 0_u32;
    Ok(Box::new(move || {
        // It lives as long as this does.
        let _child = &child;
        publish(&words.asked.0, turn.wrapping_add(1))?;
        while !await_change(&words.answered.0, turn)? {}
        turn = turn.wrapping_add(1);
        Ok(())
    }))
}

fn publish(word: &AtomicU32, value: u32) -> io::Result<()> {
    word.store(value, Ordering::Release);
    futex::wake(word, futex::Flags::empty(), 1)?;
    Ok(())
}

/// Whether the word is another one than this now; a look every second finds a parent that is gone.
fn await_change(word: &AtomicU32, value: u32) -> io::Result<bool> {
    const SECOND: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
    if word.load(Ordering::Acquire) == value {
        match futex::wait(word, futex::Flags::empty(), value, Some(&SECOND)) {
            Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR | rustix::io::Errno::TIMEDOUT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(word.load(Ordering::Acquire) != value)
}
