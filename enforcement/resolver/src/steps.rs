//! The order of semantics 2.2, one function per step. Each either decides or passes what it established on.

use descriptors::{
    coverage::{CoveragePolicy, GapMode},
    denial::Reason,
    descriptor::{FeatureKey, LicenseDescriptor, MalformedDescriptor, ProtectionMode},
    grant::{Ceiling, Grant},
};

use crate::{Baseline, Because, Decision, Described, Exemption, Question, Source, Verdict};

/// Decides. The first step that applies is the answer.
pub fn decide<'a>(question: &Question<'a>) -> Decision<'a> {
    walk(question, &mut |_, _| {})
}

/// Steps 1 to 3: the sound descriptor, or the decision that needs none. Asks nothing of license or tenant.
pub fn cover<'d: 'p, 'p>(
    command: &str,
    described: Described<'d>,
    policy: &'p CoveragePolicy,
) -> Result<&'d LicenseDescriptor, Decision<'p>> {
    enforcement(policy)?;
    sound(written(command, described, policy)?)
}

/// Steps 4 to 11, for a command that is covered by `descriptor`.
pub fn entitle<'a>(question: &Question<'a>, descriptor: &'a LicenseDescriptor) -> Decision<'a> {
    entitled(question, descriptor, &mut |_, _| {}).unwrap_or_else(|decision| decision)
}

/// What each step is called in a trace, in order.
pub(crate) const STEPS: [&str; 9] = [
    "enforcement is on",
    "the command is described",
    "the descriptor is sound",
    "the protection mode asks for a license",
    "the deployment's shape is one that enforces",
    "a ceiling is available",
    "the catalog knows every required feature",
    "no deny rule matches",
    "the ceiling permits it",
];

/// The last step, which answers in any case.
pub(crate) const LAST_STEP: &str = "the effective set grants it";

/// Walks the steps, telling `passed` each one that did not decide and why.
pub(crate) fn walk<'a>(
    question: &Question<'a>,
    passed: &mut impl FnMut(usize, Option<Because<'a>>),
) -> Decision<'a> {
    let mut covered = || -> Result<_, Decision<'a>> {
        enforcement(question.policy)?;
        passed(0, None);
        let written = written(question.command, question.described, question.policy)?;
        passed(1, None);
        let descriptor = sound(written)?;
        passed(2, None);
        entitled(question, descriptor, passed)
    };
    covered().unwrap_or_else(|decision| decision)
}

fn entitled<'a>(
    question: &Question<'a>,
    descriptor: &'a LicenseDescriptor,
    passed: &mut impl FnMut(usize, Option<Because<'a>>),
) -> Result<Decision<'a>, Decision<'a>> {
    mode(descriptor)?;
    passed(3, Some(Because::Mode(descriptor.mode())));
    shape(question, descriptor)?;
    passed(4, None);
    let ceiling = available(question)?;
    passed(5, None);
    known(question, descriptor)?;
    passed(6, None);
    not_denied(question, descriptor, ceiling)?;
    passed(7, None);
    let permitted = permitted(descriptor, ceiling)?;
    passed(8, Some(permitted));
    Ok(effective(question, descriptor, ceiling, permitted))
}

const fn exempt(why: Exemption, because: Because<'_>) -> Decision<'_> {
    Decision { verdict: Verdict::Exempt(why), because }
}

const fn denied(reason: Reason, because: Because<'_>) -> Decision<'_> {
    Decision { verdict: Verdict::Denied(reason), because }
}

/// Step 1.
fn enforcement<'a>(policy: &CoveragePolicy) -> Result<(), Decision<'a>> {
    if policy.enforced { Ok(()) } else { Err(exempt(Exemption::EnforcementOff, Because::EnforcementOff)) }
}

type Written<'a> = Result<&'a LicenseDescriptor, &'a MalformedDescriptor>;

/// Step 2. The allowlist is asked only here, so it never weakens a command that has a descriptor.
fn written<'d, 'p>(
    command: &str,
    described: Described<'d>,
    policy: &'p CoveragePolicy,
) -> Result<Written<'d>, Decision<'p>> {
    let reason = match described {
        Described::By(descriptor) => return Ok(Ok(descriptor)),
        Described::Malformed(malformed) => return Ok(Err(malformed)),
        Described::NoContract => Reason::MissingContract,
        Described::NoDescriptor => Reason::MissingDescriptor,
    };
    Err(if let Some(entry) = policy.allowlisted(command) {
        exempt(Exemption::Allowlisted, Because::Allowlist(entry))
    } else if let Some(prefix) = policy.hard_fails(command) {
        denied(reason, Because::HardFail(prefix))
    } else {
        match policy.gaps {
            GapMode::Deny => denied(reason, Because::GapMode(GapMode::Deny)),
            GapMode::Warn => exempt(Exemption::WarnGap, Because::GapMode(GapMode::Warn)),
        }
    })
}

/// Step 3.
fn sound<'d: 'p, 'p>(written: Written<'d>) -> Result<&'d LicenseDescriptor, Decision<'p>> {
    written.map_err(|malformed| denied(Reason::MalformedDescriptor, Because::Defect(malformed.0)))
}

/// Step 4.
fn mode<'a>(descriptor: &LicenseDescriptor) -> Result<(), Decision<'a>> {
    match descriptor.mode() {
        ProtectionMode::Licensed => Ok(()),
        other => Err(exempt(Exemption::Mode(other), Because::Mode(other))),
    }
}

/// Step 5.
fn shape<'a>(question: &Question<'a>, descriptor: &'a LicenseDescriptor) -> Result<(), Decision<'a>> {
    match question.shape.contradicts(descriptor.predicates()) {
        None => Ok(()),
        Some(key) => Err(exempt(Exemption::Shape, Because::Shape(key))),
    }
}

/// Step 6, and semantics 2.9.
fn available<'a>(question: &Question<'a>) -> Result<&'a Grant, Decision<'a>> {
    match question.ceiling {
        Ceiling::Granted(grant) => Ok(grant),
        Ceiling::Unavailable(why) => Err(denied(why.reason(), Because::Ceiling(why))),
        Ceiling::Unenforced => Err(exempt(Exemption::NoLicenseService, Because::NoLicenseService)),
    }
}

