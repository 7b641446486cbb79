//! The thread that hears what workers write to stderr, and says it again on this program's.
//!
//! What holds: one thread a hub, from the first worker on whose stderr is kept; it sleeps where nobody writes. It reads one
//! piece of one worker at a time, those of others in turn, and nothing while it writes. What workers leave that ended
//! meanwhile is bounded: beyond that it is dropped, and the log says so. What never happens here: a wait of
//! anybody for this program's stderr, but for [`Repeater::flush`], which has a limit.
//!
//! Why a thread: whether a write to a descriptor that was inherited will wait cannot be known beforehand (it is shared, so
//! it must not be made non-blocking), and neither manager nor feeder may wait. As it has to be there, it reads, too: then a
//! worker that floods its stderr costs the manager nothing, and what is not written yet stays in the workers' pipes.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::Errno;

use super::ear::{Ear, Heard, PIECE, Stream};
use crate::backend::LinkId;
use crate::signals;

/// Names the desk's own bell among the events. Links are numbered from below.
const BELL: u64 = u64::MAX;

/// Enough for reading and writing, and for what a logger may do.
const STACK_BYTES: usize = 512 * 1024;

/// How much may wait that was left by workers which have ended.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// How long the end of a pool waits for this program's stderr.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a pipe takes at once, without another's bytes in between.
const ATOMIC: usize = 4096;

/// The thread, as its hub holds it.
#[derive(Debug)]
pub(crate) struct Repeater {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and the ears share.
#[derive(Debug)]
pub(super) struct Desk {
    epoll: OwnedFd,
    bell: OwnedFd,
    streams: Mutex<HashMap<LinkId, Arc<Mutex<Stream>>>>,
    state: Mutex<State>,
    /// The thread has nothing to say any more, or is gone.
    settled: Condvar,
    /// The process that it runs in; a forked copy has no such thread.
    owner: u32,
}

#[derive(Debug, Default)]
struct State {
    /// Left by workers that have ended.
    left: Vec<u8>,
    /// How many bytes there was no room for.
    dropped: usize,
    speaking: bool,
    /// This program's stderr took nothing for as long as anybody waits for that.
    stuck: bool,
    /// The thread is to go.
    dismissed: bool,
    gone: bool,
}

impl Repeater {
    /// Starts the thread.
    ///
    /// # Errors
    /// No descriptor or thread was to be had.
    pub(crate) fn start() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
        let (streams, state, settled) = (Mutex::default(), Mutex::default(), Condvar::new());
        let desk = Arc::new(Desk { epoll, bell, streams, state, settled, owner: std::process::id() });
        let own = Arc::clone(&desk);
        let builder = std::thread::Builder::new().name("pool-stderr".to_owned()).stack_size(STACK_BYTES);
        // With SIGPIPE blocked, where the program may die of it; and SIGTTOU, of which workers do not stop either.
        let thread = signals::with_all_blocked(|| builder.spawn(move || own.run()))??;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Listens to the worker of a link, and gives that worker's end.
    ///
    /// # Errors
    /// No descriptor was to be had.
    pub(crate) fn listen(&self, id: LinkId, lines: usize) -> io::Result<(Ear, OwnedFd)> {
        Ear::open(&self.desk, id, lines)
    }

    /// Waits until all is passed on that was left by workers which have ended. Whether it is.
    pub(crate) fn flush(&self) -> bool {
        let is_done = self.wait_until(|state| state.left.is_empty() && !state.speaking || state.gone);
        self.desk.state.lock().stuck = !is_done;
        is_done
    }

    /// Waits with a limit. Whether it was worth it.
    fn wait_until(&self, is_so: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.desk.state.lock();
        // Who has waited in vain does not wait once more.
        while !is_so(&state) && !state.stuck {
            if self.desk.settled.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        is_so(&state)
    }
}

impl Drop for Repeater {
    fn drop(&mut self) {
        let thread = self.thread.take();
        if self.desk.is_foreign() {
            return std::mem::forget(thread);
        }
        self.desk.state.lock().dismissed = true;
        self.desk.ring();
        if !self.wait_until(|state| state.gone) {
            // It stays in its write for as long as that takes, holding nothing that anybody waits for.
            return crate::tell!(
                Warn,
                "what workers wrote to stderr is left over, as this program's stderr takes nothing"
            );
        }
        if thread.is_some_and(|thread| thread.join().is_err()) {
            crate::tell!(Error, "the thread that repeats what workers write to stderr has panicked");
        }
    }
}

impl Desk {
    pub(super) fn is_foreign(&self) -> bool {
        self.owner != std::process::id()
    }

