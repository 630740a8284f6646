//! What each edition would allow, and where each command stands, as tables that a product manager can review. A change of
//! either is seen in the change of these files.

use std::collections::BTreeSet;

use chancery_acceptance::{chancery, text};
use descriptors::{catalog::Catalog, coverage::CoveragePolicy};
use health as _;
use identity as _;
use kernel::Registry;
use pipeline::Matrix;
use platform as _;
use quota::Providers;
use serde_json::Value;
use setup as _;
use signup as _;

fn linked() -> (Registry, Catalog) {
    (Registry::linked().unwrap(), Catalog::linked().unwrap())
}

#[test]
fn every_edition_allows_what_was_reviewed() {
    let (registry, catalog) = linked();
    let matrix = pipeline::matrix(&registry, &catalog, &CoveragePolicy::strict());
    assert_eq!(matrix.to_table(), include_str!("../golden/matrix.txt"));
    assert_eq!(serde_json::from_str::<Matrix>(&matrix.to_json()).unwrap(), matrix);
}

#[test]
fn every_command_stands_where_it_was_reviewed() {
    let (registry, catalog) = linked();
    let counted = tenancy::cardinality_providers(Providers::none());
    let report = pipeline::coverage(&registry, &catalog, &CoveragePolicy::strict(), &counted);
    assert_eq!(report.to_table(), include_str!("../golden/coverage.txt"));
}

/// What these tests link is what the program links.
#[test]
fn the_tables_are_of_every_command_of_the_program() {
    let output = chancery(["coverage", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let commands = report["commands"].as_array().unwrap().iter();
    let theirs: BTreeSet<_> = commands.map(|command| command["id"].as_str().unwrap()).collect();
    let (registry, _) = linked();
    let ours: BTreeSet<_> = registry.entries().map(|(_, entry)| entry.id().as_str()).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn a_larger_edition_allows_whatever_a_smaller_one_does() {
    let (registry, catalog) = linked();
    let matrix = pipeline::matrix(&registry, &catalog, &CoveragePolicy::strict());
    let ladder: Vec<_> = ["community", "pro", "scale", "enterprise"]
        .map(|edition| {
            matrix.editions.iter().position(|name| *name == format!("chancery/{edition}")).unwrap()
        })
        .to_vec();
    for row in &matrix.commands {
        for step in ladder.windows(2) {
            let (smaller, larger) = (&row.cells[step[0]], &row.cells[step[1]]);
            assert!(smaller.verdict == "DENIED" || larger.verdict == smaller.verdict, "{}", row.command);
            for (less, more) in smaller.limits.iter().zip(&larger.limits) {
                assert!(less.limit <= more.limit, "{}: {}", row.command, less.quota);
            }
        }
    }
}
