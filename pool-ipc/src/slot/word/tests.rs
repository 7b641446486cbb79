//! A worker and its parent, a step at a time: what each leaves in the word for the other.

use proptest::prelude::*;

use super::*;

/// Of a worker that has no block.
fn recall(word: &AtomicU64, lap: u64, end: u32, delivered: u32) -> Recalled {
    let frame = Posted { lap, end, delivered };
    recall_beyond(word, &AtomicU64::new(0), frame, 0, || unreachable!("there is no block"))
}

#[test]
fn frame_goes_from_ready_to_over() {
    let word = AtomicU64::new(0);
    assert!(!post(&word, Word::ready(1, 2)).sleeps());
    assert_eq!(claim(&word, 1), Some(0));
    assert!(Word::load(&word).is_lawful(1, 2, 0));
    assert!(publish(&word, 1));
    assert_eq!(claim(&word, 1), Some(1));
    assert!(!publish(&word, 2));
    assert_eq!(claim(&word, 1), None);
    pass(&word, 1);
    assert!(Word::load(&word).is_over() && Word::load(&word).is_lawful(1, 2, 2));
}

#[test]
fn an_item_is_published_with_the_claim_of_the_next_and_the_last_by_itself() {
    let word = AtomicU64::new(Word::ready(1, 3).0);
    assert_eq!(claim(&word, 1), Some(0));
    assert_eq!(publish_and_claim(&word, 1, 1), Some(2));
    assert!(Word::load(&word).is_lawful(1, 3, 1));
    assert_eq!(recall(&word, 1, 3, 1), Recalled::From(2));
    let before = Word::load(&word);
    assert_eq!((publish_and_claim(&word, 2, 1), Word::load(&word)), (None, before));
    assert!(!publish(&word, 2) && Word::load(&word).is_over());
}

#[test]
fn recalled_items_are_not_claimed_and_the_worker_must_pass_before_the_slot_is_over() {
    let word = AtomicU64::new(Word::ready(1, 3).0);
    assert_eq!(recall(&word, 1, 3, 0), Recalled::From(0));
    assert_eq!(claim(&word, 1), None);
    assert!(!Word::load(&word).is_over());
    pass(&word, 1);
    assert!(Word::load(&word).is_over() && Word::load(&word).is_lawful(1, 0, 0));
}

#[test]
fn declined_tail_is_lawful_and_recall_of_it_finds_nothing() {
    let word = AtomicU64::new(Word::ready(1, 3).0);
    assert_eq!(claim(&word, 1), Some(0));
    publish(&word, 1);
    decline(&word, 1);
    assert!(Word::load(&word).is_lawful(1, 3, 0) && Word::load(&word).is_over());
    assert_eq!(recall(&word, 1, 3, 0), Recalled::Nothing);
}

#[test]
fn worker_that_still_looks_at_a_finished_frame_leaves_the_next_laps_alone() {
    let word = AtomicU64::new(Word::ready(2, 3).0);
    assert_eq!(claim(&word, 1), None);
    decline(&word, 1);
    assert_eq!(Word::load(&word), Word::ready(2, 3));
    assert_eq!(recall(&word, 2, 3, 0), Recalled::From(0));
    pass(&word, 1);
    assert!(!Word::load(&word).is_over());
}

#[test]
fn worker_may_sleep_where_a_frame_is_over_and_nowhere_else() {
    let word = AtomicU64::new(Word::ready(1, 1).0);
    let unlawful = announce_sleep(&word, Word::load(&word)).expect("nobody else changes the word");
    assert!(!unlawful.is_lawful(1, 1, 0));
    assert!(rouse(&word));
    assert_eq!(claim(&word, 1), Some(0));
    publish(&word, 1);
    let sleeping = announce_sleep(&word, Word::load(&word)).expect("nobody else changes the word");
    assert!(sleeping.is_lawful(1, 1, 0) && sleeping.is_over());
}

#[test]
fn frame_that_was_declined_whole_is_over_once_it_was_passed() {
    let word = AtomicU64::new(Word::ready(1, 3).0);
    decline(&word, 1);
    assert!(Word::load(&word).is_lawful(1, 3, 0) && !Word::load(&word).is_over());
    pass(&word, 1);
    assert!(Word::load(&word).is_lawful(1, 3, 0) && Word::load(&word).is_over());
}

#[test]
fn post_tells_of_a_sleeper_and_rouse_clears_it() {
    let word = AtomicU64::new(0);
    let sleeping = announce_sleep(&word, Word(0)).expect("nobody else changes the word");
    assert!(sleeping.sleeps());
    assert!(post(&word, Word::ready(1, 1)).sleeps());
    assert!(announce_sleep(&word, Word(0)).is_none());
    assert!(!rouse(&word));
}

