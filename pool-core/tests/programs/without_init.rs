//! A program whose main forgets `init`, and starts a process.

use pool_core::Process;

fn main() {
    let child = Process::new(|| println!("it ran"), ());
    child.start().unwrap();
    child.join().unwrap();
    println!("{:?}", child.exitcode());
}
