//! A closure that captures without `move` gets the compiler's words, which the README explains.
//!
//! expect: error[E0373]: closure may outlive the current function, but it borrows `base`
//! expect: may outlive borrowed value `base`
//! expect: use the `move` keyword

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    let base = 3_u32;
    pool.submit(|number: u32| number + base, (1,)).unwrap();
}
