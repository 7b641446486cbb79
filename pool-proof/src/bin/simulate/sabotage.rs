//! The checks, checked: each defect that can be put in on purpose is to be found within a few seeds.

use std::sync::Arc;

use pool_core::simulation::{self, Pulse, Sabotage};

use crate::watchdog::Watchdog;

/// How many seeds a defect may stay unseen.
const SEEDS: u64 = 500;

/// The first seed that finds the defect.
fn found_by(sabotage: Sabotage) -> Option<u64> {
    let pulse = Arc::new(Pulse::default());
    let _watchdog = Watchdog::new(vec![Arc::clone(&pulse)], move |seed| {
        println!("simulate: seed {seed} hangs with the defect {sabotage:?}");
    });
    (0..SEEDS).find(|&seed| !simulation::run(seed, Some(sabotage), &pulse).violations.is_empty())
}

/// The defects that the checks do not find.
pub(crate) fn unseen() -> Vec<Sabotage> {
    Sabotage::ALL.into_iter().filter(|&sabotage| found_by(sabotage).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_that_is_put_in_is_found_within_few_seeds() {
        for sabotage in Sabotage::ALL {
            let seed = found_by(sabotage);
            println!("{sabotage:?} is found by seed {seed:?}");
            assert!(seed.is_some(), "{sabotage:?} is not found by {SEEDS} seeds");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        for seed in 0..20 {
            let [one, other] = [(), ()].map(|()| simulation::run(seed, None, &Arc::default()));
            assert_eq!((one.steps, one.items, one.violations), (other.steps, other.items, other.violations));
        }
    }
}
