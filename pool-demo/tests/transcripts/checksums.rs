//! `checksums` against the system's own `sha256sum`.
//!
//! Keeps true: each test has a directory of its own and takes it away; what cannot be read here cannot be read by root
//! either.

#![expect(clippy::unwrap_used, reason = "a test that cannot do what it needs has failed")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, openat};

use crate::program::{Output, Program, run};

const CHECKSUMS: &str = env!("CARGO_BIN_EXE_checksums");

/// A directory that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &[u8], bytes: &[u8]) {
        fs::write(self.0.join(OsStr::from_bytes(name)), bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn checksums(folder: &Path) -> Output {
    run(Program::new(CHECKSUMS).args([folder]))
}

/// Has `sha256sum -c` check what was printed.
fn check(printed: &[u8], folder: &Folder) -> Output {
    let list = folder.0.with_extension("list");
    fs::write(&list, printed).unwrap();
    let checked = run(Program::new("sha256sum").args([OsStr::new("--strict"), OsStr::new("-c"), list.as_os_str()]));
    fs::remove_file(list).unwrap();
    checked
}

const ODD_NAMES: [&[u8]; 14] = [
    b"plain",
    b"two words",
    b" blank first",
    b"*star",
    b"-dash",
    b"#hash",
    b"'quote\"",
    b"back\\slash",
    b"\\",
    b"new\nline",
    b"carriage\rreturn",
    b"\xff\xfe not text",
    b"\xc3\xbc",
    b"all\\of\nit\r\xff",
];

#[test]
fn odd_names_are_printed_as_sha256sum_prints_them_and_accepted_by_it() {
    let folder = Folder::new("odd-names");
    fs::create_dir(folder.0.join("plain.d")).unwrap();
    let mut names = ODD_NAMES.map(<[u8]>::to_vec).to_vec();
    // In the order of bytes a dot comes before a slash, in that of path components after it.
    names.extend([b"plain.d/empty".to_vec(), b"plain.d.txt".to_vec()]);
    names.sort();
    names.iter().for_each(|name| folder.write(name, if name.ends_with(b"empty") { b"" } else { name }));

    let output = checksums(&folder.0);
    assert_eq!((output.code, output.stderr().as_str()), (Some(0), ""));
    let paths = names.iter().map(|name| folder.0.join(OsStr::from_bytes(name)));
    let theirs = run(Program::new("sha256sum").args(paths));
    assert_eq!(output.stdout(), theirs.stdout());
    assert_eq!(output.stdout, theirs.stdout);
    let checked = check(&output.stdout, &folder);
    assert_eq!((checked.code, checked.stderr().as_str()), (Some(0), ""), "{}", checked.stdout());
}

#[test]
fn the_toolchains_library_is_accepted_by_sha256sum() {
    let folder = Folder::new("toolchain");
    let output = run(Program::new(CHECKSUMS));
    assert_eq!((output.code, output.stderr().as_str()), (Some(0), ""));
    assert!(!output.stdout.is_empty());
    let checked = check(&output.stdout, &folder);
    assert_eq!((checked.code, checked.stderr().as_str()), (Some(0), ""), "{}", checked.stdout());
    assert_eq!(checked.stdout().lines().count(), output.stdout().lines().count());
}

#[test]
fn links_pipes_and_sockets_are_left_out() {
    let folder = Folder::new("kinds");
    folder.write(b"file", b"text");
    for (target, link) in [("file", "link"), (".", "loop"), ("nowhere", "dangling")] {
        std::os::unix::fs::symlink(target, folder.0.join(link)).unwrap();
    }
    rustix::fs::mknodat(rustix::fs::CWD, folder.0.join("pipe"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    // Where the path is too long for a socket there is none to leave out.
    let _socket = UnixListener::bind(folder.0.join("socket"));
    let output = checksums(&folder.0);
    assert_eq!((output.code, output.stderr().as_str()), (Some(0), ""));
    assert_eq!(output.stdout().lines().count(), 1, "{}", output.stdout());
    assert!(output.stdout().ends_with("/file\n"), "{}", output.stdout());
}

#[test]
fn a_file_that_cannot_be_read_is_one_line_and_code_1_and_the_rest_goes_on() {
    let folder = Folder::new("unreadable");
    folder.write(b"a", b"");
    folder.write(b"z", b"");
    let name = "n".repeat(200);
    let mut inner = File::open(&folder.0).unwrap();
    let mut path = folder.0.clone();
    // As deep as a path may be long: the last folder can be named, and a file in it cannot.
    while path.as_os_str().len() + 1 + name.len() < 4096 {
        mkdirat(&inner, &name, Mode::RWXU).unwrap();
        inner = openat(&inner, &name, OFlags::RDONLY, Mode::empty()).unwrap().into();
        path.push(&name);
    }
    openat(&inner, &name, OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();

    let output = checksums(&folder.0);
    let unreadable = path.join(&name);
    assert_eq!(output.stderr(), format!("checksums: {unreadable:?}: File name too long (os error 36)\n"));
    assert_eq!(output.code, Some(1));
    let lines = output.stdout();
    let ends: Vec<&str> = lines.lines().map(|line| &line[line.len() - 2..]).collect();
    assert_eq!(ends, ["/a", "/z"]);
}

#[test]
fn a_folder_that_is_none_is_named() {
    let folder = Folder::new("no-folder");
    folder.write(b"file", b"");
    let missing = ("missing", "No such file or directory (os error 2)");
    for (name, error) in [missing, ("file", "Not a directory (os error 20)")] {
        let path = folder.0.join(name);
        let output = checksums(&path);
        assert_eq!(output.stderr(), format!("checksums: {path:?}: {error}\n"));
        assert_eq!((output.code, output.stdout().as_str()), (Some(1), ""));
    }
}

#[test]
fn more_than_one_argument_is_a_wrong_call() {
    let output = run(Program::new(CHECKSUMS).args(["a", "b"]));
    assert_eq!(output.stderr(), "checksums: unexpected argument \"b\"; usage: checksums [DIR]\n");
    assert_eq!((output.code, output.stdout().as_str()), (Some(1), ""));
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let folder = Folder::new("no-reader");
    (0..300).for_each(|number: u32| folder.write(number.to_string().as_bytes(), b""));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = run(Program::new(CHECKSUMS).args([&folder.0]).stdout(writer));
    assert_eq!((output.code, output.stderr().as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_told() {
    let folder = Folder::new("full");
    folder.write(b"file", b"");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = run(Program::new(CHECKSUMS).args([&folder.0]).stdout(full));
    assert_eq!(output.stderr(), "checksums: No space left on device (os error 28)\n");
    assert_eq!(output.code, Some(1));
}

#[test]
fn a_file_larger_than_any_buffer_is_read_to_its_end() {
    let folder = Folder::new("large");
    let mut large = File::create(folder.0.join("large")).unwrap();
    large.set_len(64 << 20).unwrap();
    std::io::Seek::seek(&mut large, std::io::SeekFrom::End(0)).unwrap();
    large.write_all(b"the end").unwrap();
    let output = checksums(&folder.0);
    let checked = check(&output.stdout, &folder);
    assert_eq!((checked.code, checked.stderr().as_str()), (Some(0), ""), "{}", checked.stdout());
}
