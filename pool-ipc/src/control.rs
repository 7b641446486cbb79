//! One end of the control channel between a parent and one child: a pair of connected seqpacket sockets.
//!
//! What holds: messages arrive whole, in order, with their descriptors; the parent never blocks on it, neither to send
//! nor to receive; every descriptor that arrives is close-on-exec and owned from the first moment, so that a message
//! that is turned down leaks nothing. What never happens here: a look at what a message means.
//!
//! No message is empty. For a seqpacket socket a read of zero bytes is either the end or an empty message of a peer
//! that breaks this rule; [`Control::receive`] tells the two apart where that matters.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::backend::MAX_SAID;

/// The longest message in bytes: the longest thing that a worker may say, and a header.
pub(crate) const MAX_MESSAGE: usize = MAX_SAID + 64;

/// The most descriptors that one message may carry.
pub(crate) const MAX_DESCRIPTORS: usize = 4;

/// How long a sender waits first that the kernel has no room for, wherever that is; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The last pause before it gives up.
const LAST_PAUSE: Duration = Duration::from_millis(512);

/// How often a read is repeated because the peer's end left an error on the socket. One is enough on every kernel.
const RESET_READS: u32 = 3;

/// One end of a control channel. All methods may be called from any thread.
#[derive(Debug)]
pub(crate) struct Control(OwnedFd);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Sent {
    /// The kernel has all of it.
    Whole,
    /// Nothing was sent: no room, or too many descriptors are under way.
    Full,
}

/// What a read gave.
#[derive(Debug)]
#[must_use]
pub(crate) enum Received {
    /// A message. Its bytes are in the buffer.
    ///
    /// Where this process has no descriptor numbers left, `fds` holds fewer than were sent; the rest is lost. Whoever
    /// expects a descriptor must therefore bear its absence.
    Message {
        /// What came with it, at most [`MAX_DESCRIPTORS`].
        fds: Vec<OwnedFd>,
    },
    /// Nothing is there yet.
    Nothing,
    /// The other end is closed everywhere, and everything that it sent was received.
    Eof,
    /// Something that no peer of ours sends. It was thrown away, and whatever came with it was closed.
    Malformed(&'static str),
}

impl From<OwnedFd> for Control {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Control> for OwnedFd {
    fn from(control: Control) -> Self {
        control.0
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Control {
    /// Two connected ends, both close-on-exec.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    /// Sends a message, or says that there is no room for it now. Never blocks.
    ///
    /// # Errors
    /// The peer is gone, or the message breaks a limit of this module.
    pub(crate) fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<Sent> {
        match self.try_send(bytes, fds) {
            Ok(()) => Ok(Sent::Whole),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::TOOMANYREFS) => Ok(Sent::Full),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends a message and waits for room. For a worker, whose parent reads without fail while it lives.
    ///
    /// # Errors
    /// As for [`send`](Self::send), and also where for about a second there was no memory, or too many descriptors were
    /// under way. They may be anybody's, or such as only this worker would take in.
    pub(crate) fn send_waiting(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_by(|| self.try_send(bytes, fds))
    }

    fn send_by(&self, mut attempt: impl FnMut() -> rustix::io::Result<()>) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            match attempt() {
                // The kernel reports room only once three quarters are free, so this does not spin.
                Err(Errno::AGAIN) => self.wait_for(PollFlags::OUT)?,
                // Of this it tells nobody the end.
                Err(Errno::NOBUFS | Errno::TOOMANYREFS) if pause <= LAST_PAUSE => {
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                result => return Ok(result?),
            }
        }
    }

    /// Waits until there is room to send, or nobody to send to.
    pub(crate) fn await_room(&self) -> io::Result<()> {
        self.wait_for(PollFlags::OUT)
    }

    /// Sends nothing more: the peer reads what was sent, and then the end. What it sends still arrives.
    pub(crate) fn close_sending(&self) {
        // ENOTCONN: the peer is gone, which is just as well.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Write);
    }

    /// Takes the next message. Never blocks. The buffer's former content is lost.
    ///
    /// # Errors
    /// The kernel has no memory to receive with.
    pub(crate) fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        buffer.resize(MAX_MESSAGE, 0);
        let received = self.receive_into(buffer);
        let len = received.as_ref().map_or(0, |(len, _)| *len);
        buffer.truncate(len);
        Ok(received?.1)
    }

    /// Takes the next message and waits for it; never [`Received::Nothing`].
    pub(crate) fn receive_waiting(&self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        loop {
            match self.receive(buffer)? {
                Received::Nothing => self.wait_for(PollFlags::IN)?,
                received => return Ok(received),
            }
        }
    }

    /// One attempt, with the kernel's own answer.
    fn try_send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
        if bytes.is_empty() || bytes.len() > MAX_MESSAGE || fds.len() > MAX_DESCRIPTORS {
            return Err(Errno::MSGSIZE);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::MSGSIZE);
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, flags))?;
        Ok(())
    }

    /// One read, and how many bytes of the buffer it filled.
    ///
    /// A peer that ends while messages to it lie unread leaves ECONNRESET on this socket, ahead of what it had sent
    /// before. The kernel says it once, so reading on gives the rest and then the true end.
    fn receive_into(&self, buffer: &mut [u8]) -> io::Result<(usize, Received)> {
        for _ in 0..RESET_READS {
            match self.read(buffer) {
                Err(Errno::AGAIN) => return Ok((0, Received::Nothing)),
                Err(Errno::CONNRESET) => {}
                result => return Ok(result?),
            }
        }
        Ok((0, Received::Eof))
    }

    /// One system call and its judgement.
    fn read(&self, buffer: &mut [u8]) -> rustix::io::Result<(usize, Received)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let message = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)
        })?;
        // Owned before anything else is looked at: turning the message down closes them.
        let fds = descriptors(&mut ancillary);
        let cut_short = message.flags.contains(ReturnFlags::CTRUNC) && fds.len() >= MAX_DESCRIPTORS;
        if cut_short || fds.len() > MAX_DESCRIPTORS {
            return Ok((0, Received::Malformed("more than 4 descriptors in a message")));
        }
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Ok((0, Received::Malformed("a message that is longer than allowed")));
        }
        match message.bytes {
            0 if fds.is_empty() => Ok((0, self.nothing_read()?)),
            0 => Ok((0, Received::Malformed("a message without bytes"))),
            bytes => Ok((bytes, Received::Message { fds })),
        }
    }

    /// What a read of zero bytes means: the end if the peer is gone, else an empty message.
    ///
    /// An empty message of a peer that is gone by now also counts as the end, and what lies behind it is not read. It
    /// takes a peer that breaks the rules to get there, and to such a one nothing is promised.
    fn nothing_read(&self) -> rustix::io::Result<Received> {
        let mut fds = [PollFd::new(&self.0, PollFlags::RDHUP)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())))?;
        let gone = fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP);
        Ok(if gone { Received::Eof } else { Received::Malformed("a message without bytes") })
    }

    /// Sleeps until one of the flags, or the peer's end, is there.
    fn wait_for(&self, flags: PollFlags) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.0, flags)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, None))?;
        Ok(())
    }
}

/// Takes the descriptors out of what came with a message.
fn descriptors(ancillary: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    fds
}

#[cfg(test)]
pub(crate) mod tests;
