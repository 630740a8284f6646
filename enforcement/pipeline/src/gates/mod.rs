//! One gate, one file. Outermost first: see [`column()`](crate::column()).

mod audit;
mod authorize;
mod cover;
mod decode;
mod dispatch;
mod entitle;
mod fund;
mod guard;
mod idempotent;
mod told;
mod trace;

pub(crate) use audit::Audit;
pub(crate) use authorize::Authorize;
pub(crate) use cover::Cover;
pub(crate) use decode::Decode;
pub(crate) use dispatch::Dispatcher;
pub(crate) use entitle::Entitle;
pub(crate) use fund::Fund;
pub(crate) use guard::GuardGate;
pub(crate) use idempotent::Idempotent;
pub(crate) use trace::Trace;

use std::future::{Ready, ready};

use futures_util::future::Either;
use kernel::{BoxProblem, Fault, Output};

/// What every gate answers.
pub(crate) type Answer = Result<Output, Fault<BoxProblem>>;

/// What comes of a gate that need not wait: its own answer where it stops the call, or that of the gate after it. It
/// keeps nothing while the call runs.
type Passed<F> = Either<Ready<Answer>, F>;

/// Goes on with what the gate yields, or answers why it does not.
fn pass<T, F>(yielded: Result<T, Fault<BoxProblem>>, go_on: impl FnOnce(T) -> F) -> Passed<F> {
    match yielded {
        Ok(call) => Either::Right(go_on(call)),
        Err(fault) => Either::Left(ready(Err(fault))),
    }
}
