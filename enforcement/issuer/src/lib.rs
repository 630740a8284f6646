//! The vendor's side: the licensing PKI and minting. Never linked into the server.
//!
//! | type | is |
//! |---|---|
//! | [`Directory`] | where authorities, signers and their encrypted keys lie |
//! | [`Book`] | what was issued and revoked |
//! | [`Template`] | what a customer is sold, written by people |
//!
//! A license is a template, a deployment's [`LicenseRequest`](envelope::request::LicenseRequest), an id and a time:
//! [`Template::grant`] expands what is sold, [`Template::claims`] puts the rest together, and
//! [`Signer::seal_products`](envelope::authoring::Signer::seal_products) signs and seals. All checks are the envelope's
//! own, so nothing is minted that a deployment would refuse.

mod book;
mod difference;
mod directory;
mod name;
mod template;

pub use book::{Book, BookError, Booked, Entry};
pub use difference::{Difference, differences};
pub use directory::{Directory, DirectoryError, Shelf, check_new, replace, write_new};
pub use name::{Name, NameError};
pub use template::{OverrideRules, Overrides, Sale, Template, TemplateError};
