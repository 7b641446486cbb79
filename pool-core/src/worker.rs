//! The child's side: reads what it is told, says whether it can work, and answers one call after the other.
//!
//! Keeps true: nothing of the program's is run before parent and worker know that they are the same build; each call is
//! answered exactly once, whatever the task, its arguments or its result do short of ending the process; what a call
//! was given is dropped before the next is claimed; a copy of the worker that a task made by a fork ends where the task
//! does, and answers nothing. Never: knows of a pool, a future or a link.

#[cfg(panic = "abort")]
mod last_word;
mod panics;
mod row;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::OnceLock;

use pool_ipc::{FarEnd, Inset, Job, LARGE};

#[cfg(not(panic = "abort"))]
use self::row::Row;
use self::row::Standing;
use crate::bytes::sharing::Source;
use crate::error::{Reason, RemoteError};
use crate::sharing;
use crate::task::{self, Call, Calls, EncodeFailure, Entry, Home, InitializerResult, Single, Stage, TaskId};
use crate::wire::{
    Boot, FIXED_VALUE, Failure, Greeting, PanicReport, RequestReader, mark_shared, write_failure, write_value,
};

/// Runs a worker that is a thread of the pool's own process, until its link is closed.
pub(crate) fn run(mut far: Box<dyn FarEnd>) {
    work_at(&mut *far, Place::Thread);
}

/// Runs a worker that has a process to itself, until its link is closed or its parent is gone.
#[cfg_attr(
    not(all(target_os = "linux", not(pool_portable))),
    expect(dead_code, reason = "workers are threads where there are no processes")
)]
pub(crate) fn run_process(mut far: Box<dyn FarEnd>) {
    work_at(&mut *far, Place::Process);
}

/// Has a worker whose program never became one say so. The user is advised by the first worker of a pool only, as all the
/// others have the same `main`.
#[cfg_attr(
    not(all(target_os = "linux", not(pool_portable))),
    expect(dead_code, reason = "workers are threads where there are no processes")
)]
pub(crate) fn resign(far: &mut dyn FarEnd, advise: impl FnOnce()) {
    let greeting = match Boot::decode(far.boot(), task::fingerprint()) {
        None => Greeting::OtherBuild,
        Some(boot) => {
            if boot.is_first {
                advise();
            }
            Greeting::NoInit
        }
    };
    greet(far, &greeting);
}

/// Who a worker is, as its parent named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `SpawnProcess-1`.
    pub(crate) name: String,
    /// The name of the process that started it.
    pub(crate) parent_name: String,
    /// The pid of that process.
    pub(crate) parent_pid: u32,
    /// How many it is away from the main process.
    pub(crate) depth: u32,
}

/// The worker that the calling thread works for: its process, or itself where workers are threads. A thread that a task
/// started in the pool's own process has none.
pub(crate) fn identity() -> Option<Identity> {
    // At the end of a process, when this may be asked too, the thread may have nothing of its own any more.
    let own = OWN_IDENTITY.try_with(|own| own.borrow().clone()).ok().flatten();
    own.or_else(|| PROCESS_IDENTITY.get().cloned())
}

/// What a worker has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Process,
    Thread,
}

static PROCESS_IDENTITY: OnceLock<Identity> = OnceLock::new();

thread_local! {
    static OWN_IDENTITY: RefCell<Option<Identity>> = const { RefCell::new(None) };
}

fn work_at(far: &mut dyn FarEnd, place: Place) {
    let greeting = prepare(far.boot(), place);
    if greet(far, &greeting) && matches!(greeting, Greeting::Ready { .. }) {
        match place {
            Place::Process => {
                task::assign_process(far.assignment());
                sharing::serve_process(far.shared_values());
            }
            Place::Thread => {
                task::assign_thread(far.assignment());
                sharing::serve_thread(far.shared_values());
            }
        }
        let mut desk = Desk::new();
        far.serve(&mut |job| desk.work(job));
        sharing::end_calls();
    }
}

/// Whether the greeting could be sent.
fn greet(far: &mut dyn FarEnd, greeting: &Greeting) -> bool {
    let said = far.say(&greeting.encode());
    if let Err(error) = &said {
        pool_ipc::tell!(Debug, "the greeting could not be sent: {error}");
    }
    said.is_ok()
}

/// Makes this the worker that the boot message describes, and runs its initializer.
fn prepare(boot: &[u8], place: Place) -> Greeting {
    let fingerprint = task::fingerprint();
    let Some(boot) = Boot::decode(boot, fingerprint) else {
        return Greeting::OtherBuild;
    };
    let initializer = boot.initializer.clone();
    panics::listen();
    become_worker(boot, place);
    let initialized = initializer.map_or(Ok(()), |request| initialize(&request));
    // An initializer may install a panic hook of its own, which must not come before ours.
    panics::listen_again();
    match initialized {
        Ok(()) => Greeting::Ready { fingerprint },
        Err(error) => Greeting::InitializerFailed(error),
    }
}

