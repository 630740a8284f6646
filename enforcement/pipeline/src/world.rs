//! What a call sees from start to end: one license, one state of what is handed on, and the verdicts on both.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use descriptors::grant::Grant;
use kernel::{CommandIndex, TenantId};
use license::Snapshot;
use resolver::{Baseline, Compiler, Table, Verdict};

/// What every tenant inherits, and what single tenants subscribed to beyond that. Immutable; a change makes a new one.
#[derive(Clone, Debug)]
pub struct Entitlements {
    baseline: Option<Arc<Grant>>,
    additions: HashMap<TenantId, Arc<Grant>, ByTail>,
}

impl Entitlements {
    /// Every tenant inherits whatever the license permits, and none has more.
    pub fn whole_ceiling() -> Self {
        Self { baseline: None, additions: HashMap::with_hasher(ByTail) }
    }

    /// Every tenant inherits this, as far as the license permits it.
    pub fn baseline(baseline: Grant) -> Self {
        Self { baseline: Some(Arc::new(baseline)), additions: HashMap::with_hasher(ByTail) }
    }

    /// With this subscription of one tenant, or with none for it.
    #[must_use]
    pub fn with(mut self, tenant: TenantId, additions: Option<Arc<Grant>>) -> Self {
        match additions {
            Some(additions) => self.additions.insert(tenant, additions),
            None => self.additions.remove(&tenant),
        };
        self
    }

    /// The tenants that subscribed to something, with what that is.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = (TenantId, &Grant)> {
        self.additions.iter().map(|(tenant, additions)| (*tenant, additions.as_ref()))
    }

    pub(crate) fn handed_on(&self) -> Baseline<'_> {
        self.baseline.as_deref().map_or(Baseline::WholeCeiling, Baseline::Only)
    }

    pub(crate) fn additions(&self, tenant: Option<TenantId>) -> Option<&Grant> {
        self.additions.get(&tenant?).map(Arc::as_ref)
    }
}

/// The verdicts on every command for every tenant. Reading takes no lock and allocates nothing.
#[derive(Clone, Debug)]
pub struct Tables {
    everyone: Table,
    tenants: HashMap<TenantId, Table, ByTail>,
}

impl Tables {
    /// Compiles what these entitlements come to.
    pub fn compile(compiler: &mut Compiler, entitlements: &Entitlements) -> Self {
        let tables = entitlements.additions.iter();
        let mut tenants = HashMap::with_capacity_and_hasher(entitlements.additions.len(), ByTail);
        tenants.extend(tables.map(|(tenant, additions)| (*tenant, compiler.table(additions))));
        Self { everyone: compiler.everyone().clone(), tenants }
    }

    /// The same, but for one tenant.
    pub(crate) fn with(&self, compiler: &mut Compiler, tenant: TenantId, additions: Option<&Grant>) -> Self {
        let mut tables = self.clone();
        match additions {
            Some(additions) => tables.tenants.insert(tenant, compiler.table(additions)),
            None => tables.tenants.remove(&tenant),
        };
        tables
    }

    /// The verdicts for one tenant, or for the platform.
    pub fn of(&self, tenant: Option<TenantId>) -> &Table {
        tenant.and_then(|tenant| self.tenants.get(&tenant)).unwrap_or(&self.everyone)
    }
}

/// One license with one state of what is handed on.
pub(crate) struct World {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Of the license when this snapshot was taken.
    pub(crate) version: u64,
    pub(crate) entitlements: Arc<Entitlements>,
    /// Absent while they are being compiled; the resolver answers for them then.
    pub(crate) tables: Option<Tables>,
}

impl World {
    pub(crate) fn verdict(&self, command: CommandIndex, tenant: Option<TenantId>) -> Option<Verdict> {
        self.tables.as_ref().map(|tables| tables.of(tenant).verdict(command.get()))
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("license", &self.snapshot.status()).finish_non_exhaustive()
    }
}

/// Hashes a tenant's id by its last eight bytes: they are random in ids of our making, and only such ids are in the map. All
/// but the first two bits are (RFC 9562, the variant), so those are turned to where a map does not look.
#[derive(Clone, Copy, Debug)]
struct ByTail;

impl BuildHasher for ByTail {
    type Hasher = Tail;

    fn build_hasher(&self) -> Tail {
        Tail(0)
    }
}

#[derive(Clone, Copy, Debug)]
struct Tail(u64);

impl Hasher for Tail {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*tail).rotate_left(24);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
