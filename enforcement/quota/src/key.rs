use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A stand-in of fixed size for texts of any length and content (a NUL or ten kilobytes do not fit a PostgreSQL key).
/// Lengths are hashed too, so `["ab", "c"]` and `["a", "bc"]` differ.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    // Written in place: collecting digits one by one takes as long as the hash.
    let mut digits = [0; 64];
    hex::encode_to_slice(hash.finalize(), &mut digits).expect("two digits a byte");
    String::from_utf8_lossy(&digits).into_owned()
}

/// The instant `ttl` after `now`, in microseconds since 1970; the end of time at most.
pub(crate) fn deadline(now: Timestamp, ttl: Duration) -> i64 {
    // Not by `as_micros`, whose 128 bits every call would pay for.
    let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    let ttl = seconds.saturating_mul(1_000_000).saturating_add(ttl.subsec_micros().into());
    now.as_microsecond().saturating_add(ttl)
}

/// Ids that no other process hands out.
#[derive(Debug)]
pub(crate) struct Tickets {
    node: Uuid,
    next: AtomicU64,
}

impl Tickets {
    pub(crate) fn new(node: Uuid) -> Self {
        Self { node, next: AtomicU64::new(0) }
    }

    /// What all of them begin with: 32 hexadecimal digits.
    pub(crate) fn node(&self) -> String {
        self.node.simple().to_string()
    }

    pub(crate) fn next(&self) -> String {
        format!("{}-{}", self.node.simple(), self.next.fetch_add(1, Ordering::Relaxed))
    }
}
