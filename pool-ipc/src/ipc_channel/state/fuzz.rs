//! The parent's end of a worker on channels against any packets, as the crate would hand them over.

use std::sync::Arc;

use ipc_channel::ipc::IpcMessage;

use super::*;
use crate::fuzzing::{Pieces, Target, as_piece, fate};

#[test]
fn fuzz_packets_of_a_worker_on_channels() {
    Target { corpus: "packets", seeds: seeds(), judge }.run();
}

/// Where the window of the frame may begin.
const FIRSTS: [u32; 3] = [0, 7, u32::MAX - 300];

fn judge(input: &[u8]) -> u64 {
    let mut pieces = Pieces(input);
    let (first, items) = (FIRSTS[usize::from(pieces.byte() % 3)], 1 + u32::from(pieces.byte()));
    let mut state = State {
        passage: Passage::Shut,
        ledger: Ledger::new(LinkId(1)),
        closed: false,
        corrupt: None,
        ready: Vec::new(),
    };
    let (window, payload) = (first..first + items, vec![5; 9]);
    state.ledger.enter(Frame {
        owner: Arc::new(()),
        payload: payload.clone().into(),
        window: window.clone(),
        terms: None,
        rank: 0,
    });
    let mut verdict = Ok(());
    while !pieces.is_empty() && verdict.is_ok() {
        verdict = book(&mut state, &mut pieces);
        assert!(state.unheard() <= MAX_UNHEARD && state.ready.len() <= MAX_UNHEARD + items as usize);
    }
    let (mut fates, mut failed, mut said) = (Vec::new(), 0, 0);
    for event in state.ready.drain(..) {
        match event {
            LinkEvent::Outcome { outcome, .. } => {
                failed += u64::from(outcome.result.is_err());
                fates.push(outcome.item);
            }
            LinkEvent::Declined { rest, .. } => fates.extend(rest.window),
            LinkEvent::Said { .. } => said += 1,
            LinkEvent::Outcomes { .. } => panic!("they come one by one here"),
            LinkEvent::Ended { .. } => panic!("nobody has ended"),
        }
    }
    let delivered = fates.len() as u64;
    for lost in state.settle() {
        fates.extend(lost.blamed);
        if let Some(rest) = lost.rest {
            assert_eq!(rest.payload.as_slice(), payload, "it goes elsewhere as it was");
            fates.extend(rest.window);
        }
    }
    fates.sort_unstable();
    assert!(fates.into_iter().eq(window), "each item has one fate");
    fate([delivered.min(6), failed.min(3), said.min(2), verdict.err().map_or(0, |corrupt| kind(&corrupt))])
}

/// Takes one thing from the worker: a packet of any bytes, one with an answer of any bytes, memory, or what was lost.
fn book(state: &mut State, pieces: &mut Pieces<'_>) -> Result<(), Corrupt> {
    match pieces.byte() % 5 {
        0 => {
            let bytes = pieces.piece().to_vec();
            match packet::guarded(|| IpcMessage::from_data(bytes).to::<Packet>()) {
                Some(Ok(packet)) => state.book(&packet),
                Some(Err(_)) => Err(NO_PACKET),
                None => panic!("the crate panics at bytes"),
            }
        }
        1 => state.book(&Packet::memory(packet::memory_of(pieces.piece()).expect("there is memory"))),
        2 => state.book_memory(|| Err(libc::ENOMEM)),
        _ => state.book(&Packet::bytes(pieces.piece().to_vec())),
    }
}

fn kind(corrupt: &Corrupt) -> u64 {
    1 + corrupt.to_string().bytes().map(u64::from).sum::<u64>() % 200
}

fn seeds() -> Vec<Vec<u8>> {
    let told = |answer: Answer<'_>| [vec![3], as_piece(&answer.write())].concat();
    let begun = |item| told(Answer::Begun { item, at: 0 });
    let finished = |item| told(Answer::Finished { item, result: Place::Inline(b"done") });
    let memory = [vec![1], as_piece(&[3; 40])].concat();
    let in_memory = |len| told(Answer::Finished { item: 0, result: Place::Memory(len) });
    let failed = told(Answer::Failed { item: 0, size: 9, errno: 12 });
    let raw = [vec![0], as_piece(&[1, 9, 1, 0])].concat();
    let frame = |items: u8, rest: &[Vec<u8>]| [vec![0, items - 1], rest.concat()].concat();
    vec![
        frame(3, &[begun(0), finished(0), begun(1), finished(1), begun(2)]),
        frame(2, &[begun(0), memory.clone(), in_memory(40)]),
        frame(1, &[begun(0), memory, in_memory(41)]),
        frame(1, &[begun(0), vec![2], in_memory(77)]),
        frame(2, &[begun(0), failed, begun(1)]),
        frame(5, &[begun(0), told(Answer::Declined { from: 1 }), finished(0)]),
        frame(5, &[told(Answer::Declined { from: 0 })]),
        frame(1, &[told(Answer::Said(b"hello")), begun(0)]),
        frame(1, &[raw, begun(0)]),
        frame(1, &vec![told(Answer::Said(b"x")); 70]),
    ]
}
