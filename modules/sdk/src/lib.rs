//! A module author's one dependency of ours: `use sdk::prelude::*`.
//!
//! A command is a message with a derive, and a handler:
//!
//! ```
//! use chancery_sdk::prelude::*;
//!
//! pub struct Greeting;
//!
//! impl Module for Greeting {
//!     const NAME: &'static str = "greeting";
//!     const PRODUCT: &'static str = "chancery";
//!     type Error = std::convert::Infallible;
//! }
//!
//! /// Greet someone by name.
//! #[derive(Command, Serialize, Deserialize, JsonSchema)]
//! #[command("greeting.people.greet", Greeting -> String)]
//! #[access(authenticated)]
//! #[license(features = [POLITENESS])]
//! #[http(POST "/api/greeting/people/greet")]
//! pub struct Greet {
//!     pub name: String,
//! }
//!
//! const POLITENESS: FeatureKey<'_> = FeatureKey::literal("greeting.politeness.v1");
//!
//! impl Handle<Greet> for Greeting {
//!     async fn handle(&self, _cx: &Cx, command: Greet) -> Result<String, Self::Error> {
//!         Ok(format!("Good day, {}", command.name))
//!     }
//! }
//! ```
//!
//! The derives of `serde` and `schemars` name their crates, so a module lists those two beside this one.

pub mod mail;

pub use {descriptors, kernel, secrets, store};

/// A module that a program can add to the standard ones by its name alone: `Program::standard().with::<Greeting>()`.
pub trait Addition: kernel::Module {
    /// Its tables.
    const MIGRATIONS: &'static [store::Migration];

    /// Over the program's database, with a line to the commands of other modules.
    fn new(store: store::Store, line: kernel::Line) -> Self;
}

#[doc(hidden)]
pub use inventory;

/// Everything a module's files use.
pub mod prelude {
    pub use crate::Addition;
    pub use descriptors::{
        access::{GuardedBy, Permission},
        catalog::CatalogSlice,
        descriptor::{EntitlementKey, FeatureKey, Quota, ShapePredicate},
    };
    pub use futures_util::future::BoxFuture;
    pub use kernel::{
        Ambient, Category, Command, CommandId, Cx, Guard, Handle, Input, Line, Module, Principal, Problem,
        Refusal, TenantId,
    };
    pub use schemars::JsonSchema;
    pub use sdk_macros::Command;
    pub use serde::{Deserialize, Serialize};
    pub use store::{Cause, Migration, Store, StoreError};

    /// Enforced where the deployment says `environment=production`, or does not say.
    pub const PRODUCTION: ShapePredicate<'static> = ShapePredicate::PRODUCTION;
    /// Enforced where the deployment says `packaging=container`, or does not say.
    pub const CONTAINER: ShapePredicate<'static> = ShapePredicate::CONTAINER;
}

/// Contributes this crate's slice of the catalog: `sdk::catalog!("../catalog.toml")`, relative to the file it stands in.
#[macro_export]
macro_rules! catalog {
    ($path:literal) => {
        $crate::inventory::submit! {
            $crate::descriptors::catalog::CatalogSlice::new(::core::env!("CARGO_PKG_NAME"), ::core::include_str!($path))
        }
    };
}
