//! What a pool relies on: posting, recalling, completing, and who runs the callbacks. The link and the desk are fakes.

use std::sync::Weak;
use std::thread::ThreadId;

use parking_lot::Mutex;
use pool_ipc::{Body, Frame, Link, LinkId};

use super::fake_link::{FakeLink, TICKET};
use super::*;

/// A desk that keeps what it is given until the test runs it.
#[derive(Default)]
struct FakeDesk {
    given: Mutex<Vec<Callback>>,
    recalled: Mutex<Vec<LinkId>>,
    /// What came back along with that.
    rests: Mutex<Vec<Frame>>,
    /// Whose thread this desk's is.
    thread: Mutex<Option<ThreadId>>,
    is_closed: bool,
}

impl FakeDesk {
    fn run_all(&self) {
        let given = std::mem::take(&mut *self.given.lock());
        given.into_iter().for_each(run_callback);
    }
}

impl Desk for FakeDesk {
    fn run_soon(&self, callbacks: Vec<Callback>) -> Result<(), Vec<Callback>> {
        if self.is_closed {
            return Err(callbacks);
        }
        self.given.lock().extend(callbacks);
        Ok(())
    }

    fn is_current_thread(&self) -> bool {
        *self.thread.lock() == Some(std::thread::current().id())
    }

    fn recall(&self, take_back: &mut dyn FnMut() -> Vec<Recall>) {
        for Recall { link, rest } in take_back() {
            self.recalled.lock().push(link);
            self.rests.lock().extend(rest);
        }
    }
}

fn desk() -> (Arc<FakeDesk>, Weak<dyn Desk>) {
    let desk = Arc::new(FakeDesk::default());
    let weak = Arc::downgrade(&desk);
    (desk, weak)
}

/// Futures of small tasks with a desk, and their frames, whose ranks are 5, 6 and so on.
fn small_tasks(count: u64) -> (Arc<FakeDesk>, Vec<Future<u32>>, Vec<Frame>) {
    let (desk, weak) = desk();
    let futures: Vec<Future<u32>> = (0..count).map(|_| Future::of(Shared::new("work", weak.clone()))).collect();
    let frames = futures.iter().zip(5..).map(|(future, rank)| {
        let request = crate::wire::encode_single(crate::task::TaskId::from_wire(9), &(rank,), 0).expect("numbers");
        Frame { rank, ..Frame::new(Arc::clone(future.shared()) as _, request, 1) }
    });
    let frames = frames.collect();
    (desk, futures, frames)
}

#[test]
fn a_task_that_is_cancelled_while_its_pack_waits_keeps_the_pack_from_being_posted() {
    let (desk, futures, frames) = small_tasks(3);
    let (frame, link) = (Pack::of(&frames).unwrap(), Arc::new(FakeLink::default()));
    assert!(futures[1].cancel() && futures[1].cancelled());
    let Sending::Broken(frame) = Pack::post(frame, &(Arc::clone(&link) as _)) else { panic!("a member has left") };
    assert!(link.frames.lock().is_empty() && desk.recalled.lock().is_empty());
    // The others can be cancelled as well.
    assert_eq!(futures[0].state(), FutureState::Pending);
    assert!(futures[0].cancel());
    assert_eq!(unpacked(frame).len(), 1);
}

#[test]
fn a_pack_of_which_a_task_was_cancelled_before_is_not_posted() {
    let (_, futures, frames) = small_tasks(3);
    assert!(futures[1].cancel());
    let (frame, link) = (Pack::of(&frames).unwrap(), Arc::new(FakeLink::default()));
    assert!(matches!(Pack::post(frame, &(Arc::clone(&link) as _)), Sending::Broken(_)));
    assert!(link.frames.lock().is_empty());
}

