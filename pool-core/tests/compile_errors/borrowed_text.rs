//! A borrowed text is named. The sentence is the compiler's; the documentation of `Arguments` explains it.
//!
//! expect: implementation of `serde_core::de::Deserialize` is not general enough
//! expect: `&str`

fn length(text: &str) -> usize {
    text.len()
}

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    pool.submit(length, ("text",)).unwrap();
}
