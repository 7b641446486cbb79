//! Tasks that touch the terminal get an error or go on, whatever job control says; they are never stopped for ever.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use pool_core::Builder;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};

use crate::alone::Scene;
use crate::backends::pool;

mod d01_a_task_that_touches_the_terminal_is_not_stopped {
    #[test]
    fn shared_memory() {
        super::touch(concat!(module_path!(), "::shared_memory"), crate::backends::shared_memory());
    }

    #[test]
    fn ipc_channel() {
        super::touch(concat!(module_path!(), "::ipc_channel"), crate::backends::ipc_channel());
    }
}

/// Gives the program behind it a terminal of its own.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

fn touch(path: &str, builder: Builder) {
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => return touch_here(builder),
    };
    let mut running = host.through(["python3", "-c", TERMINAL]).start();
    running.told("a task prints");
    running.assert_success();
}

fn terminal() -> File {
    OpenOptions::new().read(true).write(true).open("/dev/tty").unwrap()
}

/// The error number of what was tried.
fn errno(result: std::io::Result<()>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn read() -> Option<i32> {
    errno(terminal().read_exact(&mut [0]))
}

fn print() -> Option<i32> {
    errno(terminal().write_all(b"a task prints\n"))
}

fn set() -> Option<i32> {
    let terminal = terminal();
    let modes = tcgetattr(&terminal).unwrap();
    errno(tcsetattr(&terminal, OptionalActions::Now, &modes).map_err(Into::into))
}

fn touch_here(builder: Builder) {
    const EIO: i32 = 5;
    let terminal = terminal();
    // There is job control, and the terminal is this program's.
    assert_eq!(tcgetpgrp(&terminal).unwrap(), rustix::process::getpgrp());
    let mut modes = tcgetattr(&terminal).unwrap();
    modes.local_modes |= LocalModes::TOSTOP;
    tcsetattr(&terminal, OptionalActions::Now, &modes).unwrap();
    let pool = pool(builder, 1);
    assert_eq!(pool.submit(read, ()).unwrap().result().unwrap(), Some(EIO));
    assert_eq!(pool.submit(print, ()).unwrap().result().unwrap(), None);
    assert_eq!(pool.submit(set, ()).unwrap().result().unwrap(), None);
    // Its stdin is not the terminal at all.
    let standard = || std::io::read_to_string(std::io::stdin()).map_err(|error| error.to_string());
    assert_eq!(pool.submit(standard, ()).unwrap().result().unwrap(), Ok(String::new()));
}
