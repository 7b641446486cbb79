//! Starts that fail, and what a process may be given.

use std::sync::atomic::{AtomicBool, Ordering};

use pool_core::{Bytes, CommandError, Process, ProcessError};
use serde::{Deserialize, Serialize, Serializer};

use crate::{Ear, end_of, say};

/// Cannot be encoded at first.
#[derive(Deserialize)]
struct Reluctant;

static WILLING: AtomicBool = AtomicBool::new(false);

impl Serialize for Reluctant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if WILLING.load(Ordering::Relaxed) {
            serializer.serialize_unit_struct("Reluctant")
        } else {
            Err(serde::ser::Error::custom("not yet"))
        }
    }
}

#[test]
fn arguments_that_cannot_be_encoded_are_an_error_of_the_start_which_may_be_repeated() {
    let child = Process::builder().name("patient").target(|_: Reluctant| (), (Reluctant,));
    let error = child.start().unwrap_err();
    assert!(matches!(error, ProcessError::Encode { .. }));
    assert!(error.to_string().starts_with("process patient cannot be started: the arguments of task "), "{error}");
    assert_eq!((child.pid(), child.is_alive()), (None, false));
    WILLING.store(true, Ordering::Relaxed);
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(0));
}

#[derive(Deserialize)]
struct Panicking;

impl Serialize for Panicking {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("never")
    }
}

#[test]
fn a_panic_while_arguments_are_encoded_is_an_error_of_the_start() {
    let child = Process::new(|_: Panicking| (), (Panicking,));
    let error = child.start().unwrap_err();
    assert!(error.to_string().contains("its Serialize panicked: never"), "{error}");
}

#[derive(Serialize)]
struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("never"))
    }
}

#[test]
fn arguments_that_the_child_cannot_decode_are_exit_code_1_with_a_message() {
    let ear = Ear::new();
    let script = "exec \"$0\" 2>\"$OUT\"";
    let exe = std::env::current_exe().unwrap();
    let child = Process::builder()
        .name("reader")
        .command("/bin/sh", ["-c".as_ref(), script.as_ref(), exe.as_os_str()])
        .env("OUT", ear.path())
        .target(|_: Unreadable| (), (Unreadable,));
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(1));
    let mut ear = ear;
    let said = ear.rest();
    assert!(said.contains(") failed: its arguments could not be decoded: type "), "{said}");
}

#[test]
fn a131_the_program_can_be_chosen_in_any_form_of_a_path() {
    let path = std::env::current_exe().unwrap();
    let none: [&str; 0] = [];
    let text = path.to_str().unwrap();
    let forms = [
        Process::builder().command(text, none),
        Process::builder().command(text.to_owned(), none),
        Process::builder().command(path.as_os_str(), none),
        Process::builder().command(path.clone(), none),
    ];
    for form in forms {
        let child = form.target(|| std::env::args().len() as i32, ());
        child.start().unwrap();
        assert_eq!(end_of(&child), Some(1), "the program's name and no argument");
    }
}

#[test]
fn a132_arguments_arrive_as_they_were_given() {
    fn compare(number: i32, text: String, list: Vec<i32>, pair: (i32, Option<char>)) {
        assert_eq!((number, &*text, &*list, pair), (1, "str", &[1][..], (1, Some('a'))));
    }
    let children = [
        Process::new(compare, (1, "str".to_owned(), vec![1], (1, Some('a')))),
        Process::new(|only: (i32,)| assert_eq!(only, (1,)), ((1,),)),
        Process::new(|| (), ()),
    ];
    for child in children {
        child.start().unwrap();
        assert_eq!(end_of(&child), Some(0));
    }
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let child = Process::builder().name("lost").command("/nowhere/to/be/found", ["x"]).target(|| (), ());
    let error = child.start().unwrap_err();
    let expected =
        "process lost cannot be started: starting a process (/nowhere/to/be/found): No such file or directory";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn an_environment_that_no_process_can_have_is_told_by_the_start() {
    let child = Process::builder().name("odd").env("A=B", "c").target(|| (), ());
    let error = child.start().unwrap_err();
    assert!(matches!(error, ProcessError::Command { source: CommandError::VariableName { .. }, .. }), "{error}");
    let expected = "process odd cannot be started: the environment variable \"A=B\" has a NUL byte or = in its name";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn arguments_of_any_size_arrive() {
    let mut ear = Ear::new();
    let sum = |bytes: Bytes, ear: String| say(&ear, bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    let child = Process::new(sum, (Bytes::from(vec![1; 8 << 20]), ear.path()));
    child.start().unwrap();
    assert_eq!(ear.line(), (8 << 20).to_string());
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn the_environment_and_the_directory_can_be_chosen() {
    fn report(ear: String) {
        let variable = |name| std::env::var(name).unwrap_or_else(|_| "none".to_owned());
        let directory = std::env::current_dir().unwrap();
        say(&ear, format_args!("{} {} {}", variable("POOL_TEST"), variable("PATH"), directory.display()));
    }
    let mut ear = Ear::new();
    let child =
        Process::builder().env("POOL_TEST", "set").env_remove("PATH").current_dir("/").target(report, (ear.path(),));
    child.start().unwrap();
    assert_eq!(ear.line(), "set none /");
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn a_child_that_is_never_taken_over_starts_none_of_its_own() {
    // With the hook off the child runs the test program's own main, told to run nothing but this very test. There it is
    // about to start the next one, which would come here again.
    let this = "starting::a_child_that_is_never_taken_over_starts_none_of_its_own";
    let (exe, script) = (std::env::current_exe().unwrap(), format!("exec \"$0\" --exact {this} >/dev/null"));
    let arguments = ["-c".as_ref(), script.as_ref(), exe.as_os_str()];
    let child = Process::builder().env("POOL_CORE_NO_HOOK", "1").command("/bin/sh", arguments).target(|| (), ());
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(3));
}
