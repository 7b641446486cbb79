//! Bare processes that use up their processor: as a side, and as company that a case has to bear.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::case::Failure;
use crate::children::{self, Asked};
use crate::{cores, pools, roles};

/// The role: burns as many times and as long as each line says, and answers when that is done.
pub(crate) fn burn_as_told() -> Result<(), Failure> {
    roles::answer_lines(|line| {
        let (times, micros) = line.split_once(' ').ok_or("how often, and how long?")?;
        let micros = micros.parse()?;
        (0..times.parse::<u64>()?).for_each(|_| pools::burn(micros));
        Ok(0.0)
    })
}

/// The role: works for ever on that core, and answers each line with how much it has done.
pub(crate) fn be_busy(core: usize) -> Result<(), Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&done);
    cores::pin(core)?;
    let work = move || {
        loop {
            std::hint::black_box((0..1000_u32).fold(0, |sum, number| std::hint::black_box(sum ^ number)));
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::Builder::new().name("busy".to_owned()).spawn(work)?;
    roles::answer_lines(|_| Ok(done.load(Ordering::Relaxed) as f64))
}

/// Processes that each burn what they are told.
pub(crate) fn start(processes: usize) -> Result<Vec<Asked>, Failure> {
    (0..processes).map(|_| Asked::start(&mut children::role(&["burn"]))).collect()
}

/// Lets each burn so often, all at the same time.
pub(crate) fn burn(burners: &mut [Asked], times: usize, micros: u64) -> Result<(), Failure> {
    burners.iter_mut().try_for_each(|burner| burner.tell(&format!("{times} {micros}")))?;
    burners.iter_mut().try_for_each(|burner| burner.answer().map(drop))
}

/// A process that keeps that core busy until it is dropped, and is busy when this returns.
pub(crate) fn busy(core: usize) -> Result<Asked, Failure> {
    let mut burner = Asked::start(&mut children::role(&["busy", &core.to_string()]))?;
    while burner.ask("done?")? == 0.0 {}
    Ok(burner)
}