fn become_worker(boot: Boot, place: Place) {
    let Boot { name, parent_name, parent_pid, depth, log_level, .. } = boot;
    let identity = Identity { name, parent_name, parent_pid, depth };
    if place == Place::Thread {
        crate::thread::adopt("MainThread");
        return OWN_IDENTITY.set(Some(identity));
    }
    // Set once: a process becomes a worker once.
    let _ = PROCESS_IDENTITY.set(identity);
    if let Some(level) = log::LevelFilter::iter().nth(log_level) {
        log::set_max_level(level);
    }
}

/// Calls the initializer. Its error, and whatever else goes wrong with it, is the pool's to report.
fn initialize(request: &[u8]) -> InitializerResult {
    let mut result = Vec::new();
    let failure = match answer(request, 0, &mut Reading::begin(), &mut result, &mut Vec::new()) {
        Ok(_) => {
            let returned = task::decode::<InitializerResult>(&result);
            return returned.unwrap_or_else(|reason| Err(RemoteError::message(reason.text)));
        }
        Err(failure) => *failure,
    };
    Err(RemoteError::message(match failure {
        Failure::Panicked(report) => report.to_string(),
        Failure::Undecoded { type_name, reason } => {
            format!("its arguments could not be decoded: type {type_name}: {}", reason.text)
        }
        failure => format!("it could not be called: {failure:?}"),
    }))
}

/// Where calls are answered: the room that replies are written in, used again and again.
#[derive(Debug)]
struct Desk {
    reply: Vec<u8>,
    /// What belongs into it and was not copied.
    insets: Vec<Inset>,
}

/// Replies have at least this much room.
const ROOM: usize = 256;

/// A reply beyond this does not keep its room for the next one.
const ROOM_KEPT: usize = 1 << 20;

impl Desk {
    fn new() -> Self {
        Self { reply: Vec::with_capacity(ROOM), insets: Vec::new() }
    }

    fn work(&mut self, job: &mut dyn Job) {
        let mut reading = Reading::begin();
        let mut next = job.claim();
        while let Some(item) = next {
            next = match self.reply_from(job, item, &mut reading) {
                Standing::Answering => self.hand_in(job),
                Standing::Claimed(item) => Some(item),
                Standing::Over => None,
            };
            if self.reply.capacity() > ROOM_KEPT {
                self.reply = Vec::with_capacity(ROOM);
            }
        }
    }

    /// Publishes a reply, and takes the next item.
    fn hand_in(&mut self, job: &mut dyn Job) -> Option<u32> {
        self.publish(job);
        // Not before that: SIGTERM between the two would take the result along. What is left of a frame that is to be stopped is
        // given back.
        if pool_ipc::forget_soft_stop() { None } else { job.claim() }
    }

    /// Replies to an item, and to those after it while they can be replied to in a row.
    #[cfg(not(panic = "abort"))]
    fn reply_from(&mut self, job: &mut dyn Job, item: u32, reading: &mut Reading) -> Standing {
        if job.request().len() > LARGE {
            name_source(job);
            self.write_reply(job.request(), item, reading);
            Source::forget();
            return Standing::Answering;
        }
        write_value(&mut self.reply);
        let Found { entry, task, arguments } = match reading.find(job.request(), item) {
            Ok(found) => found,
            Err(failure) => {
                self.end_with(Err(failure));
                return Standing::Answering;
            }
        };
        let mut row = Row::new(job, &mut reading.reader, task, arguments);
        let answer = call(entry, &mut row, &mut self.reply, &mut self.insets, reading.home);
        let standing = row.standing();
        if standing == Standing::Answering {
            self.end_with(answer);
        }
        standing
    }

    /// Where a panic ends the process, its hook writes the reply.
    #[cfg(panic = "abort")]
    fn reply_from(&mut self, job: &mut dyn Job, item: u32, reading: &mut Reading) -> Standing {
        if job.request().len() > LARGE {
            name_source(job);
        }
        last_word::lend(job, |request| self.write_reply(request, item, reading));
        Source::forget();
        Standing::Answering
    }

    fn write_reply(&mut self, request: &[u8], item: u32, reading: &mut Reading) {
        write_value(&mut self.reply);
        let answer = answer(request, item, reading, &mut self.reply, &mut self.insets);
        self.end_with(answer);
    }

    /// Makes a reply of what is written and what came of the call.
    fn end_with(&mut self, answer: Result<Speaks, Box<Failure>>) {
        match answer {
            Ok(Speaks::OfItself) => {}
            Ok(Speaks::OfShared) => mark_shared(&mut self.reply),
            Err(failure) => {
                self.insets.clear();
                write_failure(&mut self.reply, &failure);
            }
        }
    }

    fn publish(&mut self, job: &mut dyn Job) {
        if self.insets.is_empty() { job.publish(&self.reply) } else { self.publish_joined(job) }
    }

