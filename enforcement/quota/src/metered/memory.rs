use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};
use jiff::Timestamp;

use super::{
    Charge, Limit, MOST, MeteredStore, QuotaError, Recorded, Reservation, Scope, Settle, Settlement, Usage,
};
use crate::key::deadline;
use crate::{Answer, Projection, Window};

/// Metered quotas of one process, forgotten when it ends.
#[derive(Debug, Clone, Default)]
pub struct MemoryQuota {
    books: Arc<Books>,
}

#[derive(Debug, Default)]
struct Books(Mutex<Ledger>);

/// Accounts and reservations keep their places, so that a call in a steady state allocates nothing.
#[derive(Debug)]
struct Ledger {
    hasher: DefaultHashBuilder,
    /// By tenant, quota and where the window starts: one look-up leads to both accounts of a charge.
    routes: HashTable<Route>,
    accounts: Vec<Account>,
    reservations: Vec<Entry>,
    vacant: Vec<usize>,
    /// No reservation expires before this.
    soonest: i64,
    generation: u32,
}

/// Where the accounts of a charge are.
#[derive(Debug)]
struct Route {
    tenant: Option<Box<str>>,
    quota: Box<str>,
    start: Timestamp,
    platform: usize,
    own: Option<usize>,
}

#[derive(Debug)]
struct Account {
    tenant: Option<Box<str>>,
    quota: Box<str>,
    window: Window,
    used: u64,
    reserved: u64,
}

#[derive(Debug, Default)]
struct Entry {
    /// Which reservation it is; none when it is vacant.
    generation: Option<u32>,
    expires_at: i64,
    /// The account, and how many of its units.
    holds: Vec<(usize, u64)>,
}

impl MemoryQuota {
    /// Nothing is used yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Books {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MeteredStore for MemoryQuota {
    fn reserve<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Reservation, QuotaError>> {
        let ticket = self.books.ledger().reserve(charges, deadline(now, ttl), now.as_microsecond());
        Answer::now(ticket.map(|ticket| Reservation::new(Arc::clone(&self.books) as _, ticket)))
    }

    fn projection<'a>(
        &'a self,
        tenant: Option<&'a str>,
        limits: &'a [Limit<'a>],
        now: Timestamp,
    ) -> Answer<'a, Result<Vec<Projection>, QuotaError>> {
        let ledger = self.books.ledger();
        let projections = limits.iter().map(|&limit| {
            let found = ledger.find(tenant, limit.quota, limit.window);
            let usage = found.map_or_else(Usage::default, |place| ledger.usage(place, now.as_microsecond()));
            Projection::metered(limit, usage, now)
        });
        Answer::now(Ok(projections.collect()))
    }

    fn usage(&self, now: Timestamp) -> Answer<'_, Result<Vec<Recorded>, QuotaError>> {
        let ledger = self.books.ledger();
        let recorded = ledger.accounts.iter().enumerate().map(|(place, account)| Recorded {
            tenant: account.tenant.as_deref().map(str::to_owned),
            quota: account.quota.to_string(),
            window: account.window,
            usage: ledger.usage(place, now.as_microsecond()),
        });
        Answer::now(Ok(recorded.collect()))
    }
}

impl Settle for Books {
    fn settle(
        self: Arc<Self>,
        ticket: u64,
        settlement: Settlement,
    ) -> Answer<'static, Result<(), QuotaError>> {
        Answer::now(self.ledger().settle(ticket, settlement))
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            routes: HashTable::new(),
            accounts: Vec::new(),
            reservations: Vec::new(),
            vacant: Vec::new(),
            soonest: i64::MAX,
            generation: 0,
        }
    }
}

