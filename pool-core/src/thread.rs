//! Threads that have a name, and a list of those that are alive.
//!
//! Keeps true: every thread that starts here is in the list from before its `spawn` returns until its closure is done,
//! under the name it will have all its life. Never lists a thread that it cannot see the end of: threads that others
//! started have a name here, but are not in the list.
//!
//! Names are those of Python: the thread that a process begins with is `MainThread`, unnamed ones take the next
//! `Thread-N` of one counter, and a thread that others started reports the standard library's name for it, else
//! `Dummy-N`.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use crate::sync::plain::{Condvar, Mutex};

/// Starts a thread named `Thread-N`.
///
/// ```
/// use pool_core::thread;
///
/// let handle = thread::spawn(|| thread::current().name().to_owned());
/// assert!(handle.join().unwrap().starts_with("Thread-"));
/// ```
///
/// # Panics
/// The system has no room for another thread; [`Builder::spawn`] returns that as an error.
pub fn spawn<F, T>(main: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(main).unwrap_or_else(|error| panic!("failed to start a thread: {error}"))
}

/// The calling thread.
///
/// ```
/// use pool_core::thread;
///
/// let handle = thread::Builder::new().name("reader").spawn(|| thread::current())?;
/// assert_eq!(handle.thread().name(), "reader");
/// assert_eq!(handle.thread().clone(), handle.join().unwrap());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn current() -> Thread {
    HERE.try_with(|here| here.0.get_or_init(Thread::found_here).clone()).unwrap_or_else(|_| Thread::found_here())
}

/// The live threads that we know: the main thread, then those that were started here, in the order of their start.
///
/// ```
/// use pool_core::thread;
///
/// let (stop, stopped) = std::sync::mpsc::channel::<()>();
/// let handle = thread::Builder::new().name("reader").spawn(move || stopped.recv()).unwrap();
/// let names: Vec<String> = thread::enumerate().iter().map(|thread| thread.name().to_owned()).collect();
/// assert_eq!(names[0], "MainThread");
/// assert!(names.contains(&"reader".to_owned()));
///
/// drop(stop);
/// let thread = handle.thread().clone();
/// handle.join().unwrap().unwrap_err();
/// assert!(!thread.is_alive());
/// assert!(!thread::enumerate().contains(&thread));
/// ```
pub fn enumerate() -> Vec<Thread> {
    let listed = LIST.threads.lock();
    std::iter::once(&*MAIN).chain(listed.values()).cloned().collect()
}

/// How a thread is to be started.
///
/// ```
/// use pool_core::thread::Builder;
///
/// let handle = Builder::new().name("reader").daemon(true).stack_size(1 << 20).spawn(|| 6 * 7)?;
/// assert_eq!(handle.thread().name(), "reader");
/// assert_eq!(handle.join().unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing before `spawn`"]
pub struct Builder {
    name: Option<String>,
    daemon: bool,
    stack_size: Option<usize>,
}

impl Builder {
    /// A thread that takes the next `Thread-N`, is no daemon, and has the usual stack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread. The system shows the first 15 bytes of it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether the end of a [`Process`](crate::Process) child leaves this thread behind instead of joining it. The
    /// program's own main function joins nothing when it returns, as everywhere in Rust.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// The size of the thread's stack in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Starts the thread. It is in [`enumerate`] from now until its closure is done.
    ///
    /// # Errors
    /// The system has no room for another thread, or the name contains a NUL.
    pub fn spawn<F, T>(self, main: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let name = self.name.unwrap_or_else(|| format!("Thread-{}", NEXT_NAME.fetch_add(1, Ordering::Relaxed)));
        if name.contains('\0') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the thread's name {name:?} has a NUL")));
        }
        let mut builder = std::thread::Builder::new().name(name.clone());
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        let listed = Listed::new(name, self.daemon);
        let thread = listed.0.clone();
        // Should the system refuse, the closure is dropped, and the entry of the list with it.
        let inner = builder.spawn(move || listed.run(main))?;
        Ok(JoinHandle { inner, thread })
    }
}

/// A thread that was started here, to wait for. Dropping it lets the thread run on.
#[derive(Debug)]
pub struct JoinHandle<T> {
    inner: std::thread::JoinHandle<T>,
    thread: Thread,
}

impl<T> JoinHandle<T> {
    /// Waits for the thread's end and gives what its closure returned.
    ///
    /// # Errors
    /// The closure panicked; this is what it panicked with.
    pub fn join(self) -> std::thread::Result<T> {
        self.inner.join()
    }

    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Whether [`join`](Self::join) would return at once.
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}

/// A thread, alive or not. Two of them are equal when they are the same thread.
#[derive(Clone)]
pub struct Thread {
    facts: Arc<Facts>,
}

struct Facts {
    id: u64,
    name: String,
    daemon: bool,
    /// Set once, when the thread's closure is done or its end is seen in another way.
    over: AtomicBool,
    /// The system's number, known once the thread runs.
    native_id: OnceLock<Option<NonZeroU32>>,
}

