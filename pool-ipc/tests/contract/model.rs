//! Random operations against a model of what must come of them: each item is delivered, blamed or handed back, once.
//!
//! The seed is printed; `POOL_CONTRACT_SEED` repeats a run's choices (not the timing of its workers).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use pool_ipc::{Backend, Frame, Link, LinkEvent, RefusedWhy, Share, Ticket};

use crate::rig::{LIMIT, Rig, link_of, number};
use crate::script::{pattern, request, sum};

const OPERATIONS: usize = 20_000;

/// Where an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not posted, or handed back.
    Here,
    Posted,
    Delivered,
    Blamed,
}

/// What is known of a frame's request, to check its outcomes by.
struct Request {
    data_sum: u64,
    outcome_size: usize,
}

struct Model<'a> {
    rig: Rig,
    random: Random,
    links: Vec<Arc<dyn Link>>,
    /// Frames that wait to be posted.
    here: Vec<Frame>,
    tickets: Vec<(usize, Ticket, u64, Range<u32>)>,
    places: BTreeMap<(u64, u32), Place>,
    requests: BTreeMap<u64, Request>,
    next_owner: u64,
    backend: &'a dyn Backend,
}

pub(crate) fn contract_03_random_operations_lose_nothing_and_double_nothing(backend: &dyn Backend) {
    let seed = std::env::var("POOL_CONTRACT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    println!("POOL_CONTRACT_SEED={seed}");
    let mut rig = Rig::new(backend);
    let links = vec![rig.start(), rig.start()];
    let mut model = Model {
        rig,
        random: Random(seed),
        links,
        here: Vec::new(),
        tickets: Vec::new(),
        places: BTreeMap::new(),
        requests: BTreeMap::new(),
        next_owner: 0,
        backend,
    };
    for _ in 0..OPERATIONS {
        model.step();
    }
    model.finish();
}

impl Model<'_> {
    fn step(&mut self) {
        match self.random.below(100) {
            0..45 => self.post(),
            45..65 => self.recall(),
            65..68 => self.recall_tail(),
            68..84 => self.collect(),
            84..99 => self.look(),
            _ if self.random.below(8) == 0 => self.kill(),
            _ => self.look(),
        }
    }

    /// Posts a frame that was handed back, or a new one.
    fn post(&mut self) {
        let which = self.random.below(self.links.len());
        let offered = match self.here.len() {
            0 => self.make(),
            waiting if waiting < 100 && self.random.below(2) == 0 => self.make(),
            waiting => self.here.swap_remove(self.random.below(waiting)),
        };
        let (owner, window) = (number(&offered.owner), offered.window.clone());
        self.shift(owner, window.clone(), Place::Here, Place::Posted);
        match self.links[which].post(offered) {
            Ok(ticket) => self.tickets.push((which, ticket, owner, window)),
            Err(refused) => {
                assert!(matches!(refused.why, RefusedWhy::Full | RefusedWhy::Closed), "{}", refused.why);
                self.take_home(refused.frame);
                self.look();
            }
        }
    }

    fn make(&mut self) -> Frame {
        let owner = self.next_owner;
        self.next_owner += 1;
        let items =
            if self.random.below(20) == 0 { 1 + self.random.below(300) } else { 1 + self.random.below(4) } as u32;
        let first = self.random.below(1000) as u32;
        let (size, outcome_size) = (self.size(), if items > 10 { self.random.below(40) } else { self.size() });
        let data = pattern(owner as u32, size);
        self.requests.insert(owner, Request { data_sum: sum(&data), outcome_size });
        self.places.extend((first..first + items).map(|item| ((owner, item), Place::Here)));
        let payload = request(&format!("sum-and-fill {outcome_size}"), &data);
        Frame {
            owner: Arc::new(owner),
            payload: payload.into(),
            window: first..first + items,
            terms: None,
            rank: owner,
        }
    }

    fn size(&mut self) -> usize {
        match self.random.below(100) {
            0..60 => self.random.below(300),
            60..90 => self.random.below(2000),
            90..99 => self.random.below(60_000),
            _ => 262_000 + self.random.below(300),
        }
    }

    fn recall(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let (which, ticket, owner, window) = self.tickets.swap_remove(self.random.below(self.tickets.len()));
        if let Some(frame) = self.links[which].recall(ticket) {
            // A part of the tail may have been recalled before.
            assert_eq!(number(&frame.owner), owner);
            assert!(window.start <= frame.window.start && frame.window.end <= window.end, "{frame:?} of {window:?}");
            self.take_home(frame);
        }
    }

    fn recall_tail(&mut self) {
        let which = self.random.below(self.links.len());
        for frame in self.links[which].recall_tail(Share::Half) {
            self.take_home(frame);
        }
    }

    fn collect(&mut self) {
        let mut events = Vec::new();
        let which = self.random.below(self.links.len());
        self.links[which].collect(&mut events);
        self.take_in(events);
    }

    fn look(&mut self) {
        let events = self.rig.rest();
        self.take_in(events);
    }

    /// Ends a worker in whatever it does, where that can be done, and starts another in its place.
    fn kill(&mut self) {
        let which = self.random.below(self.links.len());
        if self.rig.abilities.processes {
            assert!(self.links[which].signal(libc::SIGKILL, false));
        } else {
            self.links[which].close();
        }
        self.wait_for_the_end_of(which);
        self.links[which] = self.rig.start();
    }

    fn wait_for_the_end_of(&mut self, which: usize) {
        let (id, limit) = (self.links[which].id(), Instant::now() + LIMIT);
        let mut ended = false;
        while !ended {
            assert!(Instant::now() < limit, "no end of {id:?}\n{}", self.rig.dump());
            let mut events = Vec::new();
            self.rig.hub.wait(Some(limit), &mut events);
            ended = events.iter().any(|event| matches!(event, LinkEvent::Ended { .. }) && link_of(event) == id);
            self.take_in(events);
        }
        assert_eq!(self.links[which].outstanding(), 0);
        self.tickets.retain(|&(of, ..)| of != which);
    }

    fn take_in(&mut self, events: Vec<LinkEvent>) {
        for event in events.into_iter().flat_map(LinkEvent::singly) {
            match event {
                LinkEvent::Said { .. } => panic!("these workers say nothing"),
                LinkEvent::Outcomes { .. } => unreachable!("each comes by itself"),
                LinkEvent::Declined { rest, .. } => self.take_home(rest),
                LinkEvent::Outcome { outcome, .. } => {
                    let owner = number(&outcome.owner);
                    let Request { data_sum, outcome_size } = self.requests[&owner];
                    let expected = pattern(outcome.item, outcome_size);
                    let expected = [&outcome.item.to_le_bytes(), data_sum.to_le_bytes().as_slice(), &expected].concat();
                    let body = outcome.result.expect("there is room for everything here");
                    assert!(
                        body.as_slice() == expected,
                        "item {} of frame {owner} has another's outcome",
                        outcome.item
                    );
                    self.shift(owner, outcome.item..outcome.item + 1, Place::Posted, Place::Delivered);
                }
                LinkEvent::Ended { corrupt, lost, .. } => {
                    assert_eq!(corrupt, None);
                    assert!(lost.iter().filter(|lost| lost.blamed.is_some()).count() <= 1, "one item at a time is run");
                    for lost in lost {
                        let owner = number(&lost.owner);
                        if let Some(item) = lost.blamed {
                            self.shift(owner, item..item + 1, Place::Posted, Place::Blamed);
                        }
                        lost.rest.into_iter().for_each(|rest| self.take_home(rest));
                    }
                }
            }
        }
    }

    fn take_home(&mut self, frame: Frame) {
        self.shift(number(&frame.owner), frame.window.clone(), Place::Posted, Place::Here);
        assert_eq!(frame.rank, number(&frame.owner), "it comes back as it was");
        self.here.push(frame);
    }

    #[track_caller]
    fn shift(&mut self, owner: u64, items: Range<u32>, from: Place, to: Place) {
        for item in items {
            let place = self.places.get_mut(&(owner, item)).expect("the item was made");
            assert_eq!(*place, from, "item {item} of frame {owner} is to go to {to:?}");
            *place = to;
        }
    }

    /// Everything is run, and nothing is left anywhere.
    fn finish(mut self) {
        let limit = Instant::now() + LIMIT * 2;
        while !self.here.is_empty() || self.links.iter().any(|link| link.outstanding() > 0) {
            for _ in 0..self.here.len() {
                let frame = self.here.swap_remove(0);
                let (owner, window) = (number(&frame.owner), frame.window.clone());
                let which = self.random.below(self.links.len());
                match self.links[which].post(frame) {
                    Ok(_) => self.shift(owner, window, Place::Here, Place::Posted),
                    Err(refused) => self.here.push(refused.frame),
                }
            }
            assert!(Instant::now() < limit, "{} frames left\n{}", self.here.len(), self.rig.dump());
            let mut events = Vec::new();
            self.rig.hub.wait(Some(limit), &mut events);
            self.take_in(events);
        }
        for which in 0..self.links.len() {
            self.links[which].close();
            self.wait_for_the_end_of(which);
        }
        let open: Vec<_> =
            self.places.iter().filter(|(_, place)| matches!(place, Place::Here | Place::Posted)).collect();
        assert!(open.is_empty(), "{} on {}", open.len(), self.backend.name());
        let delivered = self.places.values().filter(|&&place| place == Place::Delivered).count();
        println!("{delivered} of {} items were delivered, the others blamed", self.places.len());
    }
}

/// Weyl steps through a mixing function (Steele, Lea and Flood 2014): enough for choices.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }
}
