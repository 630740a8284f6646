//! Worlds to decide in, read from bytes. Zeros make the smallest world, so shrinking the bytes shrinks the world.

use std::{collections::BTreeSet, sync::LazyLock};

use chancery_resolver::{Baseline, Change, Described, Ground, Question, Source};
use descriptors::{
    catalog::Catalog,
    coverage::{AllowlistEntry, Allowlisted, CoveragePolicy, GapMode},
    descriptor::{
        DeploymentShape, DescriptorError, EntitlementKey, FeatureKey, LicenseDescriptor, MalformedDescriptor,
        ShapePredicate,
    },
    grant::{Ceiling, CeilingUnavailable, FeatureValue, Grant, Pattern, ProductGrant},
};

/// Bytes for one world.
pub(crate) const BYTES: usize = 320;
/// Commands of one world.
pub(crate) const COMMANDS: usize = 16;
/// Quotas that grants may limit.
pub(crate) const QUOTAS: [&str; 2] = ["things.max", "calls.max"];

const PRODUCTS: [&str; 2] = ["p", "q"];
const MODULES: [&str; 2] = ["m", "n"];
const SERVICES: [&str; 2] = ["s", "t"];
const VERBS: [&str; 2] = ["x", "y"];
/// Key, type, and the value that the large edition of `p` gives it.
const FEATURES: [(&str, &str, &str); 4] = [
    ("on.v1", "BOOLEAN", "true"),
    ("amount.v1", "QUOTA", "5"),
    ("text.v1", "CONFIG", "'eu'"),
    ("more.v2", "BOOLEAN", "true"),
];
const PREDICATES: [&str; 4] =
    ["environment=production", "environment=staging", "packaging=server", "packaging=container"];

/// Everything that decisions depend on.
#[derive(Clone, Debug)]
pub(crate) struct World {
    catalog: &'static Catalog,
    shape: DeploymentShape,
    policy: CoveragePolicy,
    license: License,
    baseline: Option<Grant>,
    pub(crate) additions: Option<Grant>,
    pub(crate) commands: Vec<(&'static str, Stated)>,
}

#[derive(Clone, Debug)]
enum License {
    Granted(Grant),
    Unavailable(CeilingUnavailable),
    Unenforced,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Stated {
    By(&'static LicenseDescriptor),
    NoDescriptor,
    NoContract,
    Malformed,
}

impl Stated {
    pub(crate) const fn described(self) -> Described<'static> {
        const MALFORMED: MalformedDescriptor = MalformedDescriptor(DescriptorError::ExemptButMetered);
        match self {
            Self::By(descriptor) => Described::By(descriptor),
            Self::NoDescriptor => Described::NoDescriptor,
            Self::NoContract => Described::NoContract,
            Self::Malformed => Described::Malformed(&MALFORMED),
        }
    }
}

impl World {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut dice = Dice(bytes.iter());
        let license = match dice.below(16) {
            12 => License::Unavailable(CeilingUnavailable::Missing),
            13 => License::Unavailable(CeilingUnavailable::Expired),
            14 => License::Unavailable(match dice.below(2) {
                0 => CeilingUnavailable::Invalid,
                _ => CeilingUnavailable::PartyUnresolved,
            }),
            15 => License::Unenforced,
            _ => License::Granted(dice.grant()),
        };
        Self {
            catalog: &CATALOGS[dice.rarely(15)],
            shape: dice.shape(),
            policy: dice.policy(),
            license,
            baseline: dice.maybe(Dice::grant),
            additions: dice.maybe(Dice::grant),
            commands: (0..COMMANDS).map(|_| dice.command()).collect(),
        }
    }

    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground {
            shape: &self.shape,
            policy: &self.policy,
            ceiling: match &self.license {
                License::Granted(grant) => Ceiling::Granted(grant),
                License::Unavailable(why) => Ceiling::Unavailable(*why),
                License::Unenforced => Ceiling::Unenforced,
            },
            baseline: self.baseline.as_ref().map_or(Baseline::WholeCeiling, Baseline::Only),
            catalog: self.catalog,
        }
    }

