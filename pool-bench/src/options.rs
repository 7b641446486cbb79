//! What a run is asked to do.
//!
//! Keeps true: a wrong call is told before anything is measured. Never: asks the machine anything.

use std::path::PathBuf;

use crate::cases;

pub(crate) const USAGE: &str = "usage: pool-bench [--quick] [--case NAME] [--json FILE] [--svg FILE] [--peers LIST]";

/// Every other side that can be asked for, and whether it takes part unasked.
pub(crate) const PEERS: [(&str, bool); 8] = [
    ("rayon", true),
    ("procspawn", true),
    ("ipc-channel", true),
    ("cpython", true),
    ("cpython-pool", false),
    ("loky", false),
    ("pebble", false),
    ("mpire", false),
];

#[derive(Debug)]
pub(crate) struct Options {
    /// Fewer rounds, and fewer tasks where that does not change what is measured.
    pub(crate) quick: bool,
    /// Only this one.
    pub(crate) case: Option<String>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    /// Who takes part beside the limits.
    pub(crate) peers: Vec<&'static str>,
}

pub(crate) fn parse(arguments: &[String]) -> Result<Options, String> {
    let usual = PEERS.iter().filter(|(_, unasked)| *unasked).map(|(name, _)| *name).collect();
    let mut options = Options { quick: false, case: None, json: None, svg: None, peers: usual };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => options.quick = true,
            "--case" => options.case = Some(case(value()?)?),
            "--json" => options.json = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--peers" => options.peers = peers(value()?)?,
            _ => return Err(format!("there is no option `{word}`")),
        }
    }
    Ok(options)
}

fn case(name: &str) -> Result<String, String> {
    match cases::ALL.iter().any(|known| known.name == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("there is no case `{name}`")),
    }
}

fn peers(list: &str) -> Result<Vec<&'static str>, String> {
    if list == "all" {
        return Ok(PEERS.iter().map(|(name, _)| *name).collect());
    }
    let known = |word| PEERS.iter().map(|(name, _)| *name).find(|name| *name == word);
    list.split(',').map(|word| known(word).ok_or_else(|| format!("there is no peer `{word}`"))).collect()
}
