//! The vendor's side: the licensing PKI and minting. Never linked into the server.
//!
//! | type | is |
//! |---|---|
//! | [`Directory`] | where the root, the signer and their encrypted keys lie |
//! | [`Template`] | what a customer is sold, written by people |
//!
//! A license is a template, a deployment's [`LicenseRequest`](envelope::LicenseRequest), an id and a time:
//! [`Template::claims`] puts them together, [`Signer::seal`](envelope::authoring::Signer::seal) signs and seals them.
//! All checks are the envelope's own, so nothing is minted that a deployment would refuse.

mod directory;
mod template;

pub use directory::{Directory, DirectoryError, write_new};
pub use template::{Template, TemplateError};
