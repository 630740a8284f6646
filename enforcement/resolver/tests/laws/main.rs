//! The decision, its model and its compiled form agree, over worlds nobody thought of. `PROPTEST_CASES` asks for more of
//! them.

mod model;
mod worlds;

use std::{cell::RefCell, collections::BTreeMap};

use chancery_resolver::{Because, Compiler, Question, Source, Verdict, decide, explain};
use descriptors::{
    denial::Reason,
    descriptor::QuotaKey,
    grant::{Ceiling, Grant, Pattern},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use worlds::{BYTES, COMMANDS, QUOTAS, World};

const WORLDS: u32 = 18_750;
const _: () = assert!(WORLDS as usize * COMMANDS == 300_000, "each law is held against 300,000 questions");

fn in_every_world(hold: impl Fn(&World) -> Result<(), TestCaseError>) {
    in_worlds(WORLDS, hold);
}

fn in_worlds(worlds: u32, hold: impl Fn(&World) -> Result<(), TestCaseError>) {
    let config = Config { failure_persistence: None, ..Config::default() };
    let config = Config { cases: config.cases.max(worlds), ..config };
    let bytes = proptest::collection::vec(any::<u8>(), BYTES).prop_map(|bytes| World::read(&bytes));
    if let Err(error) = TestRunner::new(config).run(&bytes, |world| hold(&world)) {
        panic!("{error}");
    }
}

#[test]
fn the_resolver_answers_as_the_text_does_and_at_the_same_step() {
    let met = RefCell::new(BTreeMap::<String, u32>::new());
    in_every_world(|world| {
        for question in world.questions() {
            let (step, verdict) = model::answer(&question);
            let explanation = explain(&question);
            prop_assert_eq!(decide(&question), explanation.decision);
            prop_assert_eq!((explanation.steps.len(), explanation.decision.verdict), (step, verdict));
            *met.borrow_mut().entry(format!("{step} {verdict:?}")).or_default() += 1;
        }
        Ok(())
    });
    let met = met.into_inner();
    assert_eq!(met.keys().cloned().collect::<std::collections::BTreeSet<_>>(), worlds::every_answer());
    assert!(met.values().all(|times| *times > 200), "some answers are hardly ever met: {met:#?}");
}

#[test]
fn a_tenant_may_use_of_a_quota_what_the_text_says() {
    in_every_world(|world| {
        for quota in QUOTAS {
            let question = world.questions().next().expect("a world has commands");
            let key = QuotaKey::parse(quota).expect("a key");
            let limits = question.tenant_limit(key).zip(question.platform_limit(key));
            prop_assert_eq!(limits, model::limits(&question, quota));
        }
        Ok(())
    });
}

#[test]
fn a_table_says_what_the_resolver_says() {
    in_every_world(|world| {
        let mut compiler = Compiler::new(world.described(), world.ground());
        let everyone = compiler.everyone().clone();
        let tenants = world.additions.as_ref().map(|additions| compiler.table(additions));
        for (place, question) in world.questions().enumerate() {
            let without = Question { additions: None, ..question };
            prop_assert_eq!(everyone.verdict(place), decide(&without).verdict);
            let table = tenants.as_ref().unwrap_or(&everyone);
            prop_assert_eq!(table.verdict(place), decide(&question).verdict);
        }
        Ok(())
    });
}

#[test]
fn tables_of_many_pages_share_them_and_say_the_same() {
    // No number of commands that divides a page, so that no two pages begin alike.
    const CYCLE: usize = COMMANDS - 1;
    const PLACES: usize = 600;
    in_worlds(WORLDS / 64, |world| {
        let commands = world.described().take(CYCLE).cycle().take(PLACES);
        let mut compiler = Compiler::new(commands, world.ground());
        let Some(additions) = &world.additions else { return Ok(()) };
        let table = compiler.table(additions);
        prop_assert!(table.is(&compiler.table(&additions.clone())));
        let questions: Vec<_> = world.questions().take(CYCLE).collect();
        for place in 0..PLACES {
            prop_assert_eq!(table.verdict(place), decide(&questions[place % CYCLE]).verdict);
        }
        let held = compiler.bytes();
        drop(table);
        compiler.sweep();
        prop_assert!(compiler.bytes() <= held);
        prop_assert_eq!(compiler.table(additions).verdict(PLACES - 1), {
            decide(&questions[(PLACES - 1) % CYCLE]).verdict
        });
        Ok(())
    });
}

#[test]
fn what_a_decision_gives_as_its_cause_is_there_and_says_so() {
    in_every_world(|world| {
        for question in world.questions() {
            let decision = decide(&question);
            match decision.because {
                Because::DenyRule(source, rule) => {
                    prop_assert!(stands(&question, source, |grant| &grant.commands.deny, rule));
                }
                Because::AllowRule(source, rule) => {
                    prop_assert_eq!(decision.verdict, Verdict::Allowed);
                    prop_assert!(stands(&question, source, |grant| &grant.commands.allow, rule));
                }
                Because::Lacks(Source::License, feature) => {
                    prop_assert!(document(&question, Source::License).lacks(&[feature]).is_some());
                }
                Because::NotLicensed(Source::License, key) => {
                    prop_assert!(!document(&question, Source::License).licenses(key));
                }
                _ => {}
            }
        }
        Ok(())
    });
}

#[test]
fn every_way_out_leads_out_and_what_documents_deny_has_one() {
    in_every_world(|world| {
        for (place, question) in world.questions().enumerate() {
            let explanation = explain(&question);
            let Verdict::Denied(reason) = explanation.decision.verdict else {
                prop_assert_eq!(explanation.remedies, []);
                continue;
            };
            prop_assert!(!explanation.remedies.is_empty() || reason == Reason::PartyResolutionFailed);
            if !matches!(reason, Reason::CommandDenied | Reason::CeilingExceeded | Reason::NotEntitled) {
                continue;
            }
            let mut fewest = 0;
            for remedy in &explanation.remedies {
                prop_assert!(fewest <= remedy.changes.len(), "the smallest comes first");
                fewest = remedy.changes.len();
                let after = world.after(&remedy.changes);
                let question = after.questions().nth(place).expect("the same commands");
                prop_assert_eq!(model::answer(&question).1, Verdict::Allowed, "{}", remedy);
            }
        }
        Ok(())
    });
}

/// Whether the rule stands in that document, and matches the key that was asked about.
fn stands(question: &Question<'_>, source: Source, of: fn(&Grant) -> &Vec<Pattern>, rule: &Pattern) -> bool {
    let chancery_resolver::Described::By(descriptor) = question.described else { return false };
    of(document(question, source)).contains(rule)
        && model::rule_matches(rule.as_str(), &descriptor.entitlement_key().to_string())
}

fn document<'a>(question: &Question<'a>, source: Source) -> &'a Grant {
    match (source, question.ceiling, question.baseline, question.additions) {
        (Source::License, Ceiling::Granted(grant), _, _)
        | (Source::Baseline, _, chancery_resolver::Baseline::Only(grant), _)
        | (Source::Additions, _, _, Some(grant)) => grant,
        _ => panic!("{source} holds no document"),
    }
}
