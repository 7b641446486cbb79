//! What the crate's channels carry: bytes of ours or a piece of memory, sent and received without a panic of the crate's.
//!
//! The crate asserts where it should return an error: no descriptor or address space for memory, a message that it
//! cannot take apart. So all that a piece of memory takes is first taken and given back by ourselves, and a panic is
//! caught nevertheless. What never happens here: a packet that the crate would cut into fragments, of which a sender's
//! death could leave the receiver with a part.
//!
//! What the crate cannot be saved from is a worker that writes on the channel's socket past the crate, or shrinks memory
//! that it has sent: that takes a worker with intent, not one that crashes.

use std::io;
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory};
use ipc_channel::platform::OsIpcSender;
use ipc_channel::{IpcError, TryRecvError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::memfd::{self, Access, Mapping};

/// The longest payload that stands in a message; a longer one has memory of its own. Low enough that a socket's buffer has
/// room for some results that nobody has read yet, so that a worker need not wait after each.
const INLINE: usize = 16 * 1024;

/// One message on a channel. Cloning it is cheap, and needed as a send that a signal interrupts is repeated.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Packet {
    bytes: Bytes,
    memory: Option<Attached>,
}

/// What a packet brings.
pub(super) enum Content<'a> {
    /// A message.
    Bytes(&'a [u8]),
    /// The memory that the next message is about, or `None` where it was lost on the way in.
    Memory(Option<&'a IpcSharedMemory>),
    /// Neither, or both.
    Malformed,
}

impl Packet {
    /// A message.
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self { bytes: Bytes(Arc::new(bytes)), memory: None }
    }

    /// Memory.
    pub(super) fn memory(memory: Memory) -> Self {
        Self { bytes: Bytes::default(), memory: Some(Attached(Some(memory))) }
    }

    /// What it brings.
    pub(super) fn content(&self) -> Content<'_> {
        match &self.memory {
            None => Content::Bytes(&self.bytes.0),
            Some(memory) if self.bytes.0.is_empty() => Content::Memory(memory.0.as_deref()),
            Some(_) => Content::Malformed,
        }
    }

    /// Keeps the memory that it brings.
    pub(super) fn into_memory(self) -> Option<Memory> {
        self.memory?.0
    }
}

/// A piece of the crate's shared memory.
pub(super) type Memory = Arc<IpcSharedMemory>;

/// Whether a payload of this size goes into memory of its own. The crate's own limit depends on the system's settings.
pub(super) fn needs_memory(len: usize) -> bool {
    len > INLINE.min(OsIpcSender::get_max_fragment_size() / 2)
}

/// Copies `bytes` into shared memory.
///
/// # Errors
/// The system's error number.
pub(super) fn memory_of(bytes: &[u8]) -> Result<Memory, i32> {
    rehearse(bytes.len()).map_err(|error| error.raw_os_error().unwrap_or(libc::ENOMEM))?;
    guarded(|| IpcSharedMemory::from_bytes(bytes)).map(Arc::new).ok_or(libc::ENOMEM)
}

/// Takes all that a piece of memory of this size will take, and gives it back: pages, which would be a SIGBUS at the first
/// store, a descriptor and a mapping, and a second of each for the moment of sending.
fn rehearse(len: usize) -> io::Result<()> {
    let memory = memfd::create("pool-rehearsal", len)?;
    let _mapping = Mapping::map(memory.as_fd(), len, Access::ReadWrite)?;
    let second = memory.try_clone()?;
    let _second_mapping = Mapping::map(second.as_fd(), len, Access::ReadWrite)?;
    memfd::commit(memory.as_fd(), 0, len as u64)
}

/// Sends a packet, again if a signal interrupts it. Blocks while the socket is full.
///
/// # Errors
/// The receiver is gone, or the system had no descriptor or memory for it.
pub(super) fn send(sender: &IpcSender<Packet>, packet: &Packet) -> io::Result<()> {
    loop {
        match guarded(|| sender.send(packet.clone())) {
            Some(Ok(())) => return Ok(()),
            Some(Err(IpcError::Io(error))) if error.kind() == io::ErrorKind::Interrupted => {}
            Some(Err(IpcError::Io(error))) => return Err(error),
            Some(Err(error)) => return Err(io::Error::other(error)),
            // No descriptor to send memory with.
            None => return Err(io::Error::from_raw_os_error(libc::EMFILE)),
        }
    }
}

/// The system's error number, where a send failed for want of memory or descriptors and nothing was sent.
pub(super) fn want(error: &io::Error) -> Option<i32> {
    const WANTS: [i32; 5] = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::ETOOMANYREFS];
    error.raw_os_error().filter(|errno| WANTS.contains(errno))
}

/// What a look into a channel gave.
pub(super) enum Received {
    /// A packet.
    Packet(Packet),
    /// Nothing is there yet.
    Nothing,
    /// The sender is gone everywhere, and everything that it sent was received.
    Closed,
    /// Something came that is no packet. It is gone.
    Garbage,
    /// Something came at which the crate panicked; it does so where it cannot map the memory that came. It is gone.
    Lost,
}

