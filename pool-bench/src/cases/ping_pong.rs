//! One task at a time: how long a caller waits for a worker that does next to nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pool_core::SharedMemory;

use crate::case::{Beside, Case, Failure, Goal, Measure, Rounds, Sides, Stage, Unit};
use crate::children::Asked;
use crate::peer::{RoundTrip, burner, futex, ipc, pipe, procspawn, python};
use crate::setting::Setting;
use crate::{cores, pools};

pub(crate) const PING_PONG: Case = Case {
    name: "ping_pong",
    about: "submit(add, (1, 2)).result(), one at a time, to one worker, on two cores and on one",
    stages: &[
        Stage {
            sides: |setting, sides| start(setting, sides, setting.cores.far, ["", "paused"]),
            rounds: Rounds::Usual,
            beside: Beside::CacheLine,
            goals: &[
                Goal::at_most(1.15).times("pipe"),
                Goal::at_most(1.3).on("paused").times_variant("paused", "pipe"),
            ],
        },
        Stage {
            sides: |setting, sides| start(setting, sides, setting.cores.near, ["one-core", "one-core-paused"]),
            rounds: Rounds::Usual,
            beside: Beside::Nothing,
            goals: &[
                Goal::at_most(1.15).on("one-core").times_variant("one-core", "pipe"),
                Goal::at_most(1.3).on("one-core-paused").times_variant("one-core-paused", "pipe"),
            ],
        },
    ],
};

pub(crate) const PING_PONG_HOT: Case = Case {
    name: "ping_pong_hot",
    about: "the same back to back on two cores, where both sides look for a moment before they sleep; and beside four busy \
            processes",
    stages: &[
        Stage {
            sides: hot,
            rounds: Rounds::Usual,
            beside: Beside::CacheLine,
            goals: &[Goal::at_most(0.1).times("pipe")],
        },
        Stage {
            sides: beside_others,
            rounds: Rounds::Usual,
            beside: Beside::Nothing,
            goals: &[
                Goal::at_most(1.0).on("busy").times_variant("busy-asleep", "pool"),
                Goal::at_least(0.9).on("left-to-others").times_variant("left-to-others", "bare"),
            ],
        },
    ],
};

/// How long either side looks for the other before it sleeps.
const SPIN: Duration = Duration::from_micros(20);

fn hot(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    cores::pin(setting.cores.near)?;
    let pace = Pace { variant: "", times: setting.pick(100_000, 20_000), pause: Duration::ZERO };
    sides.own("", "pool", Unit::Micros, figures(pace, spinning_pool(setting.cores.far)?));
    sides.own("", "pipe", Unit::Micros, figures(pace, pipe::round_trip(setting.cores.far)?));
    sides.own("", "futex", Unit::Micros, figures(pace, futex::round_trip(setting.cores.far)?));
    Ok(())
}

/// How many processes are busy beside the pool, half of them on each core.
const BUSY: usize = 4;

fn beside_others(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let cores = [setting.cores.near, setting.cores.far];
    let busy = (0..BUSY).map(|number| burner::busy(cores[number % 2])).collect::<Result<Vec<_>, _>>()?;
    let busy = Rc::new(RefCell::new(busy));
    cores::pin(setting.cores.near)?;
    let pace = |variant| Pace { variant, times: setting.pick(2_000, 300), pause: Duration::ZERO };
    sides.own("busy", "pool", Unit::Micros, figures(pace("busy"), spinning_pool(setting.cores.far)?));
    sides.own("busy-asleep", "pool", Unit::Micros, figures(pace("busy-asleep"), pool(setting.cores.far)?));
    let mut round_trip = spinning_pool(setting.cores.far)?;
    let (span, while_we_play, alone) = (setting.pick(500, 100), Rc::clone(&busy), busy);
    let span = Duration::from_millis(span);
    sides.own("left-to-others", "pool", Unit::PerSecond, move || {
        work_done(&while_we_play, || {
            let start = Instant::now();
            while start.elapsed() < span {
                round_trip()?;
            }
            Ok(())
        })
    });
    sides.own("left-to-others", "bare", Unit::PerSecond, move || {
        work_done(&alone, || {
            std::thread::sleep(span);
            Ok(())
        })
    });
    Ok(())
}

