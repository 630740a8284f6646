use std::{
    cell::Cell,
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};

use arc_swap::{ArcSwap, Guard, cache::Cache};
use descriptors::{
    catalog::Catalog,
    coverage::CoveragePolicy,
    denial::{Denial, Reason},
    descriptor::DeploymentShape,
    grant::Grant,
};
use kernel::{CommandIndex, Registry, TenantId};
use license::{RunningLicense, Snapshot};
use quota::Windows;
use resolver::{Compiler, Described, Ground, Question, Verdict, decide};

use crate::{Entitlements, Tables, coverage::described, gaps::Gaps, world::World};

type Seen = Cache<Arc<ArcSwap<World>>, Arc<World>>;

thread_local! {
    /// The world this thread has seen last: to see whether there is a later one, it reads a pointer. A thread that is idle
    /// holds on to an old one until it is asked again. As long as the license has not changed, most of that is shared.
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
}

/// Everything a decision is made from, as this process holds it.
#[derive(Debug)]
pub struct Deciding {
    registry: Arc<Registry>,
    descriptions: Vec<Described<'static>>,
    catalog: Arc<Catalog>,
    policy: CoveragePolicy,
    shape: DeploymentShape,
    deployment: String,
    windows: Windows,
    license: RunningLicense,
    gaps: Gaps,
    /// Read by every call, without a lock.
    world: Arc<ArcSwap<World>>,
    /// Held by whoever makes the next world, with what the present one was compiled by.
    compiler: Mutex<Compiler>,
}

impl Deciding {
    /// Over these commands, this catalog, this deployment and this license. Every tenant inherits what the license
    /// permits, until [`Self::hand_on`] says otherwise.
    pub fn new(
        registry: Arc<Registry>,
        catalog: Arc<Catalog>,
        policy: CoveragePolicy,
        shape: DeploymentShape,
        deployment: String,
        license: RunningLicense,
    ) -> Self {
        let descriptions: Vec<_> = registry.entries().map(|(_, entry)| described(entry)).collect();
        let (version, snapshot) = present(&license);
        let entitlements = Arc::new(Entitlements::whole_ceiling());
        let ground = Ground {
            shape: &shape,
            policy: &policy,
            ceiling: snapshot.ceiling(),
            baseline: entitlements.handed_on(),
            catalog: &catalog,
        };
        let mut compiler = compiler(&registry, &descriptions, ground);
        let tables = Some(Tables::compile(&mut compiler, &entitlements));
        let world = Arc::new(ArcSwap::from_pointee(World { snapshot, version, entitlements, tables }));
        Self {
            gaps: Gaps::over(registry.len()),
            registry,
            descriptions,
            catalog,
            policy,
            shape,
            deployment,
            windows: Windows::OfLicense,
            license,
            world,
            compiler: Mutex::new(compiler),
        }
    }

    /// With windows of metered quotas that begin there, and not with the license.
    #[must_use]
    pub fn counting_in(self, windows: Windows) -> Self {
        Self { windows, ..self }
    }

    /// Where the windows of metered quotas begin.
    pub const fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The commands.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What this build knows to sell.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// How gaps are treated.
    pub const fn policy(&self) -> &CoveragePolicy {
        &self.policy
    }

    /// What this deployment is.
    pub const fn shape(&self) -> &DeploymentShape {
        &self.shape
    }

    /// The running license.
    pub const fn license(&self) -> &RunningLicense {
        &self.license
    }

    /// States what is handed on, for all tenants at once. Calls that have begun keep what they saw.
    pub fn hand_on(&self, entitlements: Entitlements) {
        let mut compiler = self.changing();
        self.replace(&mut compiler, present(&self.license), Arc::new(entitlements));
    }

    /// States what one tenant subscribed to beyond what all inherit. Calls that have begun keep what they saw.
    pub fn subscribe(&self, tenant: TenantId, additions: Option<Grant>) {
        let mut compiler = self.changing();
        let world = self.world.load_full();
        let additions = additions.map(Arc::new);
        let entitlements = Entitlements::clone(&world.entitlements).with(tenant, additions.clone());
        let entitlements = Arc::new(entitlements);
        let (version, snapshot) = present(&self.license);
        match &world.tables {
            Some(tables) if Arc::ptr_eq(&snapshot, &world.snapshot) => {
                let tables = tables.with(&mut compiler, tenant, additions.as_deref());
                self.world.store(Arc::new(World { snapshot, version, entitlements, tables: Some(tables) }));
                drop(world);
                compiler.sweep();
            }
            _ => self.replace(&mut compiler, (version, snapshot), entitlements),
        }
    }

    /// Compiles the verdicts under the license as it is now, unless that was done. A call does so by itself; whoever
    /// changes the license spares the first call this work.
    pub fn publish(&self) {
        let mut compiler = self.changing();
        self.catch_up(&mut compiler);
    }

