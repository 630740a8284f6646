//! The bus: commands, their contracts, the modules that handle them, and one door through which every call goes.
//!
//! A [`Command`] is a message type with a [`Contract`], everything statically true of it. It registers itself at link
//! time in [`COMMANDS`]; [`Registry`] sorts what it finds there and refuses duplicates. A [`Module`] is constructed by
//! name and mounted; [`Registry::open`] checks that modules and registrations fit and gives up the one [`Door`] to the
//! handlers. Whoever owns the door decides what stands before it: [`Bus`] dispatches through that.
//!
//! **Invariant: the kernel knows no policy.** What a command is allowed to do, and how it is reached from outside, are
//! [`Facet`]s: opaque static data that others read. There is no HTTP, SQL or cryptography here.
//!
//! **Invariant: time and randomness are passed in**, as [`Ambient`].

mod ambient;
mod bus;
mod command;
mod contract;
mod cx;
mod fault;
mod registry;
mod runtime;

pub use ambient::{Ambient, Clock, Entropy, OsEntropy, SystemClock};
pub use bus::{Bus, Dispatch, Guard, Input, Invocation, Line, Output};
pub use command::{Command, Handle, Module, Problem};
pub use contract::{CommandId, CommandIdError, Contract, Facet};
pub use cx::{
    Authenticated, Call, CorrelationId, Cx, IdempotencyKey, InvalidText, Principal, TenantId, TraceContext,
};
pub use fault::{BoxProblem, Category, Fault, InputError, Refusal};
pub use registry::{COMMANDS, CommandIndex, Door, Entry, Modules, Registration, Registry, RegistryError};
pub use runtime::{Commands, RuntimeCommand};

#[doc(hidden)]
pub use linkme;
