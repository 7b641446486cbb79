//! Chunks of a map's inputs: how many items go into one, in which form, and their submission.
//!
//! Keeps true: every item that is taken from the input has a place among the segments, submitted or failed, in order. Never:
//! takes more items than it was asked for.

use std::sync::Arc;
use std::time::Instant;

use pool_ipc::{Frame, MAX_ITEMS, Owner, SharedValue};

use super::{Plan, Segment};
use crate::executor::submit;
use crate::future::RetryPolicy;
use crate::manager::{Batch, Pool, TimeLimits, watch_deadline};
use crate::sharing::Attempts;
use crate::task::{self, Arguments, Task, WIDEST, encode_fixed, is_plain};
use crate::wire::{BatchWriter, FixedWriter};

/// How many chunks each worker gets where the number of items is known: enough that a slow one matters little.
const CHUNKS_A_WORKER: usize = 4;

/// A chunk is closed when its arguments take this many bytes.
const CHUNK_BYTES: usize = 128 * 1024;

/// Where the number of items is not known, chunks grow up to this many.
const MAX_GROWN: usize = 1024;

/// How many items the next chunk has.
#[derive(Debug)]
enum ChunkSize {
    Fixed(usize),
    /// Starts with single items, so that every worker gets one, and grows.
    Growing {
        workers: usize,
        made: usize,
    },
}

impl ChunkSize {
    fn new(plan: &Plan<'_>, hint: (usize, Option<usize>)) -> Self {
        let most = plan.buffersize.unwrap_or(usize::MAX).min(MAX_ITEMS as usize);
        let workers = plan.max_workers;
        match (plan.chunksize, plan.buffersize, hint) {
            (Some(items), ..) => Self::Fixed(items.min(most)),
            (None, Some(_), _) => Self::Fixed(1),
            (None, None, (lower, Some(upper))) if lower == upper => {
                Self::Fixed(lower.div_ceil(workers.saturating_mul(CHUNKS_A_WORKER)).clamp(1, most))
            }
            _ => Self::Growing { workers, made: 0 },
        }
    }

    /// How many items make a chunk at least.
    fn least(&self) -> usize {
        match self {
            Self::Fixed(items) => *items,
            Self::Growing { .. } => 1,
        }
    }

    fn next(&mut self) -> usize {
        match self {
            Self::Fixed(items) => *items,
            Self::Growing { workers, made } => {
                let round = u32::try_from(*made / (*workers).saturating_mul(CHUNKS_A_WORKER)).unwrap_or(u32::MAX);
                *made += 1;
                1usize.checked_shl(round).unwrap_or(MAX_GROWN).clamp(1, MAX_GROWN)
            }
        }
    }
}

/// Makes chunks of inputs and submits them.
pub(super) struct Chunker {
    pool: Arc<Pool>,
    name: &'static str,
    task: task::TaskId,
    size: ChunkSize,
    limits: TimeLimits,
    retry: Option<RetryPolicy>,
}

impl Chunker {
    /// For calls of `F`, of which there are so many.
    pub(super) fn new<F: Task<Args>, Args: Arguments>(plan: &Plan<'_>, hint: (usize, Option<usize>)) -> Self {
        Self {
            pool: Arc::clone(plan.pool),
            name: plan.name.unwrap_or(std::any::type_name::<F>()),
            task: task::id_of::<F, Args>(),
            size: ChunkSize::new(plan, hint),
            limits: plan.limits.or(plan.pool.time_limits()),
            retry: plan.retry.clone(),
        }
    }