    /// Level-triggered: who has more to say than one piece comes up again, behind the others.
    pub(super) fn listen(&self, id: LinkId, stream: Arc<Mutex<Stream>>, pipe: BorrowedFd<'_>) -> io::Result<()> {
        self.streams.lock().insert(id, stream);
        Ok(epoll::add(&self.epoll, pipe, EventData::new_u64(id.0), EventFlags::IN)?)
    }

    /// To be called before the pipe is closed: where the program was forked, closing it would not be enough.
    pub(super) fn unlisten(&self, pipe: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, pipe);
    }

    pub(super) fn forget(&self, id: LinkId) {
        self.streams.lock().remove(&id);
    }

    /// Has this passed on after all that was heard before.
    pub(super) fn leave(&self, mut said: Vec<u8>) {
        if said.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        if state.left.len() + said.len() <= MOST_WAITING {
            state.left.append(&mut said);
        } else {
            state.dropped += said.len();
        }
        drop(state);
        self.ring();
    }

    fn ring(&self) {
        // It can only fail when 2^64 rings are pending, and then one more changes nothing.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    fn run(&self) {
        let _gone = Gone(self);
        let mut piece = vec![0; PIECE];
        let mut happened = [MaybeUninit::uninit(); 16];
        loop {
            let events = match epoll::wait(&self.epoll, &mut happened, None) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    // EBADF or EINVAL: a bug of ours, or the host closed our descriptor.
                    return crate::tell!(Error, "waiting for what workers write to stderr failed: {errno}");
                }
            };
            // Before anything is read: who finds it false, and nothing left, has nothing to wait for.
            self.state.lock().speaking = true;
            for event in events.iter().filter(|event| event.data.u64() != BELL) {
                self.hear(LinkId(event.data.u64()), &mut piece);
            }
            while let Some(left) = self.next_left() {
                say(&left);
            }
            if self.state.lock().dismissed {
                return;
            }
        }
    }

    /// Hears one piece and says it.
    fn hear(&self, id: LinkId, piece: &mut [u8]) {
        let Some(stream) = self.streams.lock().get(&id).cloned() else { return };
        let mut said = Vec::new();
        let mut stream = stream.lock();
        if stream.hear(piece, &mut said) == Heard::End {
            stream.close(self);
        }
        drop(stream);
        say(&said);
    }

    /// What is to be said next of what was left, until there is nothing.
    fn next_left(&self) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        let (left, dropped) = (std::mem::take(&mut state.left), std::mem::take(&mut state.dropped));
        if left.is_empty() {
            state.speaking = false;
            self.settled.notify_all();
        }
        drop(state);
        if dropped > 0 {
            crate::tell!(
                Warn,
                "{dropped} bytes that workers wrote to stderr are dropped: this program's takes nothing"
            );
        }
        (!left.is_empty()).then_some(left)
    }
}

/// Says that the thread is gone, however it went, and lets nobody wait for it who still writes.
struct Gone<'d>(&'d Desk);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let streams = std::mem::take(&mut *self.0.streams.lock());
        streams.values().for_each(|stream| stream.lock().close(self.0));
        self.0.state.lock().gone = true;
        self.0.settled.notify_all();
    }
}

/// Writes to this program's stderr, whole lines at once where they are not too long for that. Where nobody reads there is
/// nobody to tell.
///
/// Not under the lock of the standard library's stderr: who writes there would wait for it, also for a worker's flood.
fn say(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let line = |bytes: &[u8]| bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
        let within = bytes[..bytes.len().min(ATOMIC)].iter().rposition(|&byte| byte == b'\n');
        let (now, later) = bytes.split_at(within.map_or_else(|| line(bytes), |end| end + 1));
        if write_all(now).is_err() {
            return;
        }
        bytes = later;
    }
}

fn write_all(mut bytes: &[u8]) -> rustix::io::Result<()> {
    let stderr = rustix::stdio::stderr();
    while !bytes.is_empty() {
        match rustix::io::write(stderr, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            // Somebody who shares it made it so.
            Err(Errno::AGAIN) => {
                rustix::event::poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None)?;
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