#[test]
fn a_task_that_is_had_back_from_a_pack_brings_its_neighbours_and_leaves_those_that_were_begun() {
    let (desk, futures, frames) = small_tasks(4);
    let (frame, link) = (Pack::of(&frames).unwrap(), Arc::new(FakeLink::default()));
    let owner = Arc::clone(&frame.owner);
    assert!(matches!(Pack::post(frame, &(Arc::clone(&link) as _)), Sending::Posted));
    let posted = link.frames.lock().pop_front().unwrap();
    assert_eq!((posted.window.clone(), posted.rank, posted.terms.is_none()), (0..4, 5, true));
    // The worker has begun the first.
    link.frames.lock().push_back(Frame { window: 1..4, ..posted });
    assert!(!futures[0].cancel(), "it may have begun");
    let rest = desk.rests.lock().pop().unwrap();
    assert_eq!((rest.window.clone(), &*desk.recalled.lock()), (1..4, &vec![LinkId(3)]));
    futures[2].shared().unpost();
    assert!(futures[2].cancel());
    // Each of them is what it was before, but for the one that is done.
    let singles = unpacked(rest);
    let told: Vec<_> = singles.iter().map(|frame| (frame.window.clone(), frame.rank)).collect();
    assert_eq!(told, [(0..1, 6), (0..1, 8)]);
    for (single, original) in singles.iter().zip([&frames[1], &frames[3]]) {
        assert_eq!(single.payload.as_slice(), original.payload.as_slice());
        assert!(Arc::ptr_eq(&single.owner, &original.owner));
    }
    assert!(Arc::ptr_eq(&addressee(owner, 0).0, &frames[0].owner), "outcomes find their future");
}

/// A frame of tasks that waited together from the beginning, whose ranks are 5, 6 and so on, and their futures.
fn filled(count: u64) -> (Arc<FakeDesk>, Vec<Future<u32>>, Frame) {
    let (desk, weak) = desk();
    let mut filling = Filling::new(64, 5);
    let future = |rank: u64| {
        let mut shared = Shared::new("work", weak.clone());
        filling.add(&mut shared, &[9, rank as u8]);
        Future::of(shared)
    };
    let futures = (5..5 + count).map(future).collect();
    (desk, futures, filling.finish())
}

#[test]
fn tasks_that_wait_together_are_posted_together_and_can_be_cancelled_before() {
    let (_, futures, frame) = filled(3);
    let link = Arc::new(FakeLink::default());
    assert_eq!((frame.window.clone(), frame.rank, last_rank(&frame)), (0..3, 5, 7));
    assert!(futures.iter().all(|future| future.state() == FutureState::Pending));
    assert!(futures[1].cancel());
    let Sending::Broken(frame) = Pack::post(frame, &(Arc::clone(&link) as _)) else { panic!("a member has left") };
    let ranks: Vec<u64> = unpacked(frame).iter().map(|frame| frame.rank).collect();
    assert_eq!(ranks, [5, 7]);
}

#[test]
fn tasks_are_taken_out_of_a_waiting_pack_and_what_becomes_of_them_does_not_concern_the_rest() {
    let (_, futures, mut frame) = filled(4);
    let link = Arc::new(FakeLink::default());
    let first = unpacked_first(&mut frame, 2);
    assert_eq!((frame.window.clone(), frame.rank), (2..4, 7));
    let told: Vec<_> = first.iter().map(|frame| (frame.rank, frame.payload.as_slice().to_vec())).collect();
    assert_eq!(told, [(5, vec![9, 5]), (6, vec![9, 6])]);
    assert!(futures[0].cancel());
    assert!(matches!(Pack::post(frame, &(Arc::clone(&link) as _)), Sending::Posted));
    // Its pack is posted, and it is not.
    assert!(futures[1].cancel());
    assert_eq!(link.frames.lock().len(), 1);
}

/// A future with a desk, as a pool makes it.
fn pooled() -> (Arc<FakeDesk>, Arc<Shared>, Future<u32>) {
    let (desk, weak) = desk();
    let shared = Shared::new("work", weak);
    let future = Future::of(Arc::clone(&shared));
    (desk, shared, future)
}

fn post(shared: &Shared, link: &Arc<FakeLink>) {
    let link: Arc<dyn Link> = Arc::clone(link) as _;
    assert!(matches!(shared.post_with::<()>(|| Ok((link, TICKET))), Posting::Posted));
}

