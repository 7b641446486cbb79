//! Whole lives of pools from random seeds: whatever the schedule, each frame is run or blamed, and a shutdown finishes.

use std::collections::{BTreeMap, VecDeque};

use super::*;

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// A pool whose workers are numbers: what each holds, and whether it has said hello and may be posted to.
struct Model {
    desk: Desk,
    random: Random,
    backlog: usize,
    done: usize,
    workers: BTreeMap<LinkId, ModelWorker>,
    idle: Vec<LinkId>,
    /// What the feeder and others will report, in order.
    inbox: VecDeque<Event>,
    orders: VecDeque<Action>,
    deaths_left: usize,
    /// How many frames a worker may be given.
    allowance: usize,
    trace: Vec<String>,
}

#[derive(Default)]
struct ModelWorker {
    held: usize,
    hello: bool,
    closed: bool,
    given: usize,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let some = |millis| Some(Duration::from_micros(millis));
        let staffing = Staffing {
            min_workers: random.below(3),
            spares: random.below(3),
            idle_timeout: some(100 + random.below(3_000) as u64).filter(|_| seed.is_multiple_of(3)),
            restarts: RestartLimit { losses: 2, within: Duration::from_micros(seed % 5_000) },
            max_age: some(1_000 + random.below(20_000) as u64).filter(|_| seed.is_multiple_of(5)),
            on_worker_loss: OnWorkerLoss::Replace,
            memory_limit: None,
            soft_memory: Some(1).filter(|_| seed.is_multiple_of(7)),
        };
        Self {
            desk: Desk::with(staffing),
            allowance: if random.below(2) == 0 { usize::MAX } else { 1 + random.below(6) },
            random,
            backlog: 0,
            done: 0,
            workers: BTreeMap::new(),
            idle: Vec::new(),
            inbox: VecDeque::new(),
            orders: VecDeque::new(),
            deaths_left: 6,
            trace: Vec::new(),
        }
    }

    fn decide(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let worker = event.link().and_then(|link| self.workers.get(&link));
            let (outstanding, given) = worker.map_or((0, 0), |worker| (worker.held, worker.given));
            let room = self.allowance - given;
            self.trace.push(format!("{event:?} waiting {} outstanding {outstanding}", self.backlog));
            let actions = self.desk.step_with_room(event, self.backlog, outstanding, room);
            for action in actions {
                self.trace.push(format!("  {action:?}"));
                events.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start(_) => self.orders.push_back(action),
            Action::Feed { link, items: frames } => {
                let frames = frames.min(self.backlog);
                self.backlog -= frames;
                self.orders.push_back(Action::Feed { link, items: frames });
            }
            Action::Offer(link) => self.idle.push(link),
            Action::Withdraw(link) => {
                let before = self.idle.len();
                self.idle.retain(|idle| *idle != link);
                return Some(if self.idle.len() < before { Event::Withdrawn(link) } else { Event::Taken(link) });
            }
            // Nothing has a time limit or several items here: that is the simulation's matter.
            Action::Look(_) | Action::Corner(_) | Action::Soften(_) | Action::Halve(_) => unreachable!("{action:?}"),
            Action::Steal { thief } => {
                let spare = |worker: &ModelWorker| worker.held.saturating_sub(usize::from(worker.hello));
                let others = self.workers.iter_mut().filter(|(link, _)| **link != thief);
                let Some((&victim, worker)) = others.max_by_key(|(_, worker)| spare(worker)) else {
                    return Some(Event::Stolen { thief, frames: 0 });
                };
                let frames = spare(worker).div_ceil(2);
                worker.held -= frames;
                worker.given -= frames;
                self.backlog += frames;
                if frames > 0 {
                    self.inbox.push_back(Event::Recalled(victim));
                }
                return Some(Event::Stolen { thief, frames });
            }
            Action::Recall(link) => {
                if let Some(worker) = self.workers.get_mut(&link) {
                    let spare = worker.held.saturating_sub(usize::from(worker.hello));
                    worker.held -= spare;
                    worker.given -= spare;
                    self.backlog += spare;
                }
                return Some(Event::Recalled(link));
            }
            Action::Close(link) => {
                if let Some(worker) = self.workers.get_mut(&link) {
                    worker.closed = true;
                }
            }
            Action::Measure(link) => {
                let resident = Some(u64::from(self.random.below(4) == 0) + 1);
                return Some(Event::Measured { link, resident });
            }
            Action::Kill(_) | Action::Break | Action::LeaveBehind | Action::Finish => {}
        }
        None
    }

    /// One thing happens, whatever is possible.
    fn happen(&mut self) {
        let links: Vec<LinkId> = self.workers.keys().copied().collect();
        match self.random.below(6) {
            0 => {
                if let Some(order) = self.orders.pop_front() {
                    self.feeder(order);
                }
            }
            1 => {
                if let Some(event) = self.inbox.pop_front() {
                    self.decide(event);
                }
            }
            2 | 3 if !links.is_empty() => {
                let link = links[self.random.below(links.len())];
                self.work(link);
            }
            4 if !links.is_empty() && self.deaths_left > 0 && self.random.below(8) == 0 => {
                self.deaths_left -= 1;
                let link = links[self.random.below(links.len())];
                self.end(link);
            }
            _ => {
                self.desk.now += Duration::from_micros(self.random.below(2_000) as u64);
                if self.desk.state.deadline().is_some_and(|deadline| deadline <= self.desk.now) {
                    self.decide(Event::Tick);
                }
            }
        }
        self.employ_idle();
    }

    fn employ_idle(&mut self) {
        while self.backlog > 0
            && let Some(link) = self.idle.pop()
        {
            self.decide(Event::Withdrawn(link));
        }
        if self.backlog > 0 {
            self.decide(Event::Submitted);
        }
    }

    fn feeder(&mut self, order: Action) {
        match order {
            Action::Start(link) => {
                self.workers.insert(link, ModelWorker::default());
                self.inbox.push_back(Event::Started(link));
            }
            Action::Feed { link, items: frames } => {
                let refuses = self.random.below(8) == 0;
                match self.workers.get_mut(&link).filter(|worker| !worker.closed && !refuses) {
                    Some(worker) => {
                        let room = frames.min(self.allowance - worker.given);
                        worker.held += room;
                        worker.given += room;
                        self.backlog += frames - room;
                    }
                    None => {
                        self.backlog += frames;
                        self.inbox.push_back(Event::Refused(link));
                    }
                }
                self.inbox.push_back(Event::Fed(link));
            }
            _ => unreachable!("the feeder starts and feeds"),
        }
    }

    /// A worker does the next thing that it can do.
    fn work(&mut self, link: LinkId) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        if !self.desk.state.knows(link) {
            return;
        }
        if !worker.hello {
            worker.hello = true;
            return self.decide(Event::Ready(link));
        }
        if worker.held > 0 {
            self.assert_strength();
            let worker = self.workers.get_mut(&link).expect("it was there");
            let count = 1 + self.random.below(worker.held);
            worker.held -= count;
            self.done += count;
            return self.decide(Event::Progress { link, count });
        }
        if worker.closed {
            self.end(link);
        }
    }

    /// No more work than there may, and each no more than it may.
    fn assert_strength(&self) {
        let busy = self.workers.values().filter(|worker| worker.hello && worker.held > 0).count();
        assert!(busy <= LIMITS.max_workers, "{busy} workers work\n{}", self.trace.join("\n"));
        assert!(self.workers.values().all(|worker| worker.given <= self.allowance), "{}", self.trace.join("\n"));
    }

    fn end(&mut self, link: LinkId) {
        // Before it was announced its end is not, either.
        if !self.desk.state.knows(link) {
            return;
        }
        let Some(worker) = self.workers.remove(&link) else { return };
        self.idle.retain(|idle| *idle != link);
        // The frame that it ran is blamed, the others come back.
        let blamed = usize::from(worker.hello && worker.held > 0);
        self.done += blamed;
        self.backlog += worker.held - blamed;
        self.decide(Event::Ended {
            link,
            pid: 7,
            cause: ExitCause::Signal(9),
            stderr: None,
            blamed: (blamed > 0).then_some("work"),
        });
    }
}

