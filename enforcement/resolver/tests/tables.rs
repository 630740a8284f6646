//! What tables share, and what they let go of.

use chancery_resolver::{Baseline, Compiler, Described, Ground, Verdict};
use descriptors::{
    catalog::Catalog,
    coverage::CoveragePolicy,
    denial::Reason,
    descriptor::{DeploymentShape, EntitlementKey, LicenseDescriptor},
    grant::{Ceiling, Grant, Pattern},
};

const DESCRIPTOR: LicenseDescriptor =
    LicenseDescriptor::builder(EntitlementKey::literal("shop.goods.shelf.fill")).build();
/// Two pages and a part of a third.
const COMMANDS: usize = 600;
const PAGE: usize = 256;
/// The pages of one table, each by its address.
const LIST: usize = 3 * size_of::<usize>();

fn rules(rule: &str) -> Vec<Pattern> {
    vec![Pattern::parse(rule).unwrap()]
}

fn compiler() -> Compiler {
    let mut license = Grant::nothing();
    license.commands.allow = rules("**");
    let ground = Ground {
        shape: &DeploymentShape::stating([]),
        policy: &CoveragePolicy::strict(),
        ceiling: Ceiling::Granted(&license),
        baseline: Baseline::WholeCeiling,
        catalog: &Catalog::assemble([]).unwrap(),
    };
    Compiler::new((0..COMMANDS).map(|_| ("goods.shelf.fill", Described::By(&DESCRIPTOR))), ground)
}

fn denying() -> Grant {
    let mut additions = Grant::nothing();
    additions.commands.deny = rules("shop.goods.**");
    additions
}

#[test]
fn pages_that_say_the_same_are_one_page_and_tables_that_say_the_same_are_one_table() {
    let mut compiler = compiler();
    assert_eq!(compiler.bytes(), PAGE + LIST, "everything is allowed, which one page says");
    let everyone = compiler.everyone().clone();
    assert!(compiler.table(&Grant::nothing()).is(&everyone), "these additions add nothing");
    let first = compiler.table(&denying());
    let second = compiler.table(&denying());
    assert!(first.is(&second));
    assert_eq!(first.verdict(COMMANDS - 1), Verdict::Denied(Reason::CommandDenied));
    assert_eq!(compiler.bytes(), 3 * PAGE + 2 * LIST, "a whole page denied, and a part of one");
}

#[test]
fn what_nobody_holds_is_let_go_and_what_somebody_holds_is_kept() {
    let mut compiler = compiler();
    let table = compiler.table(&denying());
    let held = compiler.bytes();
    compiler.sweep();
    assert_eq!(compiler.bytes(), held);
    assert!(compiler.table(&denying()).is(&table), "it is known still");
    drop(table);
    compiler.sweep();
    assert_eq!(compiler.bytes(), PAGE + LIST, "everyone's is kept");
}
