use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{Bucket, Charge, Hold, MeteredStore, QuotaError, Reservation, Settlement, Usage};
use crate::key::deadline;
use crate::{BoxFuture, Window};

/// Metered quotas of one process, forgotten when it ends.
#[derive(Debug, Clone, Default)]
pub struct MemoryQuota {
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug, Default)]
struct Ledger {
    accounts: HashMap<Bucket, Account>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Account {
    used: u64,
    reserved: Vec<Reserved>,
}

#[derive(Debug)]
struct Reserved {
    id: u64,
    units: u64,
    expires_at: i64,
}

impl MemoryQuota {
    /// Nothing is used yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MeteredStore for MemoryQuota {
    fn reserve<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        ttl: Duration,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Reservation, QuotaError>> {
        Box::pin(async move {
            let holds = Hold::all(charges);
            let id = self.ledger().reserve(&holds, deadline(now, ttl), now)?;
            let quota = self.clone();
            Ok(Reservation::new(async move |settlement| quota.ledger().settle(id, &holds, settlement)))
        })
    }

    fn usage<'a>(
        &'a self,
        tenant: Option<&'a str>,
        quota: &'a str,
        window: Window,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Usage, QuotaError>> {
        let bucket = Bucket::new(tenant, quota, window);
        let usage = self.ledger().accounts.get(&bucket).map(|account| account.usage(now)).unwrap_or_default();
        Box::pin(async move { Ok(usage) })
    }
}

impl Ledger {
    fn reserve(&mut self, holds: &[Hold], expires_at: i64, now: Timestamp) -> Result<u64, QuotaError> {
        let id = self.next_id;
        self.next_id += 1;
        for hold in holds {
            let account = self.accounts.entry(hold.bucket.clone()).or_default();
            account.reserved.retain(|reserved| reserved.is_live(now));
            let Usage { used, reserved } = account.usage(now);
            if let Err(exhausted) = hold.admit(used + reserved) {
                self.forget(id, holds);
                return Err(exhausted);
            }
            account.reserved.push(Reserved { id, units: hold.units, expires_at });
        }
        Ok(id)
    }

    fn settle(&mut self, id: u64, holds: &[Hold], settlement: Settlement) -> Result<(), QuotaError> {
        let found = self.forget(id, holds);
        if settlement == Settlement::Release {
            return Ok(());
        }
        if found < holds.len() {
            return Err(QuotaError::Expired);
        }
        for hold in holds {
            self.accounts.entry(hold.bucket.clone()).or_default().used += hold.units;
        }
        Ok(())
    }

    /// Removes what a reservation still holds, and tells in how many places that was.
    fn forget(&mut self, id: u64, holds: &[Hold]) -> usize {
        let mut found = 0;
        for hold in holds {
            if let Some(account) = self.accounts.get_mut(&hold.bucket) {
                let before = account.reserved.len();
                account.reserved.retain(|reserved| reserved.id != id);
                found += before - account.reserved.len();
            }
        }
        found
    }
}

impl Account {
    fn usage(&self, now: Timestamp) -> Usage {
        let live = self.reserved.iter().filter(|reserved| reserved.is_live(now));
        Usage { used: self.used, reserved: live.map(|reserved| reserved.units).sum() }
    }
}

impl Reserved {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at > now.as_microsecond()
    }
}
