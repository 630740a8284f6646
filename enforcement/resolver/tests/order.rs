//! The order of semantics 2.2: for each pair of neighbouring steps a question to which both apply, and the first
//! decides; and what each source may add or take away.

use chancery_resolver::{Baseline, Described, Exemption, Question, Verdict, decide, explain};
use descriptors::{
    catalog::Catalog,
    coverage::{AllowlistEntry, Allowlisted, CoveragePolicy, GapMode},
    denial::Reason,
    descriptor::{
        DeploymentShape, DescriptorError, EntitlementKey, FeatureKey, LicenseDescriptor, MalformedDescriptor,
        ProtectionMode, Quota, QuotaKey, ShapePredicate,
    },
    grant::{Ceiling, CeilingUnavailable, FeatureValue, Grant, Pattern, ProductGrant},
};

const KEY: EntitlementKey<'static> = EntitlementKey::literal("chancery.tenancy.children.create");
const FEATURE: FeatureKey<'static> = FeatureKey::literal("tenancy.subtenants.v1");
const DESCRIPTOR: LicenseDescriptor = LicenseDescriptor::builder(KEY)
    .features(&[FEATURE])
    .quotas(&[Quota::metered("tenancy.exports.max")])
    .when(&[ShapePredicate::PRODUCTION])
    .build();
const UNMOUNTED: LicenseDescriptor = LicenseDescriptor::builder(KEY).development_only().build();
const UNSOLD: LicenseDescriptor =
    LicenseDescriptor::builder(KEY).features(&[FeatureKey::literal("tenancy.teleport.v1")]).build();
const MALFORMED: MalformedDescriptor = MalformedDescriptor(DescriptorError::ExemptButMetered);

const CATALOG: &str = r#"
[[feature]]
key = "tenancy.subtenants.v1"
type = "BOOLEAN"
description = "tenants beneath tenants"
[[quota]]
key = "tenancy.exports.max"
kind = "METERED"
window = "P1D"
description = "exports"
[[product]]
id = "chancery"
name = "Chancery"
[[product.edition]]
id = "community"
name = "Community"
[[product.edition]]
id = "pro"
name = "Pro"
extends = "community"
features = { "tenancy.subtenants.v1" = true }
quotas = { "tenancy.exports.max" = 100 }
"#;

/// The parts of a question, so that a test can change one.
struct World {
    catalog: Catalog,
    shape: DeploymentShape,
    policy: CoveragePolicy,
    license: Grant,
    baseline: Option<Grant>,
    additions: Option<Grant>,
}

fn grant(product: bool, feature: bool) -> Grant {
    let mut grant = Grant::nothing();
    if product {
        grant.products.insert("chancery".into(), ProductGrant { edition: "pro".into(), modules: None });
    }
    if feature {
        grant.features.insert(FEATURE.to_string(), FeatureValue::Boolean(true));
    }
    grant
}

fn rule(text: &str) -> Vec<Pattern> {
    vec![Pattern::parse(text).unwrap()]
}

impl World {
    fn licensed() -> Self {
        Self {
            catalog: Catalog::assemble([("test", CATALOG)]).unwrap(),
            shape: DeploymentShape::stating([("environment", "production")]),
            policy: CoveragePolicy::strict(),
            license: grant(true, true),
            baseline: None,
            additions: None,
        }
    }

    fn ask<'a>(&'a self, described: Described<'a>) -> Question<'a> {
        Question {
            command: "tenancy.children.create",
            described,
            shape: &self.shape,
            policy: &self.policy,
            ceiling: Ceiling::Granted(&self.license),
            baseline: self.baseline.as_ref().map_or(Baseline::WholeCeiling, Baseline::Only),
            additions: self.additions.as_ref(),
            catalog: &self.catalog,
        }
    }

    fn verdict(&self, descriptor: &LicenseDescriptor) -> Verdict {
        decide(&self.ask(Described::By(descriptor))).verdict
    }
}