/// Step 7.
fn known<'a>(question: &Question<'a>, descriptor: &LicenseDescriptor) -> Result<(), Decision<'a>> {
    match descriptor.features().iter().find(|key| question.catalog.feature(**key).is_none()) {
        None => Ok(()),
        Some(key) => Err(denied(Reason::UnknownFeatureKey, Because::UnknownFeature(*key))),
    }
}

/// Step 8.
fn not_denied<'a>(
    question: &Question<'a>,
    descriptor: &LicenseDescriptor,
    ceiling: &'a Grant,
) -> Result<(), Decision<'a>> {
    let baseline = match question.baseline {
        Baseline::WholeCeiling => None,
        Baseline::Only(grant) => Some(grant),
    };
    let documents = [
        (Source::License, Some(ceiling)),
        (Source::Baseline, baseline),
        (Source::Additions, question.additions),
    ];
    for (source, grant) in documents {
        if let Some(rule) = grant.and_then(|grant| grant.commands.denying(descriptor.entitlement_key())) {
            return Err(denied(Reason::CommandDenied, Because::DenyRule(source, rule)));
        }
    }
    Ok(())
}

/// Step 9.
fn permitted<'a>(descriptor: &LicenseDescriptor, ceiling: &'a Grant) -> Result<Because<'a>, Decision<'a>> {
    let key = descriptor.entitlement_key();
    if let Some(rule) = ceiling.commands.allowing(key) {
        return Ok(Because::AllowRule(Source::License, rule));
    }
    let exceeded = |because| Err(denied(Reason::CeilingExceeded, because));
    if !ceiling.licenses(key) {
        return exceeded(Because::NotLicensed(Source::License, key));
    }
    match ceiling.lacks(descriptor.features()) {
        Some(feature) => exceeded(Because::Lacks(Source::License, feature)),
        None => Ok(Because::Licensed(key)),
    }
}

/// Steps 10 and 11: `(baseline ∪ additions) ∩ ceiling`, asked for one key (semantics 2.3 and 2.4).
fn effective<'a>(
    question: &Question<'a>,
    descriptor: &'a LicenseDescriptor,
    ceiling: &'a Grant,
    permitted: Because<'a>,
) -> Decision<'a> {
    let allowed = |because| Decision { verdict: Verdict::Allowed, because };
    let Baseline::Only(baseline) = question.baseline else { return allowed(permitted) };
    let key = descriptor.entitlement_key();
    let added = question.additions;
    if let Some(rule) = baseline.commands.allowing(key) {
        return allowed(Because::AllowRule(Source::Baseline, rule));
    }
    if let Some(rule) = added.and_then(|grant| grant.commands.allowing(key)) {
        return allowed(Because::AllowRule(Source::Additions, rule));
    }
    let handing_on = if added.is_some() { Source::Additions } else { Source::Baseline };
    let refused = |because| denied(Reason::NotEntitled, because);
    if !(baseline.licenses(key) || added.is_some_and(|grant| grant.licenses(key))) {
        return refused(Because::NotLicensed(handing_on, key));
    }
    // The license permits the command by a rule of its own, so it need not hold the product or its features. What is
    // handed on is cut to what it holds.
    if !ceiling.licenses(key) {
        return refused(Because::NotLicensed(Source::License, key));
    }
    let truthy = |grant: &Grant, feature: FeatureKey<'_>| grant.lacks(&[feature]).is_none();
    for feature in descriptor.features().iter().copied() {
        if !(truthy(baseline, feature) || added.is_some_and(|grant| truthy(grant, feature))) {
            return refused(Because::Lacks(handing_on, feature));
        }
        if !truthy(ceiling, feature) {
            return refused(Because::Lacks(Source::License, feature));
        }
    }
    allowed(Because::Licensed(key))
}
