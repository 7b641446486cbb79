//! How a worker gets its ends of the channels, through the crate's public interface and without a file.
//!
//! The crate has one way to bring two processes together: a one-shot server, which listens on a socket file in a private
//! directory. Rules:
//!
//! 1. The parent makes the server, opens the file for its place only (`O_PATH`), and removes file and directory at once.
//!    From then on nobody finds the server but who holds that descriptor, the *door*, and whoever dies leaves nothing.
//! 2. The worker gets the door over its control channel and connects to `/proc/self/fd/N`, which names the socket as long
//!    as the door is open. It makes both channels, and sends the parent's ends of them with a number that only it was told.
//! 3. Only then it says so on the control channel ([`Knocked`](super::message::Control::Knocked)). The parent accepts
//!    after that, and so finds the connection and the hello there: it never waits.
//! 4. The socket that accepts is not close-on-exec (the crate calls accept(2) plainly). It is closed at once, and no
//!    worker of this backend is started in between ([`ALONE`]).
//! 5. The three descriptors that accepting takes are reserved when the worker is started, where their lack is an error.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use ipc_channel::IpcError;
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender, channel};
use once_cell::sync::OnceCell;
use parking_lot::{RwLock, RwLockReadGuard};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, OFlags};

use super::packet::{Packet, guarded};
use crate::backend::Corrupt;

/// The longest path of a socket, in bytes. The crate cuts off what is longer.
const MAX_SOCKET_PATH: usize = 107;

/// How much longer a server's path is than that of the directory for temporary files: `/.tmpXXXXXX/socket`, and to spare.
const SERVER_PATH: usize = 24;

/// Descriptors that accepting takes: the connection, and two channels' ends.
const RESERVED: usize = 3;

/// Descriptors that a meeting and its door take.
const OPENED: usize = 2;

/// Read while a worker is started, written while a socket is open that it would inherit.
static ALONE: RwLock<()> = RwLock::new(());

/// Keeps all meetings from accepting while it lives.
pub(super) fn starting() -> RwLockReadGuard<'static, ()> {
    ALONE.read()
}

/// The parent's side, from the start of a worker until that has knocked.
pub(super) struct Meeting {
    server: IpcOneShotServer<Hello>,
    nonce: u64,
    reserved: Vec<OwnedFd>,
}

/// A process's ends of the two channels: the parent sends requests and receives answers.
pub(super) struct Ends {
    pub(super) requests: IpcSender<Packet>,
    pub(super) answers: IpcReceiver<Packet>,
}

/// A worker's ends.
pub(super) struct FarEnds {
    pub(super) requests: IpcReceiver<Packet>,
    pub(super) answers: IpcSender<Packet>,
    /// For the worker's own use: tells itself to end.
    pub(super) closer: IpcSender<Packet>,
}

/// Why a meeting came to nothing.
#[derive(Debug)]
pub(super) enum Missed {
    /// Somebody else came, or the worker said something else.
    Stranger(Corrupt),
    /// The system refused something, most likely a descriptor.
    System(io::Error),
}

/// What a worker brings.
#[derive(serde::Serialize, serde::Deserialize)]
struct Hello {
    nonce: u64,
    requests: IpcSender<Packet>,
    answers: IpcReceiver<Packet>,
}

impl Meeting {
    /// Listens, and gives the door.
    ///
    /// # Errors
    /// The directory for temporary files cannot be used, or no descriptor was to be had.
    pub(super) fn arrange() -> io::Result<(Self, OwnedFd)> {
        require_usable(&std::env::temp_dir())?;
        // Where the crate has no number left for its socket, it has none either to clear its directory away.
        let mut reserved = reserve(RESERVED + OPENED)?;
        reserved.truncate(RESERVED);
        let (server, path) = IpcOneShotServer::new()?;
        let path = Path::new(&path);
        let door = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty());
        // What fails here is tried again when the server is dropped.
        let _removed = std::fs::remove_file(path);
        let _removed = path.parent().map(std::fs::remove_dir);
        let door = door?;
        // Keyed by the system's randomness, so not to be guessed.
        let nonce = RandomState::new().hash_one(std::process::id());
        Ok((Self { server, nonce, reserved }, door))
    }

    /// What the worker has to prove that it knows.
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Takes what the worker brought. To be called once it has knocked, otherwise it waits for that.
    pub(super) fn accept(self) -> Result<Ends, Missed> {
        let Self { server, nonce, reserved } = self;
        let _alone = ALONE.write();
        drop(reserved);
        match guarded(|| server.accept()) {
            Some(Ok((_connection, hello))) if hello.nonce == nonce => {
                Ok(Ends { requests: hello.requests, answers: hello.answers })
            }
            Some(Ok(_)) => Err(Missed::Stranger(Corrupt::Message { what: "a hello from a stranger" })),
            Some(Err(IpcError::Io(error))) => Err(Missed::System(error)),
            Some(Err(_)) => Err(Missed::Stranger(Corrupt::Message { what: "a hello that is none" })),
            // The ends did not get in: the crate looks for them without asking whether they are there.
            None => Err(Missed::System(io::Error::from_raw_os_error(libc::EMFILE))),
        }
    }
}

