//! Where things are: the workspace's root, its build directory, and the cargo that runs us.
//!
//! Keeps true: every cargo that we start works in the root and builds where the caller's own cargo builds.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the workspace's Cargo.toml.
pub(crate) fn root() -> PathBuf {
    // At run time first: a shared build directory may hold the xtask of another checkout.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(chosen) => std::path::absolute(&chosen).unwrap_or_else(|_| PathBuf::from(chosen)),
        None => root().join("target"),
    }
}

/// A cargo in the root, without colours, in the build directory that everybody shares.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("CARGO_TERM_COLOR", "never").env("CARGO_TARGET_DIR", target());
    command
}

/// A cargo that compiles with more flags, in a build directory of its own so that the usual one stays warm.
pub(crate) fn cargo_with_flags(flags: &str, subdirectory: &str) -> Command {
    let mut command = cargo();
    let flags = match env::var("RUSTFLAGS") {
        Ok(given) if !given.is_empty() => format!("{given} {flags}"),
        _ => flags.to_owned(),
    };
    command.env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", target().join(subdirectory));
    command
}
