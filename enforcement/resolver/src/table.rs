//! The decision in a compiled form: a byte for each command, ready to be read (semantics section 2).
//!
//! What additions can change is little and known beforehand: they deny what their deny rules match, and they grant what
//! the license permits and the baseline does not hand on. So the commands are decided once for all tenants, and a
//! tenant's table differs from that one only where its additions speak.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use descriptors::{
    catalog::Catalog,
    coverage::CoveragePolicy,
    denial::Reason,
    descriptor::{DeploymentShape, EntitlementKey, FeatureKey, LicenseDescriptor, ProtectionMode},
    grant::{Ceiling, Grant, Pattern},
};

use crate::{Baseline, Described, Exemption, Question, Verdict, decide};

/// What decisions for all commands and tenants have in common.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What this deployment is.
    pub shape: &'a DeploymentShape,
    /// How this deployment treats commands that are not described.
    pub policy: &'a CoveragePolicy,
    /// What the license permits at most.
    pub ceiling: Ceiling<'a>,
    /// What every tenant inherits.
    pub baseline: Baseline<'a>,
    /// What this build knows.
    pub catalog: &'a Catalog,
}

impl<'a> Ground<'a> {
    /// Asks for one command and one tenant.
    pub const fn ask(
        self,
        command: &'a str,
        described: Described<'a>,
        additions: Option<&'a Grant>,
    ) -> Question<'a> {
        let Self { shape, policy, ceiling, baseline, catalog } = self;
        Question { command, described, shape, policy, ceiling, baseline, additions, catalog }
    }
}

/// The verdict on every command for one tenant, or for all that share it. Immutable, and cheap to clone; reading takes no
/// lock and allocates nothing. Which rule or key decided is not kept: [`decide`] tells it again for the few that are asked.
#[derive(Clone, Debug)]
pub struct Table {
    pages: Arc<[Page]>,
}

/// Commands of one page. A page is the unit in which tables share what they have in common.
const PAGE: usize = 256;

type Page = Arc<[u8; PAGE]>;

impl Table {
    /// The verdict on the command at this place, as the commands were ordered when compiled.
    ///
    /// # Panics
    ///
    /// At a place beyond the last command.
    pub fn verdict(&self, place: usize) -> Verdict {
        VERDICTS[usize::from(self.pages[place / PAGE][place % PAGE])]
    }

    /// Whether this is that table, not only one that says the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pages, &other.pages)
    }
}

/// A table by the identity of its pages. Pages are made once for each content, so this is equality.
#[derive(Debug)]
struct Interned(Table);

impl PartialEq for Interned {
    fn eq(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.0.pages, &other.0.pages);
        mine.len() == theirs.len()
            && mine.iter().zip(&**theirs).all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
    }
}

impl Eq for Interned {}

impl Hash for Interned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for page in &*self.0.pages {
            Arc::as_ptr(page).addr().hash(state);
        }
    }
}

/// Compiles tables over one ground. Tenants whose additions come to the same share a table, and tables share pages.
#[derive(Debug)]
pub struct Compiler {
    everyone: Table,
    /// Commands that a deny rule can still refuse, by entitlement key.
    deniable: Vec<Keyed>,
    /// Commands that the license permits and the baseline does not hand on, by entitlement key.
    grantable: Vec<Keyed>,
    /// Of those, the ones that product and features would grant.
    wanting: Vec<Wanting>,
    pages: HashSet<Page>,
    tables: HashSet<Interned>,
}

/// A command by the segments of its entitlement key.
#[derive(Clone, Copy, Debug)]
struct Keyed {
    segments: [&'static str; 4],
    place: u32,
}

/// Commands that additions grant by bringing the same: what the baseline lacks of what they ask.
#[derive(Debug)]
struct Wanting {
    /// One of their keys, where product or module are lacking.
    product: Option<EntitlementKey<'static>>,
    features: Vec<FeatureKey<'static>>,
    places: Vec<u32>,
}

impl Compiler {
    /// Decides these commands, in their order, for a tenant without additions.
    pub fn new<'c>(
        commands: impl IntoIterator<Item = (&'c str, Described<'static>)>,
        ground: Ground<'_>,
    ) -> Self {
        let mut codes = Vec::new();
        let (mut deniable, mut grantable) = (Vec::new(), Vec::new());
        let mut wanting = BTreeMap::new();
        for (place, (command, described)) in (0..).zip(commands) {
            let verdict = decide(&ground.ask(command, described, None)).verdict;
            codes.push(code(verdict));
            let Described::By(descriptor) = described else { continue };
            let keyed = Keyed { segments: segments(descriptor.entitlement_key()), place };
            if is_deniable(verdict) {
                deniable.push(keyed);
            }
            if verdict == Verdict::Denied(Reason::NotEntitled) {
                grantable.push(keyed);
                if let Some(lacking) = lacking(descriptor, ground) {
                    let Lacking { product, features } = lacking;
                    let alike = (product.map(|key| (key.product(), key.module())), features.clone());
                    let new = || Wanting { product, features, places: Vec::new() };
                    wanting.entry(alike).or_insert_with(new).places.push(place);
                }
            }
        }
        deniable.sort_unstable_by_key(|keyed| keyed.segments);
        grantable.sort_unstable_by_key(|keyed| keyed.segments);
        let mut compiler = Self {
            everyone: Table { pages: Arc::default() },
            deniable,
            grantable,
            wanting: wanting.into_values().collect(),
            pages: HashSet::new(),
            tables: HashSet::new(),
        };
        let pages = codes.chunks(PAGE).map(|chunk| {
            let mut page = [0; PAGE];
            page[..chunk.len()].copy_from_slice(chunk);
            compiler.page(&page)
        });
        let pages = pages.collect();
        compiler.everyone = compiler.share(Table { pages });
        compiler
    }

