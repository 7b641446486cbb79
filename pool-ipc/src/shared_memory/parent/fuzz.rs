//! The parent's end of the control channel against any messages with any descriptors, through a real socket.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::sync::LazyLock;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::*;
use crate::fuzzing::{Pieces, Target, as_piece, fate};

/// How many kinds of descriptors there are; the last is made anew each time, and shrinks after it was sent.
const KINDS: u8 = 6;

#[test]
fn fuzz_control_messages_of_a_worker() {
    Target { corpus: "control", seeds: seeds(), judge }.run();
}

fn judge(input: &[u8]) -> u64 {
    let (near, far) = Control::pair().expect("there are descriptors");
    let far = OwnedFd::from(far);
    let channel = Channel::new(Growth::ByDescriptor(kind(0)), near);
    let mut pieces = Pieces(input);
    let mut verdicts = Vec::new();
    while !pieces.is_empty() && verdicts.len() < 300 {
        let verdict = match pieces.byte() % 4 {
            0 => channel.drain().map(drop),
            1 => channel.take_large(pieces.number() % 300, pieces.number()).map(drop),
            long => {
                let kinds: Vec<u8> = (0..pieces.byte() % 7).map(|_| pieces.byte() % KINDS).collect();
                let mut message = pieces.piece().to_vec();
                // Longer than any may be.
                message.resize(if long == 3 { message.len() * 40 } else { message.len() }, 0);
                send(&far, &message, &kinds);
                Ok(())
            }
        };
        verdicts.push(verdict.err());
        let inbox = channel.inbox.lock();
        assert!(inbox.said.len() <= MAX_UNHEARD && inbox.mail.len() <= MAX_MAIL);
        assert!(inbox.said.iter().all(|said| said.len() <= crate::backend::MAX_SAID));
    }
    drop(far);
    verdicts.push(channel.drain().err());
    let inbox = channel.inbox.into_inner();
    for (len, body) in inbox.mail.values() {
        let Ok(body) = body else { continue };
        // Reads all of it, where memory that has shrunk would be the end of this process.
        assert!(body.len() as u64 == *len && body.as_slice().iter().all(|&byte| byte < 0xfe));
    }
    let kinds = [inbox.mail.len(), inbox.said.len()].map(|count| count.min(3) as u64);
    fate(kinds.into_iter().chain([first_of(&verdicts)]))
}

/// What the first complaint was.
fn first_of(verdicts: &[Option<Corrupt>]) -> u64 {
    let Some(corrupt) = verdicts.iter().flatten().next() else { return 0 };
    let mut hasher = DefaultHasher::new();
    corrupt.to_string().hash(&mut hasher);
    hasher.finish() % 251 + 1
}

/// Sends past all limits of [`Control::send`]. What finds no room is not sent.
fn send(to: &OwnedFd, message: &[u8], kinds: &[u8]) {
    // Sealing may take the kernel a while, so it is done once.
    static STEADY: LazyLock<Vec<OwnedFd>> = LazyLock::new(|| (0..KINDS - 1).map(kind).collect());
    let shrinking = kind(KINDS - 1);
    let fd = |&kind: &u8| STEADY.get(usize::from(kind)).unwrap_or(&shrinking).as_fd();
    let borrowed: Vec<BorrowedFd<'_>> = kinds.iter().map(fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(kinds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let _no_room = rustix::net::sendmsg(to, &[IoSlice::new(message)], &mut ancillary, flags);
    rustix::fs::ftruncate(&shrinking, 0).expect("it is not sealed");
}

/// A descriptor: a device, memory that is not sealed, sealed, sealed and empty, full of holes, and memory that will shrink.
fn kind(number: u8) -> OwnedFd {
    let bare = || rustix::fs::memfd_create("fuzz", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).expect("a memfd");
    let sized = |size, seals| {
        let memory = bare();
        rustix::fs::ftruncate(&memory, size).expect("holes cost nothing");
        rustix::fs::fcntl_add_seals(&memory, seals).expect("nobody maps it");
        memory
    };
    let sealed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    match number {
        0 => std::fs::File::open("/dev/null").expect("it is there").into(),
        1 => memfd::create("fuzz", 3).expect("there is memory"),
        2 => memfd::freeze(b"abc").expect("there is memory"),
        3 => sized(0, sealed),
        4 => sized(1 << 40, sealed),
        _ => sized(3, SealFlags::empty()),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let sent = |kinds: &[u8], message: &[u8]| [&[2, kinds.len() as u8], kinds, &as_piece(message)].concat();
    let taken = |id: u64, len: u64| [&[1], &id.to_le_bytes()[..], &len.to_le_bytes()].concat();
    let mut seeds: Vec<Vec<u8>> = (0..KINDS)
        .flat_map(|kind| [0, 3, 1 << 40].map(|len| [sent(&[kind], &message::large(5, len)), taken(5, len)].concat()))
        .collect();
    seeds.extend([
        sent(&[], &message::said(b"hello")),
        sent(&[2], &message::said(b"hello")),
        sent(&[], &message::welcome()),
        sent(&[], &[]),
        sent(&[2; 6], &message::large(5, 3)),
        [sent(&[], &message::large(5, 3)), taken(5, 3), taken(5, 3)].concat(),
        [sent(&[2], &message::large(1, 3)), vec![0], sent(&[2], &message::large(1, 3)), vec![0]].concat(),
        [vec![3, 0], as_piece(&[17; 2000])].concat(),
        (0..70).flat_map(|_| [sent(&[], &message::said(b"x")), vec![0]]).flatten().collect(),
    ]);
    seeds
}