fn allowlisted() -> AllowlistEntry {
    AllowlistEntry { names: Allowlisted::Prefix("tenancy.".into()), reason: "for the test".into() }
}

#[test]
fn a_licensed_command_is_allowed() {
    assert_eq!(World::licensed().verdict(&DESCRIPTOR), Verdict::Allowed);
}

#[test]
fn step_1_before_2_enforcement_off_exempts_even_a_gap() {
    let mut world = World::licensed();
    world.policy.enforced = false;
    assert_eq!(decide(&world.ask(Described::NoContract)).verdict, Verdict::Exempt(Exemption::EnforcementOff));
}

#[test]
fn step_2_a_gap_is_allowlisted_before_it_hard_fails_before_the_mode() {
    let mut world = World::licensed();
    let gaps = [
        (Described::NoContract, Reason::MissingContract),
        (Described::NoDescriptor, Reason::MissingDescriptor),
    ];
    for (gap, reason) in gaps {
        world.policy = CoveragePolicy::strict();
        assert_eq!(decide(&world.ask(gap)).verdict, Verdict::Denied(reason));
        world.policy.gaps = GapMode::Warn;
        assert_eq!(decide(&world.ask(gap)).verdict, Verdict::Exempt(Exemption::WarnGap));
        world.policy.hard_fail_prefixes = vec!["tenancy.".into()];
        assert_eq!(decide(&world.ask(gap)).verdict, Verdict::Denied(reason));
        world.policy.allowlist = vec![allowlisted()];
        assert_eq!(decide(&world.ask(gap)).verdict, Verdict::Exempt(Exemption::Allowlisted));
    }
}

#[test]
fn step_3_a_malformed_descriptor_is_denied_in_both_modes_and_the_allowlist_does_not_help() {
    let mut world = World::licensed();
    world.policy.allowlist = vec![allowlisted()];
    for mode in [GapMode::Warn, GapMode::Deny] {
        world.policy.gaps = mode;
        assert_eq!(
            decide(&world.ask(Described::Malformed(&MALFORMED))).verdict,
            Verdict::Denied(Reason::MalformedDescriptor)
        );
    }
}

#[test]
fn the_allowlist_never_weakens_a_command_that_has_a_descriptor() {
    let mut world = World::licensed();
    world.policy.allowlist = vec![allowlisted()];
    world.license = Grant::nothing();
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Denied(Reason::CeilingExceeded));
}

#[test]
fn step_4_before_6_an_unlicensed_mode_never_consults_the_license() {
    let world = World::licensed();
    let question = Question {
        ceiling: Ceiling::Unavailable(CeilingUnavailable::Missing),
        ..world.ask(Described::By(&UNMOUNTED))
    };
    assert_eq!(decide(&question).verdict, Verdict::Exempt(Exemption::Mode(ProtectionMode::DevelopmentOnly)));
}

#[test]
fn step_5_before_6_another_shape_exempts_even_without_a_license() {
    let mut world = World::licensed();
    world.shape = DeploymentShape::stating([("environment", "staging")]);
    let question = Question {
        ceiling: Ceiling::Unavailable(CeilingUnavailable::Expired),
        ..world.ask(Described::By(&DESCRIPTOR))
    };
    assert_eq!(decide(&question).verdict, Verdict::Exempt(Exemption::Shape));
}

#[test]
fn step_6_before_7_an_unavailable_ceiling_gives_its_own_reason_even_for_an_unknown_feature() {
    let world = World::licensed();
    for (why, reason) in [
        (CeilingUnavailable::Missing, Reason::LicenseMissing),
        (CeilingUnavailable::Expired, Reason::LicenseExpired),
        (CeilingUnavailable::Invalid, Reason::LicenseInvalid),
        (CeilingUnavailable::PartyUnresolved, Reason::PartyResolutionFailed),
    ] {
        let question = Question { ceiling: Ceiling::Unavailable(why), ..world.ask(Described::By(&UNSOLD)) };
        assert_eq!(decide(&question).verdict, Verdict::Denied(reason));
    }
}

