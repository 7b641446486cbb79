//! Process pool.
