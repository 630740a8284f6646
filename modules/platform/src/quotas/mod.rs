//! How far quotas are used.

pub mod list;