    #[cold]
    fn publish_joined(&mut self, job: &mut dyn Job) {
        let insets = std::mem::take(&mut self.insets);
        let size = insets.iter().map(|inset| inset.bytes.len() as u64).sum();
        if job.publish_joined(&self.reply, insets).is_err() {
            write_failure(&mut self.reply, &Failure::NoMemory { size });
            job.publish(&self.reply);
        }
    }
}

/// Has the task keep parts of a large request, if it wants to.
#[cold]
fn name_source(job: &dyn Job) {
    if let Some(memory) = job.memory() {
        Source::name(memory);
    }
}

/// What a result speaks of.
#[derive(Clone, Copy)]
enum Speaks {
    OfItself,
    /// Of shared values, too.
    OfShared,
}

/// What is the same for the items of a frame, found once for all of them.
struct Reading {
    /// This process: the copies of it that tasks make end before they come to another item.
    home: Home,
    reader: RequestReader,
    /// The task that ran last.
    known: Option<(TaskId, Entry)>,
}

impl Reading {
    fn begin() -> Self {
        Self { home: Home::here(), reader: RequestReader::default(), known: None }
    }

    /// The call of an item.
    fn find(&mut self, request: &[u8], item: u32) -> Result<Found, Box<Failure>> {
        let malformed = || undecoded("a request", Reason::of_codec(format!("it has no item {item}")));
        let (task, arguments) = self.reader.find(request, item).ok_or_else(malformed)?;
        if let Some((known, entry)) = self.known
            && known == task
        {
            return Ok(Found { entry, task, arguments });
        }
        let entry = task::find(task).ok_or(Failure::NotFound { task: task.to_wire() })?;
        self.known = Some((task, entry));
        Ok(Found { entry, task, arguments })
    }
}

/// The call of an item: what to call, and where in the request its arguments are.
struct Found {
    entry: Entry,
    task: TaskId,
    arguments: Range<usize>,
}

/// Runs one call. The encoded result is appended to `result`, but for its large parts.
fn answer(
    request: &[u8],
    item: u32,
    reading: &mut Reading,
    result: &mut Vec<u8>,
    insets: &mut Vec<Inset>,
) -> Result<Speaks, Box<Failure>> {
    let Found { entry, arguments, .. } = reading.find(request, item)?;
    let arguments = request.get(arguments).unwrap_or_default();
    let fixed_tag = reading.reader.fixed_items().map(|_| FIXED_VALUE);
    let mut single = Single { arguments, fixed_tag };
    call(entry, &mut single, result, insets, reading.home)
}

/// Runs calls, up to the first that does not go on, and says in what that one ended.
fn call(
    entry: Entry,
    calls: &mut dyn Calls,
    result: &mut Vec<u8>,
    insets: &mut Vec<Inset>,
    home: Home,
) -> Result<Speaks, Box<Failure>> {
    let mut call = Call::of_worker(calls, result, insets, home);
    match panics::catch(entry.name, home, || entry.call(&mut call)) {
        Ok(()) if call.is_done() => Ok(if sharing::is_answer_shared() { Speaks::OfShared } else { Speaks::OfItself }),
        panicked => Err(Box::new(failure(call.stage(), panicked.err()))),
    }
}

/// Why a call has no result. A panic of the task is a panic; one in Serialize or Deserialize means that the value cannot be
/// encoded or decoded, so that a caller can tell whether the task has run.
#[cold]
fn failure(stage: Stage, panicked: Option<Box<PanicReport>>) -> Failure {
    match (stage, panicked) {
        (Stage::Decoding { type_name }, Some(report)) => {
            undecoded(type_name, Reason::of_type(format!("its Deserialize {report}")))
        }
        (Stage::Undecoded { type_name, reason }, _) => undecoded(type_name, reason),
        (Stage::Encoding { type_name }, Some(report)) => {
            unencoded(type_name, Reason::of_type(format!("its Serialize {report}")))
        }
        (Stage::Unencoded { type_name, failure: EncodeFailure::Codec { reason } }, _) => unencoded(type_name, reason),
        (Stage::Unencoded { failure: EncodeFailure::NoMemory { size }, .. }, _) => Failure::NoMemory { size },
        // Also when only the result's Drop panicked: a result whose end is a panic is not handed out as a success.
        (_, Some(report)) => Failure::Panicked(*report),
        (Stage::Decoding { .. } | Stage::Running | Stage::Encoding { .. } | Stage::Done, None) => {
            unreachable!("a call that returned has come to one of its ends")
        }
    }
}

fn undecoded(type_name: &str, reason: Reason) -> Failure {
    Failure::Undecoded { type_name: type_name.to_owned(), reason }
}

fn unencoded(type_name: &str, reason: Reason) -> Failure {
    Failure::Unencoded { type_name: type_name.to_owned(), reason }
}

#[cfg(test)]
mod tests;
