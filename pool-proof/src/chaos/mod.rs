//! `chaos`: rounds of load on a pool whose workers are signalled at random.
//!
//! Keeps true: every round has a pool of its own, and after each this process has what it had before the first.

mod afterwards;
mod allocator;
mod rendezvous;
mod round;
mod stage;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_core::ProcessPoolExecutor;

use self::afterwards::Baseline;
use self::round::{Ending, Report, Round};
use self::stage::Stage;
use crate::arguments;
use crate::findings::Findings;
use crate::random::Random;
use crate::watchdog::{Progress, Watchdog};

/// The longest that a round rages.
const ROUND: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    length: Duration,
    seed: u64,
    workers: usize,
    /// The mean time between two signals.
    gap: Duration,
}

impl Plan {
    /// # Errors
    /// What is wrong with the arguments.
    pub(crate) fn from_arguments(words: &[String]) -> Result<Self, String> {
        let [seconds, seed, workers, rate] = arguments::numbers(words, ["seconds", "seed", "workers", "rate"])?;
        let workers = workers.unwrap_or(4);
        let rate = rate.unwrap_or(50);
        if workers == 0 || rate == 0 {
            return Err("--workers and --rate must be at least 1".to_owned());
        }
        Ok(Self {
            length: Duration::from_secs(seconds.unwrap_or(30)),
            seed: seed.unwrap_or_else(arguments::seed_from_clock),
            workers: usize::try_from(workers).map_err(|_| "--workers is too large".to_owned())?,
            gap: Duration::from_secs(1).div_f64(rate as f64),
        })
    }
}

/// Does it; the exit code says whether a promise was broken.
pub(crate) fn run(plan: &Plan) -> ExitCode {
    if let Err(error) = allocator::make_frugal() {
        eprintln!("pool-proof: {error}");
        return ExitCode::FAILURE;
    }
    println!("chaos: seed {}, {} s, {} workers", plan.seed, plan.length.as_secs(), plan.workers);
    let (findings, progress, stage) =
        (Arc::new(Findings::new()), Arc::new(Progress::new()), Arc::new(Stage::default()));
    let on_stage = Arc::clone(&stage);
    let watchdog = Watchdog::new(Arc::clone(&progress), move || on_stage.describe());
    warm_up();
    let baseline = Baseline::now();
    println!("before: {}", baseline.text());
    let mut random = Random::new(plan.seed, 0);
    let (start, mut rounds, mut sum) = (Instant::now(), 0, Report::default());
    loop {
        let left = plan.length.saturating_sub(start.elapsed());
        if left.is_zero() && rounds > 0 {
            break;
        }
        // A last round ends calmly, so that there is always one that is seen to be whole.
        let ending = if rounds % 2 == 1 && left > ROUND { Ending::UnderFire } else { Ending::Calm };
        let round = Round {
            length: left.min(ROUND),
            seed: random.next(),
            workers: plan.workers,
            gap: plan.gap,
            ending,
            cancels: random.one_in(2),
        };
        rounds += 1;
        match round.hold(&findings, &progress, &stage, &baseline) {
            Ok(report) => {
                println!("round {rounds} ({ending:?}): {}; then {}", report.text(), baseline.now_text());
                sum = sum.plus(report);
            }
            Err(error) => findings.report(&format!("round {rounds} could not be held: {error}")),
        }
    }
    drop(watchdog);
    conclude(plan, rounds, &sum, findings.count())
}

/// A first pool leaves what every pool needs.
fn warm_up() {
    let pool = ProcessPoolExecutor::new(1).expect("a pool can be made");
    pool.submit(std::process::id, ()).expect("it is open").result().expect("nothing happens to it");
}

fn conclude(plan: &Plan, rounds: u32, sum: &Report, violations: u64) -> ExitCode {
    let (verdict, code) = match violations {
        0 => ("ok", ExitCode::SUCCESS),
        _ => ("FAILED", ExitCode::FAILURE),
    };
    println!(
        "chaos: {verdict}, {violations} violations in {rounds} rounds of {} s, seed {}: {}",
        plan.length.as_secs(),
        plan.seed,
        sum.text()
    );
    code
}
