//! The locks of `queue` and `kept`, in one place for the model checker to replace.

pub(super) use std::sync::{Mutex, MutexGuard};