#[test]
fn without_a_license_service_there_is_no_ceiling() {
    let world = World::licensed();
    let question = Question { ceiling: Ceiling::Unenforced, ..world.ask(Described::By(&DESCRIPTOR)) };
    assert_eq!(decide(&question).verdict, Verdict::Exempt(Exemption::NoLicenseService));
    assert_eq!(question.tenant_limit(QuotaKey::parse("tenancy.exports.max").unwrap()), None);
}

#[test]
fn step_7_before_8_an_unknown_feature_is_told_even_when_a_deny_rule_matches() {
    let mut world = World::licensed();
    world.license.commands.deny = rule("**");
    assert_eq!(world.verdict(&UNSOLD), Verdict::Denied(Reason::UnknownFeatureKey));
}

#[test]
fn step_8_before_9_a_deny_rule_of_any_source_wins_over_every_grant() {
    let deny = || {
        let mut grant = grant(true, true);
        grant.commands.allow = rule("**");
        grant.commands.deny = rule("chancery.tenancy.{children,domains}.*");
        grant
    };
    for place in 0..3 {
        let mut world = World::licensed();
        world.baseline = Some(grant(true, true));
        match place {
            0 => world.license = deny(),
            1 => world.baseline = Some(deny()),
            _ => world.additions = Some(deny()),
        }
        assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Denied(Reason::CommandDenied));
    }
    let mut world = World::licensed();
    world.license = Grant::nothing();
    world.license.commands.deny = rule("**");
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Denied(Reason::CommandDenied));
}

#[test]
fn step_9_before_10_what_the_license_does_not_permit_exceeds_the_ceiling() {
    let mut world = World::licensed();
    world.baseline = Some(Grant::nothing());
    for license in [grant(false, true), grant(true, false), grant(false, false)] {
        world.license = license;
        assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Denied(Reason::CeilingExceeded));
    }
}

#[test]
fn step_10_what_the_license_permits_but_nobody_handed_on_is_not_entitled() {
    let mut world = World::licensed();
    world.baseline = Some(grant(true, false));
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Denied(Reason::NotEntitled));
    world.additions = Some(grant(false, true));
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Allowed, "features of baseline and additions combine");
}

#[test]
fn an_addition_outside_the_license_contributes_nothing() {
    let mut world = World::licensed();
    world.license = grant(true, false);
    world.additions = Some(grant(true, true));
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Denied(Reason::CeilingExceeded));
}

#[test]
fn an_allow_rule_grants_without_product_or_feature() {
    let mut world = World::licensed();
    world.license = Grant::nothing();
    world.license.commands.allow = rule("chancery.tenancy.**");
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Allowed);
    world.baseline = Some(Grant::nothing());
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Denied(Reason::NotEntitled));
    let mut added = Grant::nothing();
    added.commands.allow = rule("chancery.tenancy.children.create");
    world.additions = Some(added);
    assert_eq!(world.verdict(&DESCRIPTOR), Verdict::Allowed);
}

#[test]
fn the_larger_limit_wins_and_the_license_caps_it() {
    let quota = QuotaKey::parse("tenancy.exports.max").unwrap();
    let limited = |limit: u64| {
        let mut grant = grant(true, true);
        grant.quotas.insert(quota.to_string(), limit);
        grant
    };
    let mut world = World::licensed();
    world.license = limited(10);
    assert_eq!(world.ask(Described::By(&DESCRIPTOR)).tenant_limit(quota), Some(10));
    world.baseline = Some(limited(3));
    assert_eq!(world.ask(Described::By(&DESCRIPTOR)).tenant_limit(quota), Some(3));
    world.additions = Some(limited(7));
    assert_eq!(world.ask(Described::By(&DESCRIPTOR)).tenant_limit(quota), Some(7));
    world.additions = Some(limited(70));
    assert_eq!(world.ask(Described::By(&DESCRIPTOR)).tenant_limit(quota), Some(10));
    assert_eq!(world.ask(Described::By(&DESCRIPTOR)).platform_limit(quota), Some(10));
}

