//! The table as a section of the executable.
//!
//! Keeps true: an entry holds two distances, from itself to the task's code and to its name, and not addresses: the
//! section is read-only, needs no relocation at start, and reads the same wherever the executable is loaded. Never: runs
//! any code of its own before it is asked.
//!
//! The section's name contains the version, since two versions of this crate in one program must not share a table.

use std::arch::asm;
use std::hash::{DefaultHasher, Hash};

use super::build_id::build_id;
use super::{name, trampoline};
use crate::task::{Arguments, Call, Entry, Task};

/// An entry as it lies in the section. All zero is the filler that keeps the section from being empty.
#[repr(C)]
#[derive(Clone, Copy, Hash)]
struct Distances {
    /// From this field to the trampoline.
    run: i32,
    /// From this field to the name's function.
    name: i32,
}

macro_rules! section {
    () => {
        concat!(
            "pool_core_tasks_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR"),
            "_",
            env!("CARGO_PKG_VERSION_PATCH")
        )
    };
}

macro_rules! in_section {
    ($entry:literal) => {
        concat!(".pushsection ", section!(), ",\"a\",%progbits\n.balign 4\n2:\n", $entry, "\n.popsection\n")
    };
}

/// Emits the entry, and gives its number.
#[inline(never)]
pub(super) fn number_of<F: Task<Args>, Args: Arguments>() -> u32 {
    let entry: *const Distances;
    // SAFETY: the block writes one register that it declares, and emits eight bytes of data into a section that
    // holds nothing else. The code that it takes the address from is its own label.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            in_section!(".long {run} - .\n.long {name} - ."),
            "lea {entry}, [rip + 2b]",
            run = sym trampoline::<F, Args>,
            name = sym name::<F>,
            entry = out(reg) entry,
            options(pure, nomem, nostack, preserves_flags)
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            in_section!(".long {run} - .\n.long {name} - ."),
            "adrp {entry}, 2b",
            "add {entry}, {entry}, :lo12:2b",
            run = sym trampoline::<F, Args>,
            name = sym name::<F>,
            entry = out(reg) entry,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    number_at(entry)
}

fn number_at(entry: *const Distances) -> u32 {
    let table = table();
    let here = table.as_ptr_range();
    assert!(
        here.contains(&entry),
        "pool_core must be linked into the program itself, not into a shared library of its own"
    );
    let number = (entry.addr() - here.start.addr()) / size_of::<Distances>();
    u32::try_from(number).expect("a table of 4 billion entries does not fit an executable")
}

/// All entries, with at least one filler among them.
#[inline(never)]
fn table() -> &'static [Distances] {
    let start: *const Distances;
    let stop: *const Distances;
    // SAFETY: the block writes two registers that it declares, and emits eight bytes of data into the section. That
    // makes the section exist, for which the linker then defines the two names. The first load is of the filler itself:
    // lld drops a section that nothing but those names refers to, in a program that submits nothing.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            in_section!(".long 0\n.long 0"),
            concat!(".hidden __start_", section!()),
            concat!(".hidden __stop_", section!()),
            "lea {start}, [rip + 2b]",
            concat!("lea {start}, [rip + __start_", section!(), "]"),
            concat!("lea {stop}, [rip + __stop_", section!(), "]"),
            start = out(reg) start,
            stop = out(reg) stop,
            options(pure, nomem, nostack, preserves_flags)
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            in_section!(".long 0\n.long 0"),
            concat!(".hidden __start_", section!()),
            concat!(".hidden __stop_", section!()),
            "adrp {start}, 2b",
            concat!("adrp {start}, __start_", section!()),
            concat!("add {start}, {start}, :lo12:__start_", section!()),
            concat!("adrp {stop}, __stop_", section!()),
            concat!("add {stop}, {stop}, :lo12:__stop_", section!()),
            start = out(reg) start,
            stop = out(reg) stop,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    // SAFETY: both names are the linker's, of one section of this image, which is mapped readable for as long as
    // this code is and is never written. Only the two blocks of this module emit into it, each a whole `Distances`
    // aligned to it.
    unsafe { std::slice::from_raw_parts(start, stop.offset_from_unsigned(start)) }
}

#[inline]
pub(super) fn entry(number: u32) -> Option<Entry> {
    let distances = table().get(number as usize)?;
    if distances.run == 0 {
        return None;
    }
    let (run, name) = (target(&distances.run), target(&distances.name));
    // SAFETY: this entry is no filler, so `number_of` emitted it, with the distances to a `trampoline` and a `name`
    // of exactly these types.
    unsafe {
        Some(Entry {
            run: std::mem::transmute::<*const (), fn(&mut Call<'_>)>(run),
            name: std::mem::transmute::<*const (), fn() -> &'static str>(name),
        })
    }
}

/// What a distance leads to.
fn target(distance: &i32) -> *const () {
    let from = std::ptr::from_ref(distance).addr();
    std::ptr::with_exposed_provenance(from.wrapping_add_signed(*distance as isize))
}

/// The distances change whenever the size of anything between code and table does; the build id, where the linker
/// gave one, whenever a byte does.
pub(super) fn hash(hasher: &mut DefaultHasher) {
    let table = table();
    table.hash(hasher);
    let numbers = 0..u32::try_from(table.len()).unwrap_or(u32::MAX);
    numbers.filter_map(entry).for_each(|entry| (entry.name)().hash(hasher));
    build_id(table.as_ptr().addr()).hash(hasher);
}