    /// The table of every tenant without additions.
    pub const fn everyone(&self) -> &Table {
        &self.everyone
    }

    /// The table of a tenant with these additions.
    pub fn table(&mut self, additions: &Grant) -> Table {
        let mut draft = Draft::of(&self.everyone);
        for wanting in self.wanting.iter().filter(|wanting| wanting.is_met_by(additions)) {
            for place in &wanting.places {
                draft.write(*place, Verdict::Allowed);
            }
        }
        for rule in &additions.commands.allow {
            matching(&self.grantable, rule, &mut |place| draft.write(place, Verdict::Allowed));
        }
        // Last, so that no grant undoes it.
        for rule in &additions.commands.deny {
            let denied = Verdict::Denied(Reason::CommandDenied);
            matching(&self.deniable, rule, &mut |place| draft.write(place, denied));
        }
        let Draft { everyone, changed } = draft;
        let common = everyone.pages.clone();
        let pages = common.iter().zip(changed).map(|(common, changed)| match changed {
            Some(changed) => self.page(&changed),
            None => Arc::clone(common),
        });
        let pages = pages.collect();
        self.share(Table { pages })
    }

    /// Lets go of tables, and of pages, that nobody outside holds any more.
    pub fn sweep(&mut self) {
        self.tables.retain(|table| Arc::strong_count(&table.0.pages) > 1);
        self.pages.retain(|page| Arc::strong_count(page) > 1);
    }

    /// How many bytes the tables hold, each page and each table counted once.
    pub fn bytes(&self) -> usize {
        let lists = self.tables.iter().map(|table| size_of_val(&*table.0.pages));
        self.pages.len() * PAGE + lists.sum::<usize>()
    }

    fn page(&mut self, content: &[u8; PAGE]) -> Page {
        if let Some(known) = self.pages.get(content) {
            return Arc::clone(known);
        }
        let page = Arc::new(*content);
        self.pages.insert(Arc::clone(&page));
        page
    }

    fn share(&mut self, table: Table) -> Table {
        let table = Interned(table);
        if let Some(known) = self.tables.get(&table) {
            return known.0.clone();
        }
        let shared = table.0.clone();
        self.tables.insert(table);
        shared
    }
}

/// A table in the making: the pages that differ from everyone's.
struct Draft<'t> {
    everyone: &'t Table,
    changed: Vec<Option<Box<[u8; PAGE]>>>,
}

impl<'t> Draft<'t> {
    fn of(everyone: &'t Table) -> Self {
        Self { everyone, changed: vec![None; everyone.pages.len()] }
    }

    fn write(&mut self, place: u32, verdict: Verdict) {
        let place = place as usize;
        let at = place / PAGE;
        let page = self.changed[at].get_or_insert_with(|| Box::new(*self.everyone.pages[at]));
        page[place % PAGE] = code(verdict);
    }
}

struct Lacking {
    product: Option<EntitlementKey<'static>>,
    features: Vec<FeatureKey<'static>>,
}

/// What the baseline lacks of product and features, where the license has all of both.
fn lacking(descriptor: &LicenseDescriptor, ground: Ground<'_>) -> Option<Lacking> {
    let (Ceiling::Granted(ceiling), Baseline::Only(baseline)) = (ground.ceiling, ground.baseline) else {
        return None;
    };
    let key = descriptor.entitlement_key();
    if !ceiling.licenses(key) || ceiling.lacks(descriptor.features()).is_some() {
        return None;
    }
    let lacks = |feature: &FeatureKey<'_>| baseline.lacks(&[*feature]).is_some();
    Some(Lacking {
        product: (!baseline.licenses(key)).then_some(key),
        features: descriptor.features().iter().copied().filter(lacks).collect(),
    })
}