/// 42 behind a tag of two bytes, as a worker's message has it.
fn forty_two() -> Result<Encoded, TaskError> {
    Ok(Encoded { body: Body::Owned(vec![0xAA, 0xBB, 42]), start: 2 })
}

fn run_all(callbacks: Vec<Callback>) {
    callbacks.into_iter().for_each(run_callback);
}

type Journal = Arc<Mutex<Vec<String>>>;

fn write_down(future: &Future<u32>, journal: &Journal, what: &str) {
    let (journal, what) = (Arc::clone(journal), what.to_owned());
    future.add_done_callback(move |future| journal.lock().push(format!("{what} {}", future.state())));
}

#[test]
fn a_posted_task_is_pending_until_its_link_runs_it() {
    let (_desk, shared, future) = pooled();
    let link = FakeLink::with_frame();
    post(&shared, &link);
    assert_eq!(future.state(), FutureState::Pending);
    link.begin();
    assert!(future.running());
    run_all(shared.complete(forty_two()));
    assert!(!future.running(), "the link still says so, and is not asked");
    assert_eq!(future.result().unwrap(), 42);
}

#[test]
fn the_value_begins_behind_the_messengers_bytes() {
    let (_desk, shared, future) = pooled();
    let frozen = Body::shared(vec![9, 9, 9, 42]);
    run_all(shared.complete(Ok(Encoded { body: frozen, start: 3 })));
    assert_eq!(future.result().unwrap(), 42);
    assert_eq!(future.into_result().unwrap().unwrap(), 42);
}

#[test]
fn a_start_beyond_the_body_is_a_decode_error() {
    let (_desk, shared, future) = pooled();
    run_all(shared.complete(Ok(Encoded { body: Body::Owned(vec![1]), start: 9 })));
    assert!(matches!(future.result(), Err(TaskError::Decode(_))));
}

#[test]
fn a_posted_task_that_has_not_begun_is_recalled_by_cancel_and_the_desk_hears_of_it() {
    let (desk, shared, future) = pooled();
    let link = FakeLink::with_frame();
    post(&shared, &link);
    assert!(future.cancel());
    assert!(link.frames.lock().is_empty());
    assert_eq!(*desk.recalled.lock(), [LinkId(3)]);
    assert!(shared.is_cancelled());
    assert!(matches!(shared.post_with::<()>(|| unreachable!("it is cancelled")), Posting::Cancelled));
    assert!(future.cancel(), "and it stays so");
    assert_eq!(desk.recalled.lock().len(), 1);
}

#[test]
fn b12_a_task_that_has_begun_is_not_cancelled() {
    let (desk, shared, future) = pooled();
    let link = FakeLink::with_frame();
    post(&shared, &link);
    link.begin();
    assert!(!future.cancel());
    assert!(!future.cancelled() && !shared.is_cancelled());
    run_all(shared.complete(forty_two()));
    assert!(!future.cancel());
    assert_eq!(future.result().unwrap(), 42);
    assert!(desk.recalled.lock().is_empty());
}

#[test]
fn a_task_that_the_pool_took_back_is_cancelled_without_its_link() {
    let (desk, shared, future) = pooled();
    let link = FakeLink::with_frame();
    post(&shared, &link);
    link.begin();
    shared.unpost();
    assert_eq!(future.state(), FutureState::Pending);
    assert!(future.cancel());
    assert!(desk.recalled.lock().is_empty());
}

#[test]
fn a_task_that_was_stopped_too_late_to_be_had_back_does_not_begin_when_it_comes_back() {
    let (desk, shared, future) = pooled();
    let link = FakeLink::with_frame();
    post(&shared, &link);
    link.frames.lock().clear();
    let (callbacks, room) = shared.withdraw(&TaskError::Abandoned);
    assert!(callbacks.is_empty() && room.is_none() && !future.done(), "its worker may have begun it");
    let journal = Journal::default();
    write_down(&future, &journal, "it");
    shared.unpost();
    assert!(matches!(shared.post_with::<()>(|| unreachable!("it is not to begin")), Posting::Cancelled));
    assert!(matches!(future.exception(), Some(TaskError::Abandoned)));
    desk.run_all();
    assert_eq!(*journal.lock(), ["it finished with an error"]);
}

