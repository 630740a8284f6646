//! What a process takes from its surroundings: time and randomness.

use std::{cell::RefCell, fmt, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Gives randomness fit for keys.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's randomness. Keys and tokens are asked for each by itself. What ids need is less than a key, is
/// wanted with every call, and comes from a block that each thread has fetched.
#[derive(Clone, Copy, Debug)]
pub struct OsEntropy;

/// The longest that comes from the block: the random part of a UUID.
const ID: usize = 10;
const BLOCK: usize = 64 * ID;

thread_local! {
    /// Random bytes, and how many of them are used up.
    static IDS: RefCell<([u8; BLOCK], usize)> = const { RefCell::new(([0; BLOCK], BLOCK)) };
}

impl Entropy for OsEntropy {
    /// # Panics
    ///
    /// When the operating system has no randomness to give: nothing can be served safely then.
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > ID {
            return ask(bytes);
        }
        IDS.with_borrow_mut(|(block, used)| {
            if BLOCK - *used < bytes.len() {
                ask(block);
                *used = 0;
            }
            bytes.copy_from_slice(&block[*used..*used + bytes.len()]);
            *used += bytes.len();
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system")]
fn ask(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives randomness");
}

/// Time and randomness, handed to whatever needs them. Cheap to clone.
#[derive(Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Ambient {
    /// The machine's own clock and randomness.
    pub fn system() -> Self {
        Self::new(SystemClock, OsEntropy)
    }

    /// These.
    pub fn new(clock: impl Clock, entropy: impl Entropy) -> Self {
        Self { clock: Arc::new(clock), entropy: Arc::new(entropy) }
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Fresh random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A fresh UUID of version 7 (RFC 9562): ordered by time, unique by randomness.
    pub fn uuid(&self) -> Uuid {
        self.uuid_at(self.now())
    }

    /// A fresh UUID of version 7 for something that happened at an instant.
    pub fn uuid_at(&self, instant: Timestamp) -> Uuid {
        let millis = u64::try_from(instant.as_millisecond()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").finish_non_exhaustive()
    }
}
