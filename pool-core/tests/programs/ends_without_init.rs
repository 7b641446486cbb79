//! A program whose main forgets `init`, and does nothing in its children but print and end.

use pool_core::Process;

fn main() {
    if std::env::var_os("IS_CHILD").is_some() {
        print!("main ran ");
        return;
    }
    let child = Process::builder().env("IS_CHILD", "yes").target(|| print!("the function ran "), ());
    child.start().unwrap();
    child.join().unwrap();
    println!("{:?}", child.exitcode());
}
