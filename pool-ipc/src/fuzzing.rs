//! Bytes of a worker, made up: a target is a function that takes any bytes, checks what must hold, and tells in a number
//! what became of them.
//!
//! Inputs are mutants of those that are known: messages that our own encoders wrote, the files of the target's corpus,
//! and every input so far whose number was new. So the search goes on from where something else happened, without help
//! of the compiler. All follows from one seed, which is printed. A failure prints the input in hexadecimal digits.
//!
//! `POOL_FUZZ_SECONDS` lets a target run for so long instead of some thousand inputs, `POOL_FUZZ_SEED` sets the seed,
//! `POOL_FUZZ_INPUT` runs one input alone, and `POOL_FUZZ_KEEP` keeps inputs with new numbers in the corpus.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many inputs a target gets in a usual run, unless that takes too long.
const USUAL: u64 = 4000;
const TOO_LONG: Duration = Duration::from_secs(4);

/// How many inputs are known at most, and how long one may become.
const MOST_KNOWN: usize = 2000;
const LONGEST: usize = 4096;

/// Something that takes any bytes.
pub(crate) struct Target {
    /// The folder of its corpus.
    pub(crate) corpus: &'static str,
    /// What honest workers send.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Panics where something does not hold. Gives a number for what became of the input: few for many inputs.
    pub(crate) judge: fn(&[u8]) -> u64,
}

impl Target {
    /// Runs the corpus, the seeds, and mutants of them.
    pub(crate) fn run(self) {
        if let Ok(input) = std::env::var("POOL_FUZZ_INPUT") {
            (self.judge)(&from_hex(&input));
            return;
        }
        let seed = number("POOL_FUZZ_SEED").unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(1, nanos));
        println!("fuzzing {}: seed {seed}", self.corpus);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(self.corpus);
        let mut search = Search { known: Vec::new(), numbers: HashSet::new(), random: Random(seed), inputs: 0 };
        for input in read_corpus(&folder).into_iter().chain(self.seeds) {
            search.take(self.judge, input, None);
        }
        let (begun, seconds) = (Instant::now(), number("POOL_FUZZ_SECONDS"));
        let kept = std::env::var_os("POOL_FUZZ_KEEP").map(|_| folder);
        let goes_on = |inputs| match seconds {
            Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
            None => inputs < USUAL && begun.elapsed() < TOO_LONG,
        };
        while goes_on(search.inputs) {
            let mutant = search.mutant();
            search.take(self.judge, mutant, kept.as_deref());
        }
        let (inputs, took) = (search.inputs, begun.elapsed().as_secs_f64());
        let rate = inputs as f64 / took.max(1e-9);
        println!(
            "fuzzing {}: {inputs} inputs in {took:.1} s, {rate:.0} a second, {} fates",
            self.corpus,
            search.numbers.len()
        );
    }
}

/// A number out of the things that it stands for; what is counted is counted up to three.
pub(crate) fn fate(parts: impl IntoIterator<Item = u64>) -> u64 {
    let mix = |sum: u64, part: u64| (sum ^ part.min(255)).wrapping_mul(0x0100_0000_01b3);
    parts.into_iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// What a search knows.
struct Search {
    known: Vec<Vec<u8>>,
    numbers: HashSet<u64>,
    random: Random,
    inputs: u64,
}

impl Search {
    fn take(&mut self, judge: fn(&[u8]) -> u64, input: Vec<u8>, kept: Option<&Path>) {
        self.inputs += 1;
        let number = match catch_unwind(AssertUnwindSafe(|| judge(&input))) {
            Ok(number) => number,
            Err(panic) => {
                eprintln!("it failed with POOL_FUZZ_INPUT={}", to_hex(&input));
                resume_unwind(panic);
            }
        };
        if !self.numbers.insert(number) || self.known.len() >= MOST_KNOWN {
            return;
        }
        if let Some(folder) = kept {
            std::fs::create_dir_all(folder).expect("the corpus can be written");
            std::fs::write(folder.join(format!("{number:016x}")), &input).expect("the corpus can be written");
        }
        self.known.push(input);
    }

    /// One or some changes to something known.
    fn mutant(&mut self) -> Vec<u8> {
        let mut bytes = self.pick().clone();
        for _ in 0..1 + self.random.below(1 + self.random.peek() % 6) {
            self.change(&mut bytes);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn pick(&mut self) -> &Vec<u8> {
        let at = self.random.below(self.known.len() as u64);
        &self.known[at as usize]
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.below(bytes.len() as u64 + 1) as usize;
        let len = (1 + self.random.below(16) as usize).min(bytes.len() - at);
        match self.random.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.random.below(8),
            1 if at < bytes.len() => bytes[at] = self.random.next() as u8,
            2 => bytes.insert(at, self.random.odd() as u8),
            3 => drop(bytes.drain(at..at + len)),
            4 => bytes.truncate(at),
            5 => {
                let piece = bytes[at..at + len].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => {
                let number = self.random.odd().to_le_bytes();
                let end = bytes.len().min(at + [1, 2, 4, 8][self.random.below(4) as usize]);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            _ => {
                let other = self.pick().clone();
                let from = self.random.below(other.len() as u64 + 1) as usize;
                let piece = &other[from..other.len().min(from + 1 + self.random.below(200) as usize)];
                bytes.splice(at..at + self.random.below(len as u64 + 1) as usize, piece.iter().copied());
            }
        }
    }
}

/// Numbers that follow from a seed: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.peek()
    }

    fn peek(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A number at which something may end.
    fn odd(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(5),
            1 => (1_u64 << self.below(64)).wrapping_sub(self.below(2)),
            2 => u64::MAX - self.below(3),
            _ => self.next(),
        }
    }
}

/// In the order of their names.
fn read_corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("the corpus can be read")).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

fn nanos(since: Duration) -> u64 {
    since.as_nanos() as u64
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair.unwrap_or(""), 16).expect("pairs of hexadecimal digits")).collect()
}

/// Reads an input piece by piece; behind its end there are zeros.
pub(crate) struct Pieces<'a>(pub(crate) &'a [u8]);

impl<'a> Pieces<'a> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let piece = self.take(8);
        bytes[..piece.len()].copy_from_slice(piece);
        u64::from_le_bytes(bytes)
    }

    /// So many bytes, or what is left.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        self.0.split_off(..len.min(self.0.len())).unwrap_or_default()
    }

    /// A length in two bytes, and so many bytes.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let len = u16::from_le_bytes([self.byte(), self.byte()]);
        self.take(len.into())
    }

    /// Whether all is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What [`Pieces::piece`] reads.
pub(crate) fn as_piece(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_le_bytes(), bytes].concat()
}