/// A block of the items from 1 on of a frame of 10.
fn with_block() -> AtomicU64 {
    let word = AtomicU64::new(Word::ready(1, 10).0);
    assert_eq!(claim(&word, 1), Some(0));
    assert_eq!(publish_and_claim(&word, 1, 4), Some(5));
    assert!(Word::load(&word).has_block());
    word
}

const FRAME: Posted = Posted { lap: 1, end: 10, delivered: 1 };

#[test]
fn a_block_is_seen_as_items_of_which_one_at_a_time_is_claimed() {
    let word = with_block();
    let look = |progress, delivered| {
        let glance = Glance::of(&word, &AtomicU64::new(progress));
        glance.item_by_item(Posted { delivered, ..FRAME }).map(|seen| (seen.done(), seen.next(), seen.is_over()))
    };
    for item in [1, 3, 4] {
        assert_eq!(look(item.into(), 1), Some((item, item + 1, false)));
    }
    // Nonsense is no more than the block.
    for progress in [5, 9, u64::MAX] {
        assert_eq!(look(progress, 1), Some((5, 5, false)));
    }
    assert_eq!(look(2, 3), None, "what was over is not begun again");
    let unknown = Glance { word: Word::load(&word), progress: None };
    let seen = unknown.item_by_item(Posted { delivered: 3, ..FRAME }).expect("it is lawful");
    assert_eq!((seen.done(), seen.next()), (3, 4));
    let longer = AtomicU64::new(Word::ready(1, 1000).with_next(BLOCK + 1).0);
    let frame = Posted { lap: 1, end: 1000, delivered: 0 };
    assert!(Glance::of(&longer, &AtomicU64::new(0)).item_by_item(frame).is_none());
}

#[test]
fn a_block_is_cut_behind_the_item_that_runs_once_its_worker_halts() {
    let (word, progress) = (with_block(), AtomicU64::new(2));
    assert_eq!(recall_beyond(&word, &progress, FRAME, 0, || false), Recalled::Nothing);
    assert_eq!(Word::load(&word).end(), 10);
    let mut halts = 0;
    let mut halt = || {
        halts += 1;
        true
    };
    assert_eq!(recall_beyond(&word, &progress, FRAME, 2, &mut halt), Recalled::From(5));
    assert_eq!(recall_beyond(&word, &progress, Posted { end: 5, ..FRAME }, 0, &mut halt), Recalled::From(3));
    assert_eq!(halts, 2);
    // The worker comes to the boundary, and finds that there is nothing beyond.
    assert_eq!(publish_and_claim(&word, 3, 1), None);
    assert!(!publish(&word, 3) && Word::load(&word).is_over());
}

#[test]
fn what_a_worker_claimed_and_does_not_begin_it_gives_back_with_its_next_publication() {
    let word = with_block();
    assert!(publish(&word, 3));
    assert_eq!((Word::load(&word).next(), Word::load(&word).done()), (3, 3));
    assert_eq!(claim(&word, 1), Some(3));
    let word = with_block();
    assert_eq!(publish_and_claim(&word, 3, 1), Some(4));
    assert_eq!((Word::load(&word).next(), Word::load(&word).done()), (4, 3));
    assert_eq!(publish_and_claim(&word, 4, 99), Some(10));
}

#[test]
fn who_is_halted_in_a_later_frame_halts_in_the_earlier_ones_too() {
    let halted = AtomicU64::new(8);
    assert_eq!([6, 7, 8].map(|sequence| may_go_on(&halted, sequence, || ())), [false, false, true]);
}

proptest! {
    /// Whatever a worker writes, recall answers, and calls lawful only what keeps the counts in order.
    #[test]
    fn random_words_are_judged_without_a_panic(raw: u64, lap in 0u64..1 << LAP_BITS, end in 0u32..=MAX_ITEMS, delivered in 0u32..=MAX_ITEMS, progress: u64) {
        let (frame, told) = (Posted { lap, end, delivered }, AtomicU64::new(progress));
        if let Some(word) = Glance::of(&AtomicU64::new(raw), &told).item_by_item(frame) {
            prop_assert!(word.done() >= delivered && word.next() >= word.done() && word.end() <= end);
            prop_assert!(word.next() <= word.end() && word.lap() == lap && word.next() - word.done() <= 1);
        }
        let _ = recall_beyond(&AtomicU64::new(raw), &told, frame, 0, || true);
    }
}
