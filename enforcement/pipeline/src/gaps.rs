//! What deny mode would have refused, counted while gaps are only warned of (semantics 8.4).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;
use kernel::CommandIndex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Deciding, coverage::gap};

/// Per command a count, without locks. It is this process's, and begins with it.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// Of the first call that came to the gate, as microseconds; 0 before.
    since: AtomicI64,
    counts: Box<[Count]>,
}

#[derive(Debug)]
struct Count {
    calls: AtomicU64,
    last: AtomicI64,
}

impl Gaps {
    pub(crate) fn over(commands: usize) -> Self {
        let none = || Count { calls: AtomicU64::new(0), last: AtomicI64::new(0) };
        Self { since: AtomicI64::new(0), counts: (0..commands).map(|_| none()).collect() }
    }

    /// A call came to the gate.
    pub(crate) fn watch(&self, now: impl FnOnce() -> Timestamp) {
        if self.since.load(Ordering::Relaxed) == 0 {
            let now = now().as_microsecond();
            let _ = self.since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// A call was let through a gap. Whether it was the command's first.
    pub(crate) fn count(&self, command: CommandIndex, now: Timestamp) -> bool {
        let count = &self.counts[command.get()];
        count.last.fetch_max(now.as_microsecond(), Ordering::Relaxed);
        count.calls.fetch_add(1, Ordering::Relaxed) == 0
    }
}

/// What deny mode would have refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WouldBeDenied {
    /// When this process began to count: with its first call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The commands that were let through a gap, those with the most calls first.
    pub commands: Vec<WouldBeDeniedCommand>,
}

/// One command that was let through a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WouldBeDeniedCommand {
    /// The command.
    pub command: String,
    /// The reason that deny mode would have given.
    pub reason: descriptors::denial::Reason,
    /// How many calls it would have refused.
    pub calls: u64,
    /// When the last of them came.
    pub last: Timestamp,
}

impl Deciding {
    /// What deny mode would have refused since this process began, so that an operator can flip the mode with evidence.
    pub fn would_be_denied(&self) -> WouldBeDenied {
        let instant = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        let since = self.gaps().since.load(Ordering::Relaxed);
        let counted = self.registry().entries().filter_map(|(index, entry)| {
            let count = &self.gaps().counts[index.get()];
            let calls = count.calls.load(Ordering::Relaxed);
            Some(WouldBeDeniedCommand {
                command: entry.id().to_string(),
                reason: gap(self.described(index)).filter(|_| calls > 0)?,
                calls,
                last: instant(count.last.load(Ordering::Relaxed)),
            })
        });
        let mut commands: Vec<_> = counted.collect();
        commands.sort_by_key(|command| std::cmp::Reverse(command.calls));
        WouldBeDenied { since: (since != 0).then(|| instant(since)), commands }
    }
}