#[test]
fn explaining_gives_the_same_answer_with_the_way_there_and_the_way_out() {
    let mut world = World::licensed();
    world.license = grant(true, false);
    let question = world.ask(Described::By(&DESCRIPTOR));
    let explanation = explain(&question);
    assert_eq!(explanation.decision, decide(&question));
    assert_eq!(explanation.steps.len(), 9);
    let last = explanation.steps.last().unwrap();
    assert!(last.decided);
    assert_eq!(last.found, "the license does not grant feature `tenancy.subtenants.v1`");
    let ways: Vec<_> = explanation.remedies.iter().map(ToString::to_string).collect();
    assert_eq!(
        ways,
        [
            "hold edition `pro` of `chancery`, or a larger one",
            "grant feature `tenancy.subtenants.v1` in the license, and raise quota `tenancy.exports.max` in the \
             license to 1 or more",
        ]
    );
}

#[test]
fn a_command_that_runs_needs_no_remedy() {
    let mut world = World::licensed();
    world.license.quotas.insert("tenancy.exports.max".into(), 1);
    let explanation = explain(&world.ask(Described::By(&DESCRIPTOR)));
    assert_eq!(explanation.remedies, []);
    assert_eq!(explanation.steps.len(), 10);
}

#[test]
fn a_limit_too_small_for_one_call_has_a_way_out_though_the_command_is_entitled() {
    let mut world = World::licensed();
    world.baseline = Some(grant(true, true));
    let way = |world: &World| -> Vec<String> {
        explain(&world.ask(Described::By(&DESCRIPTOR))).remedies.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        way(&world),
        [
            "raise quota `tenancy.exports.max` in the license to 1 or more, and raise quota `tenancy.exports.max` \
          in the tenant's subscription to 1 or more"
        ]
    );
    world.license.quotas.insert("tenancy.exports.max".into(), 5);
    world.additions = Some(grant(false, false));
    assert_eq!(way(&world), ["raise quota `tenancy.exports.max` in the tenant's subscription to 1 or more"]);
}

/// Two neighbouring steps of 2.2 and a question to which both apply.
struct Row {
    steps: &'static str,
    apply: &'static str,
    both: (usize, Verdict),
    /// The same question, made so that the first of the two no longer applies.
    second: (usize, Verdict),
}

fn asked(question: &Question<'_>) -> (usize, Verdict) {
    let explanation = explain(question);
    (explanation.steps.len(), explanation.decision.verdict)
}

#[test]
fn the_first_of_two_neighbouring_steps_that_both_apply_decides() {
    let table: String = rows().iter().map(line).collect();
    let heading = format!("{:<8}{:<66}{:<36}{}\n", "steps", "both apply", "the first decides", "without it");
    assert_eq!(format!("{heading}{table}"), include_str!("../../../tests/golden/order.txt"));
    for row in rows() {
        assert_ne!(row.both, row.second, "{}: taking the first step away changes nothing", row.steps);
    }
}

fn line(row: &Row) -> String {
    let answer = |(step, verdict): (usize, Verdict)| match verdict {
        Verdict::Allowed => format!("{} ALLOWED, then its quotas", step + 1),
        Verdict::Exempt(why) => format!("{step} EXEMPT {}", why.as_str()),
        Verdict::Denied(reason) => format!("{step} DENIED {reason}"),
    };
    let (both, second) = (answer(row.both), answer(row.second));
    format!("{:<8}{:<66}{both:<36}{second}\n", row.steps, row.apply)
}

