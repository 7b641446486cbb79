//! How long it takes to have workers: two of them, and 64 in a program that is large already.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pool_core::ProcessPoolExecutor;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::case::{Beside, Case, Failure, Goal, Rounds, Sides, Stage, Unit};
use crate::children::{self, Held};
use crate::gate::{Gate, now_ns};
use crate::peer::python;
use crate::pools;
use crate::setting::Setting;

pub(crate) const TWO: Case = Case {
    name: "start_two",
    about: "a new pool of two workers, its first result, and its end",
    stages: &[Stage {
        sides: two,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(1.0).times("procspawn")],
    }],
};

pub(crate) const BIG_PARENT: Case = Case {
    name: "start_64_big_parent",
    about: "64 processes under a parent with 1 GiB: until the last is started, until the last one runs (@running), and \
            the processor time of the parent (@processor)",
    stages: &[Stage {
        sides: big_parent,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(1.5).times("bare")],
    }],
};

const WORKERS: usize = 64;

fn two(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let times = setting.pick(20, 5);
    let mean = move |once: fn() -> Result<(), Failure>| {
        let start = Instant::now();
        (0..times).try_for_each(|_| once())?;
        Ok(pools::millis(start.elapsed()) / f64::from(times))
    };
    sides.own("", "pool", Unit::Millis, move || {
        mean(|| {
            let pool = ProcessPoolExecutor::new(2)?;
            Ok(pool.submit(pools::add, (1, 2))?.result().map(drop)?)
        })
    });
    sides.peer("", "procspawn", Unit::Millis, || {
        Ok(Box::new(move || {
            mean(|| {
                let pool = procspawn::Pool::new(2)?;
                Ok(pool.spawn((1, 2), |(a, b)| pools::add(a, b)).join().map(drop)?)
            })
        }))
    });
    for peer in python::SIDES {
        sides.peer("", peer, Unit::Millis, || python::start(setting, peer, "start_two", "1".to_owned()));
    }
    Ok(())
}

fn big_parent(_: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let resident = Rc::new(vec![1_u8; 1 << 30]);
    three_times(sides, "pool", &resident, pool);
    three_times(sides, "bare", &resident, bare);
    Ok(())
}

/// The three figures of a side, each from starts of its own.
fn three_times(
    sides: &mut Sides<'_>,
    side: &'static str,
    resident: &Rc<Vec<u8>>,
    start: fn() -> Result<Took, Failure>,
) {
    let mut add = |variant, of: fn(Took) -> Duration| {
        let resident = Rc::clone(resident);
        sides.own(variant, side, Unit::Millis, move || {
            std::hint::black_box(&resident);
            start().map(|took| pools::millis(of(took)))
        });
    };
    add("", |took| took.started);
    add("running", |took| took.running);
    add("processor", |took| took.processor);
}

/// What it took to have them all.
struct Took {
    /// Until the last is started.
    started: Duration,
    /// Until the last is in its `main`, or begins its first task.
    running: Duration,
    /// Of the processor, in the parent.
    processor: Duration,
}

fn pool() -> Result<Took, Failure> {
    const LOOK: Duration = Duration::from_micros(200);
    let mut gate = Gate::new()?;
    let (start, start_ns, processor) = (Instant::now(), now_ns(), pools::process_time());
    let pool = ProcessPoolExecutor::new(WORKERS)?;
    let held = gate.ask(&pool, WORKERS)?;
    // The pool does not say when it has started them: a look now and then costs little.
    while pool.worker_pids().len() < WORKERS {
        std::thread::sleep(LOOK);
    }
    let started = start.elapsed();
    gate.await_arrivals(WORKERS)?;
    let processor = pools::process_time() - processor;
    gate.open();
    let mut last_ns = start_ns;
    for future in held {
        last_ns = last_ns.max(future.result()?);
    }
    let running = Duration::from_nanos((last_ns - start_ns).unsigned_abs());
    Ok(Took { started, running, processor })
}

fn bare() -> Result<Took, Failure> {
    let (start, processor) = (Instant::now(), pools::process_time());
    let (greetings, greet) = pipe_with(PipeFlags::CLOEXEC)?;
    let children = (0..WORKERS).map(|_| {
        let greet = rustix::io::dup(&greet)?;
        Held::start(children::role(&["greet"]).stdin(Stdio::null()).stdout(Stdio::from(greet)))
    });
    let children = children.collect::<Result<Vec<_>, _>>()?;
    let started = start.elapsed();
    File::from(greetings).read_exact(&mut [0; WORKERS])?;
    let took = Took { started, running: start.elapsed(), processor: pools::process_time() - processor };
    drop(children);
    Ok(took)
}
