//! What is measured.

use std::error::Error;
use std::time::{Duration, Instant};

use pool_core::{ProcessPoolExecutor, TaskError};

use crate::measure::{Options, Summary, pin};
use crate::pipe::Echo;

/// A case by its name.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Options) -> Result<(), Box<dyn Error>>,
}

/// All cases, in the order in which they run.
pub(crate) const ALL: &[Case] = &[
    Case { name: "ping_pong", run: ping_pong },
    Case { name: "single_submits", run: single_submits },
    Case { name: "idle", run: idle },
];

fn add(a: u32, b: u32) -> u32 {
    a + b
}

/// One task at a time, on two cores, against a pipe between two processes on the same two cores.
fn ping_pong(options: &Options) -> Result<(), Box<dyn Error>> {
    const TIMES: u32 = 5_000;
    let mut echo = Echo::start(1)?;
    pin(&[1])?;
    let pool = ProcessPoolExecutor::builder().max_workers(1).initializer(|core: usize| pin(&[core]), (1,)).build()?;
    pool.submit(add, (1, 2))?.result()?;
    pin(&[0])?;
    let (mut pipe_us, mut pool_us) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let pipe = echo.round_trip(TIMES)?;
        let start = Instant::now();
        for _ in 0..TIMES {
            pool.submit(add, (1, 2))?.result()?;
        }
        let pool = start.elapsed() / TIMES;
        if round > 0 {
            pipe_us.push(micros(pipe));
            pool_us.push(micros(pool));
        }
    }
    drop(pool);
    pin(&[0, 1])?;
    let (pipe, pool) = (Summary::of(pipe_us), Summary::of(pool_us));
    pipe.print("ping_pong", "pipe", "us");
    pool.print("ping_pong", "pool", "us");
    println!("{:<16} pool is {:.2} x pipe", "ping_pong", pool.median / pipe.median);
    Ok(())
}

fn nothing() {}

/// Many tasks that do nothing, one submit each, then all results.
fn single_submits(options: &Options) -> Result<(), Box<dyn Error>> {
    const TASKS: usize = 200_000;
    let mut rates = Vec::new();
    for round in 0..=options.rounds {
        let pool = ProcessPoolExecutor::new(2)?;
        pool.submit(nothing, ())?.result()?;
        let start = Instant::now();
        let futures = (0..TASKS).map(|_| pool.submit(nothing, ())).collect::<Result<Vec<_>, _>>()?;
        futures.iter().try_for_each(|future| future.result())?;
        if round > 0 {
            rates.push(TASKS as f64 / start.elapsed().as_secs_f64());
        }
    }
    Summary::of(rates).print("single_submits", "pool", "per_s");
    Ok(())
}

/// The wake-ups of an idle pool: voluntary context switches of all its threads, in both kinds of processes.
fn idle(_options: &Options) -> Result<(), Box<dyn Error>> {
    const LOOK: Duration = Duration::from_secs(3);
    let pool = ProcessPoolExecutor::new(8)?;
    pool.map(|_: u32| std::thread::sleep(Duration::from_millis(20)), 0..64)?.collect::<Result<Vec<()>, TaskError>>()?;
    std::thread::sleep(Duration::from_millis(200));
    let own = std::process::id();
    let pids: Vec<u32> = pool.worker_pids().into_iter().chain([own]).collect();
    let before = switches(&pids)?;
    std::thread::sleep(LOOK);
    // The thread that measures slept once.
    println!("{:<16} {:<8} {:>12} wake-ups in {LOOK:?}", "idle", "pool", switches(&pids)? - before - 1);
    Ok(())
}

fn switches(pids: &[u32]) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for pid in pids {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = std::fs::read_to_string(thread?.path().join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.ok_or("no count of context switches")?.trim().parse::<u64>()?;
        }
    }
    Ok(sum)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
