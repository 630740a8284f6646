//! NIST PKITS: the 224 tests of path validation, 249 with their subtests. `pkits/pkits.tsv` is the table.

use std::{collections::BTreeSet, fmt::Debug, fs, path::PathBuf, sync::LazyLock};

use chancery_envelope::{
    oid::ObjectIdentifier,
    path::{Certificate, CertificateError, Crl, Requirements, validate},
};
use jiff::Timestamp;

use crate::tally::Tally;

/// A time in which everything of PKITS is valid that is not made to be expired.
const AT: &str = "2020-06-01T00:00:00Z";

/// The sections of PKITS, from 4.1 on, and how many tests each has.
pub(crate) const TITLES: [&str; 16] = [
    "4.1 Signature Verification",
    "4.2 Validity Periods",
    "4.3 Verifying Name Chaining",
    "4.4 Basic Certificate Revocation Tests",
    "4.5 Verifying Paths with Self-Issued Certificates",
    "4.6 Verifying Basic Constraints",
    "4.7 Key Usage",
    "4.8 Certificate Policies",
    "4.9 Require Explicit Policy",
    "4.10 Policy Mappings",
    "4.11 Inhibit Policy Mapping",
    "4.12 Inhibit Any Policy",
    "4.13 Name Constraints",
    "4.14 Distribution Points",
    "4.15 Delta-CRLs",
    "4.16 Private Certificate Extensions",
];
const TESTS: [usize; 16] = [6, 8, 11, 21, 8, 17, 5, 20, 8, 14, 11, 10, 38, 35, 10, 2];

/// The policies of a valid path, or the name of the refusal.
type Verdict = Result<Vec<ObjectIdentifier>, String>;

/// A row of the table.
struct Row {
    /// Section and number, and the subtest where there are several: `4.8.1.2`.
    test: &'static str,
    title: &'static str,
    /// What NIST says.
    accept: bool,
    /// The end entity first.
    path: Vec<&'static str>,
    lists: Vec<&'static str>,
    requirements: Requirements,
    /// The policies that are valid for the end entity, where PKITS names them.
    policies: Option<Vec<ObjectIdentifier>>,
    /// The name of our refusal, where we refuse.
    refusal: Option<&'static str>,
    /// Why we refuse for another reason than the test has.
    why: &'static str,
}

impl Row {
    fn parse(line: &'static str) -> Self {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[test, title, nist, path, lists, initial, flags, policies, refusal, why] = columns.as_slice()
        else {
            panic!("{} columns in `{line}`", columns.len())
        };
        let set = |names: &str| names.split_whitespace().filter(|name| *name != "-").map(policy).collect();
        Self {
            test,
            title,
            accept: match nist {
                "accept" => true,
                "reject" => false,
                _ => panic!("`{nist}` is no verdict"),
            },
            path: path.split(' ').collect(),
            lists: lists.split(' ').collect(),
            requirements: Requirements {
                explicit_policy: flags.contains("explicit"),
                policies: if initial == "any" { Vec::new() } else { set(initial) },
                inhibit_mapping: flags.contains("no-mapping"),
                inhibit_any_policy: flags.contains("no-any"),
            },
            policies: (!policies.is_empty()).then(|| set(policies)),
            refusal: (!refusal.is_empty()).then_some(refusal),
            why,
        }
    }

    fn judge(&self, with_lists: bool) -> Verdict {
        let chain: Result<Vec<_>, _> = self.path.iter().map(|name| certificate(name)).collect();
        let chain = chain.map_err(|refusal| format!("certificate {}", name(&refusal)))?;
        let lists = if with_lists { self.lists.as_slice() } else { &[] };
        let lists: Result<Vec<_>, _> = lists.iter().map(|name| Crl::from_der(&read("crls", name))).collect();
        let lists = lists.map_err(|refusal| format!("list {}", name(&refusal)))?;
        let anchor = certificate("TrustAnchorRootCertificate").unwrap();
        let at: Timestamp = AT.parse().unwrap();
        let lists = with_lists.then_some(lists.as_slice());
        let path = validate(&chain, &[anchor], lists, &self.requirements, at);
        path.map(|path| path.policies().to_vec()).map_err(|refusal| name(&refusal))
    }