    /// What a call that begins now sees. Never older than the license: where the license has changed, one call compiles
    /// anew, and those that come meanwhile are answered by the resolver.
    pub(crate) fn world(&self) -> Guard<Arc<World>> {
        let world = self.world.load();
        if self.license.version() == world.version {
            return world;
        }
        let free = match self.compiler.try_lock() {
            Ok(compiler) => Some(compiler),
            Err(TryLockError::Poisoned(left)) => Some(left.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(mut compiler) = free {
            self.catch_up(&mut compiler);
            return self.world.load();
        }
        let (version, snapshot) = present(&self.license);
        let entitlements = Arc::clone(&world.entitlements);
        Guard::from_inner(Arc::new(World { snapshot, version, entitlements, tables: None }))
    }

    /// Looks at what a call that begins now sees.
    pub(crate) fn see<R>(&self, look: impl FnOnce(&Arc<World>) -> R) -> R {
        let seen = SEEN.take().filter(|seen| ptr::eq(seen.arc_swap(), Arc::as_ptr(&self.world)));
        let mut seen = seen.unwrap_or_else(|| Cache::new(Arc::clone(&self.world)));
        let world = seen.load();
        let is_present = world.version == self.license.version();
        let found = if is_present { look(world) } else { look(&self.world()) };
        SEEN.set(Some(seen));
        found
    }

    /// Whether a tenant, or the platform, may run a command now: a lookup. What decided is told by [`Self::explain_for`].
    pub fn verdict(&self, command: CommandIndex, tenant: Option<TenantId>) -> Verdict {
        self.see(|world| {
            let resolve = || decide(&self.question(command, tenant, world)).verdict;
            world.verdict(command, tenant).unwrap_or_else(resolve)
        })
    }

    fn catch_up(&self, compiler: &mut Compiler) {
        let world = self.world.load_full();
        if self.license.version() != world.version {
            self.replace(compiler, present(&self.license), Arc::clone(&world.entitlements));
        }
    }

    fn replace(
        &self,
        kept: &mut Compiler,
        (version, snapshot): (u64, Arc<Snapshot>),
        entitlements: Arc<Entitlements>,
    ) {
        let ground = self.ground(&snapshot, &entitlements);
        *kept = compiler(&self.registry, &self.descriptions, ground);
        let tables = Some(Tables::compile(kept, &entitlements));
        self.world.store(Arc::new(World { snapshot, version, entitlements, tables }));
    }

    /// The verdicts under a license that may be another than the present one.
    pub(crate) fn tables(&self, snapshot: &Snapshot, entitlements: &Entitlements) -> Tables {
        let ground = self.ground(snapshot, entitlements);
        Tables::compile(&mut compiler(&self.registry, &self.descriptions, ground), entitlements)
    }

    /// A compiler is replaced whole or not at all, so one that a panic left behind is sound.
    fn changing(&self) -> MutexGuard<'_, Compiler> {
        self.compiler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ground<'a>(&'a self, snapshot: &'a Snapshot, entitlements: &'a Entitlements) -> Ground<'a> {
        Ground {
            shape: &self.shape,
            policy: &self.policy,
            ceiling: snapshot.ceiling(),
            baseline: entitlements.handed_on(),
            catalog: &self.catalog,
        }
    }

    pub(crate) const fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    pub(crate) fn described(&self, command: CommandIndex) -> Described<'static> {
        self.descriptions[command.get()]
    }

    pub(crate) fn question<'a>(
        &'a self,
        command: CommandIndex,
        tenant: Option<TenantId>,
        world: &'a World,
    ) -> Question<'a> {
        self.ground(&world.snapshot, &world.entitlements).ask(
            self.registry.entry(command).id().as_str(),
            self.described(command),
            world.entitlements.additions(tenant),
        )
    }

    pub(crate) fn denial(
        &self,
        command: CommandIndex,
        reason: Reason,
        because: String,
        snapshot: &Snapshot,
    ) -> Denial {
        let entitlement_key = match self.described(command) {
            Described::By(descriptor) => Some(descriptor.entitlement_key().to_string()),
            Described::NoContract | Described::NoDescriptor | Described::Malformed(_) => None,
        };
        Denial {
            reason,
            command: self.registry.entry(command).id().as_str().to_owned(),
            entitlement_key,
            because,
            license_id: snapshot.license_id().map(str::to_owned),
            deployment_id: self.deployment.clone(),
            license_status: snapshot.status(),
            resets_at: None,
        }
    }
}

/// The version is read first, so that a snapshot is never held for a later one than it is.
fn present(license: &RunningLicense) -> (u64, Arc<Snapshot>) {
    let version = license.version();
    (version, license.snapshot())
}

fn compiler(registry: &Registry, descriptions: &[Described<'static>], ground: Ground<'_>) -> Compiler {
    let ids = registry.entries().map(|(_, entry)| entry.id().as_str());
    Compiler::new(ids.zip(descriptions.iter().copied()), ground)
}
