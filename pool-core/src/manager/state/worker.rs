//! What the manager knows of one worker: what it does, what it holds, and how fast it is.

use std::time::{Duration, Instant};

use super::refusal::Taking;
use crate::error::LossTime;

/// How long the frames that are posted ahead of a worker should keep it busy.
const AHEAD: Duration = Duration::from_micros(500);

/// What one worker is doing. Moves from `Starting` to `Ready`, from both to `Closing`, and is dropped when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not said hello.
    Starting,
    Ready,
    Closing,
}

/// Why a worker is to make room, by a decision of the pool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It has been given all the tasks that it may run, is old, or has grown: another one takes its place first.
    Replaced,
    /// The same, and its successor is up.
    Relieved,
    /// It may have been idle for long, and goes if it is still.
    Idle,
    /// There are more workers than are allowed now.
    Surplus,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) stage: Stage,
    /// How many frames it holds, as far as is known.
    pub(super) outstanding: usize,
    /// How many the feeder was told to post and has not reported.
    pub(super) coming: usize,
    /// Callers may have posted to it.
    pub(super) offered: bool,
    /// Since when it has worked on the frame that it works on, where that is known: not when a caller posted to it.
    pub(super) since: Option<Instant>,
    /// The time that an item takes, averaged.
    pub(super) pace: Option<Duration>,
    /// When it was last heard to have finished something.
    pub(super) moved_at: Option<Instant>,
    /// Whether it took what it was to be given last.
    pub(super) taking: Taking,
    /// It is free and leaves what there is to others, until a timer is due.
    pub(super) stands_aside: bool,
    /// Whether the timer is set that watches over frames posted ahead.
    pub(super) timed: bool,
    /// The timer is set that watches over frames of several items.
    pub(super) burdened: bool,
    /// It was given a time limit to keep before it said hello.
    pub(super) limited: bool,
    /// When its limits are looked at next.
    pub(super) look_at: Option<Instant>,
    /// Since when it has been seen to hold frames, to run none of them, and to tell nothing.
    pub(super) rests_since: Option<Instant>,
    /// What it runs is being stopped.
    pub(super) condemned: bool,
    /// That was over before it was asked to end; what it runs else is not being stopped.
    pub(super) acquitted: bool,
    /// It was asked to end with the pool, and is over a limit besides.
    pub(super) outstays: bool,
    /// It is condemned, and nothing can end it.
    pub(super) given_up: bool,
    /// It was to be ended, and goes on.
    pub(super) survives: bool,
    /// When it is to have said hello, as long as it has not.
    pub(super) hello_by: Option<Instant>,
    /// It said hello.
    pub(super) greeted: bool,
    /// It was killed because it did not say hello.
    pub(super) too_late: bool,
    /// It has been given all the tasks that it may run.
    pub(super) spent: bool,
    /// Why it is to make room.
    pub(super) leaving: Option<Leaving>,
    /// Since when it has had nothing to do, as far as is known.
    pub(super) idle_since: Option<Instant>,
    /// Whether the timer is set that looks for its idleness.
    pub(super) idle_timed: bool,
    /// When its memory was last looked at.
    pub(super) measured_at: Option<Instant>,
    /// Whether the timer is set for the next such look.
    pub(super) measure_timed: bool,
}

impl Worker {
    /// One that was just started.
    pub(super) fn starting() -> Self {
        Self {
            stage: Stage::Starting,
            outstanding: 0,
            coming: 0,
            offered: false,
            since: None,
            pace: None,
            moved_at: None,
            taking: Taking::Yes,
            stands_aside: false,
            timed: false,
            burdened: false,
            limited: false,
            look_at: None,
            rests_since: None,
            condemned: false,
            acquitted: false,
            outstays: false,
            given_up: false,
            survives: false,
            hello_by: None,
            greeted: false,
            too_late: false,
            spent: false,
            leaving: None,
            idle_since: None,
            idle_timed: false,
            measured_at: None,
            measure_timed: false,
        }
    }

    /// Whether it has something to do that somebody waits for.
    pub(super) fn is_loaded(&self) -> bool {
        self.outstanding + self.coming > 0 && !self.survives
    }

    /// Whether nobody else may run anything in its stead.
    pub(super) fn holds_a_place(&self) -> bool {
        self.stage != Stage::Closing || (self.is_loaded() || self.condemned) && !self.given_up
    }

    /// In which part of its life it was lost, where no task is to blame.
    pub(super) fn loss_time(&self) -> LossTime {
        match (self.greeted, self.too_late) {
            (true, _) => LossTime::Idle,
            (false, true) => LossTime::TooLate,
            (false, false) => LossTime::Starting,
        }
    }

    /// How many items it should hold.
    pub(super) fn depth(&self, most: usize) -> usize {
        let Some(pace) = self.pace.filter(|_| self.stage == Stage::Ready) else { return 1 };
        let fitting = AHEAD.as_nanos() / pace.as_nanos().max(1);
        usize::try_from(fitting).unwrap_or(most).clamp(1, most)
    }

    /// Learns from `count` items that are done, if it is known when they began.
    pub(super) fn note_pace(&mut self, count: usize, now: Instant) {
        if count == 0 {
            return;
        }
        self.moved_at = Some(now);
        let began = std::mem::replace(&mut self.since, (self.outstanding > 0).then_some(now));
        let Some(elapsed) = began.map(|began| now.saturating_duration_since(began)) else { return };
        let each = elapsed / u32::try_from(count).unwrap_or(u32::MAX);
        self.pace = Some(self.pace.map_or(each, |pace| (pace * 3 + each) / 4));
    }
}
