//! A program whose main reads its arguments before it calls `init`, and ends where they are not what it expects.

use pool_core::ProcessPoolExecutor;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(exponent), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: parses_arguments_first BASE EXPONENT");
        std::process::exit(2);
    };
    let (base, exponent): (u64, u32) = (base.parse().unwrap(), exponent.parse().unwrap());
    pool_core::init();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    println!("{}", pool.submit(u64::pow, (base, exponent)).unwrap().result().unwrap());
}
