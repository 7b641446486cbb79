//! A bare pair of channels of the `ipc-channel` crate, to a process that answers.

use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory};
use serde::{Deserialize, Serialize};

use crate::case::Failure;
use crate::children::{self, Held};
use crate::cores;

#[derive(Serialize, Deserialize)]
enum Question {
    Add(u32, u32),
    Echo(IpcSharedMemory),
    Pin(usize),
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Sum(u32),
    Echo(IpcSharedMemory),
    Pinned,
}

/// The role: answers until nobody asks any more.
pub(crate) fn echo(server: &str) -> Result<(), Failure> {
    let parent = IpcSender::connect(server.to_owned())?;
    let (ask, questions) = ipc::channel::<Question>()?;
    let (answers, answered) = ipc::channel::<Answer>()?;
    parent.send((ask, answered))?;
    while let Ok(question) = questions.recv() {
        answers.send(match question {
            Question::Add(a, b) => Answer::Sum(a + b),
            // What was changed would have to be new memory too.
            Question::Echo(bytes) => Answer::Echo(IpcSharedMemory::from_bytes(&bytes)),
            Question::Pin(core) => {
                cores::pin(core)?;
                Answer::Pinned
            }
        })?;
    }
    Ok(())
}

/// The other process, and the channels to it.
pub(crate) struct Echo {
    ask: IpcSender<Question>,
    answers: IpcReceiver<Answer>,
    _child: Held,
}

impl Echo {
    pub(crate) fn start() -> Result<Self, Failure> {
        let (server, name) = IpcOneShotServer::<(IpcSender<Question>, IpcReceiver<Answer>)>::new()?;
        let child = Held::start(&mut children::role(&["ipc-echo", &name]))?;
        let (_, (ask, answers)) = server.accept()?;
        Ok(Self { ask, answers, _child: child })
    }

    pub(crate) fn pin(&self, core: usize) -> Result<(), Failure> {
        self.ask(Question::Pin(core)).map(drop)
    }

    pub(crate) fn add(&self) -> Result<u32, Failure> {
        match self.ask(Question::Add(1, 2))? {
            Answer::Sum(sum) => Ok(sum),
            _ => Err("it answered something else".into()),
        }
    }

    /// There and back as shared memory, which is copied into once on each way.
    pub(crate) fn echo(&self, bytes: &[u8]) -> Result<IpcSharedMemory, Failure> {
        match self.ask(Question::Echo(IpcSharedMemory::from_bytes(bytes)))? {
            Answer::Echo(bytes) => Ok(bytes),
            _ => Err("it answered something else".into()),
        }
    }

    fn ask(&self, question: Question) -> Result<Answer, Failure> {
        self.ask.send(question)?;
        Ok(self.answers.recv()?)
    }
}
