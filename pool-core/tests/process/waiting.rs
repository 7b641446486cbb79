//! One wait for many things.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use pool_core::{Process, process};

use crate::{Ear, Gate, WATCHDOG, end_of, pass, say};

/// Reads all of these to their end, whichever is ready, and gives what each said.
fn read_to_the_ends<R: Read + AsFd>(readers: Vec<R>) -> Vec<String> {
    let mut said = vec![Vec::new(); readers.len()];
    let mut open: Vec<(usize, R)> = readers.into_iter().enumerate().collect();
    while !open.is_empty() {
        let waited: Vec<&R> = open.iter().map(|(_, reader)| reader).collect();
        let ready = process::wait(&waited, Some(WATCHDOG)).unwrap();
        assert!(!ready.is_empty(), "the ends did not come; {} are open", open.len());
        for place in ready.into_iter().rev() {
            let mut bytes = [0; 16];
            match open[place].1.read(&mut bytes).unwrap() {
                0 => drop(open.remove(place)),
                count => said[open[place].0].extend(&bytes[..count]),
            }
        }
    }
    said.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
}

/// What writer `number` says.
fn words(number: usize) -> String {
    (0..10).map(|word| format!("({word}, {number})")).collect()
}

fn write_to_pipe(path: String, number: usize, ready: String) {
    let mut writer = std::fs::File::options().write(true).open(path).unwrap();
    say(&ready, "open");
    writer.write_all(words(number).as_bytes()).unwrap();
}

#[test]
fn a229_four_writers_are_read_to_their_ends() {
    let mut ready = Ear::new();
    let pipes: Vec<_> = (0..4).map(|_| std::io::pipe().unwrap()).collect();
    let child = |(number, (_, writer)): (usize, &(_, std::io::PipeWriter))| {
        Process::new(write_to_pipe, (crate::path_of(writer), number, ready.path()))
    };
    let children: Vec<Process> = pipes.iter().enumerate().map(child).collect();
    children.iter().for_each(|child| child.start().unwrap());
    children.iter().for_each(|_| assert_eq!(ready.line(), "open"));
    let readers = pipes.into_iter().map(|(reader, _)| reader).collect();
    assert_eq!(read_to_the_ends(readers), [0, 1, 2, 3].map(words));
    children.iter().for_each(|child| assert_eq!(end_of(child), Some(0)));
}

/// A writer that takes its time if there is a gate for each word.
fn write_to_socket(port: u16, number: usize, gate: Option<String>) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for word in words(number).split_inclusive(')') {
        if let Some(gate) = &gate {
            pass(gate);
        }
        socket.write_all(word.as_bytes()).unwrap();
    }
}

/// Connects four children one after the other, so that it is known which is which.
fn sockets(gate: Option<String>) -> (Vec<Process>, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connected = |number: usize| {
        let child = Process::new(write_to_socket, (port, number, gate.clone()));
        child.start().unwrap();
        assert_eq!(process::wait(&[&listener], Some(WATCHDOG)).unwrap(), [0]);
        (child, listener.accept().unwrap().0)
    };
    (0..4).map(connected).unzip()
}

#[test]
fn a230_sockets_are_waited_for_as_pipes_are() {
    let (children, sockets) = sockets(None);
    assert_eq!(read_to_the_ends(sockets), [0, 1, 2, 3].map(words));
    children.iter().for_each(|child| assert_eq!(end_of(child), Some(0)));
}

#[test]
fn a231_slow_writers_are_waited_for_word_by_word() {
    let mut gate = Gate::new();
    let (children, sockets) = sockets(Some(gate.path()));
    let opener = pool_core::thread::spawn(move || {
        for _ in 0..40 {
            gate.open();
            std::thread::sleep(Duration::from_millis(2));
        }
        gate
    });
    assert_eq!(read_to_the_ends(sockets), [0, 1, 2, 3].map(words));
    opener.join().unwrap();
    children.iter().for_each(|child| assert_eq!(end_of(child), Some(0)));
}

#[test]
fn a232_a_wait_ends_at_its_timeout_or_when_something_comes() {
    let ((one, mut writer), (other, _kept)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let (before, limit) = (Instant::now(), Duration::from_millis(50));
    assert_eq!(process::wait(&[&one, &other], Some(limit)).unwrap(), [0; 0]);
    assert!(before.elapsed() >= limit);
    writer.write_all(b"x").unwrap();
    assert_eq!(process::wait(&[&other, &one], Some(WATCHDOG)).unwrap(), [1]);
}

#[test]
fn a233_processes_and_pipes_are_waited_for_together() {
    let (mut end, mut other_end) = (Gate::new(), Gate::new());
    let (mut pipe, mut writer) = std::io::pipe().unwrap();
    let (mut other_pipe, mut other_writer) = std::io::pipe().unwrap();
    let start = |gate: &Gate| {
        let child = Process::new(|gate: String| pass(&gate), (gate.path(),));
        child.start().unwrap();
        child
    };
    let (child, other_child) = (start(&end), start(&other_end));
    let (sentinel, other_sentinel) = (child.sentinel().unwrap(), other_child.sentinel().unwrap());
    let ready =
        |limit| process::wait::<&dyn AsFd>(&[&pipe, &sentinel, &other_pipe, &other_sentinel], Some(limit)).unwrap();
    assert_eq!(ready(Duration::ZERO), [0; 0]);
    end.open();
    assert_eq!(ready(WATCHDOG), [1]);
    writer.write_all(b"x").unwrap();
    assert_eq!(ready(WATCHDOG), [0, 1]);
    other_writer.write_all(b"x").unwrap();
    assert_eq!(ready(WATCHDOG), [0, 1, 2]);
    other_end.open();
    assert_eq!(end_of(&other_child), Some(0));
    assert_eq!(ready(WATCHDOG), [0, 1, 2, 3]);
    pipe.read_exact(&mut [0]).unwrap();
    other_pipe.read_exact(&mut [0]).unwrap();
    assert_eq!(end_of(&child), Some(0));
}

/// No duration is negative here: what is left until a time that is past is zero, and only looks.
#[test]
fn a234_a_time_that_is_past_is_a_look() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let past = Instant::now();
    let left = past.saturating_duration_since(Instant::now());
    assert_eq!(process::wait(&[&reader], Some(left)).unwrap(), [0; 0]);
}

#[test]
fn a235_a_wait_for_nothing_lasts_as_long_as_it_may() {
    let nothing: [TcpStream; 0] = [];
    let (before, limit) = (Instant::now(), Duration::from_millis(50));
    assert_eq!(process::wait(&nothing, Some(limit)).unwrap(), [0; 0]);
    assert!(before.elapsed() >= limit);
    assert_eq!(process::wait(&nothing, Some(Duration::ZERO)).unwrap(), [0; 0]);
}
