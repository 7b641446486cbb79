//! Takes the pids out of a transcript, which differ from run to run.
//!
//! Keeps true: nothing but digits behind a mark that announces a pid is touched.

/// What a pid stands behind.
const MARKS: [&str; 4] = ["ppid=", "pid=", "pid: ", "worker "];

/// The text with each pid replaced by `P0`, `P1` and so on, the same pid by the same name.
pub(crate) fn anonymous(text: &str) -> String {
    let mut known: Vec<&str> = Vec::new();
    replace(text, |pid| {
        let number = known.iter().position(|&seen| seen == pid).unwrap_or_else(|| {
            known.push(pid);
            known.len() - 1
        });
        format!("P{number}")
    })
}

/// The text with each pid replaced by `P`.
pub(crate) fn masked(text: &str) -> String {
    replace(text, |_| "P".to_owned())
}

/// The pids in the order in which they stand there.
pub(crate) fn pids(text: &str) -> Vec<String> {
    let mut pids = Vec::new();
    replace(text, |pid| {
        pids.push(pid.to_owned());
        String::new()
    });
    pids
}

fn replace<'t>(text: &'t str, mut name: impl FnMut(&'t str) -> String) -> String {
    let (mut shape, mut rest) = (String::new(), text);
    while let Some((at, mark)) = MARKS.iter().filter_map(|mark| Some((rest.find(mark)?, mark))).min() {
        let (before, after) = rest.split_at(at + mark.len());
        let digits = after.find(|character: char| !character.is_ascii_digit()).unwrap_or(after.len());
        shape.push_str(before);
        if digits > 0 {
            shape.push_str(&name(&after[..digits]));
        }
        rest = &after[digits..];
    }
    shape + rest
}

#[test]
fn the_same_pid_has_the_same_name_and_nothing_else_is_touched() {
    let text = "Main pid=17, ppid=4\nworker 17 died: exit code 3\nthe workers are 2\n";
    assert_eq!(anonymous(text), "Main pid=P0, ppid=P1\nworker P0 died: exit code 3\nthe workers are 2\n");
    assert_eq!(masked(text), "Main pid=P, ppid=P\nworker P died: exit code 3\nthe workers are 2\n");
    assert_eq!(pids(text), ["17", "4", "17"]);
}