/// Takes the next packet. Does not wait for one.
pub(super) fn receive(receiver: &IpcReceiver<Packet>) -> Received {
    loop {
        match guarded(|| receiver.try_recv()) {
            Some(Ok(packet)) => return Received::Packet(packet),
            Some(Err(TryRecvError::Empty)) => return Received::Nothing,
            Some(Err(TryRecvError::IpcError(error))) => match judged(error) {
                Some(received) => return received,
                None => continue,
            },
            None => return Received::Lost,
        }
    }
}

/// Takes the next packet and waits for it; never [`Received::Nothing`].
pub(super) fn receive_waiting(receiver: &IpcReceiver<Packet>) -> Received {
    loop {
        match guarded(|| receiver.recv()) {
            Some(Ok(packet)) => return Received::Packet(packet),
            Some(Err(error)) => match judged(error) {
                Some(Received::Nothing) => return Received::Closed,
                Some(received) => return received,
                None => continue,
            },
            None => return Received::Lost,
        }
    }
}

/// Runs what may panic inside the crate. `None`: it did.
pub(super) fn guarded<T>(action: impl FnOnce() -> T) -> Option<T> {
    // The crate's values are either used up by the call or hold nothing but a descriptor.
    std::panic::catch_unwind(AssertUnwindSafe(action)).ok()
}

/// What an error means. `None`: try again.
fn judged(error: IpcError) -> Option<Received> {
    match error {
        IpcError::Disconnected => Some(Received::Closed),
        IpcError::SerializationError(_) => Some(Received::Garbage),
        IpcError::Io(error) if error.kind() == io::ErrorKind::Interrupted => None,
        IpcError::Io(error) => {
            crate::tell!(Warn, "reading a channel: {error}");
            Some(Received::Nothing)
        }
    }
}

/// Bytes that serde carries as bytes, not as a sequence of numbers.
#[derive(Clone, Default)]
struct Bytes(Arc<Vec<u8>>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(deserializer).map(|bytes| Self(Arc::new(bytes)))
    }
}

/// Memory that comes with a packet. `None`: the receiver had no descriptor number left for it.
#[derive(Clone)]
struct Attached(Option<Memory>);

impl Serialize for Attached {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(memory) => memory.serialize(serializer),
            None => Err(serde::ser::Error::custom("memory that did not arrive is not sent on")),
        }
    }
}

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // It reads an index, and then fails if no memory of that index came in.
        Ok(Self(IpcSharedMemory::deserialize(deserializer).ok().map(Arc::new)))
    }
}

#[cfg(test)]
mod tests {
    use ipc_channel::ipc::{IpcMessage, channel};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_arrive_as_they_were_sent_and_then_the_end_does() {
        let (sender, receiver) = channel::<Packet>().unwrap();
        assert!(matches!(receive(&receiver), Received::Nothing));
        send(&sender, &Packet::bytes(b"message".to_vec())).unwrap();
        send(&sender, &Packet::memory(memory_of(&[7; 300_000]).unwrap())).unwrap();
        drop(sender);
        let Received::Packet(packet) = receive(&receiver) else { panic!("no packet") };
        assert!(matches!(packet.content(), Content::Bytes(b"message")));
        let Received::Packet(packet) = receive_waiting(&receiver) else { panic!("no packet") };
        assert_eq!(packet.into_memory().unwrap().as_ref() as &[u8], &[7; 300_000]);
        assert!(matches!(receive(&receiver), Received::Closed));
        assert!(matches!(receive_waiting(&receiver), Received::Closed));
    }

    #[test]
    fn a_gone_receiver_is_an_error_and_no_signal() {
        let (sender, receiver) = channel::<Packet>().unwrap();
        drop(receiver);
        assert!(send(&sender, &Packet::bytes(Vec::new())).is_err());
    }

    #[test]
    fn memory_that_is_not_there_is_an_error_and_no_panic() {
        assert!(rehearse(1 << 20).is_ok());
        // More than a file may have, and more than there are addresses for.
        for len in [usize::MAX, 1 << 60] {
            assert!(rehearse(len).is_err(), "{len}");
        }
    }

    #[test]
    fn messages_stay_below_what_the_crate_would_cut_up() {
        assert!(needs_memory(INLINE + 1));
        assert!(!needs_memory(100));
        assert!(INLINE.max(crate::backend::MAX_SAID) + 100 < OsIpcSender::get_max_fragment_size());
    }

    #[test]
    fn a_packet_whose_memory_did_not_get_in_says_so() {
        // One attachment with index 0, and no memory came along.
        let packet: Packet = IpcMessage::from_data(vec![0, 1, 0]).to().unwrap();
        assert!(matches!(packet.content(), Content::Memory(None)));
        let packet: Packet = IpcMessage::from_data(vec![1, 9, 1, 0]).to().unwrap();
        assert!(matches!(packet.content(), Content::Malformed));
    }

    proptest! {
        #[test]
        fn random_bytes_make_a_packet_or_an_error(bytes: Vec<u8>) {
            let packet = guarded(|| IpcMessage::from_data(bytes).to::<Packet>()).expect("no panic");
            if let Ok(packet) = packet {
                let _content = packet.content();
            }
        }
    }
}