#[test]
fn every_frame_is_run_or_blamed_and_every_shutdown_finishes_whatever_the_schedule() {
    for seed in 0..3_000 {
        let mut model = Model::new(seed);
        let mut submitted = 0;
        if seed % 2 == 0 {
            model.decide(Event::Resized(LIMITS.max_workers));
        }
        for _ in 0..40 {
            if model.random.below(3) == 0 {
                submitted += 1;
                match model.idle.pop().filter(|_| model.backlog == 0) {
                    Some(link) => {
                        let worker = model.workers.get_mut(&link).expect("it is idle, so it lives");
                        worker.held += 1;
                        worker.given += 1;
                    }
                    None => model.backlog += 1,
                }
            }
            if seed % 2 == 0 && model.random.below(12) == 0 {
                let max_workers = 1 + model.random.below(2);
                model.decide(Event::Resized(max_workers));
            }
            model.happen();
        }
        model.decide(Event::ShutDown);
        while let Some(link) = model.idle.pop() {
            model.decide(Event::Withdrawn(link));
        }
        let mut steps = 0;
        while !model.desk.state.is_finished() {
            steps += 1;
            assert!(steps < 20_000, "seed {seed} does not finish:\n{}", model.trace.join("\n"));
            model.happen();
        }
        let broken = model.desk.state.broken().is_some();
        assert!(
            broken || model.done == submitted,
            "seed {seed}: {} of {submitted} done\n{}",
            model.done,
            model.trace.join("\n")
        );
    }
}
