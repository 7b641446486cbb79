//! What may be submitted: functions of up to twelve arguments, their arguments as a tuple, and initializers.
//!
//! Keeps true: whatever implements [`Task`] can be called in another process from nothing but its type, so it captures
//! nothing; a wrong call is a sentence of the compiler that says what to write instead. Never: runs anything.

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::RemoteError;

/// A function that can run in a worker: any `fn`, method, constructor or closure that captures nothing, of up to twelve
/// arguments, whose result can cross a process.
///
/// It is implemented for all of them; there is nothing to write. What a closure would capture is passed as an argument
/// instead: a closure that captures something does not build.
///
/// ```
/// use pool_core::Task;
///
/// fn area(width: u32, height: u32) -> u32 {
///     width * height
/// }
///
/// fn call_here<F: Task<Args>, Args>(task: F, args: Args) -> F::Output {
///     task.call(args)
/// }
///
/// assert_eq!(call_here(area, (3, 4)), 12);
/// assert_eq!(call_here(|text: String| text.len(), ("four".to_owned(),)), 4);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no task for the arguments `{Args}`",
    label = "this cannot be called with these arguments, or its result cannot cross a process",
    note = "a task is a function, or a closure that captures nothing; what it would capture is passed as an argument",
    note = "arguments are a tuple in the order of the function's parameters: `(a, b)`, `(a,)` for one, `()` for none",
    note = "what it takes and returns owns what it holds (`String` instead of `&str`, `Vec<T>` instead of `&[T]`) and \
            implements `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Task<Args>: CapturesNothing {
    /// What it returns.
    type Output: Serialize + DeserializeOwned;

    /// Calls it in this process.
    fn call(&self, args: Args) -> Self::Output;
}

/// The arguments of a task: a tuple of up to twelve values that own what they hold and can cross a process.
///
/// A value that borrows cannot: the worker has nothing that it could borrow from. For a `&str` the compiler says so in
/// the words "implementation of `Deserialize` is not general enough"; pass a `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple of arguments that can be sent to a worker",
    label = "expected a tuple of values that implement `serde::Serialize` and `serde::de::DeserializeOwned`",
    note = "arguments are a tuple: `(a, b)`, `(a,)` for one, `()` for none"
)]
pub trait Arguments: Serialize + DeserializeOwned {}

/// A function that prepares a worker before its first task. It may return nothing, or a `Result<(), E>` whose error
/// breaks the pool.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no initializer for the arguments `{Args}`",
    label = "this captures something, cannot be called with these arguments, or returns something else than `()` or \
             `Result<(), E>`",
    note = "an initializer is a function, or a closure that captures nothing; what it would capture is passed as an \
            argument",
    note = "arguments are a tuple in the order of the function's parameters: `(a, b)`, `(a,)` for one, `()` for none"
)]
pub trait Initializer<Args>: CapturesNothing {
    /// Calls it in this process.
    ///
    /// # Errors
    /// What it returned, with its sources as text.
    fn initialize(&self, args: Args) -> Result<(), RemoteError>;
}

/// A function, or a closure that captures nothing: what a worker can call knowing only its type.
///
/// It is implemented for everything that can be copied and shared between threads. That leaves closures that capture a
/// number or a reference: they are refused where the program is built, as their value would have to go along.
#[diagnostic::on_unimplemented(
    message = "`{Self}` captures something, which a worker does not have",
    label = "this captures a value",
    note = "a worker gets only the function's name: pass what it captures as an argument"
)]
pub trait CapturesNothing: Copy + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<F: Copy + Send + Sync + 'static> CapturesNothing for F {}

/// What an [`Initializer`] may return.
#[diagnostic::on_unimplemented(
    message = "an initializer cannot return `{Self}`",
    label = "expected `()` or `Result<(), E>` with an error `E`"
)]
pub trait Initialized {
    /// How it went.
    ///
    /// # Errors
    /// The error that it is.
    fn into_result(self) -> Result<(), RemoteError>;
}

impl Initialized for () {
    fn into_result(self) -> Result<(), RemoteError> {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error>>> Initialized for Result<(), E> {
    fn into_result(self) -> Result<(), RemoteError> {
        self.map_err(|error| RemoteError::new(&*error.into()))
    }
}

macro_rules! arity {
    ($($argument:ident $value:ident)*) => {
        impl<$($argument: Serialize + DeserializeOwned,)*> Arguments for ($($argument,)*) {}

        impl<F, R, $($argument,)*> Task<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + CapturesNothing,
            R: Serialize + DeserializeOwned,
        {
            type Output = R;

            fn call(&self, ($($value,)*): ($($argument,)*)) -> R {
                self($($value),*)
            }
        }

        impl<F, R, $($argument,)*> Initializer<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + CapturesNothing,
            R: Initialized,
        {
            fn initialize(&self, ($($value,)*): ($($argument,)*)) -> Result<(), RemoteError> {
                self($($value),*).into_result()
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
