use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};
use jiff::Timestamp;

use super::{
    Charge, Exhausted, Limit, MOST, MeteredStore, QuotaError, Recorded, Reservation, Scope, Settle,
    Settlement, Usage,
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

/// Accounts and reservations keep their places, so that a call with one quota key allocates nothing in a steady state.
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

#[derive(Debug)]
struct Entry {
    /// Which reservation it is; none when it is vacant.
    generation: Option<u32>,
    expires_at: i64,
    holds: Holds,
}

/// Accounts, and how many units of each.
#[derive(Debug)]
enum Holds {
    /// What a call with one quota key needs no memory for.
    Charge {
        platform: usize,
        own: Option<usize>,
        units: u64,
    },
    Several(Vec<(usize, u64)>),
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
        let (expires_at, now) = (deadline(now, ttl), now.as_microsecond());
        let ticket = self.books.ledger().reserve(charges, expires_at, now);
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
        let holds = match charges {
            [charge] => self.hold_one(charge, now)?,
            _ => self.hold_all(charges, now)?,
        };
        self.generation = self.generation.wrapping_add(1);
        self.soonest = self.soonest.min(expires_at);
        let reservation = Entry { generation: Some(self.generation), expires_at, holds };
        let entry = if let Some(entry) = self.vacant.pop() {
            self.reservations[entry] = reservation;
            entry
        } else {
            self.reservations.push(reservation);
            self.reservations.len() - 1
        };
        Ok(entry as u64 | u64::from(self.generation) << 32)
    }

    fn hold_one(&mut self, charge: &Charge<'_>, now: i64) -> Result<Holds, QuotaError> {
        let (platform, own) = self.route(charge);
        let units = charge.units.get();
        self.find_room(platform, charge, Scope::Platform, charge.platform_limit, now)?;
        if let Some((own, share)) = own.zip(charge.tenant) {
            self.find_room(own, charge, Scope::Tenant, share.limit, now)?;
            self.accounts[own].reserved += units;
        }
        self.accounts[platform].reserved += units;
        Ok(Holds::Charge { platform, own, units })
    }

    fn hold_all(&mut self, charges: &[Charge<'_>], now: i64) -> Result<Holds, QuotaError> {
        let mut holds = Vec::with_capacity(2 * charges.len());
        let all = charges.iter().try_for_each(|charge| {
            let (platform, _) = self.route(charge);
            self.hold(&mut holds, platform, charge, Scope::Platform, charge.platform_limit, now)
        });
        let all = all.and_then(|()| {
            charges.iter().try_for_each(|charge| {
                let (_, own) = self.route(charge);
                let Some((own, share)) = own.zip(charge.tenant) else { return Ok(()) };
                self.hold(&mut holds, own, charge, Scope::Tenant, share.limit, now)
            })
        });
        let holds = Holds::Several(holds);
        match all {
            Ok(()) => Ok(holds),
            Err(exhausted) => {
                holds.end(&mut self.accounts, false);
                Err(exhausted)
            }
        }
    }

    fn hold(
        &mut self,
        holds: &mut Vec<(usize, u64)>,
        place: usize,
        charge: &Charge<'_>,
        scope: Scope,
        limit: u64,
        now: i64,
    ) -> Result<(), QuotaError> {
        self.find_room(place, charge, scope, limit, now)?;
        let units = charge.units.get();
        self.accounts[place].reserved += units;
        holds.push((place, units));
        Ok(())
    }

    #[inline]
    fn find_room(
        &mut self,
        place: usize,
        charge: &Charge<'_>,
        scope: Scope,
        limit: u64,
        now: i64,
    ) -> Result<(), QuotaError> {
        let (units, limit) = (charge.units.get(), limit.min(MOST));
        if self.accounts[place].has_room(units, limit) {
            return Ok(());
        }
        self.make_room(place, charge, scope, limit, now)
    }

    /// What is left to do where there is no room: end what has expired, or say so.
    #[cold]
    fn make_room(
        &mut self,
        place: usize,
        charge: &Charge<'_>,
        scope: Scope,
        limit: u64,
        now: i64,
    ) -> Result<(), QuotaError> {
        self.expire(now);
        let account = &self.accounts[place];
        if account.has_room(charge.units.get(), limit) {
            return Ok(());
        }
        let (quota, used) = (charge.quota.to_owned(), account.used + account.reserved);
        Err(Exhausted { quota, scope, limit, used, resets_at: charge.window.end }.into())
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
        let reservation = &mut self.reservations[entry];
        reservation.generation = None;
        reservation.holds.end(&mut self.accounts, commit);
        self.vacant.push(entry);
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
            .map(|reservation| reservation.holds.of(place));
        let expired: u64 = expired.sum();
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

impl Holds {
    #[inline]
    fn end(&self, accounts: &mut [Account], commit: bool) {
        match *self {
            Self::Charge { platform, own, units } => {
                accounts[platform].end(units, commit);
                if let Some(own) = own {
                    accounts[own].end(units, commit);
                }
            }
            Self::Several(ref holds) => {
                for &(place, units) in holds {
                    accounts[place].end(units, commit);
                }
            }
        }
    }

    /// Units of one account.
    fn of(&self, place: usize) -> u64 {
        match *self {
            Self::Charge { platform, own, units } if platform == place || own == Some(place) => units,
            Self::Charge { .. } => 0,
            Self::Several(ref holds) => {
                holds.iter().filter(|(held, _)| *held == place).map(|(_, units)| units).sum()
            }
        }
    }
}

impl Account {
    fn end(&mut self, units: u64, commit: bool) {
        self.reserved -= units;
        self.used += if commit { units } else { 0 };
    }

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
