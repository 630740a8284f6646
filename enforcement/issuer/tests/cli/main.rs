//! The vendor's tool, end to end, as a process. Certificates and lists are judged by the `openssl` command.

mod authorities;
mod desk;
mod guide;
mod issue;
mod look;
mod revocation;
