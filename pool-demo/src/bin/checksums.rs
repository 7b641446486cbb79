//! SHA-256 of every file below a directory, on all cores, as `sha256sum` prints it.
//!
//! Keeps true: only regular files, in the order of their paths' bytes; what cannot be read is a line on stderr and exit
//! code 1, and stops nothing else; no file is held in memory whole.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use pool_core::ProcessPoolExecutor;
use sha2::{Digest, Sha256};

/// How many files are under way at a time.
const AHEAD: usize = 256;

fn checksum(path: OsString) -> Result<String, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 128 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn main() -> ExitCode {
    pool_core::init();
    env_logger::init();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.as_slice() {
        [] => toolchain().and_then(print_all),
        [root] => print_all(root.into()),
        [_, surplus, ..] => Err(format!("unexpected argument {surplus:?}; usage: checksums [DIR]").into()),
    };
    done.unwrap_or_else(|error| {
        // Nobody reads on, as with `| head`: that is no failure.
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("checksums: {error}");
        ExitCode::FAILURE
    })
}

fn print_all(root: PathBuf) -> Result<ExitCode, Box<dyn Error>> {
    let mut code = ExitCode::SUCCESS;
    let mut complain = |path: &OsString, error: &dyn Error| {
        code = ExitCode::FAILURE;
        // The name as Rust would write it, so that it is one line whatever is in it.
        eprintln!("checksums: {path:?}: {error}");
    };
    let mut paths = Vec::new();
    collect(root, &mut paths, &mut complain);
    paths.sort_unstable();

    let pool = ProcessPoolExecutor::builder().build()?;
    let checksums = pool.batch().buffersize(AHEAD).map(checksum, paths.iter().cloned())?;
    let mut out = BufWriter::new(io::stdout().lock());
    for (path, checksum) in paths.iter().zip(checksums) {
        match checksum.map_err(Box::<dyn Error>::from).and_then(|checksum| Ok(checksum?)) {
            Ok(checksum) => out.write_all(&line(&checksum, path.as_bytes()))?,
            Err(error) => complain(path, &*error),
        }
    }
    out.flush()?;
    Ok(code)
}

/// The library folder of the Rust toolchain: some hundred megabytes that are at hand.
fn toolchain() -> Result<PathBuf, Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "it asks another program for a path, which is no worker")]
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let mut sysroot = match output {
        Ok(output) if output.status.success() => output.stdout,
        _ => return Err("cannot ask rustc for its sysroot: name a directory".into()),
    };
    sysroot.truncate(sysroot.trim_ascii_end().len());
    Ok(PathBuf::from(OsString::from_vec(sysroot)).join("lib"))
}

/// The regular files below a folder. Links are not followed.
fn collect(folder: PathBuf, paths: &mut Vec<OsString>, complain: &mut impl FnMut(&OsString, &dyn Error)) {
    let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let folder = folder.into_os_string();
    for entry in entries.unwrap_or_else(|error| (complain(&folder, &error), Vec::new()).1) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(entry.path(), paths, complain),
            Ok(kind) if kind.is_file() => paths.push(entry.path().into_os_string()),
            Ok(_) => {}
            Err(error) => complain(&entry.path().into_os_string(), &error),
        }
    }
}

/// A line of `sha256sum`: a name with a backslash or an end of line in it is escaped, and the line begins with a backslash.
fn line(checksum: &str, name: &[u8]) -> Vec<u8> {
    let escaped = name.iter().flat_map(|byte| match byte {
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        byte => std::slice::from_ref(byte),
    });
    let escaped: Vec<u8> = escaped.copied().collect();
    let mark = if escaped.len() == name.len() { "" } else { "\\" };
    [mark.as_bytes(), checksum.as_bytes(), b"  ", &escaped, b"\n"].concat()
}
