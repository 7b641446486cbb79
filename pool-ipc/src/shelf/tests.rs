//! Both ends of a shelf in one process, and what a worker makes of what is no sealed memory.

use rustix::fs::SealFlags;

use super::*;
use crate::control::tests::send_raw;

/// A worker's control channel, and what it keeps.
struct Rig {
    parent: Control,
    child: Control,
    shelf: Arc<Shelf>,
    kept: Arc<Kept>,
}

impl Rig {
    fn new() -> Self {
        let (parent, child) = Control::pair().expect("there are descriptors");
        Self { parent, child, shelf: Shelf::new(), kept: Arc::default() }
    }

    fn bring(&self, value: &SharedValue) {
        let sent = self.shelf.bring(&self.parent, std::slice::from_ref(value));
        assert!(matches!(sent, SentLarge::Sent), "{sent:?}");
    }

    /// The announced channel.
    fn announced(&self) -> OwnedFd {
        let mut buffer = Vec::new();
        let Ok(Received::Message { mut fds }) = self.child.receive(&mut buffer) else { panic!("nothing came") };
        assert_eq!(buffer, ANNOUNCEMENT);
        fds.pop().expect("it comes along")
    }

    fn start(&self) {
        self.kept.started_with(|| Ok(self.announced())).expect("there are threads");
    }

    fn await_count(&self, count: usize) {
        let mut state = self.kept.state.lock();
        while state.values.len() != count {
            let waited = self.kept.changed.wait_for(&mut state, Duration::from_secs(60));
            assert!(!waited.timed_out(), "{} values are there", state.values.len());
        }
    }
}

fn value(byte: u8) -> SharedValue {
    SharedValue::new(&[byte; 5000]).expect("there is memory")
}

#[test]
fn a_value_arrives_once_and_goes_with_its_last_owner() {
    let rig = Rig::new();
    let (one, other) = (value(1), value(2));
    for value in [&one, &other, &one] {
        rig.bring(value);
    }
    rig.start();
    for value in [&one, &other] {
        let kept = rig.kept.take(value.id()).expect("it came");
        assert!(kept.is_received() && kept.as_slice() == value.as_slice());
    }
    let further = one.clone();
    drop(one);
    drop(other);
    rig.await_count(1);
    assert_eq!(rig.kept.take(further.id()).expect("it has an owner").as_slice(), further.as_slice());
    drop(further);
    rig.await_count(0);
}

#[test]
fn an_announcement_that_finds_no_room_arrives_later_and_what_is_announced_with_it() {
    let rig = Rig::new();
    while matches!(rig.parent.send(&[7; 1000], &[]), Ok(Sent::Whole)) {}
    let value = value(1);
    rig.bring(&value);
    assert!(rig.shelf.state.lock().sending, "the control channel is full");
    let channel = || {
        let mut buffer = Vec::new();
        loop {
            let Received::Message { mut fds } = rig.child.receive_waiting(&mut buffer)? else { panic!("it ended") };
            if buffer == ANNOUNCEMENT {
                return Ok(fds.pop().expect("it comes along"));
            }
        }
    };
    rig.kept.started_with(channel).expect("there are threads");
    assert_eq!(rig.kept.take(value.id()).expect("it came").as_slice(), value.as_slice());
}

#[test]
fn values_that_find_no_room_arrive_later_and_in_order() {
    let rig = Rig::new();
    let values: Vec<SharedValue> = (0..2000).map(|number| value(number as u8)).collect();
    for value in &values {
        rig.bring(value);
    }
    assert!(rig.shelf.state.lock().sending, "the channel holds 2000 descriptors");
    let (last, gone) = (values[1999].clone(), values[3].id());
    drop(values);
    rig.start();
    assert_eq!(rig.kept.take(last.id()).expect("it came").as_slice(), last.as_slice());
    rig.await_count(1);
    assert!(!rig.shelf.state.lock().known.contains(&gone));
}

