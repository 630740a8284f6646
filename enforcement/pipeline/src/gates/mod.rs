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
mod measure;
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
pub(crate) use measure::Measure;
pub(crate) use trace::Trace;

/// What every gate answers.
pub(crate) type Answer = Result<kernel::Output, kernel::Fault<kernel::BoxProblem>>;