impl Wanting {
    fn is_met_by(&self, additions: &Grant) -> bool {
        self.product.is_none_or(|key| additions.licenses(key)) && additions.lacks(&self.features).is_none()
    }
}

/// Whether steps 9 to 11 decided, which a deny rule comes before.
const fn is_deniable(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Allowed | Verdict::Denied(Reason::CeilingExceeded | Reason::NotEntitled))
}

fn segments(key: EntitlementKey<'static>) -> [&'static str; 4] {
    let mut segments = key.segments();
    [(); 4].map(|()| segments.next().expect("an entitlement key has four segments"))
}

/// The commands that a rule matches, found by halving instead of looking at each.
fn matching(commands: &[Keyed], rule: &Pattern, found: &mut impl FnMut(u32)) {
    let segments: Vec<_> = rule.segments().collect();
    narrow(commands, &segments, 0, found);
}

/// `commands` agree in the segments before `depth`, and stand in the order of the others.
fn narrow(commands: &[Keyed], rule: &[Option<&[Box<str>]>], depth: usize, found: &mut impl FnMut(u32)) {
    let Some((first, rest)) = rule.split_first() else {
        return commands.iter().for_each(|command| found(command.place));
    };
    if let Some(words) = first {
        for word in *words {
            let start = commands.partition_point(|command| *command.segments[depth] < **word);
            let (_, from) = commands.split_at(start);
            let (same, _) = from.split_at(from.partition_point(|it| *it.segments[depth] == **word));
            narrow(same, rest, depth + 1, found);
        }
        return;
    }
    let mut left = commands;
    while let Some(next) = left.first() {
        let alike = left.partition_point(|it| it.segments[depth] == next.segments[depth]);
        let (same, others) = left.split_at(alike);
        narrow(same, rest, depth + 1, found);
        left = others;
    }
}

/// Every verdict there is; its place is its code.
const VERDICTS: [Verdict; 21] = [
    Verdict::Allowed,
    Verdict::Exempt(Exemption::EnforcementOff),
    Verdict::Exempt(Exemption::Allowlisted),
    Verdict::Exempt(Exemption::WarnGap),
    Verdict::Exempt(Exemption::Mode(ProtectionMode::None)),
    Verdict::Exempt(Exemption::Mode(ProtectionMode::InternalSystem)),
    Verdict::Exempt(Exemption::Mode(ProtectionMode::DevelopmentOnly)),
    Verdict::Exempt(Exemption::Shape),
    Verdict::Exempt(Exemption::NoLicenseService),
    Verdict::Denied(Reason::UnknownFeatureKey),
    Verdict::Denied(Reason::NotEntitled),
    Verdict::Denied(Reason::QuotaExceeded),
    Verdict::Denied(Reason::CeilingExceeded),
    Verdict::Denied(Reason::CommandDenied),
    Verdict::Denied(Reason::PartyResolutionFailed),
    Verdict::Denied(Reason::MissingContract),
    Verdict::Denied(Reason::MissingDescriptor),
    Verdict::Denied(Reason::MalformedDescriptor),
    Verdict::Denied(Reason::LicenseMissing),
    Verdict::Denied(Reason::LicenseExpired),
    Verdict::Denied(Reason::LicenseInvalid),
];

fn code(verdict: Verdict) -> u8 {
    let place = VERDICTS.iter().position(|known| *known == verdict).expect("every verdict has a code");
    u8::try_from(place).expect("there are fewer verdicts than bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_every_exemption_has_a_code_of_its_own() {
        let modes = [ProtectionMode::None, ProtectionMode::InternalSystem, ProtectionMode::DevelopmentOnly];
        let exemptions = [
            Exemption::EnforcementOff,
            Exemption::Allowlisted,
            Exemption::WarnGap,
            Exemption::Shape,
            Exemption::NoLicenseService,
        ];
        let verdicts = Reason::ALL
            .map(Verdict::Denied)
            .into_iter()
            .chain(modes.map(|mode| Verdict::Exempt(Exemption::Mode(mode))))
            .chain(exemptions.map(Verdict::Exempt))
            .chain([Verdict::Allowed]);
        let mut codes = HashSet::new();
        for verdict in verdicts {
            assert_eq!(VERDICTS[usize::from(code(verdict))], verdict);
            assert!(codes.insert(code(verdict)));
        }
        assert_eq!(codes.len(), VERDICTS.len());
    }
}
