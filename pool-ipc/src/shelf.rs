//! How shared values get to a worker process: each once, with its descriptor, and the word when it may go.
//!
//! A channel of its own for each worker that needs one, made with the first value and announced on the control channel.
//! The parent writes it and the worker reads it, on a thread that does nothing else: so values arrive, and go, also while
//! a task runs.
//!
//! What holds: a value is sent to a worker at most once while it has an owner here, and before the first frame that comes
//! with it; to send never waits, nor does it refuse what has no room yet; the worker maps nothing whose seals and size it has not found in order. What never
//! happens here: a read from the worker's side.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;

use crate::control::{Control, Received, Sent};
use crate::high_fd::move_high;
use crate::memfd::{self, NotFrozen};
use crate::open_memory::OpenMemory;
use crate::process;
use crate::shared_value::{SharedValue, WeakValue};
use crate::signals;
use crate::slot::parent::SentLarge;

/// What is said on the control channel when the descriptor of a shelf comes with it.
pub(crate) const ANNOUNCEMENT: [u8; 1] = [64];

const PUT: u8 = 1;
const FORGET: u8 = 2;
const PUT_OPEN: u8 = 3;

/// Enough for a receive and a call of mmap(2).
const STACK_BYTES: usize = 64 * 1024;

/// How long to wait where the kernel has too many descriptors under way, of which it tells no end.
const CROWDED: Duration = Duration::from_millis(10);

/// The parent's end.
#[derive(Debug)]
pub(crate) struct Shelf {
    state: Mutex<State>,
    /// A copy of the parent made by a fork has nothing to say to its workers.
    home: u64,
}

#[derive(Default)]
struct State {
    /// Made with the first value.
    channel: Option<Arc<Control>>,
    /// What the worker has or will get.
    known: HashSet<u64>,
    /// What found no room, in order.
    waiting: VecDeque<Parcel>,
    /// Whether a thread sends what waits.
    sending: bool,
}

/// What is to be sent.
#[derive(Clone)]
enum Parcel {
    /// The channel's far end, which had no room in the control channel.
    Announcement(Arc<Announcement>),
    /// Not sent if nobody has it any more by then.
    Put(WeakValue),
    Forget(u64),
}

struct Announcement {
    /// The control channel.
    by: Control,
    far: Control,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("known", &self.known.len()).field("waiting", &self.waiting.len()).finish()
    }
}

