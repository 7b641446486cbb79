//! The hook that takes a worker over before `main`, so that tests and doctests need no line for it.
//!
//! Keeps true: the program's own constructors have all run when a task runs, so a task that relies on a registry which
//! they fill finds it filled; none of them runs twice. Never: does anything in a process that is no worker, or in one
//! that is to wait for `init()`, but ask whether it is, and have its end watched.

use std::arch::asm;
use std::ffi::{c_char, c_int};
use std::slice;

use pool_ipc::Takeover;

use super::takeover::take_over;
use crate::process;

/// A function that runs before `main`. The C library gives it what it gives `main`, or (musl) nothing at all: then the
/// arguments are whatever the registers hold. They are only ever handed on.
type Constructor = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// The entry in the program's list of constructors.
#[used]
// SAFETY: the section is a list of pointers to such functions, which this is.
#[unsafe(link_section = ".init_array")]
static HOOK: Constructor = before_main;

/// Makes sure that the linker keeps the entry: called wherever a pool is made.
pub(crate) fn keep_hook() {
    std::hint::black_box(&raw const HOOK);
}

/// Called by the C library, on the main thread.
unsafe extern "C" fn before_main(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) {
    match pool_ipc::awaiting() {
        None => {}
        Some(Takeover::Init) => process::watch_end(),
        Some(Takeover::Hook) => {
            for constructor in later_constructors() {
                // SAFETY: the C library would call it next, on this thread, with these arguments, and is not going to,
                // since this function does not return.
                unsafe { constructor(argc, argv, envp) };
            }
            take_over();
        }
    }
}

/// The program's constructors behind this one. None where the linker does not say where the list lies (a shared
/// library): then the others run when they run.
fn later_constructors() -> &'static [Constructor] {
    let own = before_main as Constructor as usize;
    let all = constructors();
    match all.iter().position(|&constructor| constructor as usize == own) {
        Some(position) => &all[position + 1..],
        None => &[],
    }
}

fn constructors() -> &'static [Constructor] {
    let (start, end): (*const Constructor, *const Constructor);
    // SAFETY: the block writes two registers that it declares: the addresses that the linker gives two symbols, or zero
    // where it knows none.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            ".weak __init_array_start",
            ".weak __init_array_end",
            "mov {start}, qword ptr [rip + __init_array_start@GOTPCREL]",
            "mov {end}, qword ptr [rip + __init_array_end@GOTPCREL]",
            start = out(reg) start,
            end = out(reg) end,
            options(pure, readonly, nostack, preserves_flags)
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            ".weak __init_array_start",
            ".weak __init_array_end",
            "adrp {start}, :got:__init_array_start",
            "ldr {start}, [{start}, :got_lo12:__init_array_start]",
            "adrp {end}, :got:__init_array_end",
            "ldr {end}, [{end}, :got_lo12:__init_array_end]",
            start = out(reg) start,
            end = out(reg) end,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    if start.is_null() || end < start {
        return &[];
    }
    // SAFETY: both symbols are the linker's, the two ends of the program's list of constructors, which is mapped for as
    // long as the program runs and not written once it has been loaded.
    unsafe { slice::from_raw_parts(start, end.offset_from_unsigned(start)) }
}
