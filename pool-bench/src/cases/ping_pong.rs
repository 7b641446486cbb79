//! One task at a time: how long a caller waits for a worker that does next to nothing.

use std::time::{Duration, Instant};

use crate::case::{Beside, Case, Failure, Goal, Measure, Rounds, Sides, Stage, Unit};
use crate::peer::{RoundTrip, futex, ipc, pipe, procspawn, python};
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

fn ipc_channel(core: usize) -> Result<RoundTrip, Failure> {
    let echo = ipc::Echo::start()?;
    echo.pin(core)?;
    Ok(Box::new(move || echo.add().map(drop)))
}
