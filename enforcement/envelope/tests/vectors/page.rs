//! docs/conformance.md says what ran here: no other number stands there, and none is missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::{jose, pkits, primitives, tally::Tally};

const PAGE: &str = include_str!("../../../../docs/conformance.md");

/// What the page says of the sets: cases, agree, stricter, left out.
fn numbers_of_sets() -> BTreeMap<&'static str, [usize; 4]> {
    rows(8)
        .map(|cells| {
            let [cases, agree, stricter, left_out] = [3, 4, 5, 6].map(|column| number(cells[column]));
            (cells[0], [cases, agree, stricter, left_out])
        })
        .collect()
}

/// The same of the sections of PKITS: cases, agree, of which for a broader reason, stricter.
fn numbers_of_sections() -> BTreeMap<&'static str, [usize; 4]> {
    rows(5).map(|cells| (cells[0], [1, 2, 3, 4].map(|column| number(cells[column])))).collect()
}

/// The cells of the table that is so wide, without its head.
fn rows(width: usize) -> impl Iterator<Item = Vec<&'static str>> {
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let lines = PAGE.lines().filter(|line| line.starts_with('|')).map(cells);
    lines.filter(move |cells| cells.len() == width).skip(2)
}

fn number(cell: &str) -> usize {
    cell.parse().unwrap_or_else(|_| panic!("`{cell}` is no number"))
}

#[test]
fn the_page_says_how_each_set_came_out() {
    let pkits = Tally::sum(pkits::SECTIONS.iter());
    let sets: BTreeMap<&str, [usize; 4]> = [
        ("PKITS", &pkits),
        ("ECDSA P-256, SHA-256", &primitives::ES256),
        ("ECDSA P-384, SHA-384", &primitives::ES384),
        ("RSA-PSS, SHA-256", &primitives::PS256),
        ("Ed25519", &primitives::EDDSA),
        ("RSA-OAEP, SHA-256", &primitives::OAEP),
        ("JSON Web Signature", &jose::JWS),
        ("JSON Web Encryption", &jose::JWE),
        ("RFC examples", &jose::RFC),
        ("Other implementations", &jose::IMPLEMENTATIONS),
    ]
    .map(|(name, tally)| (name, [tally.cases, tally.agree, tally.stricter, tally.left_out]))
    .into();
    assert_eq!(numbers_of_sets(), sets);
}

#[test]
fn the_page_says_how_each_section_of_pkits_came_out() {
    let sections = pkits::SECTIONS.iter().zip(pkits::TITLES).zip(1..);
    let sections: BTreeMap<&str, [usize; 4]> = sections
        .map(|((tally, title), section)| {
            (title, [tally.cases, tally.agree, pkits::for_a_broader_reason(section), tally.stricter])
        })
        .collect();
    assert_eq!(numbers_of_sections(), sections);
}

#[test]
fn the_page_lists_every_test_in_which_we_are_stricter_than_nist() {
    let numbers =
        PAGE.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_end_matches('.'));
    let listed: BTreeSet<&str> = numbers.filter(|word| word.matches('.').count() >= 2).collect();
    let versions = ["0.7.0", "1.0.1", "1.6.1", "50.0.2", "6.2.18"];
    let stricter = pkits::stricter().chain(versions).collect();
    assert_eq!(listed, stricter);
}
