//! Greetings and replies of any bytes, as workers may send them, up to the value that a caller asks for.

#[path = "../../../pool-ipc/src/fuzzing.rs"]
#[expect(dead_code, reason = "shared with the backends, which read their input piece by piece")]
mod fuzzing;

use std::collections::BTreeMap;
use std::error::Error;

use self::fuzzing::{Target, fate};
use super::{Failure, Greeting, PanicReport, read_reply, write_failure, write_value};
use crate::bytes::Bytes;
use crate::error::{Reason, RemoteError, TaskError};
use crate::task::{decode, encode_into};

#[test]
fn fuzz_greetings_of_a_worker() {
    Target { corpus: "greetings", seeds: greetings(), judge: judge_greeting }.run();
}

#[test]
fn fuzz_replies_of_a_worker() {
    Target { corpus: "replies", seeds: replies(), judge: judge_reply }.run();
}

fn judge_greeting(bytes: &[u8]) -> u64 {
    let Some(greeting) = Greeting::decode(bytes) else { return fate([0]) };
    // What a chain of errors is cut to stays as it is from then on.
    let again = greeting.encode();
    assert!(again.len() <= pool_ipc::MAX_SAID);
    assert_eq!(Greeting::decode(&again).as_ref().map(Greeting::encode), Some(again));
    match greeting {
        Greeting::Ready { .. } => fate([1]),
        Greeting::OtherBuild => fate([2]),
        Greeting::NoInit => fate([4]),
        Greeting::InitializerFailed(error) => fate([3, depth(&error).min(5), (error.to_string().len() as u64).min(3)]),
    }
}

fn depth(error: &RemoteError) -> u64 {
    let (mut links, mut link) = (0, error.source());
    while let Some(error) = link {
        (links, link) = (links + 1, error.source());
    }
    assert!(links < 100, "a chain of {links} errors");
    links
}

fn judge_reply(bytes: &[u8]) -> u64 {
    let start = match read_reply("work", 7, bytes) {
        Ok(start) => start,
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("work") && text.len() < 500 + 4 * bytes.len(), "{text}");
            let kind = match error {
                TaskError::Panicked(panic) => {
                    1 + u64::from(panic.location.is_some()) + u64::from(panic.backtrace.is_some())
                }
                TaskError::NotFound(_) => 4,
                TaskError::Encode(_) => 5,
                TaskError::Decode(_) => 6,
                TaskError::NoMemory(_) => 7,
                other => panic!("no reply says {other}"),
            };
            return fate([kind, text.len() as u64 / 16]);
        }
    };
    let value = &bytes[start..];
    let decoded = [
        decode::<u64>(value).map(|value| value.min(2)),
        decode::<String>(value).map(|text| (text.len() as u64).min(3)),
        decode::<Vec<String>>(value).map(|texts| (texts.len() as u64).min(9)),
        decode::<BTreeMap<i8, Vec<bool>>>(value).map(|map| (map.len() as u64).min(9)),
        decode::<Bytes>(value).map(|bytes| (bytes.len() as u64).min(9)),
        decode::<Option<(char, f64)>>(value).map(|value| value.is_some().into()),
        decode::<Result<(), RemoteError>>(value).map(|result| result.map_or_else(|error| depth(&error).min(5), |()| 9)),
    ];
    fate(decoded.map(|value| value.map_or(0, |value| value + 1)))
}

fn greetings() -> Vec<Vec<u8>> {
    let failed = |texts: &[&str]| {
        let mut bytes = vec![2];
        encode_into(&mut bytes, &texts).expect("it is small");
        bytes
    };
    vec![
        Greeting::Ready { fingerprint: 7 }.encode(),
        Greeting::OtherBuild.encode(),
        Greeting::NoInit.encode(),
        failed(&[]),
        failed(&["no licence", "no server", "no network"]),
        failed(&[""; 90]),
    ]
}

fn replies() -> Vec<Vec<u8>> {
    let mut replies = Vec::new();
    let mut value = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut reply = Vec::new();
        write_value(&mut reply);
        encode(&mut reply);
        replies.push(reply);
    };
    let texts = ["a".to_owned(), "é".repeat(70)];
    value(&|reply| encode_into(reply, &300_u64).expect("it is small"));
    value(&|reply| encode_into(reply, &texts).expect("it is small"));
    value(&|reply| encode_into(reply, &texts.to_vec()).expect("it is small"));
    value(&|reply| encode_into(reply, &BTreeMap::from([(1_i8, vec![true, false])])).expect("it is small"));
    value(&|reply| encode_into(reply, &Some(('x', 1.5_f64))).expect("it is small"));
    value(&|reply| encode_into(reply, &Err::<(), _>(RemoteError::message("no"))).expect("it is small"));
    let (type_name, reason) = ("T".to_owned(), Reason::of_codec("why"));
    let report = PanicReport {
        message: "no".to_owned(),
        location: Some("file.rs:1:2".to_owned()),
        backtrace: Some("0: main".to_owned()),
        thread: "MainThread".to_owned(),
    };
    let failures = [
        Failure::Panicked(report),
        Failure::NotFound { task: 3 },
        Failure::Undecoded { type_name: type_name.clone(), reason: reason.clone() },
        Failure::Unencoded { type_name, reason },
        Failure::NoMemory { size: 1 << 40 },
    ];
    replies.extend(failures.iter().map(|failure| {
        let mut reply = Vec::new();
        write_failure(&mut reply, failure);
        reply
    }));
    replies
}
