//! `parent-kill`: a program with a busy pool is killed at a random moment, again and again. Nobody who worked for it may
//! stay, and nothing of it in the places for temporary files.
//!
//! Keeps true: whatever the victim started becomes a child of this process when its own parent ends, so that "nobody is
//! left" means that this process has no child. All of them hold a pipe as well, whose end tells when the last let go of it.

mod places;
mod victim;

use std::collections::BTreeSet;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};

use self::places::Places;
use self::victim::Victim;
pub(crate) use self::victim::{NAME as VICTIM, be_the_victim};
use crate::arguments;
use crate::findings::Findings;
use crate::processes;
use crate::random::Random;
use crate::targets::Target;
use crate::tokens;

/// The latest moment of the kill, counted from the victim's start.
const LATEST_KILL: Duration = Duration::from_millis(300);

/// After so long whoever is left stays.
const LIMIT: Duration = Duration::from_secs(20);

/// What we would like to see, and do not insist on.
const GOAL: Duration = Duration::from_millis(100);

/// A process that was killed and takes longer to end is shown: whatever keeps it is the system's.
const SLOW: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    times: u64,
    seed: u64,
}

impl Plan {
    /// # Errors
    /// What is wrong with the arguments.
    pub(crate) fn from_arguments(words: &[String]) -> Result<Self, String> {
        let [times, seed] = arguments::numbers(words, ["times", "seed"])?;
        let times = times.unwrap_or(200);
        if times == 0 {
            return Err("--times must be at least 1".to_owned());
        }
        Ok(Self { times, seed: seed.unwrap_or_else(arguments::seed_from_clock) })
    }
}

/// Does it; the exit code says whether a promise was broken.
pub(crate) fn run(plan: &Plan) -> ExitCode {
    println!("parent-kill: seed {}, {} times", plan.seed, plan.times);
    let findings = Findings::new();
    let places = match set_child_subreaper(Some(getpid())).map_err(Into::into).and_then(|()| Places::new()) {
        Ok(places) => places,
        Err(error) => {
            findings.report(&format!("it could not be begun: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut random = Random::new(plan.seed, 0);
    let mut deaths = Vec::new();
    for number in 1..=plan.times {
        match kill_one(number, &mut random, &places, &findings) {
            Ok(death) => deaths.push(death),
            Err(error) => findings.report(&format!("victim {number}: {error}")),
        }
        if number % 50 == 0 || number == plan.times {
            println!("{number} killed: {}", text(&deaths));
        }
    }
    let violations = findings.count();
    let (verdict, code) = match violations {
        0 => ("ok", ExitCode::SUCCESS),
        _ => ("FAILED", ExitCode::FAILURE),
    };
    println!(
        "parent-kill: {verdict}, {violations} violations in {} kills, seed {}: {}",
        plan.times,
        plan.seed,
        text(&deaths)
    );
    code
}

/// How it went once.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// How many processes there were when the victim was killed.
    processes: usize,
    /// The time from the kill until the victim itself had ended, which is the system's doing.
    own: Duration,
    /// The time from the kill until the last of them was gone.
    took: Duration,
}

fn kill_one(number: u64, random: &mut Random, places: &Places, findings: &Findings) -> Result<Death, String> {
    let token = tokens::new(number);
    let victim = Victim::start(&token, random.next(), places.temporary())?;
    std::thread::sleep(random.duration(LATEST_KILL));
    let processes = processes::with_token(&token).len();
    let ended_by_itself = victim.has_ended();
    let killed = Instant::now();
    victim.kill();
    if !victim.wait_for_end(SLOW) {
        println!("victim {number} was killed {SLOW:?} ago and has not ended: {}", victim.describe());
        victim.wait_for_end(LIMIT);
    }
    let own = killed.elapsed();
    let let_go = victim.wait_until_all_let_go(LIMIT);
    let gone = let_go && reap_all(killed + LIMIT);
    let took = killed.elapsed();
    let left = processes::with_token(&token);
    if !gone || !left.is_empty() {
        // Some have no environment any more, some are not our children yet.
        let left: BTreeSet<u32> = left.into_iter().chain(processes::children()).collect();
        let left: String = left.into_iter().map(processes::describe).collect();
        end_all();
        return Err(format!("somebody is left after {took:?}: {left}"));
    }
    if ended_by_itself {
        return Err("it ended before it was killed".to_owned());
    }
    for leftover in places.leftovers() {
        findings.report(&format!("victim {number} left {leftover}"));
    }
    Ok(Death { processes, own, took })
}

/// Reaps the victim and whoever became a child of ours by its end. False: some do not end.
fn reap_all(deadline: Instant) -> bool {
    loop {
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Err(Errno::CHILD) => return true,
            Ok(None) if Instant::now() > deadline => return false,
            Ok(None) => std::thread::park_timeout(Duration::from_micros(200)),
            _ => {}
        }
    }
}

/// Ends those who are left, so that the next victim is judged by itself. All of them are children of this process, or
/// become that.
fn end_all() {
    while !reap_all(Instant::now()) {
        processes::children().into_iter().filter_map(Target::worker).for_each(|target| target.kill());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn text(deaths: &[Death]) -> String {
    let (Some(took), Some(own)) = (Times::of(deaths, |death| death.took), Times::of(deaths, |death| death.own)) else {
        return "none of them well".to_owned();
    };
    let rest = Times::of(deaths, |death| death.took - death.own).map_or_else(String::new, |rest| rest.to_string());
    let late = deaths.iter().filter(|death| death.took > GOAL).count();
    let most = deaths.iter().map(|death| death.processes).max().unwrap_or(0);
    format!(
        "from the kill to the last process gone {took}, {late} later than {GOAL:?}; of that until the victim had ended \
         {own}, and then {rest}; up to {most} processes"
    )
}

/// What is said of a figure that was taken several times.
struct Times {
    median: Duration,
    longest: Duration,
}

impl Times {
    fn of(deaths: &[Death], figure: impl Fn(&Death) -> Duration) -> Option<Self> {
        let mut times: Vec<Duration> = deaths.iter().map(figure).collect();
        times.sort_unstable();
        Some(Self { median: *times.get(times.len() / 2)?, longest: *times.last()? })
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?} (longest {:.1?})", self.median, self.longest)
    }
}