impl Shelf {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), home: process::fork_generation() })
    }

    /// Sends the values that the worker does not have yet.
    pub(crate) fn bring(self: &Arc<Self>, control: &Control, values: &[SharedValue]) -> SentLarge {
        if values.is_empty() {
            return SentLarge::Sent;
        }
        let mut state = self.state.lock();
        let channel = match self.channel(&mut state, control) {
            Ok(channel) => channel,
            Err(failed) => return failed,
        };
        for value in values {
            if !state.known.insert(value.id()) {
                continue;
            }
            value.note_shelf(Arc::downgrade(self));
            if let Err(failed) = self.send(&mut state, &channel, Parcel::Put(value.downgrade())) {
                state.known.remove(&value.id());
                return failed;
            }
        }
        SentLarge::Sent
    }

    /// Tells the worker that nobody will ask for this value any more.
    pub(crate) fn forget(self: &Arc<Self>, id: u64) {
        if process::fork_generation() != self.home {
            return;
        }
        let mut state = self.state.lock();
        let Some(channel) = state.channel.clone() else { return };
        if state.known.remove(&id) {
            // A worker that cannot be told keeps its mapping until it ends, which most often it has done. Not even a word to
            // the logger: who lets go of the last owner may hold a lock.
            let _ = self.send(&mut state, &channel, Parcel::Forget(id));
        }
    }

    /// The channel, made and announced if there is none yet.
    fn channel(self: &Arc<Self>, state: &mut State, control: &Control) -> Result<Arc<Control>, SentLarge> {
        if let Some(channel) = &state.channel {
            return Ok(Arc::clone(channel));
        }
        let (own, far) = Control::pair().map_err(|error| SentLarge::Failed(errno(&error)))?;
        let channel = Arc::new(own);
        match control.send(&ANNOUNCEMENT, &[far.as_fd()]) {
            Ok(Sent::Whole) => {}
            Ok(Sent::Full) => {
                let by = control.as_fd().try_clone_to_owned().map_err(|error| SentLarge::Failed(errno(&error)))?;
                let announcement = Announcement { by: by.into(), far };
                self.send(state, &channel, Parcel::Announcement(Arc::new(announcement)))?;
            }
            Err(error) => return Err(failure(&error)),
        }
        Ok(Arc::clone(state.channel.insert(channel)))
    }

    /// Sends, or leaves it to a thread that waits for room.
    fn send(self: &Arc<Self>, state: &mut State, channel: &Arc<Control>, parcel: Parcel) -> Result<(), SentLarge> {
        if state.sending {
            state.waiting.push_back(parcel);
            return Ok(());
        }
        match parcel.send(channel) {
            Ok(Sent::Whole) => Ok(()),
            Ok(Sent::Full) => {
                let (shelf, channel) = (Arc::clone(self), Arc::clone(channel));
                let thread = std::thread::Builder::new().name("pool-shelf".to_owned()).stack_size(STACK_BYTES);
                let started = signals::with_all_blocked(|| thread.spawn(move || shelf.send_waiting(&channel)));
                started.and_then(|started| started).map_err(|error| SentLarge::Failed(errno(&error)))?;
                state.sending = true;
                state.waiting.push_back(parcel);
                Ok(())
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Sends what waits, until nothing does or the worker is gone.
    fn send_waiting(&self, channel: &Control) {
        loop {
            let Some(parcel) = self.next_waiting() else { return };
            match parcel.send(channel) {
                Ok(Sent::Full) => {
                    if parcel.way(channel).await_room().is_err() {
                        return;
                    }
                    // There may be room in the channel, and too many descriptors under way nevertheless.
                    std::thread::park_timeout(CROWDED);
                }
                Ok(Sent::Whole) => drop(self.state.lock().waiting.pop_front()),
                // Nobody reads it any more.
                Err(_) => return,
            }
        }
    }

    /// What to send next. `None`: there is nothing, and the thread is to end.
    fn next_waiting(&self) -> Option<Parcel> {
        let mut state = self.state.lock();
        state.sending = !state.waiting.is_empty();
        state.waiting.front().cloned()
    }
}

impl Parcel {
    /// What it is sent by.
    fn way<'a>(&'a self, channel: &'a Control) -> &'a Control {
        if let Self::Announcement(announcement) = self { &announcement.by } else { channel }
    }

    fn send(&self, channel: &Control) -> io::Result<Sent> {
        match self {
            Self::Announcement(announcement) => announcement.by.send(&ANNOUNCEMENT, &[announcement.far.as_fd()]),
            Self::Forget(id) => channel.send(&[[FORGET].as_slice(), &id.to_le_bytes()].concat(), &[]),
            Self::Put(value) => {
                let Some(value) = value.upgrade() else { return Ok(Sent::Whole) };
                let fd = value.fd().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
                let (tag, len) =
                    value.memory().map_or((PUT, value.as_slice().len()), |memory| (PUT_OPEN, memory.len()));
                let len = len as u64;
                channel.send(&[[tag].as_slice(), &value.id().to_le_bytes(), &len.to_le_bytes()].concat(), &[fd])
            }
        }
    }
}

fn failure(error: &io::Error) -> SentLarge {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => SentLarge::Gone,
        _ => SentLarge::Failed(errno(error)),
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// The worker's end: what was put there and not forgotten.
#[derive(Default)]
pub(crate) struct Kept {
    state: Mutex<Keeping>,
    changed: Condvar,
}

#[derive(Default)]
struct Keeping {
    started: bool,
    /// Nothing more will come.
    over: bool,
    /// Each value, or why it did not get in: the system's error number.
    values: HashMap<u64, Result<SharedValue, i32>>,
}

impl Kept {
    /// Starts the thread that reads what is put there, unless it was started before.
    ///
    /// # Errors
    /// `channel` finds none, or the system has no thread. Then there never will be one.
    pub(crate) fn started_with(self: &Arc<Self>, channel: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<()> {
        if std::mem::replace(&mut self.state.lock().started, true) {
            return Ok(());
        }
        let started = channel().and_then(|channel| self.start(channel));
        if started.is_err() {
            self.state.lock().over = true;
            self.changed.notify_all();
        }
        started
    }

    fn start(self: &Arc<Self>, channel: OwnedFd) -> io::Result<()> {
        let channel = Control::from(move_high(channel.as_fd())?);
        let kept = Arc::clone(self);
        let thread = std::thread::Builder::new().name("pool-shelf".to_owned()).stack_size(STACK_BYTES);
        signals::with_all_blocked(|| thread.spawn(move || kept.read(&channel)))??;
        Ok(())
    }

    /// The value of this number. Waits until it is there.
    pub(crate) fn take(&self, id: u64) -> io::Result<SharedValue> {
        let mut state = self.state.lock();
        loop {
            match state.values.get(&id) {
                Some(Ok(value)) => return Ok(value.clone()),
                Some(Err(errno)) => return Err(io::Error::from_raw_os_error(*errno)),
                None if state.over => return Err(io::Error::from(io::ErrorKind::BrokenPipe)),
                None => self.changed.wait(&mut state),
            }
        }
    }

    fn read(&self, channel: &Control) {
        let mut buffer = Vec::new();
        while let Ok(Received::Message { fds }) = channel.receive_waiting(&mut buffer) {
            self.heed(&buffer, fds);
        }
        // The parent has no more for this worker, or a task has left it unable to wait. What there is stays.
        self.state.lock().over = true;
        self.changed.notify_all();
    }

    /// Does what a message says. What is none of ours has no effect.
    fn heed(&self, message: &[u8], mut fds: Vec<OwnedFd>) {
        let Some((&tag, rest)) = message.split_first() else { return };
        let Some((id, rest)) = rest.split_first_chunk() else { return };
        let id = u64::from_le_bytes(*id);
        match (tag, <[u8; 8]>::try_from(rest)) {
            (PUT | PUT_OPEN, Ok(len)) => {
                // No descriptor: this process has no numbers left for one.
                let fd = fds.pop().ok_or(libc::EMFILE);
                let (take, len) = (if tag == PUT { receive } else { receive_open }, u64::from_le_bytes(len));
                let value = fd.and_then(|fd| take(id, fd, len));
                self.state.lock().values.insert(id, value);
                self.changed.notify_all();
            }
            (FORGET, Err(_)) => {
                // Unmapped without the lock.
                let value = self.state.lock().values.remove(&id);
                self.changed.notify_all();
                drop(value);
            }
            _ => {}
        }
    }
}

/// Judges and maps what came.
fn receive(id: u64, fd: OwnedFd, len: u64) -> Result<SharedValue, i32> {
    // At a number that tasks do not close by accident; it is kept for workers of this worker's own.
    let fd = move_high(fd.as_fd()).map_err(|error| errno(&error))?;
    memfd::Frozen::keep(fd, len)
        .map(|memory| SharedValue::received(id, memory))
        .map_err(|not_frozen| verdict(&not_frozen))
}

/// The same for memory that is written in place. Its descriptor is not kept.
fn receive_open(id: u64, fd: OwnedFd, len: u64) -> Result<SharedValue, i32> {
    let memory = OpenMemory::receive(fd.as_fd(), len);
    memory.map(|memory| SharedValue::received_open(id, memory)).map_err(|not_open| verdict(&not_open))
}

fn verdict(unfit: &NotFrozen) -> i32 {
    match unfit {
        NotFrozen::System(error) => error.raw_os_error().unwrap_or(libc::ENOMEM),
        NotFrozen::Unfit(_) => libc::EINVAL,
    }
}

#[cfg(test)]
mod tests;
