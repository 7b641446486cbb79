//! What goes wrong on the way of a value, at each of its stations and in each way: it ends in that future's error, and
//! never in a hang.

use pool_core::{Builder, Bytes, Coded, ExitCause, Future, Shutdown, SubmitError, TaskError};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::watchdog::Watched;

claims! { on_each_backend:
    a081_b07_an_argument_that_cannot_be_encoded_is_an_error_of_submit,
    a083_a128_b07_an_argument_that_the_worker_cannot_decode_fails_that_future,
    a090_b07_a_result_that_cannot_be_encoded_fails_that_future,
    a091_a092_b07_a_result_that_the_caller_cannot_decode_fails_that_future,
    a094_a_shutdown_behind_an_argument_that_cannot_be_encoded_returns,
    a096_a_slow_callback_does_not_hold_up_submits,
    b04_a_shutdown_that_cancels_returns_though_a_codec_fails_after_it,
    items_that_cannot_be_coded_stand_at_their_positions,
}

claims! { on_processes:
    a082_a_worker_that_exits_while_it_decodes_fails_that_future,
    a084_a_worker_that_crashes_while_it_decodes_fails_that_future,
    a085_a_worker_that_crashes_in_the_task_fails_that_future,
    a086_a_task_that_exits_fails_its_future,
    a088_a_worker_that_crashes_while_it_encodes_fails_that_future,
    a089_a_worker_that_exits_while_it_encodes_fails_that_future,
    a093_a_worker_that_crashes_after_the_shutdown_holds_up_nobody,
    a095_workers_that_crash_while_large_arguments_are_sent_hold_up_nobody,
}

/// What is done to the one who encodes or decodes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Deed {
    Nothing,
    Fail,
    Panic,
    Exit(i32),
    Signal(i32),
}

impl Deed {
    /// Does it. An error is the codec's to report.
    fn commit(self) -> Result<(), &'static str> {
        match self {
            Self::Nothing => Ok(()),
            Self::Fail => Err("it was told to fail"),
            Self::Panic => panic!("it was told to panic"),
            Self::Exit(code) => std::process::exit(code),
            Self::Signal(number) => {
                kill_process(getpid(), Signal::from_named_raw(number).unwrap()).unwrap();
                // Signals to oneself arrive before the call returns, if nobody else can take them.
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

/// Does the deed when it is encoded.
#[derive(Debug, Deserialize)]
pub(crate) struct Encoding(Deed);

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.commit().map_err(serde::ser::Error::custom)?;
        self.0.serialize(serializer)
    }
}

/// Does the deed when it is decoded.
#[derive(Debug, Serialize)]
pub(crate) struct Decoding(pub(crate) Deed);

impl<'de> Deserialize<'de> for Decoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let deed = Deed::deserialize(deserializer)?;
        deed.commit().map_err(serde::de::Error::custom)?;
        Ok(Self(deed))
    }
}

pub(crate) const SEGV: i32 = 11;

fn take_encoding(_: Encoding) {}

pub(crate) fn take_decoding(_: Decoding) {}

pub(crate) fn give_encoding(deed: Deed) -> Encoding {
    Encoding(deed)
}

fn give_decoding(deed: Deed) -> Decoding {
    Decoding(deed)
}

pub(crate) fn commit(deed: Deed) {
    deed.commit().unwrap();
}