impl Ledger {
    fn reserve(&mut self, charges: &[Charge<'_>], expires_at: i64, now: i64) -> Result<u64, QuotaError> {
        let entry = self.vacant.pop().unwrap_or_else(|| {
            self.reservations.push(Entry::default());
            self.reservations.len() - 1
        });
        let held = self.hold_all(entry, charges, now);
        if let Err(exhausted) = held {
            self.vacate(entry, false);
            return Err(exhausted);
        }
        self.generation = self.generation.wrapping_add(1);
        self.soonest = self.soonest.min(expires_at);
        let reservation = &mut self.reservations[entry];
        reservation.generation = Some(self.generation);
        reservation.expires_at = expires_at;
        Ok(entry as u64 | u64::from(self.generation) << 32)
    }

    fn hold_all(&mut self, entry: usize, charges: &[Charge<'_>], now: i64) -> Result<(), QuotaError> {
        if let [charge] = charges {
            let (platform, own) = self.route(charge);
            self.hold(entry, platform, charge, Scope::Platform, charge.platform_limit, now)?;
            let Some((place, share)) = own.zip(charge.tenant) else { return Ok(()) };
            return self.hold(entry, place, charge, Scope::Tenant, share.limit, now);
        }
        for charge in charges {
            let (place, _) = self.route(charge);
            self.hold(entry, place, charge, Scope::Platform, charge.platform_limit, now)?;
        }
        for charge in charges {
            let (_, own) = self.route(charge);
            if let Some((place, share)) = own.zip(charge.tenant) {
                self.hold(entry, place, charge, Scope::Tenant, share.limit, now)?;
            }
        }
        Ok(())
    }

    fn hold(
        &mut self,
        entry: usize,
        place: usize,
        charge: &Charge<'_>,
        scope: Scope,
        limit: u64,
        now: i64,
    ) -> Result<(), QuotaError> {
        let (units, limit) = (charge.units.get(), limit.min(MOST));
        if !self.accounts[place].has_room(units, limit) {
            self.expire(now);
        }
        let account = &mut self.accounts[place];
        if !account.has_room(units, limit) {
            return Err(QuotaError::Exhausted {
                quota: charge.quota.to_owned(),
                scope,
                limit,
                used: account.used + account.reserved,
                resets_at: charge.window.end,
            });
        }
        account.reserved += units;
        self.reservations[entry].holds.push((place, units));
        Ok(())
    }

    fn settle(&mut self, ticket: u64, settlement: Settlement) -> Result<(), QuotaError> {
        let entry = usize::try_from(ticket & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        let generation = u32::try_from(ticket >> 32).ok();
        let commit = settlement == Settlement::Commit;
        if self.reservations.get(entry).is_some_and(|reservation| reservation.generation == generation) {
            self.vacate(entry, commit);
            return Ok(());
        }
        if commit { Err(QuotaError::Expired) } else { Ok(()) }
    }

    /// Ends what a reservation holds, charging it or not.
    fn vacate(&mut self, entry: usize, commit: bool) {
        let Self { reservations, accounts, vacant, .. } = self;
        let reservation = &mut reservations[entry];
        reservation.generation = None;
        for &(place, units) in &reservation.holds {
            let account = &mut accounts[place];
            account.reserved -= units;
            account.used += if commit { units } else { 0 };
        }
        reservation.holds.clear();
        vacant.push(entry);
    }

    /// Ends every reservation whose time is over.
    fn expire(&mut self, now: i64) {
        if self.soonest > now {
            return;
        }
        self.soonest = i64::MAX;
        for entry in 0..self.reservations.len() {
            let reservation = &self.reservations[entry];
            if reservation.generation.is_none() {
                continue;
            }
            if reservation.is_live(now) {
                self.soonest = self.soonest.min(reservation.expires_at);
            } else {
                self.vacate(entry, false);
            }
        }
    }

    fn usage(&self, place: usize, now: i64) -> Usage {
        let Account { used, reserved, .. } = self.accounts[place];
        let expired = self
            .reservations
            .iter()
            .filter(|reservation| reservation.generation.is_some() && !reservation.is_live(now))
            .flat_map(|reservation| &reservation.holds)
            .filter(|(held, _)| *held == place);
        let expired: u64 = expired.map(|(_, units)| units).sum();
        Usage { used, reserved: reserved - expired }
    }

    fn find(&self, tenant: Option<&str>, quota: &str, window: Window) -> Option<usize> {
        let hash = hash(&self.hasher, tenant, quota, window.start);
        let route = self.routes.find(hash, |route| route.is(tenant, quota, window.start))?;
        Some(route.own.unwrap_or(route.platform))
    }

    /// The platform's account, and the tenant's if there is a tenant.
    fn route(&mut self, charge: &Charge<'_>) -> (usize, Option<usize>) {
        let tenant = charge.tenant.map(|share| share.id);
        let (quota, start) = (charge.quota, charge.window.start);
        let hash = hash(&self.hasher, tenant, quota, start);
        if let Some(route) = self.routes.find(hash, |route| route.is(tenant, quota, start)) {
            return (route.platform, route.own);
        }
        let (platform, own) = match charge.tenant {
            None => (self.open(charge, None), None),
            Some(share) => {
                let (platform, _) = self.route(&Charge { tenant: None, ..*charge });
                (platform, Some(self.open(charge, Some(share.id))))
            }
        };
        let Self { hasher, routes, .. } = self;
        let route = Route { tenant: tenant.map(Into::into), quota: quota.into(), start, platform, own };
        routes.insert_unique(hash, route, |route| {
            self::hash(hasher, route.tenant.as_deref(), &route.quota, route.start)
        });
        (platform, own)
    }

    fn open(&mut self, charge: &Charge<'_>, tenant: Option<&str>) -> usize {
        let (tenant, quota, window) = (tenant.map(Into::into), charge.quota.into(), charge.window);
        self.accounts.push(Account { tenant, quota, window, used: 0, reserved: 0 });
        self.accounts.len() - 1
    }
}

/// Where two charges share a hash, [`Route::is`] tells them apart.
fn hash(hasher: &DefaultHashBuilder, tenant: Option<&str>, quota: &str, start: Timestamp) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(tenant.unwrap_or_default().as_bytes());
    hasher.write(quota.as_bytes());
    hasher.write_i64(start.as_second());
    hasher.finish()
}

impl Route {
    fn is(&self, tenant: Option<&str>, quota: &str, start: Timestamp) -> bool {
        self.start == start && &*self.quota == quota && self.tenant.as_deref() == tenant
    }
}

impl Account {
    fn has_room(&self, units: u64, limit: u64) -> bool {
        let total = self.used.checked_add(self.reserved).and_then(|taken| taken.checked_add(units));
        total.is_some_and(|total| total <= limit)
    }
}

impl Entry {
    fn is_live(&self, now: i64) -> bool {
        self.expires_at > now
    }
}
