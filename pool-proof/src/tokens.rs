//! The word by which the processes of a run are known: each of them has it in its environment.

/// The variable that holds it.
pub(crate) const VARIABLE: &str = "POOL_PROOF_RUN";

/// A word that no other run on this machine has.
pub(crate) fn new(number: u64) -> String {
    let nanoseconds = std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos());
    format!("{}-{number}-{nanoseconds}", std::process::id())
}
