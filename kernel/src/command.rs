use std::{any::Any, convert::Infallible, error::Error, time::Duration};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Category, Contract, Cx};

/// A message that asks a module for one operation. Derived: `#[derive(Command)]` writes the contract and registers it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    note = "derive `Command` on the message and name its id and module: `#[command(\"tenancy.tenants.create\", Tenancy -> Tenant)]`"
)]
pub trait Command: Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static {
    /// The module that handles it.
    type Module: Handle<Self>;
    /// What a success answers.
    type Output: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What is statically true of it.
    const CONTRACT: Contract;
}

/// A set of commands with the state they share, constructed by name where the program is assembled.
pub trait Module: Send + Sync + Sized + 'static {
    /// The first segment of its commands' ids.
    const NAME: &'static str;
    /// The product its commands belong to.
    const PRODUCT: &'static str;
    /// What its handlers fail with.
    type Error: Problem;
}

/// How a module carries out a command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{C}`",
    label = "`{C}` names this module",
    note = "write `impl Handle<{C}> for {Self}`"
)]
pub trait Handle<C: Command<Module = Self>>: Module {
    /// Carries out the command. Cancelled by dropping: between two awaits the handler may end without notice, so what
    /// belongs together is one unit of work.
    fn handle(&self, cx: &Cx, command: C) -> impl Future<Output = Result<C::Output, Self::Error>> + Send;
}

/// A module's failure, as the outside may see it. `Display` is shown to the caller unless the category is
/// [`Category::Internal`], whose text goes to the log only.
pub trait Problem: Error + Any + Send + Sync {
    /// A stable code in `snake_case`.
    fn code(&self) -> &'static str;

    /// What kind of failure it is.
    fn category(&self) -> Category;

    /// How long the caller should wait before it tries again, where that is known.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// For modules whose commands cannot fail.
impl Problem for Infallible {
    fn code(&self) -> &'static str {
        match *self {}
    }

    fn category(&self) -> Category {
        match *self {}
    }
}