#[test]
fn a_worker_that_is_gone_is_told_apart() {
    let rig = Rig::new();
    rig.bring(&value(1));
    drop(rig.announced());
    let sent = rig.shelf.bring(&rig.parent, &[value(2)]);
    assert!(matches!(sent, SentLarge::Gone), "{sent:?}");
}

/// What the worker says to a message of the parent's with this descriptor.
fn refusal(fds: &[OwnedFd], len: u64) -> io::Error {
    let (parent, child) = Control::pair().expect("there are descriptors");
    let kept = Arc::new(Kept::default());
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let message = [[PUT].as_slice(), &7u64.to_le_bytes(), &len.to_le_bytes()].concat();
    send_raw(&parent, &message, &fds).expect("there is room");
    for odd in [b"?".as_slice(), &[PUT], &[FORGET; 20], &[PUT; 30]] {
        send_raw(&parent, odd, &[]).expect("there is room");
    }
    kept.started_with(|| Ok(child.into())).expect("there are threads");
    kept.take(7).expect_err("it is no value")
}

#[test]
fn what_is_no_sealed_memory_of_that_size_is_no_value() {
    let errno = |error: io::Error| error.raw_os_error();
    let unsealed = memfd::create("open", 4096).expect("there is memory");
    assert_eq!(errno(refusal(&[unsealed], 4096)), Some(libc::EINVAL));
    let half_sealed = memfd::create("open", 4096).expect("there is memory");
    memfd::seal(half_sealed.as_fd(), SealFlags::FUTURE_WRITE).expect("it can be sealed");
    assert_eq!(errno(refusal(&[half_sealed], 4096)), Some(libc::EINVAL));
    let sealed = || memfd::freeze(b"four").expect("there is memory");
    assert_eq!(errno(refusal(&[sealed()], 5)), Some(libc::EINVAL));
    assert_eq!(errno(refusal(&[std::fs::File::open("/dev/null").expect("it is there").into()], 0)), Some(libc::EINVAL));
    assert_eq!(errno(refusal(&[], 4)), Some(libc::EMFILE));
}

#[test]
fn memory_to_be_written_arrives_once_and_is_the_same() {
    let rig = Rig::new();
    let value = SharedValue::open(10_000).expect("there is memory");
    rig.bring(&value);
    rig.bring(&value);
    rig.start();
    let there = rig.kept.take(value.id()).expect("it came");
    let (here, there) = (value.memory().expect("it is open"), there.memory().expect("it is open"));
    assert!(here.write(9000, b"from here"));
    let mut bytes = [0; 9];
    assert!(there.read(9000, &mut bytes) && there.len() == 10_000);
    assert_eq!(&bytes, b"from here");
}

#[test]
fn what_is_not_open_and_fixed_in_size_is_no_memory_to_be_written() {
    let unfit = |fd: OwnedFd, len| receive_open(1, fd, len).map(drop);
    assert_eq!(unfit(memfd::freeze(b"four").expect("there is memory"), 4), Err(libc::EINVAL));
    let open = || memfd::create("open", 4096).expect("there is memory");
    // Its pages do not exist.
    assert_eq!(unfit(open(), 4096), Err(libc::EINVAL));
    let committed = open();
    memfd::commit(committed.as_fd(), 0, 4096).expect("there is memory");
    assert_eq!(unfit(committed.try_clone().expect("there are descriptors"), 8192), Err(libc::EINVAL));
    assert_eq!(unfit(committed, 4096), Ok(()));
    assert_eq!(unfit(std::fs::File::open("/dev/null").expect("it is there").into(), 0), Err(libc::EINVAL));
}

#[test]
fn a_value_that_never_came_is_an_error_once_the_channel_is_closed() {
    let rig = Rig::new();
    rig.bring(&value(1));
    rig.start();
    drop(rig.shelf);
    let error = rig.kept.take(1).expect_err("nobody sent it");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}