/// Fails unless the pool is as good as new.
#[track_caller]
fn assert_sound(pool: &Watched) {
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

#[track_caller]
fn assert_died<T: std::fmt::Debug>(result: Result<T, TaskError>, cause: ExitCause) {
    assert!(matches!(&result, Err(TaskError::WorkerDied(died)) if died.cause == cause), "{result:?}");
}

/// Submits the one among others, all of which must succeed.
#[track_caller]
fn among_others<T>(pool: &Watched, submit: impl FnOnce() -> Future<T>) -> Future<T> {
    let before: Vec<Future<u32>> = (0..4).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let future = submit();
    let after: Vec<Future<u32>> = (4..8).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    assert!((0..).zip(before.iter().chain(&after)).all(|(n, future)| future.result().unwrap() == n * n));
    future
}

fn a081_b07_an_argument_that_cannot_be_encoded_is_an_error_of_submit(builder: Builder) {
    let pool = pool(builder, 1);
    for deed in [Deed::Fail, Deed::Panic] {
        let error = pool.task().name("take").submit(take_encoding, (Encoding(deed),)).unwrap_err();
        let SubmitError::Encode(codec) = &error else { panic!("{error}") };
        assert_eq!((&*codec.task, codec.what), ("take", Coded::ArgumentsInCaller));
        assert!(codec.type_name.contains("Encoding"), "{error}");
        assert!(pool.worker_pids().is_empty(), "nothing was queued");
    }
    assert_sound(&pool);
}

fn a082_a_worker_that_exits_while_it_decodes_fails_that_future(builder: Builder) {
    let pool = pool(builder, 2);
    let future = among_others(&pool, || pool.submit(take_decoding, (Decoding(Deed::Exit(5)),)).unwrap());
    assert_died(future.result(), ExitCause::Code(5));
    assert_sound(&pool);
}

fn a083_a128_b07_an_argument_that_the_worker_cannot_decode_fails_that_future(builder: Builder) {
    let pool = pool(builder, 1);
    for deed in [Deed::Fail, Deed::Panic] {
        let future = among_others(&pool, || pool.submit(take_decoding, (Decoding(deed),)).unwrap());
        let Err(TaskError::Decode(codec)) = future.result() else { panic!("{future:?}") };
        assert_eq!(codec.what, Coded::ArgumentsInWorker);
        assert!(codec.type_name.contains("Decoding"), "{codec}");
        assert_sound(&pool);
    }
    assert_eq!(pool.worker_pids().len(), 1);
}

fn a084_a_worker_that_crashes_while_it_decodes_fails_that_future(builder: Builder) {
    let pool = pool(builder, 2);
    let future = among_others(&pool, || pool.submit(take_decoding, (Decoding(Deed::Signal(SEGV)),)).unwrap());
    assert_died(future.result(), ExitCause::Signal(SEGV));
    assert_sound(&pool);
}

fn a085_a_worker_that_crashes_in_the_task_fails_that_future(builder: Builder) {
    let pool = pool(builder, 2);
    for signal in [SEGV, 6, 9, 15] {
        let future = among_others(&pool, || pool.submit(commit, (Deed::Signal(signal),)).unwrap());
        assert_died(future.result(), ExitCause::Signal(signal));
        assert_sound(&pool);
    }
    assert_died(pool.submit(|| -> () { std::process::abort() }, ()).unwrap().result(), ExitCause::Signal(6));
}

fn a086_a_task_that_exits_fails_its_future(builder: Builder) {
    let pool = pool(builder, 2);
    let future = among_others(&pool, || pool.submit(commit, (Deed::Exit(1),)).unwrap());
    assert_died(future.result(), ExitCause::Code(1));
    assert_sound(&pool);
}

fn a088_a_worker_that_crashes_while_it_encodes_fails_that_future(builder: Builder) {
    let pool = pool(builder, 2);
    let future = among_others(&pool, || pool.submit(give_encoding, (Deed::Signal(SEGV),)).unwrap());
    assert_died(future.result(), ExitCause::Signal(SEGV));
    assert_sound(&pool);
}

fn a089_a_worker_that_exits_while_it_encodes_fails_that_future(builder: Builder) {
    let pool = pool(builder, 2);
    let future = among_others(&pool, || pool.submit(give_encoding, (Deed::Exit(1),)).unwrap());
    assert_died(future.result(), ExitCause::Code(1));
    assert_sound(&pool);
}

fn a090_b07_a_result_that_cannot_be_encoded_fails_that_future(builder: Builder) {
    let pool = pool(builder, 1);
    for deed in [Deed::Fail, Deed::Panic] {
        let future = among_others(&pool, || pool.submit(give_encoding, (deed,)).unwrap());
        let Err(TaskError::Encode(codec)) = future.result() else { panic!("{future:?}") };
        assert_eq!(codec.what, Coded::ResultInWorker);
        assert!(codec.type_name.contains("Encoding"), "{codec}");
        assert_sound(&pool);
    }
    assert_eq!(pool.worker_pids().len(), 1);
}

fn a091_a092_b07_a_result_that_the_caller_cannot_decode_fails_that_future(builder: Builder) {
    let pool = pool(builder, 1);
    for deed in [Deed::Fail, Deed::Panic] {
        let future = among_others(&pool, || pool.submit(give_decoding, (deed,)).unwrap());
        // Each time that somebody asks, and for whoever asks.
        for _ in 0..2 {
            let Err(TaskError::Decode(codec)) = future.result() else { panic!("{future:?}") };
            assert_eq!(codec.what, Coded::ResultInCaller);
        }
        assert!(future.exception().is_none());
        assert_sound(&pool);
    }
    assert!(pool.submit(give_decoding, (Deed::Nothing,)).unwrap().result().is_ok());
}

fn a093_a_worker_that_crashes_after_the_shutdown_holds_up_nobody(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let crashing = |gate: String| {
        stop_at(gate, 1);
        commit(Deed::Signal(SEGV));
    };
    let future = pool.submit(crashing, (gate.name(),)).unwrap();
    let behind = pool.submit(u32::pow, (2, 8)).unwrap();
    let held = gate.next();
    pool.shutdown_with(Shutdown::new().no_wait());
    drop(held);
    assert_died(future.result(), ExitCause::Signal(SEGV));
    assert_eq!(behind.result().unwrap(), 256);
    pool.shutdown();
    assert!(pool.worker_pids().is_empty());
}

fn a094_a_shutdown_behind_an_argument_that_cannot_be_encoded_returns(builder: Builder) {
    let pool = pool(builder, 1);
    let before = pool.submit(u32::pow, (2, 8)).unwrap();
    let error = pool.submit(take_encoding, (Encoding(Deed::Fail),)).unwrap_err();
    pool.shutdown_with(Shutdown::new().no_wait());
    assert!(matches!(error, SubmitError::Encode(_)));
    assert_eq!(before.result().unwrap(), 256);
    pool.shutdown();
}

pub(crate) fn crash_with(bytes: Bytes) {
    assert!(bytes.len() == 1 << 20);
    commit(Deed::Signal(SEGV));
}

fn a095_workers_that_crash_while_large_arguments_are_sent_hold_up_nobody(builder: Builder) {
    let pool = pool(builder, 2);
    let futures: Vec<Future<()>> =
        (0..12).map(|_| pool.submit(crash_with, (Bytes::from(vec![1; 1 << 20]),)).unwrap()).collect();
    for future in futures {
        assert_died(future.result(), ExitCause::Signal(SEGV));
    }
    assert_sound(&pool);
}

fn a096_a_slow_callback_does_not_hold_up_submits(builder: Builder) {
    let pool = pool(builder, 2);
    let (block, blocked) = std::sync::mpsc::channel::<()>();
    let (reach, reached) = std::sync::mpsc::channel();
    pool.submit(u32::pow, (2, 8)).unwrap().add_done_callback(move |_| {
        reach.send(()).unwrap();
        let _ = blocked.recv();
    });
    reached.recv().unwrap();
    let futures: Vec<Future<u32>> = (0..100).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    drop(block);
    assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n * n));
}

