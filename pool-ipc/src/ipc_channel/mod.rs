//! Worker processes over the `ipc-channel` crate: one pair of channels a worker, an independent make to compare with.
//!
//! What holds: requests, answers and large payloads go through the crate; one frame at a time is under way on a link, so
//! that a send towards a worker always finds room; a worker that dies, also in mid-send, harms its own link only. What
//! the crate has not, comes from elsewhere: the control channel by which a worker finds its channels ([`meeting`]), a
//! doorbell and a pidfd, since the crate's own descriptors are private and can join no wait.
//!
//! There is no router: whoever waits for the hub reads what the doorbells announce. One thread a hub lets workers in. A set of receivers, the
//! crate's own way to wait for many, drops what it has read of all others when reading of one fails.
//!
//! | limit | |
//! | --- | --- |
//! | frames a link | 1; a further one is refused as full |
//! | recall | until the worker has come up and the frame was sent; never after |
//! | payload in a message | 16 KiB, or half of what the system's socket buffers hold if that is less; beyond, own memory |
//! | while a worker starts | the directory for temporary files is used, for the blink of an eye |

mod doorkeeper;
mod ledger;
mod meeting;
mod message;
mod packet;
mod parent;
mod state;
pub(crate) mod worker;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use self::doorkeeper::Doorkeeper;
use self::meeting::Meeting;
use self::message::{Control as Message, VERSION};
use self::parent::ChannelLink;
use crate::backend::{Abilities, Backend, Hub, Link, LinkEvent, LinkId, OpenError, StartError, StartOrder};
use crate::control::Sent;
use crate::hub::ProcessHub;
use crate::launch::{Launched, Style, launch_hearing};
use crate::passport::Role;

/// Runs workers as processes that are reached through the `ipc-channel` crate.
///
/// ```
/// use pool_ipc::{Backend, IpcChannel};
///
/// let abilities = IpcChannel::new().abilities();
/// assert!(abilities.processes && !abilities.recall);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct IpcChannel;

impl IpcChannel {
    /// The backend. It has nothing to set.
    pub fn new() -> Self {
        Self
    }
}

impl Backend for IpcChannel {
    fn name(&self) -> &'static str {
        "ipc_channel"
    }

    fn abilities(&self) -> Abilities {
        Abilities { processes: true, recall: false, frames_a_link: 1 }
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        let failed = |doing| move |source| OpenError::System { doing, source };
        meeting::prepare_crate().map_err(failed("asking for the size of a socket's buffer"))?;
        let hub = ProcessHub::new(Duration::ZERO).map_err(failed("opening an epoll set"))?;
        let doorkeeper = Doorkeeper::start().map_err(failed("starting a thread that lets workers in"))?;
        Ok(Arc::new(ChannelHub { hub, doorkeeper }))
    }
}

#[derive(Debug)]
struct ChannelHub {
    hub: ProcessHub,
    doorkeeper: Doorkeeper,
}

impl Hub for ChannelHub {
    fn start(&self, id: LinkId, order: &StartOrder) -> Result<Arc<dyn Link>, StartError> {
        let failed = |doing| move |source| StartError { doing, path: order.command.program.clone(), source };
        let (meeting, door) = Meeting::arrange().map_err(failed("making a place to meet a worker"))?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let bell = bell.map_err(|errno| failed("making a doorbell")(errno.into()))?;
        let kept = self.hub.hear_stderr(id, order.stderr).map_err(failed("listening to a worker's stderr"))?;
        let (ear, stderr) = kept.unzip();
        let starting = meeting::starting();
        let launched = launch_hearing(Role::ChannelWorker, &order.boot, &order.command, Style::WORKER, stderr);
        drop(starting);
        let Launched { child, control } = launched?;
        let welcome = Message::Welcome { version: VERSION, nonce: meeting.nonce() }.write();
        match control.send(&welcome, &[door.as_fd(), bell.as_fd()]) {
            Ok(Sent::Whole) => {}
            Ok(Sent::Full) => {
                let full = io::Error::other("too many descriptors of this user are on their way");
                return Err(failed("telling a worker where to meet")(full));
            }
            // It has ended already, which says more as an event with its cause.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {}
            Err(error) => return Err(failed("telling a worker where to meet")(error)),
        }
        let link = Arc::new(ChannelLink::new(id, meeting, bell, child, control, ear));
        self.doorkeeper.watch(id, &link).map_err(failed("watching a worker"))?;
        self.hub.watch(Arc::<ChannelLink>::clone(&link)).map_err(failed("watching a worker"))?;
        Ok(link)
    }

    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        self.hub.wait(deadline, events);
    }

    fn wake(&self) {
        self.hub.wake();
    }

    fn flush(&self) {
        self.hub.flush();
    }
}