    pub(crate) fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        self.commands
            .iter()
            .map(|(id, stated)| self.ground().ask(id, stated.described(), self.additions.as_ref()))
    }

    /// The same world after these changes to documents.
    pub(crate) fn after(&self, changes: &[Change]) -> Self {
        let mut world = self.clone();
        for change in changes {
            world.make(change);
        }
        world
    }

    fn make(&mut self, change: &Change) {
        let on = FeatureValue::Boolean(true);
        match change {
            Change::Edition { product, edition } => {
                let bought = self.catalog.expand(product, edition).expect("an edition there is");
                let license = self.document(Source::License);
                license.products.extend(bought.products);
                license.features.extend(bought.features);
            }
            Change::GrantFeature { by, feature } => {
                self.document(*by).features.insert(feature.clone(), on);
            }
            Change::GrantProduct { by, product, module } => {
                let held = &mut self.document(*by).products;
                let mut modules = held.remove(product).map_or_else(|| Some([].into()), |it| it.modules);
                if let Some(modules) = &mut modules {
                    modules.insert(module.clone());
                }
                held.insert(product.clone(), ProductGrant { edition: "any".to_owned(), modules });
            }
            Change::AllowCommand { by, key } => {
                self.document(*by).commands.allow.push(Pattern::parse(key).expect("a rule"));
            }
            Change::RemoveDenyRule { from, rule } => {
                let rules = &mut self.document(*from).commands.deny;
                let before = rules.len();
                rules.retain(|other| other.to_string() != *rule);
                assert!(rules.len() < before, "{from} has the rule {rule}");
            }
            other => panic!("{other} is no change to a document"),
        }
    }

    fn document(&mut self, source: Source) -> &mut Grant {
        match (source, &mut self.license) {
            (Source::License, License::Granted(grant)) => grant,
            (Source::Baseline, _) => self.baseline.as_mut().expect("a baseline to change"),
            (Source::Additions, _) => self.additions.get_or_insert_with(Grant::nothing),
            _ => panic!("no license to change"),
        }
    }

    /// The command ids and what their authors stated, as a compiler takes them.
    pub(crate) fn described(&self) -> impl Iterator<Item = (&'static str, Described<'static>)> + Clone {
        self.commands.iter().map(|(id, stated)| (*id, stated.described()))
    }
}

struct Dice<'b>(std::slice::Iter<'b, u8>);

impl Dice<'_> {
    /// A number below `sides`; 0 when the bytes are used up.
    fn below(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % sides
    }

    /// A number up to `most`, but three times in four 0.
    fn rarely(&mut self, most: usize) -> usize {
        if self.below(4) == 3 { self.below(most + 1) } else { 0 }
    }

    fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.below(from.len())]
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| make(self))
    }

    fn shape(&mut self) -> DeploymentShape {
        let environment = self.pick(&["", "production", "staging"]);
        let packaging = self.pick(&["", "server", "desktop"]);
        match (environment, packaging) {
            ("", "") => DeploymentShape::stating([]),
            ("", packaging) => DeploymentShape::stating([("packaging", packaging)]),
            (environment, "") => DeploymentShape::stating([("environment", environment)]),
            _ => DeploymentShape::stating([("environment", environment), ("packaging", packaging)]),
        }
    }

    fn policy(&mut self) -> CoveragePolicy {
        let prefix = |dice: &mut Self| dice.pick(&["m.", "n.s", "m.t.x", "n."]).to_owned();
        CoveragePolicy {
            enforced: self.below(16) < 15,
            gaps: if self.below(2) == 0 { GapMode::Deny } else { GapMode::Warn },
            allowlist: (0..self.below(3))
                .map(|_| AllowlistEntry {
                    names: match self.below(2) {
                        0 => Allowlisted::Id(self.pick(&IDS).to_owned()),
                        _ => Allowlisted::Prefix(prefix(self)),
                    },
                    reason: "meant".to_owned(),
                })
                .collect(),
            hard_fail_prefixes: (0..self.below(2)).map(|_| prefix(self)).collect(),
        }
    }

    fn grant(&mut self) -> Grant {
        let mut grant = Grant::nothing();
        for product in PRODUCTS {
            let modules = match self.below(4) {
                0 => continue,
                1 => Some(MODULES.into_iter().filter(|_| self.below(2) == 1).map(str::to_owned).collect()),
                _ => None,
            };
            grant.products.insert(product.to_owned(), ProductGrant { edition: "any".to_owned(), modules });
        }
        for (feature, ..) in FEATURES {
            let value = match self.below(8) {
                0 | 1 => continue,
                2 => FeatureValue::Boolean(false),
                3 => FeatureValue::Quota(self.below(2) as u64),
                4 => FeatureValue::Config(self.pick(&["", "eu"]).to_owned()),
                _ => FeatureValue::Boolean(true),
            };
            grant.features.insert(feature.to_owned(), value);
        }
        grant.commands.allow = (0..self.rarely(3)).map(|_| self.rule()).collect();
        grant.commands.deny = (0..self.rarely(2)).map(|_| self.rule()).collect();
        for quota in QUOTAS {
            if self.below(3) > 0 {
                grant.quotas.insert(quota.to_owned(), self.below(5) as u64);
            }
        }
        grant
    }

    fn rule(&mut self) -> Pattern {
        let mut segments = Vec::new();
        for words in [PRODUCTS, MODULES, SERVICES, VERBS] {
            match self.below(8) {
                0 => segments.push("*".to_owned()),
                1 => segments.push(format!("{{{},{}}}", words[0], words[1])),
                2 => segments.push(format!("{{other,{}}}", words[0])),
                7 => {
                    segments.push("**".to_owned());
                    break;
                }
                number => segments.push(words[number % 2].to_owned()),
            }
        }
        Pattern::parse(&segments.join(".")).expect("a rule that could match a key")
    }

    fn command(&mut self) -> (&'static str, Stated) {
        let id = self.pick(&IDS);
        let stated = match self.below(16) {
            12 => Stated::NoDescriptor,
            13 => Stated::NoContract,
            14 => Stated::Malformed,
            15 => Stated::By(&OTHER_MODES[self.below(OTHER_MODES.len())]),
            _ => Stated::By(&LICENSED[self.below(16) << 8 | self.below(16) << 4 | self.rarely(15)]),
        };
        (id, stated)
    }
}

