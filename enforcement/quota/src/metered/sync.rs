//! The locks of `queue`, in one place for the model checker to replace.

pub(super) use std::sync::Mutex;