/// The worker's side: makes the channels and brings the parent its ends.
///
/// # Errors
/// The parent is gone, or no descriptor was to be had.
pub(super) fn attend(door: BorrowedFd<'_>, nonce: u64) -> io::Result<FarEnds> {
    let (to_self, requests) = channel::<Packet>()?;
    let (answers, to_parent) = channel::<Packet>()?;
    let parent = IpcSender::connect(format!("/proc/self/fd/{}", door.as_raw_fd()))?;
    let hello = Hello { nonce, requests: to_self.clone(), answers: to_parent };
    parent.send(hello).map_err(io::Error::other)?;
    Ok(FarEnds { requests, answers, closer: to_self })
}

/// Takes so many descriptors, or none.
fn reserve(count: usize) -> io::Result<Vec<OwnedFd>> {
    let one = || eventfd(0, EventfdFlags::CLOEXEC);
    Ok(std::iter::repeat_with(one).take(count).collect::<Result<_, _>>()?)
}

/// The crate makes sure of none of this: it panics at a name that is no text or at no directory, and cuts a long name off.
fn require_usable(directory: &Path) -> io::Result<()> {
    let path = std::path::absolute(directory)?;
    let len = path.as_os_str().len() + SERVER_PATH;
    if path.to_str().is_none() || len > MAX_SOCKET_PATH {
        let shown = path.display();
        return Err(io::Error::other(format!("the directory for temporary files, {shown}, is too long or no text")));
    }
    if !path.is_dir() {
        let shown = path.display();
        return Err(io::Error::other(format!("the directory for temporary files, {shown}, does not exist")));
    }
    Ok(())
}

/// Makes sure that the crate can ask for the size of a socket's buffer, which it does once, and panics ever after if
/// that fails. Done once, too, and again only after it failed.
///
/// # Errors
/// No descriptors were to be had.
pub(super) fn prepare_crate() -> io::Result<()> {
    static PREPARED: OnceCell<()> = OnceCell::new();
    let prepared = PREPARED.get_or_try_init(|| {
        let probe = crate::control::Control::pair()?;
        drop(probe);
        guarded(ipc_channel::platform::OsIpcSender::get_max_fragment_size)
            .map(drop)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))
    });
    prepared.copied()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::super::packet::{Content, Received, receive, receive_waiting, send};
    use super::*;

    #[test]
    fn both_sides_meet_where_no_file_is() {
        let (meeting, door) = Meeting::arrange().unwrap();
        let nonce = meeting.nonce();
        let far = attend(door.as_fd(), nonce).unwrap();
        let ends = meeting.accept().unwrap();
        send(&ends.requests, &Packet::bytes(b"do".to_vec())).unwrap();
        let Received::Packet(packet) = receive_waiting(&far.requests) else { panic!("no packet") };
        assert!(matches!(packet.content(), Content::Bytes(b"do")));
        send(&far.answers, &Packet::bytes(b"done".to_vec())).unwrap();
        let Received::Packet(packet) = receive(&ends.answers) else { panic!("no packet") };
        assert!(matches!(packet.content(), Content::Bytes(b"done")));
        drop(far);
        assert!(matches!(receive(&ends.answers), Received::Closed));
    }

    #[test]
    fn a_door_has_no_name_any_more() {
        let (_meeting, door) = Meeting::arrange().unwrap();
        let path = std::fs::read_link(format!("/proc/self/fd/{}", door.as_raw_fd())).unwrap();
        let path = path.to_str().unwrap();
        let path = path.strip_suffix(" (deleted)").expect("the file is removed");
        assert!(!Path::new(path).parent().unwrap().exists(), "and so is its directory");
    }

    #[test]
    fn a_stranger_is_noticed() {
        let (meeting, door) = Meeting::arrange().unwrap();
        let _far = attend(door.as_fd(), meeting.nonce() ^ 1).unwrap();
        assert!(matches!(meeting.accept(), Err(Missed::Stranger(_))));
    }

    #[test]
    fn a_directory_that_the_crate_cannot_take_is_an_error() {
        use std::os::unix::ffi::OsStrExt;
        assert!(require_usable(Path::new("/tmp")).is_ok());
        let long = format!("/{}", "x".repeat(90));
        assert!(require_usable(Path::new(&long)).unwrap_err().to_string().contains(&long));
        assert!(require_usable(Path::new(std::ffi::OsStr::from_bytes(b"/t\xff"))).is_err());
        assert!(require_usable(Path::new("/no/such")).unwrap_err().to_string().contains("/no/such"));
    }
}