#[test]
fn a_task_that_was_stopped_while_it_ran_has_the_result_that_it_came_to() {
    let (_desk, shared, future) = pooled();
    let link = FakeLink::with_frame();
    post(&shared, &link);
    link.begin();
    let _ = shared.withdraw(&TaskError::Abandoned);
    run_all(shared.complete(forty_two()));
    assert_eq!(future.result().unwrap(), 42);
}

#[test]
fn a_refused_post_leaves_the_future_queued() {
    let (_desk, shared, future) = pooled();
    assert!(matches!(shared.post_with(|| Err("full")), Posting::Refused("full")));
    assert_eq!(future.state(), FutureState::Pending);
    assert!(future.cancel());
}

#[test]
fn a_second_outcome_is_ignored() {
    let (_desk, shared, future) = pooled();
    run_all(shared.complete(forty_two()));
    assert!(shared.complete(Err(TaskError::ShutDown)).is_empty());
    assert_eq!(future.result().unwrap(), 42);
}

#[test]
fn a_completed_future_holds_no_link_and_no_listener() {
    let (_desk, shared, future) = pooled();
    let link = FakeLink::with_frame();
    post(&shared, &link);
    let journal = Journal::default();
    write_down(&future, &journal, "a");
    assert_eq!(Arc::strong_count(&link), 2);
    run_all(shared.complete(forty_two()));
    assert_eq!(Arc::strong_count(&link), 1);
    assert_eq!(Arc::strong_count(&journal), 1);
    drop(future);
    assert_eq!(Arc::strong_count(&shared), 1, "the callback's handle is gone");
}

#[test]
fn completing_gives_the_callbacks_in_the_order_in_which_they_were_added() {
    let (desk, shared, future) = pooled();
    let journal = Journal::default();
    ["a", "b", "c"].into_iter().for_each(|name| write_down(&future, &journal, name));
    let callbacks = shared.complete(forty_two());
    assert_eq!(future.result().unwrap(), 42, "and is done before they run");
    assert!(journal.lock().is_empty());
    run_all(callbacks);
    assert_eq!(*journal.lock(), ["a", "b", "c"].map(|name| format!("{name} finished with a value")));
    assert!(desk.given.lock().is_empty());
}

#[test]
fn a024_a_callback_of_a_finished_future_goes_to_the_desk() {
    let (desk, shared, future) = pooled();
    run_all(shared.complete(forty_two()));
    let journal = Journal::default();
    write_down(&future, &journal, "late");
    assert!(journal.lock().is_empty());
    desk.run_all();
    assert_eq!(*journal.lock(), ["late finished with a value"]);
}

#[test]
fn a022_the_callbacks_of_a_cancelled_future_go_to_the_desk() {
    let (desk, _shared, future) = pooled();
    let journal = Journal::default();
    write_down(&future, &journal, "a");
    assert!(future.cancel());
    write_down(&future, &journal, "b");
    assert!(journal.lock().is_empty());
    desk.run_all();
    assert_eq!(*journal.lock(), ["a cancelled", "b cancelled"]);
}

#[test]
fn callbacks_run_in_the_callers_thread_once_the_desk_is_closed_or_gone() {
    for is_gone in [false, true] {
        let desk = Arc::new(FakeDesk { is_closed: true, ..FakeDesk::default() });
        let weak = Arc::downgrade(&desk);
        let shared = Shared::new("work", weak);
        let future: Future<u32> = Future::of(shared);
        if is_gone {
            drop(desk);
        }
        let journal = Journal::default();
        write_down(&future, &journal, "a");
        future.add_done_callback(|_| panic!("on purpose"));
        assert!(future.cancel());
        write_down(&future, &journal, "b");
        assert_eq!(*journal.lock(), ["a cancelled", "b cancelled"]);
    }
}

