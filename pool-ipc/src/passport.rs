//! What a child is told about itself by its environment: one variable, six words, read once and removed.
//!
//! What holds: what [`Passport::write`] wrote, [`Passport::read`] reads; anything else is no passport. What never
//! stands here: anything that a task could want to know, or that is too long for an environment; that is in the first
//! message.

use std::num::{NonZeroU32, NonZeroU64};

/// The variable's name.
pub(crate) const VARIABLE: &str = "POOL_IPC_CHILD";

/// The first byte of the first message on the channel. The size of a frozen memfd follows, which comes with it.
pub(crate) const BOOT: u8 = 1;

/// What a child process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A pool's worker on shared memory.
    Worker,
    /// One function's process, as Python's `Process`.
    Process,
    /// A pool's worker on ipc-channel.
    ChannelWorker,
}

/// Who runs the child's work, in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// The hook that runs before `main`.
    Hook,
    /// The program itself, by calling `init` first in `main`.
    Init,
}

/// What its parent's end means to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It ends too.
    WithParent,
    /// Nothing.
    Own,
}

/// All that the variable says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passport {
    /// What the child is for.
    pub(crate) role: Role,
    /// Who runs it.
    pub(crate) takeover: Takeover,
    /// How long it lives.
    pub(crate) life: Life,
    /// How many ancestors were started by this library: at least 1.
    pub(crate) depth: u32,
    /// The process that started it.
    pub(crate) parent: NonZeroU32,
    /// How much private memory it may have, in bytes.
    pub(crate) memory_limit: Option<NonZeroU64>,
}

impl Passport {
    /// The variable's value.
    pub(crate) fn write(&self) -> String {
        let Self { role, takeover, life, depth, parent, memory_limit } = *self;
        let memory_limit = memory_limit.map_or(0, NonZeroU64::get);
        format!(
            "{} {} {} {depth} {parent} {memory_limit}",
            name_in(&ROLES, role),
            name_in(&TAKEOVERS, takeover),
            name_in(&LIVES, life)
        )
    }

    /// Reads it back.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let &[role, takeover, life, depth, parent, memory_limit] = words.as_slice() else { return None };
        Some(Self {
            role: value_in(&ROLES, role)?,
            takeover: value_in(&TAKEOVERS, takeover)?,
            life: value_in(&LIVES, life)?,
            depth: depth.parse().ok()?,
            parent: parent.parse().ok()?,
            memory_limit: NonZeroU64::new(memory_limit.parse().ok()?),
        })
    }
}

/// The words for each [`Role`].
const ROLES: [(&str, Role); 3] =
    [("worker", Role::Worker), ("process", Role::Process), ("channel-worker", Role::ChannelWorker)];

/// The words for each [`Takeover`].
const TAKEOVERS: [(&str, Takeover); 2] = [("hook", Takeover::Hook), ("init", Takeover::Init)];

/// The words for each [`Life`].
const LIVES: [(&str, Life); 2] = [("with-parent", Life::WithParent), ("own-life", Life::Own)];

/// The word for a value.
fn name_in<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, entry)| *entry == value).expect("the tables name every value").0
}

/// The value for a word.
fn value_in<T: Copy>(table: &[(&'static str, T)], name: &str) -> Option<T> {
    table.iter().find(|(entry, _)| *entry == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_passport_reads_as_it_was_written() {
        for (_, role) in ROLES {
            for (_, takeover) in TAKEOVERS {
                for (_, life) in LIVES {
                    let parent = NonZeroU32::new(12345).expect("not zero");
                    for memory_limit in [None, Some(NonZeroU64::MIN), Some(NonZeroU64::MAX)] {
                        let passport = Passport { role, takeover, life, depth: 3, parent, memory_limit };
                        assert_eq!(Passport::read(&passport.write()), Some(passport));
                    }
                }
            }
        }
    }

    #[test]
    fn anything_else_is_no_passport() {
        for text in [
            "",
            "1",
            "worker hook",
            "worker hook with-parent 1 1",
            "worker hook with-parent 1 0 0",
            "worker hook with-parent x 1 0",
            "worker hook with-parent 1 1 -1",
            "a b c 1 1 0",
        ] {
            assert_eq!(Passport::read(text), None, "{text:?}");
        }
    }
}