fn rows() -> Vec<Row> {
    const CONTRADICTION: MalformedDescriptor = MalformedDescriptor(DescriptorError::AsksWithoutLicense);
    const ELSEWHERE: LicenseDescriptor = LicenseDescriptor::builder(KEY)
        .features(&[FeatureKey::literal("tenancy.teleport.v1")])
        .when(&[ShapePredicate::PRODUCTION])
        .build();
    let by = Described::By(&DESCRIPTOR);
    let mut rows = Vec::new();
    let mut row = |steps, apply, both: &Question<'_>, second: &Question<'_>| {
        rows.push(Row { steps, apply, both: asked(both), second: asked(second) });
    };
    let licensed = World::licensed();

    let mut off = World::licensed();
    off.policy.enforced = false;
    row(
        "1, 2",
        "enforcement is off, and the command has no contract",
        &off.ask(Described::NoContract),
        &licensed.ask(Described::NoContract),
    );

    let mut meant = World::licensed();
    meant.policy.allowlist = vec![allowlisted()];
    meant.policy.hard_fail_prefixes = vec!["tenancy.".into()];
    let mut hard = World::licensed();
    hard.policy.hard_fail_prefixes = vec!["tenancy.".into()];
    hard.policy.gaps = GapMode::Warn;
    let mut warned = World::licensed();
    warned.policy.gaps = GapMode::Warn;
    let gap = Described::NoDescriptor;
    row("2", "a gap is allowlisted, and under a hard-fail prefix", &meant.ask(gap), &hard.ask(gap));
    row("2", "a gap is under a hard-fail prefix, and gaps are warned of", &hard.ask(gap), &warned.ask(gap));
    row(
        "2, 3",
        "allowlisted: no descriptor, or else (never both) a malformed one",
        &meant.ask(gap),
        &meant.ask(Described::Malformed(&MALFORMED)),
    );
    row(
        "3, 4",
        "the descriptor is malformed, and says that no license is asked",
        &licensed.ask(Described::Malformed(&CONTRADICTION)),
        &licensed.ask(Described::By(&UNMOUNTED)),
    );

    let mut staging = World::licensed();
    staging.shape = DeploymentShape::stating([("environment", "staging")]);
    row(
        "4, 5",
        "the mode asks for no license, and the shape is another one",
        &staging.ask(Described::By(&UNMOUNTED)),
        &staging.ask(by),
    );
    let missing = Ceiling::Unavailable(CeilingUnavailable::Missing);
    row(
        "5, 6",
        "the shape is another one, and there is no license",
        &Question { ceiling: missing, ..staging.ask(by) },
        &Question { ceiling: missing, ..licensed.ask(by) },
    );
    row(
        "6, 7",
        "there is no license, and the catalog lacks a required feature",
        &Question { ceiling: missing, ..licensed.ask(Described::By(&ELSEWHERE)) },
        &licensed.ask(Described::By(&ELSEWHERE)),
    );

    let mut denying = World::licensed();
    denying.license.commands.deny = rule("chancery.tenancy.**");
    row(
        "7, 8",
        "the catalog lacks a required feature, and a rule denies",
        &denying.ask(Described::By(&UNSOLD)),
        &denying.ask(by),
    );
    let mut unlicensed = World::licensed();
    unlicensed.license = Grant::nothing();
    let mut denied = World::licensed();
    denied.license = Grant::nothing();
    denied.additions = Some(grant(true, true));
    if let Some(additions) = &mut denied.additions {
        additions.commands.deny = rule("**");
    }
    row("8, 9", "a rule denies, and the license does not permit", &denied.ask(by), &unlicensed.ask(by));
    let mut neither = World::licensed();
    neither.license = Grant::nothing();
    neither.baseline = Some(Grant::nothing());
    let mut kept = World::licensed();
    kept.baseline = Some(Grant::nothing());
    row("9, 10", "the license does not permit, and nobody handed on", &neither.ask(by), &kept.ask(by));
    row("10, 11", "nobody handed on, and the quota is 0", &kept.ask(by), &licensed.ask(by));
    rows
}
