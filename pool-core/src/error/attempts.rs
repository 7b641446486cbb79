//! A task that failed in more than one attempt: what each of them came to.
//!
//! Keeps true: what is kept of any number of attempts is bounded, and its text is. Never decides whether there is another
//! attempt.

use std::fmt;
use std::sync::Arc;

use crate::error::TaskError;
use crate::error::last_lines::indented;

/// A task that failed in more than one attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exhausted {
    /// The task.
    pub task: String,
    /// How many attempts there were. At least two.
    pub attempts: u32,
    /// Why each attempt failed, in order. Of more than 16 the first eight and the last eight. The last one may not have begun:
    /// it was cancelled, or given up with the pool, in the pause before it.
    pub causes: Vec<TaskError>,
}

impl Exhausted {
    /// Why the last attempt failed.
    pub fn last(&self) -> &TaskError {
        self.causes.last().unwrap_or(&TaskError::Abandoned)
    }

    /// Why the last attempt failed that was run.
    pub(crate) fn last_run(&self) -> Option<&TaskError> {
        let had_begun = |cause: &&TaskError| match cause {
            TaskError::Cancelled | TaskError::ShutDown => false,
            TaskError::TimedOut(late) => late.pid.is_some(),
            TaskError::ForcedShutdown(forced) => forced.pid.is_some(),
            _ => true,
        };
        self.causes.iter().rev().find(had_begun)
    }

    /// How many attempts have no cause in [`causes`](Self::causes).
    fn left_out(&self) -> u32 {
        self.attempts.saturating_sub(u32::try_from(self.causes.len()).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} failed in attempt {}: {}", self.task, self.attempts, self.last())?;
        let earlier = &self.causes[..self.causes.len().saturating_sub(1)];
        let left_out = self.left_out();
        let (first, last) = earlier.split_at(if left_out == 0 { earlier.len() } else { KEPT.min(earlier.len()) });
        write_attempts(f, 1, first)?;
        if left_out > 0 {
            write!(f, "\n  ... {left_out} more ...")?;
            write_attempts(f, left_out.saturating_add(KEPT as u32 + 1), last)?;
        }
        Ok(())
    }
}

fn write_attempts(f: &mut fmt::Formatter<'_>, first: u32, causes: &[TaskError]) -> fmt::Result {
    (first..).zip(causes).try_for_each(|(attempt, cause)| write!(f, "\n  attempt {attempt}: {}", indented(cause)))
}

/// So many causes are kept of the first attempts, and so many of the last ones.
const KEPT: usize = 8;

/// What the attempts of a task have come to so far.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    /// The first and the last ones, in order.
    kept: Vec<TaskError>,
    attempts: u32,
    deaths: u32,
}

impl Causes {
    /// How many attempts have failed.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How many of them have cost a worker.
    pub(crate) fn deaths(&self) -> u32 {
        self.deaths
    }

    /// One more has failed.
    pub(crate) fn add(&mut self, cause: TaskError) {
        self.attempts = self.attempts.saturating_add(1);
        self.deaths = self.deaths.saturating_add(u32::from(is_death(&cause)));
        if self.kept.len() == 2 * KEPT {
            self.kept.remove(KEPT);
        }
        self.kept.push(cause);
    }

    /// The error of a task of which these attempts failed before: this one, if there were none.
    pub(crate) fn conclude(mut self, task: &str, last: TaskError) -> TaskError {
        if self.attempts == 0 {
            return last;
        }
        self.add(last);
        let Self { kept: causes, attempts, .. } = self;
        TaskError::Exhausted(Arc::new(Exhausted { task: task.to_owned(), attempts, causes }))
    }
}

/// Whether an attempt has cost a worker.
pub(crate) fn is_death(cause: &TaskError) -> bool {
    matches!(cause, TaskError::WorkerDied(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of so many attempts, each of which failed in its own way.
    fn exhausted(attempts: u32) -> Exhausted {
        let mut causes = Causes::default();
        (1..attempts).for_each(|attempt| causes.add(TaskError::Unwanted(format!("no{attempt}"))));
        match causes.conclude("work", TaskError::Cancelled) {
            TaskError::Exhausted(exhausted) => (*exhausted).clone(),
            other => panic!("{other}"),
        }
    }

    fn numbers(exhausted: &Exhausted) -> Vec<String> {
        exhausted
            .to_string()
            .lines()
            .skip(1)
            .map(|line| line.replace(" returned a value that was not wanted", ""))
            .collect()
    }

    #[test]
    fn of_many_attempts_the_first_and_the_last_are_kept_and_told() {
        let few = exhausted(16);
        assert_eq!((few.attempts, few.causes.len(), few.to_string().lines().count()), (16, 16, 16));
        assert_eq!(numbers(&few)[14], "  attempt 15: task no15");
        let many = exhausted(1_000_000);
        assert_eq!((many.attempts, many.causes.len()), (1_000_000, 16));
        assert!(many.to_string().starts_with("task work failed in attempt 1000000: the task was cancelled\n"));
        let numbers = numbers(&many);
        assert_eq!((numbers.len(), &*numbers[0], &*numbers[7]), (16, "  attempt 1: task no1", "  attempt 8: task no8"));
        assert_eq!(numbers[8..10], ["  ... 999984 more ...", "  attempt 999993: task no999993"]);
        assert_eq!(numbers[15], "  attempt 999999: task no999999");
    }

    #[test]
    fn a_first_failure_is_itself_and_deaths_are_counted_though_they_are_not_kept() {
        assert!(matches!(Causes::default().conclude("work", TaskError::Cancelled), TaskError::Cancelled));
        let died = crate::error::WorkerDied::new("work", 7, pool_ipc::ExitCause::Signal(9), None);
        let died = TaskError::WorkerDied(Arc::new(died));
        let mut causes = Causes::default();
        (0..100).for_each(|_| causes.add(died.clone()));
        causes.add(TaskError::Cancelled);
        assert_eq!((causes.attempts(), causes.deaths()), (101, 100));
    }
}