#[test]
fn waiting_on_the_desks_own_thread_is_an_error_unless_the_future_is_done() {
    let (desk, shared, future) = pooled();
    let (_other_desk, other_shared, other) = pooled();
    *desk.thread.lock() = Some(std::thread::current().id());
    let soon = Duration::from_secs(3600);

    assert!(matches!(future.result(), Err(TaskError::WouldDeadlock)));
    assert!(matches!(future.result_timeout(soon), Err(TaskError::WouldDeadlock)));
    assert!(matches!(future.exception(), Some(TaskError::WouldDeadlock)));
    assert!(matches!(future.result_timeout(Duration::ZERO), Err(TaskError::WaitTimedOut(_))));
    let future = future.into_result().unwrap_err();

    run_all(other_shared.complete(forty_two()));
    let both = [&other, &future];
    assert_eq!(wait(both, None, ReturnWhen::AllCompleted).unwrap_err(), WaitError::WouldDeadlock);
    assert_eq!(wait(both, None, ReturnWhen::FirstCompleted).unwrap().done, vec![other.clone()]);
    assert_eq!(wait(both, Some(Duration::ZERO), ReturnWhen::AllCompleted).unwrap().not_done.len(), 1);
    let mut ends = as_completed(both, None);
    assert_eq!(ends.next(), Some(Ok(other.clone())));
    assert_eq!(ends.next(), Some(Err(WaitError::WouldDeadlock)));
    assert_eq!(ends.next(), None);

    run_all(shared.complete(forty_two()));
    assert_eq!(future.result().unwrap(), 42);
    assert_eq!(wait(both, None, ReturnWhen::AllCompleted).unwrap().done.len(), 2);
}

#[test]
fn a_wait_for_another_pools_futures_is_allowed_on_a_desks_thread() {
    let (desk, _shared, _future) = pooled();
    let (_other_desk, other_shared, other) = pooled();
    *desk.thread.lock() = Some(std::thread::current().id());
    let completing = crate::thread::spawn(move || run_all(other_shared.complete(forty_two())));
    assert_eq!(other.result_timeout(Duration::from_secs(60)).unwrap(), 42);
    completing.join().unwrap();
}

#[test]
fn a_left_wait_leaves_nothing_behind_in_its_futures() {
    let (_desk, shared, future) = pooled();
    let before = Arc::strong_count(&shared);
    let _ = wait([&future], Some(Duration::from_millis(1)), ReturnWhen::AllCompleted).unwrap();
    drop(as_completed([&future], None));
    let mut ends = as_completed([&future], Some(Duration::ZERO));
    assert!(ends.next().unwrap().is_err());
    assert_eq!(Arc::strong_count(&shared), before);
    assert!(shared.has_no_listener());
}

#[test]
fn a_pending_future_is_small() {
    let bytes = size_of::<Shared>() + 2 * size_of::<usize>();
    assert!(bytes <= 192, "{bytes} bytes");
}

#[test]
fn what_ends_between_two_attempts_has_the_cause_of_the_first() {
    let (_desk, weak) = desk();
    let retry = Retry::new(RetryPolicy::new(3).on_panic(true), Body::shared(vec![1]), None);
    let shared = Shared::with_retry("work", weak, Some(retry));
    let future: Future<u32> = Future::of(Arc::clone(&shared));
    let panicked = TaskError::Panicked(Arc::new(crate::error::Panic::new("work", "no")));
    let judged = shared.retry().map(|retry| retry.judge("work", 0, Err(panicked)));
    assert!(matches!(judged, Some(Judged::Again { .. })));
    let (kind, limit) = (crate::error::TimeLimit::Deadline, Duration::from_secs(1));
    let late = TaskError::TimedOut(Arc::new(crate::error::TimedOut::new("work", kind, limit, None)));
    run_all(shared.withdraw(&late).0);
    let Err(TaskError::Exhausted(exhausted)) = future.result() else { panic!("{future:?}") };
    assert!(matches!(*exhausted.causes, [TaskError::Panicked(_), TaskError::TimedOut(_)]), "{exhausted}");
}
