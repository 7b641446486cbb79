//! The options of tasks that hand their arguments on to a program which has to be built first.
//!
//! Keeps true: a wrong call is told before anything is built, in the words of the task and not of the program.

use crate::task::TaskError;

/// One option.
pub(crate) struct Opt {
    /// With its dashes.
    pub(crate) name: &'static str,
    pub(crate) value: Value,
}

/// What follows an option.
pub(crate) enum Value {
    Nothing,
    /// A number, also with `_` between its digits, that is no less than this.
    Number(u64),
    OneOf(&'static [&'static str]),
    /// Some of these, with commas between, or `all`.
    SomeOf(&'static [&'static str]),
    /// The name of a file.
    File,
}

/// Whether a task that takes these options can be called so.
pub(crate) fn check(task: &str, options: &[Opt], arguments: &[String]) -> Result<(), TaskError> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let option = options.iter().find(|option| option.name == word);
        let option = option.ok_or_else(|| TaskError::WrongCall(format!("{task} does not take `{word}`")))?;
        let taken = match option.value {
            Value::Nothing => Ok(()),
            Value::Number(least) => number(words.next(), least),
            Value::OneOf(words_allowed) => one_of(words.next(), words_allowed),
            Value::SomeOf(words_allowed) => some_of(words.next(), words_allowed),
            Value::File => file(words.next()),
        };
        taken.map_err(|wrong| TaskError::WrongCall(format!("{word} {wrong}")))?;
    }
    Ok(())
}

fn number(word: Option<&String>, least: u64) -> Result<(), String> {
    let word = word.ok_or("needs a number")?;
    match word.replace('_', "").parse::<u64>() {
        Ok(number) if number >= least => Ok(()),
        Ok(_) => Err(format!("must be at least {least}")),
        Err(_) => Err(format!("takes a number, not `{word}`")),
    }
}

fn one_of(word: Option<&String>, allowed: &[&str]) -> Result<(), String> {
    match word {
        Some(word) if allowed.contains(&word.as_str()) => Ok(()),
        Some(word) => Err(format!("takes one of {}, not `{word}`", allowed.join(", "))),
        None => Err(format!("needs one of {}", allowed.join(", "))),
    }
}

fn some_of(word: Option<&String>, allowed: &[&str]) -> Result<(), String> {
    let list = word.ok_or_else(|| format!("needs some of {}, or all", allowed.join(", ")))?;
    match list.split(',').find(|part| *part != "all" && !allowed.contains(part)) {
        Some(part) => Err(format!("takes some of {}, or all, not `{part}`", allowed.join(", "))),
        None if list.contains(',') && list.split(',').any(|part| part == "all") => {
            Err("takes all, or some, not both".to_owned())
        }
        None => Ok(()),
    }
}

fn file(word: Option<&String>) -> Result<(), String> {
    match word {
        Some(word) if !word.is_empty() && !word.starts_with("--") => Ok(()),
        _ => Err("needs the name of a file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [Opt; 6] = [
        Opt { name: "--quick", value: Value::Nothing },
        Opt { name: "--seed", value: Value::Number(0) },
        Opt { name: "--times", value: Value::Number(1) },
        Opt { name: "--case", value: Value::OneOf(&["one", "two"]) },
        Opt { name: "--peers", value: Value::SomeOf(&["one", "two"]) },
        Opt { name: "--json", value: Value::File },
    ];

    fn refusal(line: &str) -> Option<String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match check("bench", &OPTIONS, &words) {
            Ok(()) => None,
            Err(TaskError::WrongCall(message)) => Some(message),
            Err(TaskError::Failed(message)) => panic!("no wrong call: {message}"),
        }
    }

    #[test]
    fn options_may_come_in_any_order_or_not_at_all() {
        for line in [
            "",
            "--quick",
            "--case two --quick --seed 0",
            "--times 1_000 --times 1",
            "--peers one,two --json a",
            "--peers all",
        ] {
            assert_eq!(refusal(line), None, "{line}");
        }
    }

    #[test]
    fn wrong_calls_are_told() {
        for (line, text) in [
            ("--bogus", "bench does not take `--bogus`"),
            ("--quick 7", "bench does not take `7`"),
            ("--seed", "--seed needs a number"),
            ("--seed x", "--seed takes a number, not `x`"),
            ("--seed -1", "--seed takes a number, not `-1`"),
            ("--times 0", "--times must be at least 1"),
            ("--case", "--case needs one of one, two"),
            ("--peers", "--peers needs some of one, two, or all"),
            ("--peers one,", "--peers takes some of one, two, or all, not ``"),
            ("--peers one,all", "--peers takes all, or some, not both"),
            ("--json", "--json needs the name of a file"),
            ("--json --quick", "--json needs the name of a file"),
            ("--case three", "--case takes one of one, two, not `three`"),
        ] {
            assert_eq!(refusal(line).as_deref(), Some(text), "{line}");
        }
    }
}