    /// The number of the section beneath 4, and of the test in it.
    fn number(&self) -> (usize, usize) {
        let mut numbers = self.test.split('.').map(|number| number.parse().unwrap());
        assert_eq!(numbers.next(), Some(4));
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

/// A row, and what became of it.
struct Judged {
    row: Row,
    verdict: Verdict,
    without_lists: Verdict,
}

impl Judged {
    fn name(&self) -> String {
        format!("{} {}", self.row.test, self.row.title)
    }

    /// Whether it was refused for what the lists say, or do not say.
    fn refused_for_lists(&self) -> bool {
        let of_lists = |refusal: &String| {
            refusal.starts_with("list ") || ["NoList", "StaleList", "Revoked"].contains(&refusal.as_str())
        };
        self.verdict.as_ref().is_err_and(of_lists)
    }
}

static TABLE: LazyLock<Vec<Judged>> = LazyLock::new(|| {
    let lines = include_str!("pkits/pkits.tsv").lines().filter(|line| !line.starts_with('#'));
    let judged = |row: Row| Judged { verdict: row.judge(true), without_lists: row.judge(false), row };
    lines.map(Row::parse).map(judged).collect()
});

/// The tallies of the sections, 4.1 first.
pub(crate) static SECTIONS: LazyLock<Vec<Tally>> = LazyLock::new(|| {
    let mut sections: Vec<Tally> = TESTS.iter().map(|_| Tally::default()).collect();
    for judged in TABLE.iter() {
        let tally = &mut sections[judged.row.number().0 - 1];
        if judged.row.accept && judged.row.refusal.is_some() {
            tally.outside(|| judged.name(), judged.verdict.is_ok());
        } else {
            tally.verdict(|| judged.name(), judged.row.accept, judged.verdict.is_ok());
        }
    }
    sections
});

/// How many tests of a section NIST and we refuse, we for a broader reason.
pub(crate) fn for_a_broader_reason(section: usize) -> usize {
    let rows = TABLE.iter().map(|judged| &judged.row).filter(|row| row.number().0 == section);
    rows.filter(|row| !row.accept && !row.why.is_empty()).count()
}

/// The tests that NIST accepts and we refuse.
pub(crate) fn stricter() -> impl Iterator<Item = &'static str> {
    let rows = TABLE.iter().map(|judged| &judged.row);
    rows.filter(|row| row.accept && row.refusal.is_some()).map(|row| row.test)
}

fn certificate(name: &str) -> Result<Certificate, CertificateError> {
    Certificate::from_der(&read("certs", name))
}

fn read(folder: &str, name: &str) -> Vec<u8> {
    let file = data(folder).join(format!("{name}.{}", extension(folder)));
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn data(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/pkits").join(folder)
}

fn extension(folder: &str) -> &'static str {
    if folder == "crls" { "crl" } else { "crt" }
}

/// `any`, or a number beneath NIST's arc for test policies.
fn policy(name: &str) -> ObjectIdentifier {
    let dotted = match name {
        "any" => "2.5.29.32.0".to_owned(),
        number => format!("2.16.840.1.101.3.2.1.48.{number}"),
    };
    ObjectIdentifier::new(&dotted).unwrap()
}

/// The variant of an error, without its fields.
fn name(refusal: &impl Debug) -> String {
    let written = format!("{refusal:?}");
    written.split([' ', '(']).next().unwrap_or_default().to_owned()
}

/// The rows for which something does not hold.
fn rows_where(wrong: impl Fn(&Judged) -> bool) -> Vec<String> {
    let say = |judged: &Judged| format!("{}: {:?}", judged.name(), judged.verdict);
    TABLE.iter().filter(|judged| wrong(judged)).map(say).collect()
}

#[test]
fn nothing_that_nist_rejects_is_accepted() {
    assert_eq!(rows_where(|judged| !judged.row.accept && judged.verdict.is_ok()), [""; 0]);
}

#[test]
fn what_nist_accepts_is_accepted_unless_the_table_says_why_not() {
    let wrong = rows_where(|Judged { row, verdict, .. }| {
        row.accept
            && (verdict.is_err() != row.refusal.is_some() || row.refusal.is_some() && row.why.is_empty())
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_refusal_is_the_one_in_the_table() {
    let wrong =
        rows_where(|Judged { row, verdict, .. }| verdict.as_ref().err().map(String::as_str) != row.refusal);
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn where_lists_alone_are_refused_the_path_is_judged_as_nist_does() {
    let wrong =
        rows_where(|judged| judged.row.accept && judged.refused_for_lists() && judged.without_lists.is_err());
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_fault_of_the_path_is_found_without_lists_too() {
    let wrong = rows_where(|judged| !judged.refused_for_lists() && judged.without_lists != judged.verdict);
    assert_eq!(wrong, [""; 0]);
    let by_a_key_that_signs_lists_only = TABLE.iter().find(|judged| judged.row.test == "4.5.8").unwrap();
    assert_eq!(by_a_key_that_signs_lists_only.without_lists, Err("NotAnAuthority".to_owned()));
}

#[test]
fn the_policies_of_a_valid_path_are_those_that_nist_names() {
    let wrong = rows_where(|Judged { row, verdict, .. }| {
        row.policies.is_some() && verdict.as_ref().ok() != row.policies.as_ref()
    });
    assert_eq!(wrong, [""; 0]);
    assert!(TABLE.iter().filter(|judged| judged.row.policies.is_some()).count() > 20);
}

#[test]
fn the_table_has_every_test_of_pkits() {
    let tests: BTreeSet<(usize, usize)> = TABLE.iter().map(|judged| judged.row.number()).collect();
    let of_nist =
        TESTS.iter().zip(1..).flat_map(|(&tests, section)| (1..=tests).map(move |test| (section, test)));
    assert!(tests.into_iter().eq(of_nist));
    let names: BTreeSet<&str> = TABLE.iter().map(|judged| judged.row.test).collect();
    assert_eq!(names.len(), TABLE.len());
}

#[test]
fn every_file_of_pkits_is_used() {
    for (folder, extra) in [("certs", Some("TrustAnchorRootCertificate")), ("crls", None)] {
        let names = TABLE.iter().flat_map(|judged| match folder {
            "crls" => judged.row.lists.iter().copied(),
            _ => judged.row.path.iter().copied(),
        });
        let used: BTreeSet<String> =
            names.chain(extra).map(|name| format!("{name}.{}", extension(folder))).collect();
        let there: BTreeSet<String> = fs::read_dir(data(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(there, used);
    }
}
