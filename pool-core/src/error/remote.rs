//! Errors that come from another process.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// An error of another process, with its chain of sources as text. Made from any error, and serializable, so that a task
/// may return `Result<T, RemoteError>` and lose nothing that a person would read.
///
/// ```
/// use pool_core::RemoteError;
///
/// let error = "x".parse::<i32>().map_err(|error| RemoteError::new(&error)).unwrap_err();
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct RemoteError {
    message: String,
    source: Option<Box<RemoteError>>,
}

/// How many texts of a chain are read. A longer one is cut: a worker may send any bytes, and what they become must not
/// be nested as deep as it likes.
const LONGEST_CHAIN: usize = 64;

/// As it crosses: the texts, the outermost first.
impl From<RemoteError> for Vec<String> {
    fn from(error: RemoteError) -> Self {
        let links = std::iter::successors(Some(error), |error| error.source.as_deref().cloned());
        links.map(|error| error.message).collect()
    }
}

impl From<Vec<String>> for RemoteError {
    fn from(mut texts: Vec<String>) -> Self {
        texts.truncate(LONGEST_CHAIN);
        let mut chain = None;
        for message in texts.into_iter().rev() {
            chain = Some(Box::new(Self { message, source: chain }));
        }
        chain.map_or_else(|| Self::message(""), |chain| *chain)
    }
}

impl RemoteError {
    /// Keeps the texts of an error and of its sources.
    pub fn new(error: &(dyn Error + 'static)) -> Self {
        Self { message: error.to_string(), source: error.source().map(|source| Box::new(Self::new(source))) }
    }

    /// An error that is only a message.
    pub fn message(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RemoteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
