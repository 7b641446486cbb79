//! A program whose main forgets `init`, and makes a pool of several workers.

use pool_core::ProcessPoolExecutor;

fn main() {
    let pool = ProcessPoolExecutor::builder().max_workers(3).min_workers(3).build().unwrap();
    match pool.submit(u32::pow, (2, 8)) {
        Ok(future) => println!("{:?}", future.result().map_err(|error| error.to_string())),
        Err(error) => println!("{:?}", Err::<u32, _>(error.to_string())),
    }
}
