//! What a process may run, and what the function's value means for its exit code.
//!
//! Keeps true: a target goes into the table of tasks like any other call, and what it returns stays in its own process:
//! only its exit code is seen outside. Never: prints, or ends anything.

use std::error::Error;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::RemoteError;
use crate::task::{self, Arguments, CapturesNothing, Task, TaskId};

/// A function that a [`Process`](crate::Process) can run: any `fn`, method or closure that captures nothing, of up to
/// twelve arguments, whose value says how the process exits ([`ExitValue`]).
///
/// It is implemented for all of them; there is nothing to write.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run by a process with the arguments `{Args}`",
    label = "this captures something, cannot be called with these arguments, or returns what is no exit value",
    note = "a target is a function, or a closure that captures nothing; what it would capture is passed as an argument",
    note = "arguments are a tuple in the order of the function's parameters: `(a, b)`, `(a,)` for one, `()` for none",
    note = "it returns `()`, an `i32` or `ExitCode`, or a `Result` of one of them"
)]
pub trait Target<Args>: CapturesNothing {
    /// Calls it in this process and gives the exit code.
    ///
    /// # Errors
    /// What it returned, with its sources as text.
    fn run(&self, args: Args) -> Result<i32, RemoteError>;
}

/// What a process's function may return, and the exit code that it means.
///
/// | value | exit code |
/// | --- | --- |
/// | `()` | 0 |
/// | an `i32`, `u8` or [`ExitCode`] | that; the system keeps the lowest 8 bits |
/// | `Ok` of one of these | as that one |
/// | nothing ever, `!` | none: the process ends otherwise |
/// | `Err` of any error, or of a text | 1, and the error with its sources is written to stderr |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no exit value",
    label = "expected `()`, `i32`, `u8`, `ExitCode`, or a `Result` of one of them with any error"
)]
pub trait ExitValue {
    /// The exit code.
    ///
    /// # Errors
    /// The error that it is.
    fn into_code(self) -> Result<i32, RemoteError>;
}

impl ExitValue for () {
    fn into_code(self) -> Result<i32, RemoteError> {
        Ok(0)
    }
}

impl ExitValue for i32 {
    fn into_code(self) -> Result<i32, RemoteError> {
        Ok(self)
    }
}

impl ExitValue for u8 {
    fn into_code(self) -> Result<i32, RemoteError> {
        Ok(self.into())
    }
}

impl ExitValue for ExitCode {
    fn into_code(self) -> Result<i32, RemoteError> {
        // The type tells nothing but whether it equals another one. It is made of a u8 on the systems that we know.
        let code = (0..=u8::MAX).find(|&code| Self::from(code) == self);
        Ok(code.map_or(1, i32::from))
    }
}

/// A function that never returns has an exit value too, one that never comes. So a closure that ends in a loop or a panic
/// may be a target: its return type is `!`, which stable Rust lets one name only as what such a function returns.
impl ExitValue for Never {
    fn into_code(self) -> Result<i32, RemoteError> {
        self
    }
}

impl<T: ExitValue, E: Into<Box<dyn Error>>> ExitValue for Result<T, E> {
    fn into_code(self) -> Result<i32, RemoteError> {
        match self {
            Ok(value) => value.into_code(),
            Err(error) => Err(RemoteError::new(&*error.into())),
        }
    }
}

/// The type `!`.
type Never = <fn() -> ! as Returning>::Value;

/// What a function pointer returns.
pub trait Returning {
    /// The type of that.
    type Value;
}

impl<R> Returning for fn() -> R {
    type Value = R;
}

/// The number of a target's call.
pub(super) fn id_of<F: Target<Args>, Args: Arguments>() -> TaskId {
    task::id_of::<Run<F>, Args>()
}

/// What a target's call gives, as the table of tasks knows it.
pub(super) type Ending = Result<i32, RemoteError>;

/// Makes a task of a target, one whose result says how it went whatever the target returns.
#[derive(Clone, Copy)]
struct Run<F>(F);

impl<F: Target<Args>, Args: Arguments> Task<Args> for Run<F> {
    type Output = Ending;

    fn call(&self, args: Args) -> Ending {
        self.0.run(args)
    }
}

macro_rules! arity {
    ($($argument:ident $value:ident)*) => {
        impl<F, R, $($argument,)*> Target<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + CapturesNothing,
            R: ExitValue,
            $($argument: Serialize + DeserializeOwned,)*
        {
            fn run(&self, ($($value,)*): ($($argument,)*)) -> Result<i32, RemoteError> {
                self($($value),*).into_code()
            }
        }
    };
}

arity!();
arity!(A a);
arity!(A a B b);
arity!(A a B b C c);
arity!(A a B b C c D d);
arity!(A a B b C c D d E e);
arity!(A a B b C c D d E e G g);
arity!(A a B b C c D d E e G g H h);
arity!(A a B b C c D d E e G g H h I i);
arity!(A a B b C c D d E e G g H h I i J j);
arity!(A a B b C c D d E e G g H h I i J j K k);
arity!(A a B b C c D d E e G g H h I i J j K k L l);
arity!(A a B b C c D d E e G g H h I i J j K k L l M m);

#[cfg(test)]
mod tests {
    use super::*;

    fn code(value: impl ExitValue) -> Result<i32, String> {
        value.into_code().map_err(|error| error.to_string())
    }

    #[test]
    fn a159_values_mean_exit_codes() {
        assert_eq!(code(()), Ok(0));
        assert_eq!(code(8), Ok(8));
        assert_eq!(code(3_u8), Ok(3));
        assert_eq!(code(ExitCode::SUCCESS), Ok(0));
        assert_eq!(code(ExitCode::FAILURE), Ok(1));
        assert_eq!(code(ExitCode::from(200)), Ok(200));
    }

    #[test]
    fn a159_an_error_is_told_and_anything_else_in_a_result_counts_as_itself() {
        assert_eq!(code(Ok::<_, String>(4)), Ok(4));
        assert_eq!(code(Err::<(), _>("no such file")), Err("no such file".to_owned()));
        let parsed = "x".parse::<i32>();
        assert_eq!(code(parsed), Err("invalid digit found in string".to_owned()));
        let nested: Result<Result<(), String>, Box<dyn Error>> = Ok(Err("inner".to_owned()));
        assert_eq!(code(nested), Err("inner".to_owned()));
    }
}