impl Thread {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// A number that no other thread of this process has or will have.
    pub fn id(&self) -> u64 {
        self.facts.id
    }

    /// The number that the system gave it, where it has begun to run and the system gives numbers.
    pub fn native_id(&self) -> Option<NonZeroU32> {
        match self.facts.id {
            MAIN_ID => pool_ipc::main_thread_id(),
            _ => self.facts.native_id.get().copied().flatten(),
        }
    }

    /// Whether its closure is still to run or running.
    pub fn is_alive(&self) -> bool {
        !self.facts.over.load(Ordering::Acquire)
    }

    /// Whether the end of a [`Process`](crate::Process) child leaves it behind.
    pub fn daemon(&self) -> bool {
        self.facts.daemon
    }

    fn new(id: u64, name: String, daemon: bool) -> Self {
        Self { facts: Arc::new(Facts { id, name, daemon, over: AtomicBool::new(false), native_id: OnceLock::new() }) }
    }

    /// The calling thread, which did not start here.
    fn found_here() -> Self {
        if pool_ipc::on_main_thread() {
            return MAIN.clone();
        }
        let given = std::thread::current().name().map(str::to_owned);
        let name = given.unwrap_or_else(|| format!("Dummy-{}", NEXT_DUMMY.fetch_add(1, Ordering::Relaxed)));
        Self::foreign(name)
    }

    fn foreign(name: String) -> Self {
        let thread = Self::new(NEXT_ID.fetch_add(1, Ordering::Relaxed), name, true);
        thread.facts.native_id.get_or_init(pool_ipc::native_thread_id);
        thread
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("name", &self.name())
            .field("id", &self.id())
            .field("daemon", &self.daemon())
            .field("alive", &self.is_alive())
            .finish()
    }
}

impl PartialEq for Thread {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Thread {}

impl Hash for Thread {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

/// Starts one of the pool's own threads: a daemon, since the pool joins it, under this name or the next `Thread-N`.
pub(crate) fn spawn_internal<F>(name: Option<&str>, main: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    Builder { name: name.map(str::to_owned), daemon: true, stack_size: None }.spawn(main)
}

/// Names the calling thread, which others started, for as long as it lives. It stays out of the list. Nothing happens on
/// a thread that is known already.
pub(crate) fn adopt(name: &str) {
    // Within thread-local destructors there is nobody left to be named.
    let _ = HERE.try_with(|here| here.0.get_or_init(|| Thread::foreign(name.to_owned())).id());
}

/// Waits until every listed thread but daemons and the calling one is done, also those that start in the meantime.
#[cfg_attr(
    not(all(target_os = "linux", not(pool_portable))),
    expect(dead_code, reason = "only a child process waits so")
)]
pub(crate) fn join_non_daemon() {
    let own = current().id();
    let mut listed = LIST.threads.lock();
    while listed.values().any(|thread| !thread.daemon() && thread.id() != own) {
        LIST.ended.wait(&mut listed);
    }
}

const MAIN_ID: u64 = 1;

static NEXT_ID: AtomicU64 = AtomicU64::new(MAIN_ID + 1);
static NEXT_NAME: AtomicU64 = AtomicU64::new(1);
static NEXT_DUMMY: AtomicU64 = AtomicU64::new(1);
static MAIN: LazyLock<Thread> = LazyLock::new(|| Thread::new(MAIN_ID, "MainThread".to_owned(), false));
static LIST: List = List { threads: Mutex::new(BTreeMap::new()), ended: Condvar::new() };

/// The live threads that started here, by the order of their start.
struct List {
    threads: Mutex<BTreeMap<u64, Thread>>,
    /// Notified when one of them leaves the list.
    ended: Condvar,
}

/// A thread's entry in the list, which goes when this is dropped.
struct Listed(Thread);

impl Listed {
    fn new(name: String, daemon: bool) -> Self {
        let mut threads = LIST.threads.lock();
        // The id is taken under the lock, so that the order of ids is the order of entries.
        let thread = Thread::new(NEXT_ID.fetch_add(1, Ordering::Relaxed), name, daemon);
        threads.insert(thread.id(), thread.clone());
        Self(thread)
    }

    fn run<T>(self, main: impl FnOnce() -> T) -> T {
        self.0.facts.native_id.get_or_init(pool_ipc::native_thread_id);
        HERE.with(|here| here.0.get_or_init(|| self.0.clone()).id());
        main()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.facts.over.store(true, Ordering::Release);
        LIST.threads.lock().remove(&self.0.id());
        LIST.ended.notify_all();
    }
}

/// Who the calling thread is, once it was asked.
struct Here(OnceCell<Thread>);

thread_local! {
    static HERE: Here = const { Here(OnceCell::new()) };
}

impl Drop for Here {
    fn drop(&mut self) {
        if let Some(thread) = self.0.get().filter(|thread| thread.id() != MAIN_ID) {
            thread.facts.over.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