    /// What the task is called.
    pub(super) fn task_name(&self) -> &'static str {
        self.name
    }

    /// How many items make a chunk at least.
    pub(super) fn least(&self) -> usize {
        self.size.least()
    }

    /// Submits up to `limit` items.
    pub(super) fn submit<Args: Arguments>(
        &mut self,
        args: &mut impl Iterator<Item = Args>,
        limit: usize,
    ) -> Vec<Segment> {
        let (mut segments, mut left) = (Vec::new(), limit);
        let mut input = Input { args, held: None };
        let is_plain = is_plain::<Args>();
        while left > 0 {
            let wanted = self.size.next().min(left);
            let Some(first) = input.next() else { break };
            let mut room = [0; WIDEST];
            let width = if is_plain && wanted > 1 { encode_fixed(&mut room, &first) } else { None };
            left -= match width {
                Some(width) => self.fixed_chunk(&room, width, &mut input, wanted, &mut segments),
                None => self.chunk(first, &mut input, wanted, &mut segments),
            };
        }
        segments
    }

    /// Submits one chunk of items of any kind, and returns how many were taken for it.
    fn chunk<Args: Arguments>(
        &mut self,
        first: Args,
        input: &mut impl Iterator<Item = Args>,
        wanted: usize,
        segments: &mut Vec<Segment>,
    ) -> usize {
        let (attempts, mut values) = (Attempts::of(self.retry.is_some()), Vec::new());
        let writer = || BatchWriter::new(self.task, 0);
        let mut writer = match submit::encode::<Args, _>(self.name, attempts, &mut values, writer) {
            Ok(writer) => writer,
            Err(error) => {
                segments.push(Segment::Failed(error.into()));
                return 1;
            }
        };
        let (mut taken, mut failed, mut next) = (0, None, Some(first));
        while let Some(item) = next {
            taken += 1;
            if let Err(error) = submit::encode::<Args, _>(self.name, attempts, &mut values, || writer.push(&item)) {
                failed = Some(error);
                break;
            }
            next = if taken < wanted && writer.len() < CHUNK_BYTES { input.next() } else { None };
        }
        if writer.items() > 0 {
            self.send(writer.items(), writer.finish(), values, segments);
        }
        segments.extend(failed.map(|error| Segment::Failed(error.into())));
        taken
    }

    /// Submits one chunk of items as wide as the first, which is encoded, and returns how many were taken for it. Such items are
    /// numbers, and speak of nothing shared.
    fn fixed_chunk<Args: Arguments>(
        &mut self,
        first: &[u8; WIDEST],
        width: usize,
        input: &mut Input<'_, Args, impl Iterator<Item = Args>>,
        wanted: usize,
        segments: &mut Vec<Segment>,
    ) -> usize {
        let most = wanted.min(CHUNK_BYTES / width.max(1)).min(MAX_ITEMS as usize);
        let mut writer = match FixedWriter::new(self.task, width, most) {
            Ok(writer) => writer,
            Err(failure) => {
                segments.push(Segment::Failed(submit::refused::<Args>(self.name, Ok(failure)).into()));
                return 1;
            }
        };
        writer.push(first);
        let mut room = [0; WIDEST];
        while (writer.items() as usize) < most
            && let Some(item) = input.next()
        {
            if encode_fixed(&mut room, &item) != Some(width) {
                input.held = Some(item);
                break;
            }
            writer.push(&room);
        }
        let items = writer.items();
        self.send(items, writer.finish(), Vec::new(), segments);
        items as usize
    }

    fn send(&self, items: u32, request: Vec<u8>, values: Vec<SharedValue>, segments: &mut Vec<Segment>) {
        let terms = self.limits.terms(Instant::now());
        let (payload, retry) = submit::arm(self.retry.as_ref(), request.into(), values, terms.as_deref());
        let batch = Batch::new(self.name, submit::desk(&self.pool), retry, items);
        let owner: Owner = Arc::<Batch>::clone(&batch);
        let frame = Frame { terms: terms.clone(), ..Frame::new(Owner::clone(&owner), payload, items) };
        match self.pool.submit(frame) {
            Ok(()) => {
                watch_deadline(&self.pool, &owner, terms.as_deref(), self.limits.deadline);
                segments.push(Segment::Batch { batch, next: 0, items });
            }
            Err(error) => segments.extend((0..items).map(|_| Segment::Failed(error.clone().into()))),
        }
    }
}

/// What is still to be submitted.
struct Input<'i, Args, I> {
    args: &'i mut I,
    /// Taken, and not submitted yet.
    held: Option<Args>,
}

impl<Args, I: Iterator<Item = Args>> Iterator for Input<'_, Args, I> {
    type Item = Args;

    #[inline]
    fn next(&mut self) -> Option<Args> {
        self.held.take().or_else(|| self.args.next())
    }
}
