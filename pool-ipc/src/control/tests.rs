//! Messages between two ends, and what a hostile peer may try. That nothing leaks is tested in `launch::tests`, in a
//! process of its own.

use std::os::fd::AsRawFd;

use super::*;

/// Sends past our own limits, as a hostile peer would.
pub(crate) fn send_raw(to: &Control, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(fds).size()];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(fds)));
    rustix::net::sendmsg(to, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn received(control: &Control) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut buffer = Vec::new();
    match control.receive(&mut buffer).unwrap() {
        Received::Message { fds } => (buffer, fds),
        other => panic!("no message but {other:?}"),
    }
}

fn malformed(control: &Control) -> &'static str {
    let mut buffer = vec![1, 2, 3];
    match control.receive(&mut buffer).unwrap() {
        Received::Malformed(what) => {
            assert!(buffer.is_empty());
            what
        }
        other => panic!("not malformed but {other:?}"),
    }
}

#[test]
fn messages_arrive_whole_and_in_order() {
    let (one, other) = Control::pair().unwrap();
    let long = vec![9; MAX_MESSAGE];
    assert_eq!(one.send(b"first", &[]).unwrap(), Sent::Whole);
    assert_eq!(one.send(&long, &[]).unwrap(), Sent::Whole);
    assert_eq!(received(&other).0, b"first");
    assert_eq!(received(&other).0, long);
    assert!(matches!(other.receive(&mut Vec::new()).unwrap(), Received::Nothing));
}

#[test]
fn sender_that_waits_bears_too_many_descriptors_under_way_for_a_while_and_not_for_ever() {
    let (one, _other) = Control::pair().unwrap();
    let send = |errno: Errno, refusals: u32| {
        let mut attempts = 0;
        let sent = one.send_by(|| {
            attempts += 1;
            if attempts <= refusals { Err(errno) } else { Ok(()) }
        });
        (attempts, sent.map_err(|error| error.raw_os_error()))
    };
    assert_eq!(send(Errno::NOBUFS, 3), (4, Ok(())));
    // 1, 2, 4 and so on to 512 milliseconds lie between them.
    assert_eq!(send(Errno::TOOMANYREFS, 99), (11, Err(Some(libc::ETOOMANYREFS))));
    assert_eq!(one.send_by(|| Err(Errno::PIPE)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn descriptors_arrive_close_on_exec() {
    let (one, other) = Control::pair().unwrap();
    let (sent, kept) = Control::pair().unwrap();
    assert_eq!(one.send(b"x", &[sent.as_fd(); MAX_DESCRIPTORS]).unwrap(), Sent::Whole);
    drop(sent);
    let (_, fds) = received(&other);
    assert_eq!(fds.len(), MAX_DESCRIPTORS);
    for fd in fds {
        assert_eq!(rustix::io::fcntl_getfd(&fd), Ok(rustix::io::FdFlags::CLOEXEC));
        assert_eq!(Control::from(fd).send(b"through", &[]).unwrap(), Sent::Whole);
        assert_eq!(received(&kept).0, b"through");
    }
}

#[test]
fn messages_beyond_a_limit_are_not_sent() {
    let (one, other) = Control::pair().unwrap();
    assert!(one.send(b"", &[]).is_err());
    assert!(one.send(&vec![0; MAX_MESSAGE + 1], &[]).is_err());
    assert!(one.send(b"x", &[one.as_fd(); MAX_DESCRIPTORS + 1]).is_err());
    assert!(matches!(other.receive(&mut Vec::new()).unwrap(), Received::Nothing));
}

#[test]
fn a_full_channel_is_said_to_be_full_and_loses_nothing() {
    let (one, other) = Control::pair().unwrap();
    let mut count = 0_u32;
    while one.send(&vec![0; 10_000], &[]).unwrap() == Sent::Whole {
        count += 1;
    }
    assert!(count > 1);
    for _ in 0..count {
        assert_eq!(received(&other).0.len(), 10_000);
    }
    assert!(matches!(other.receive(&mut Vec::new()).unwrap(), Received::Nothing));
}

#[test]
fn a_waiting_sender_goes_on_when_there_is_room() {
    let (one, other) = Control::pair().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..200_u32).for_each(|n| one.send_waiting(&[&n.to_le_bytes(), &[0; 10_000][..]].concat(), &[]).unwrap())
        });
        let mut buffer = Vec::new();
        for expected in 0..200_u32 {
            assert!(matches!(other.receive_waiting(&mut buffer).unwrap(), Received::Message { .. }));
            assert_eq!(buffer[..4], expected.to_le_bytes());
        }
    });
}

#[test]
fn a_waiting_sender_gives_up_when_its_peer_ends() {
    let (one, other) = Control::pair().unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            loop {
                if let Err(error) = one.send_waiting(&[0; 10_000], &[]) {
                    break error;
                }
            }
        });
        assert!(matches!(other.receive_waiting(&mut Vec::new()).unwrap(), Received::Message { .. }));
        drop(other);
        assert!(matches!(sender.join().unwrap().kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
    });
}

#[test]
fn b005_what_a_peer_sent_before_its_end_arrives_even_if_it_left_messages_unread() {
    let (one, other) = Control::pair().unwrap();
    assert_eq!(other.send(b"never read", &[]).unwrap(), Sent::Whole);
    assert_eq!(one.send(b"last words", &[]).unwrap(), Sent::Whole);
    drop(one);
    assert_eq!(received(&other).0, b"last words");
    for _ in 0..3 {
        assert!(matches!(other.receive(&mut Vec::new()).unwrap(), Received::Eof));
    }
}

#[test]
fn d012_too_many_descriptors_are_turned_down() {
    let (one, other) = Control::pair().unwrap();
    for count in [MAX_DESCRIPTORS + 1, MAX_DESCRIPTORS + 2, 200, 253] {
        send_raw(&one, b"x", &vec![one.as_fd(); count]).unwrap();
        assert_eq!(malformed(&other), "more than 4 descriptors in a message");
    }
    assert_eq!(one.send(b"next", &[]).unwrap(), Sent::Whole);
    assert_eq!(received(&other).0, b"next");
}

#[test]
fn a_message_that_is_too_long_is_turned_down_whole() {
    let (one, other) = Control::pair().unwrap();
    send_raw(&one, &vec![0; MAX_MESSAGE + 1], &[one.as_fd()]).unwrap();
    assert_eq!(one.send(b"next", &[]).unwrap(), Sent::Whole);
    assert_eq!(malformed(&other), "a message that is longer than allowed");
    assert_eq!(received(&other).0, b"next");
}

#[test]
fn an_empty_message_is_not_taken_for_the_end() {
    let (one, other) = Control::pair().unwrap();
    send_raw(&one, b"", &[]).unwrap();
    send_raw(&one, b"", &[one.as_fd()]).unwrap();
    assert_eq!(malformed(&other), "a message without bytes");
    assert_eq!(malformed(&other), "a message without bytes");
    assert!(matches!(other.receive(&mut Vec::new()).unwrap(), Received::Nothing));
    send_raw(&one, b"", &[]).unwrap();
    drop(one);
    assert!(matches!(other.receive(&mut Vec::new()).unwrap(), Received::Eof));
}

#[test]
fn both_ends_are_close_on_exec() {
    let (one, other) = Control::pair().unwrap();
    for fd in [one.as_fd(), other.as_fd()] {
        assert_eq!(rustix::io::fcntl_getfd(fd), Ok(rustix::io::FdFlags::CLOEXEC), "{}", fd.as_raw_fd());
    }
}