const IDS: [&str; 8] = ["m.s.x", "m.s.y", "m.t.x", "m.t.y", "n.s.x", "n.s.y", "n.t.x", "n.t.y"];

/// The choice that the bits of a number make.
fn chosen<T: Copy>(from: &[T; 4], bits: usize) -> &'static [T] {
    let chosen: Vec<T> = (0..4).filter(|bit| bits >> bit & 1 == 1).map(|bit| from[bit]).collect();
    chosen.leak()
}

static KEYS: LazyLock<[EntitlementKey<'static>; 16]> = LazyLock::new(|| {
    std::array::from_fn(|bits| {
        let key = [PRODUCTS[bits & 1], MODULES[bits >> 1 & 1], SERVICES[bits >> 2 & 1], VERBS[bits >> 3 & 1]];
        EntitlementKey::parse(key.join(".").leak()).unwrap()
    })
});

/// For every key, every choice of features and every choice of shape predicates.
static LICENSED: LazyLock<Vec<LicenseDescriptor>> = LazyLock::new(|| {
    let features = FEATURES.map(|(key, ..)| FeatureKey::literal(key));
    let predicates = PREDICATES.map(ShapePredicate::literal);
    let descriptor = |bits: usize| {
        let (key, required, shapes) = (bits >> 8, bits >> 4 & 15, bits & 15);
        let mut builder = LicenseDescriptor::builder(KEYS[key]);
        if required > 0 {
            builder = builder.features(chosen(&features, required));
        }
        if shapes > 0 {
            builder = builder.when(chosen(&predicates, shapes));
        }
        builder.build()
    };
    (0..16 * 16 * 16).map(descriptor).collect()
});

static OTHER_MODES: LazyLock<[LicenseDescriptor; 3]> = LazyLock::new(|| {
    let builder = || LicenseDescriptor::builder(KEYS[0]);
    [builder().none().build(), builder().internal_system().build(), builder().development_only().build()]
});

/// By the features that they do not list. The smaller edition of `p` has none of them, the larger one all.
static CATALOGS: LazyLock<[Catalog; 16]> = LazyLock::new(|| {
    std::array::from_fn(|missing| {
        let listed = FEATURES.iter().enumerate().filter(|(bit, _)| missing >> bit & 1 == 0);
        let mut text = String::new();
        let mut sold = Vec::new();
        for (_, (key, kind, value)) in listed {
            text += &format!("[[feature]]\nkey = '{key}'\ntype = '{kind}'\ndescription = '-'\n");
            sold.push(format!("'{key}' = {value}"));
        }
        text += &format!(
            "[[product]]\nid = 'p'\nname = '-'\n[[product.edition]]\nid = 'small'\nname = '-'\n\
             [[product.edition]]\nid = 'large'\nname = '-'\nextends = 'small'\nfeatures = {{ {} }}\n",
            sold.join(", ")
        );
        Catalog::assemble([("worlds", text.as_str())]).unwrap()
    })
});

/// What the generator must reach to be worth anything.
pub(crate) fn every_answer() -> BTreeSet<String> {
    [
        "1 Exempt(EnforcementOff)",
        "2 Denied(MissingContract)",
        "2 Denied(MissingDescriptor)",
        "2 Exempt(Allowlisted)",
        "2 Exempt(WarnGap)",
        "3 Denied(MalformedDescriptor)",
        "4 Exempt(Mode(DevelopmentOnly))",
        "4 Exempt(Mode(InternalSystem))",
        "4 Exempt(Mode(None))",
        "5 Exempt(Shape)",
        "6 Denied(LicenseExpired)",
        "6 Denied(LicenseInvalid)",
        "6 Denied(LicenseMissing)",
        "6 Denied(PartyResolutionFailed)",
        "6 Exempt(NoLicenseService)",
        "7 Denied(UnknownFeatureKey)",
        "8 Denied(CommandDenied)",
        "9 Denied(CeilingExceeded)",
        "10 Denied(NotEntitled)",
        "10 Allowed",
    ]
    .map(str::to_owned)
    .into()
}
