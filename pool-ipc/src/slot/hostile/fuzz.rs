//! The same parent's end against steps that bytes spell: what is found stays in the corpus, which proptest has not.

use super::{Books, Step, pointer};
use crate::backend::{Corrupt, Share};
use crate::fuzzing::{Pieces, Target, as_piece, fate};
use crate::memfd::{self, Access, Mapping};
use crate::slot::layout::{SLOTS, outcome, request};
use crate::slot::parent::Memory;
use crate::slot::record::Record;
use crate::slot::region::Region;
use std::os::fd::AsFd;

/// How many items and bytes a frame may have.
const ITEMS: [u32; 8] = [0, 1, 1, 2, 3, 5, 300, 40_000];
const SIZES: [usize; 8] = [0, 1, 10, 448, 449, 600, 70_000, 300_000];

#[test]
fn fuzz_slots_that_a_worker_writes() {
    Target { corpus: "slots", seeds: seeds(), judge }.run();
}

fn judge(input: &[u8]) -> u64 {
    // Mapped, so that pages that nobody touches cost nothing.
    let mut books = Books::over(Memory { request: mapped(request::SIZE), outcome: mapped(outcome::SIZE) });
    let mut pieces = Pieces(input);
    while !pieces.is_empty() {
        books.take(step(&mut pieces));
        let _looks = (books.parent.running(), books.parent.unclaimed(), books.parent.shortest_timeout());
    }
    let (corrupt, tally) = books.finish();
    let kind = match corrupt {
        None => 0,
        Some(Corrupt::Word { .. }) => 1,
        Some(Corrupt::Record { .. }) => 2,
        Some(Corrupt::Message { .. }) => 3,
        Some(Corrupt::Descriptor { .. }) => 4,
    };
    fate([kind].into_iter().chain(tally.map(|count| count.min(20))))
}

fn mapped(len: usize) -> Region {
    let memory = memfd::create("fuzz", len).expect("there is memory");
    Region::mapped(Mapping::map(memory.as_fd(), len, Access::ReadWrite).expect("there are addresses"))
}

fn step(pieces: &mut Pieces<'_>) -> Step {
    let small = |pieces: &mut Pieces<'_>| u32::from(pieces.byte());
    // Mostly small, and anything else.
    let count = |pieces: &mut Pieces<'_>| match pieces.byte() {
        byte @ ..=249 => u32::from(byte) % 8,
        _ => pieces.number() as u32 & 0x7fff,
    };
    let slot = |pieces: &mut Pieces<'_>| usize::from(pieces.byte()) % SLOTS;
    match pieces.byte() % 10 {
        0 => {
            let choice = pieces.byte();
            Step::Post { items: ITEMS[usize::from(choice % 8)], size: SIZES[usize::from(choice / 8 % 8)] }
        }
        1 => Step::Recall(small(pieces).into()),
        2 => Step::RecallTail(if pieces.byte().is_multiple_of(2) { Share::Half } else { Share::All }),
        3 => Step::Collect,
        4 => Step::IsRunning(small(pieces).into(), small(pieces)),
        5 => {
            let (slot, lap) = (slot(pieces), u64::from(pieces.byte() % 4));
            let (next, done, end) = (count(pieces), count(pieces), count(pieces));
            let flags = if pieces.byte() < 200 { 0 } else { pieces.number() };
            Step::Word { slot, lap, next, done, end, flags }
        }
        6 => Step::Run { slot: slot(pieces), lap: u64::from(pieces.byte() % 4), items: small(pieces) },
        7 => {
            let offset = pieces.number() as usize % (outcome::SIZE / 8) * 8;
            Step::Anywhere { offset, value: pieces.number() }
        }
        9 => Step::Block { slot: slot(pieces), most: small(pieces), progress: count(pieces).into() },
        _ => {
            let slot = slot(pieces);
            let (written, stream, len) = (pieces.number(), pieces.number(), pieces.number());
            let own = (outcome::area(slot) + outcome::HEADER) as u64;
            let stream = if stream == 0 { own } else { stream };
            Step::Area { slot, written, stream, len, bytes: pieces.piece().to_vec() }
        }
    }
}

/// What honest workers do, and what nearly honest ones might.
fn seeds() -> Vec<Vec<u8>> {
    let post = |items: u8, size: u8| vec![0, size << 3 | items];
    let run = |slot: u8, items: u8| vec![6, slot, 1, items];
    let collect = vec![3];
    let area = |slot: u8, stream: u64, len: u64, records: &[Record<'_>]| {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| record.write(&mut bytes));
        let fields = [bytes.len() as u64, stream, len].map(u64::to_le_bytes).concat();
        [vec![8, slot], fields, as_piece(&bytes)].concat()
    };
    let inline = |slot, records: &[Record<'_>]| area(slot, 0, outcome::INLINE as u64, records);
    let arena = outcome::ARENA as u64;
    let places = [
        Record::Inline(b"abc"),
        Record::Inline(&[7; 300]),
        Record::Arena { offset: arena, len: 5000 },
        Record::Large { id: 3, len: 1 << 20 },
        Record::Large { id: 4, len: 1 << 20 },
        Record::Failed { size: 77, errno: 12 },
    ];
    let mut seeds = vec![
        [post(5, 2), inline(0, &places[..5]), run(0, 5), collect.clone()].concat(),
        [post(1, 6), post(3, 7), inline(0, &places[..1]), run(0, 1), inline(1, &places[2..4]), run(1, 2), vec![3, 3]]
            .concat(),
        [post(6, 2), area(0, arena, 4096, &places[..3]), run(0, 3), collect.clone(), vec![2, 0, 1, 0, 3, 2, 1]]
            .concat(),
        [post(2, 2), vec![5, 0, 1, 2, 1, 1, 0], inline(0, &places[..1]), vec![4, 0, 0, 3]].concat(),
        [post(1, 1), inline(0, &[]), [pointer(252, u64::MAX, 2), run(0, 1)].concat(), collect.clone()].concat(),
        [post(5, 2), inline(0, &[Record::Inline(b"a"); 9]), run(0, 2), collect.clone(), run(0, 3), collect.clone()]
            .concat(),
        [post(6, 2), inline(0, &[Record::Inline(b"a"); 9]), run(0, 1), vec![9, 0, 4, 3], vec![3, 2, 1, 3]].concat(),
        [post(1, 1), [vec![7], vec![0; 8], vec![1; 8]].concat(), collect.clone()].concat(),
    ];
    seeds.extend(places.iter().map(|place| [post(1, 2), inline(0, &[*place]), run(0, 1), collect.clone()].concat()));
    seeds.push(
        (0..70)
            .flat_map(|slot| [post(1, 2), inline(slot % 64, &places[..1]), run(slot % 64, 1), collect.clone()])
            .flatten()
            .collect(),
    );
    seeds
}