fn b04_a_shutdown_that_cancels_returns_though_a_codec_fails_after_it(builder: Builder) {
    let gates = [Gate::new(), Gate::new()];
    let pool = pool(builder, 2);
    let unencoded = pool.submit(stop_and_give_encoding, (gates[0].name(), Deed::Fail)).unwrap();
    let undecoded = pool.submit(stop_and_give_decoding, (gates[1].name(), Deed::Fail)).unwrap();
    let held = [gates[0].next(), gates[1].next()];
    let pending = pool.submit(take_decoding, (Decoding(Deed::Panic),)).unwrap();
    pool.shutdown_with(Shutdown::new().no_wait().cancel_pending());
    drop(held);
    pool.shutdown();
    // Where nothing can be taken back, it was with its worker already.
    assert!(matches!(pending.result(), Err(TaskError::Cancelled | TaskError::Decode(_))), "{pending:?}");
    let Err(TaskError::Encode(error)) = unencoded.result() else { panic!("{unencoded:?}") };
    assert_eq!(error.what, Coded::ResultInWorker, "{error}");
    let Err(TaskError::Decode(error)) = undecoded.result() else { panic!("{undecoded:?}") };
    assert_eq!(error.what, Coded::ResultInCaller, "{error}");
}

fn stop_and_give_encoding(gate: String, deed: Deed) -> Encoding {
    stop_at(gate, 0);
    Encoding(deed)
}

fn stop_and_give_decoding(gate: String, deed: Deed) -> Decoding {
    stop_at(gate, 0);
    Decoding(deed)
}

fn items_that_cannot_be_coded_stand_at_their_positions(builder: Builder) {
    use Deed::{Fail, Nothing, Panic};
    let pool = pool(builder, 2);
    let deeds = [Nothing, Fail, Nothing, Panic, Nothing];
    for chunksize in [1, 2, 5] {
        let batch = || pool.batch().chunksize(chunksize);
        let encoded: Vec<_> = batch().map(take_encoding, deeds.map(Encoding)).unwrap().collect();
        let decoded: Vec<_> = batch().map(take_decoding, deeds.map(Decoding)).unwrap().collect();
        let given: Vec<_> = batch().map(give_encoding, deeds).unwrap().map(|end| end.map(drop)).collect();
        let taken: Vec<_> = batch().map(give_decoding, deeds).unwrap().map(|end| end.map(drop)).collect();
        let expected = [Ok(()), Err(()), Ok(()), Err(()), Ok(())];
        for (results, what) in [
            (encoded, Coded::ArgumentsInCaller),
            (decoded, Coded::ArgumentsInWorker),
            (given, Coded::ResultInWorker),
            (taken, Coded::ResultInCaller),
        ] {
            let errors = results.iter().filter_map(|result| result.as_ref().err());
            for error in errors {
                assert!(matches!(error, TaskError::Encode(codec) | TaskError::Decode(codec) if codec.what == what));
            }
            let shape: Vec<Result<(), ()>> = results.into_iter().map(|result| result.map_err(drop)).collect();
            assert_eq!(shape, expected, "{what:?} in chunks of {chunksize}");
        }
    }
}
