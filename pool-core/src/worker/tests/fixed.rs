//! Frames of numbers, which a worker answers several at a time where its link can.

use super::*;
use crate::task::{WIDEST, decode_fixed, encode_fixed};
use crate::wire::{FIXED_VALUE, FixedWriter};

fn frame_of<F: Task<(u32,)>>(_: F, numbers: std::ops::Range<u32>) -> Vec<u8> {
    let mut writer = FixedWriter::new(task::id_of::<F, (u32,)>(), 4, numbers.len()).unwrap();
    for number in numbers {
        let mut room = [0; WIDEST];
        assert_eq!(encode_fixed(&mut room, &(number,)), Some(4));
        writer.push(&room);
    }
    writer.finish()
}

#[test]
fn numbers_are_answered_by_numbers_and_what_fails_by_itself() {
    let fussy = |n: u32| {
        assert!(n != 3, "not three");
        u64::from(n) * 2
    };
    let (_, replies) = run_worker(boot(None), vec![(frame_of(fussy, 0..7), 1..7)]);
    for (item, reply) in &replies {
        if *item == 3 {
            assert_eq!(panic_of(value::<u64>(reply)).message, "not three");
        } else {
            assert_eq!((reply[0], decode_fixed::<u64>(&reply[1..])), (FIXED_VALUE, Ok(u64::from(*item) * 2)));
        }
    }
    assert!(replies.iter().map(|(item, _)| *item).eq(1..7));
}

#[test]
fn a_result_that_is_no_number_travels_as_any_other() {
    let (_, replies) = run_worker(boot(None), vec![(frame_of(|n: u32| vec![n; 3], 0..4), 0..4)]);
    let results: Vec<_> = replies.iter().map(|(_, reply)| value::<Vec<u32>>(reply).unwrap()).collect();
    assert_eq!(results, [[0; 3], [1; 3], [2; 3], [3; 3]]);
}

#[test]
fn an_item_that_the_frame_does_not_hold_is_a_failure_of_its_own() {
    let (_, replies) = run_worker(boot(None), vec![(frame_of(|n: u32| n, 0..3), 0..5)]);
    let fixed: Vec<bool> = replies.iter().map(|(_, reply)| reply[0] == FIXED_VALUE).collect();
    assert_eq!(fixed, [true, true, true, false, false]);
    for (_, reply) in &replies[3..] {
        let error = value::<u32>(reply).unwrap_err();
        assert!(matches!(&error, TaskError::Decode(codec) if codec.what == Coded::ArgumentsInWorker), "{error}");
    }
}

#[test]
fn a_panic_of_the_pools_own_between_two_numbers_is_not_taken_for_a_tasks() {
    let mut job = Breaking { request: frame_of(|n: u32| n, 0..3), published: 0 };
    let work = std::panic::AssertUnwindSafe(|| Desk::new().work(&mut job));
    let payload = std::panic::catch_unwind(work).unwrap_err();
    assert_eq!((payload.downcast_ref(), job.published), (Some(&"the pool's own"), 1));
}