/// What the busy processes get done each second while something else happens.
fn work_done(busy: &RefCell<Vec<Asked>>, happens: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
    let done = || busy.borrow_mut().iter_mut().map(|busy| busy.ask("done?")).sum::<Result<f64, _>>();
    let (start, before) = (Instant::now(), done()?);
    happens()?;
    Ok((done()? - before) / start.elapsed().as_secs_f64())
}

const PAUSE: Duration = Duration::from_micros(300);

/// All sides, with the worker on that core and everything else on the near one: back to back, and with pauses.
fn start(
    setting: &Setting,
    sides: &mut Sides<'_>,
    core: usize,
    [back_to_back, paused]: [&'static str; 2],
) -> Result<(), Failure> {
    cores::pin(setting.cores.near)?;
    let times = setting.pick(10_000, 2_000);
    at_a_pace(setting, sides, core, Pace { variant: back_to_back, times, pause: Duration::ZERO })?;
    let times = setting.pick(1_000, 200);
    at_a_pace(setting, sides, core, Pace { variant: paused, times, pause: PAUSE })
}

/// How calls follow each other.
#[derive(Clone, Copy)]
struct Pace {
    variant: &'static str,
    times: u32,
    pause: Duration,
}

fn at_a_pace(setting: &Setting, sides: &mut Sides<'_>, core: usize, pace: Pace) -> Result<(), Failure> {
    let variant = pace.variant;
    sides.own(variant, "pool", Unit::Micros, figures(pace, pool(core)?));
    sides.own(variant, "pipe", Unit::Micros, figures(pace, pipe::round_trip(core)?));
    sides.own(variant, "futex", Unit::Micros, figures(pace, futex::round_trip(core)?));
    sides.peer(variant, "procspawn", Unit::Micros, || Ok(figures(pace, procspawn::round_trip(core)?)));
    sides.peer(variant, "ipc-channel", Unit::Micros, || Ok(figures(pace, ipc_channel(core)?)));
    for peer in python::SIDES {
        let (near, pause) = (setting.cores.near, pace.pause.as_micros());
        // They take so long that fewer calls tell as much.
        let question = format!("{} {pause} {near} {core}", pace.times / 4);
        sides.peer(variant, peer, Unit::Micros, || python::start(setting, peer, "ping_pong", question));
    }
    Ok(())
}

/// The mean of a call, without the pauses.
fn figures(Pace { times, pause, .. }: Pace, mut round_trip: RoundTrip) -> Measure {
    if pause.is_zero() {
        return Box::new(move || {
            let start = Instant::now();
            (0..times).try_for_each(|_| round_trip())?;
            Ok(pools::micros(start.elapsed()) / f64::from(times))
        });
    }
    Box::new(move || {
        let mut taken = Duration::ZERO;
        for _ in 0..times {
            std::thread::sleep(pause);
            let start = Instant::now();
            round_trip()?;
            taken += start.elapsed();
        }
        Ok(pools::micros(taken) / f64::from(times))
    })
}

fn pool(core: usize) -> Result<RoundTrip, Failure> {
    let pool = pools::pinned(core)?;
    Ok(Box::new(move || Ok(pool.submit(pools::add, (1, 2))?.result().map(drop)?)))
}

fn spinning_pool(core: usize) -> Result<RoundTrip, Failure> {
    let pool = pools::pinned_on(SharedMemory::new().spin(SPIN), core)?;
    Ok(Box::new(move || Ok(pool.submit(pools::add, (1, 2))?.result().map(drop)?)))
}

fn ipc_channel(core: usize) -> Result<RoundTrip, Failure> {
    let echo = ipc::Echo::start()?;
    echo.pin(core)?;
    Ok(Box::new(move || echo.add().map(drop)))
}
