//! Bytes there and back, of one and of 64 MiB.

use std::hint::black_box;
use std::time::Instant;

use pool_core::{Bytes, ProcessPoolExecutor};
use procspawn::Pool;

use crate::case::{Beside, Case, Failure, Goal, Measure, Rounds, Sides, Stage, Unit};
use crate::peer::{ipc, python};
use crate::pools;
use crate::setting::Setting;

const MIB: usize = 1 << 20;

/// After so many a pool has its memory warm: the first goes into memory of its own.
const WARM_UP: u32 = 3;

const GOALS: &[Goal] = &[Goal::at_most(3.3).times("memcpy"), Goal::at_most(9.0).on("cold").times("memcpy")];

pub(crate) const ECHO_1_MIB: Case = Case {
    name: "echo_1mib",
    about: "1 MiB as Bytes to a worker and back, again and again; cold: the first time in a new pool",
    stages: &[Stage {
        sides: |setting, sides| start(setting, sides, Load { bytes: MIB, times: setting.pick(200, 50) }),
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: GOALS,
    }],
};

pub(crate) const ECHO_64_MIB: Case = Case {
    name: "echo_64mib",
    about: "64 MiB as Bytes to a worker and back, again and again; cold: the first time in a new pool",
    stages: &[Stage {
        sides: |setting, sides| start(setting, sides, Load { bytes: 64 * MIB, times: setting.pick(10, 3) }),
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: GOALS,
    }],
};

/// What goes there and back, and how often for one figure.
#[derive(Clone, Copy)]
struct Load {
    bytes: usize,
    times: u32,
}

impl Load {
    fn fresh(self) -> Vec<u8> {
        vec![7; self.bytes]
    }

    /// The mean of one time where it goes on and on. Since its last turn a side may have given back memory that it had warm, as
    /// the pool does after a second; so it begins before the clock does.
    fn mean(self, mut once: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
        (0..WARM_UP).try_for_each(|_| once())?;
        let start = Instant::now();
        (0..self.times).try_for_each(|_| once())?;
        Ok(pools::millis(start.elapsed()) / f64::from(self.times))
    }
}

fn start(setting: &Setting, sides: &mut Sides<'_>, load: Load) -> Result<(), Failure> {
    sides.own("", "pool", Unit::Millis, warm(load)?);
    sides.own("cold", "pool", Unit::Millis, move || cold(load));
    sides.own("", "memcpy", Unit::Millis, memcpy(load));
    sides.peer("", "procspawn", Unit::Millis, || procspawn(load));
    sides.peer("", "ipc-channel", Unit::Millis, || ipc_channel(load));
    for peer in python::SIDES {
        let question = format!("{} {}", load.times.div_ceil(5), load.bytes);
        sides.peer("", peer, Unit::Millis, || python::start(setting, peer, "echo", question));
    }
    Ok(())
}

fn give_back(bytes: Bytes) -> Bytes {
    bytes
}

/// What came back goes there again, so that nobody copies but the pool.
fn warm(load: Load) -> Result<Measure, Failure> {
    let pool = pools::started(1)?;
    let mut bytes = Bytes::from(load.fresh());
    Ok(Box::new(move || {
        load.mean(|| {
            bytes = there_and_back(&pool, std::mem::take(&mut bytes), load.bytes)?;
            Ok(())
        })
    }))
}

fn cold(load: Load) -> Result<f64, Failure> {
    let pool = pools::started(1)?;
    let bytes = Bytes::from(load.fresh());
    let start = Instant::now();
    let back = there_and_back(&pool, bytes, load.bytes)?;
    let taken = start.elapsed();
    drop(back);
    Ok(pools::millis(taken))
}

fn there_and_back(pool: &ProcessPoolExecutor, bytes: Bytes, length: usize) -> Result<Bytes, Failure> {
    let back = pool.submit(give_back, (bytes,))?.result()?;
    match back.len() == length {
        true => Ok(back),
        false => Err(format!("{} of {length} bytes came back", back.len()).into()),
    }
}

/// One copy from warm memory to warm memory.
fn memcpy(load: Load) -> Measure {
    let (from, mut to) = (load.fresh(), load.fresh());
    Box::new(move || {
        load.mean(|| {
            black_box(&mut to).copy_from_slice(black_box(&from));
            Ok(())
        })
    })
}

fn procspawn(load: Load) -> Result<Measure, Failure> {
    let pool = Pool::new(1)?;
    let mut bytes = Bytes::from(load.fresh());
    // It takes so long that fewer tell as much.
    let load = Load { times: load.times.div_ceil(5), ..load };
    Ok(Box::new(move || {
        load.mean(|| {
            bytes = pool.spawn(std::mem::take(&mut bytes), give_back).join()?;
            Ok(())
        })
    }))
}

fn ipc_channel(load: Load) -> Result<Measure, Failure> {
    let (echo, bytes) = (ipc::Echo::start()?, load.fresh());
    Ok(Box::new(move || load.mean(|| echo.echo(&bytes).map(drop))))
}
