//! The table of tasks, which the linker builds: one entry for every function that is submitted anywhere in the program.
//!
//! Keeps true: the table is the same in every process that runs this file; a number that is not an entry's finds
//! nothing; an address never leaves the process. Never: registers anything at run time, where the linker can do it.
//!
//! How. [`id_of`] is instantiated for every task that is submitted. Its `asm!` block puts an entry into a section of the
//! executable and takes that entry's address in the same breath; the linker puts the entries of all objects side by
//! side and gives the section's two ends names. So the number of a task is a subtraction. A task may have several
//! entries (one for each crate or code generation unit that submits it); each serves as well as the others.
//!
//! Under Miri, and on targets without this, the table is a vector that fills as tasks are submitted.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ptr::NonNull;
use std::sync::OnceLock;

use super::{Arguments, Call, Entry, Task};

/// Names a task to every process of this executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TaskId(u32);

impl TaskId {
    /// The number as it came over a wire: any number at all.
    pub(crate) fn from_wire(number: u32) -> Self {
        Self(number)
    }

    /// The number that crosses.
    pub(crate) fn to_wire(self) -> u32 {
        self.0
    }
}

/// The number of a task.
#[inline]
pub(crate) fn id_of<F: Task<Args>, Args: Arguments>() -> TaskId {
    const {
        assert!(
            size_of::<F>() == 0,
            "a task must not capture anything, as the worker gets only its name: pass what it captures as an argument \
             (and a function itself instead of a pointer to it)"
        );
    }
    TaskId(linked::number_of::<F, Args>())
}

/// The task of a number, or `None` where this executable has none.
#[inline]
pub(crate) fn find(id: TaskId) -> Option<Entry> {
    linked::entry(id.0)
}

/// Identifies this executable's table and code: the same in every process of the same file, another one in another
/// build.
pub(crate) fn fingerprint() -> u64 {
    static FINGERPRINT: OnceLock<u64> = OnceLock::new();
    *FINGERPRINT.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        linked::hash(&mut hasher);
        hasher.finish()
    })
}

/// Decodes, calls and encodes. One instance for each task.
fn trampoline<F: Task<Args>, Args: Arguments>(call: &mut Call<'_>) {
    call.run::<F, Args>(conjure::<F>());
}

/// The task's name. One instance for each task.
fn name<F>() -> &'static str {
    std::any::type_name::<F>()
}

/// A value of a task's type out of nothing.
fn conjure<F: Copy + Send + Sync>() -> F {
    assert!(size_of::<F>() == 0, "`id_of` lets nothing else into the table");
    // SAFETY: F has no bytes, so any aligned pointer may be read as one. That a value of F may exist at all (it is no
    // empty enum in disguise) is known since an id was asked for by a caller who held one, in this process or in another
    // of the same executable; that there may be a second one, and on this thread, since F is Copy, Send and Sync.
    unsafe { NonNull::<F>::dangling().read() }
}

cfg_select! {
    all(
        target_os = "linux",
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64"),
        not(miri),
        not(pool_portable)
    ) => {
        mod build_id;
        mod linked;
    }
    _ => {
        #[path = "listed.rs"]
        mod linked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Single;

    fn double(number: u64) -> u64 {
        number * 2
    }

    fn generic<T: Default + serde::Serialize + serde::de::DeserializeOwned>(_: T) -> T {
        T::default()
    }

    fn id_of_value<F: Task<Args>, Args: Arguments>(_: F, _: Args) -> TaskId {
        id_of::<F, Args>()
    }

    fn call<F: Task<Args>, Args: Arguments>(task: F, args: Args) -> F::Output {
        let (mut arguments, mut result) = (Vec::new(), Vec::new());
        crate::task::encode_into(&mut arguments, &args).unwrap();
        let entry = find(id_of_value(task, args)).unwrap();
        (entry.run)(&mut Call::new(&mut Single { arguments: &arguments, fixed_tag: None }, &mut result));
        crate::task::decode(&result).unwrap()
    }

    #[test]
    fn a_number_leads_to_its_own_task() {
        assert_eq!(call(double, (21,)), 42);
        assert_eq!(call(generic::<String>, ("text".to_owned(),)), "");
        assert_eq!(call(generic::<u8>, (7,)), 0);
        assert_eq!(call(|a: u8, b: u8| a - b, (7, 3)), 4);
        assert_eq!(call(Some::<u8>, (7,)), Some(7));
    }

    #[test]
    fn an_entry_knows_its_name() {
        let entry = find(id_of_value(double, (1,))).unwrap();
        assert!((entry.name)().ends_with("tests::double"), "{}", (entry.name)());
    }

    #[test]
    fn a_strangers_number_finds_nothing() {
        let known = (0..100_000).filter(|&number| find(TaskId(number)).is_some()).count();
        assert!(known < 10_000, "{known}");
        for number in [u32::MAX, u32::MAX / 8, 1 << 24] {
            assert!(find(TaskId(number)).is_none());
        }
    }

    #[test]
    fn the_filler_is_no_task() {
        let table_ends = (0..).find(|&number| (number..number + 64).all(|number| find(TaskId(number)).is_none()));
        assert!(table_ends.is_some());
    }

    #[test]
    fn the_fingerprint_stays() {
        assert_eq!(fingerprint(), fingerprint());
    }
}
