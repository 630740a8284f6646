//! The hostile corpus: a file for each attack, refused with the reason that the file gives. `tests/hostile/README.md`
//! says how a file reads and how to add one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use chancery_acceptance::root;
use envelope::{Crls, Partners, PinnedKeys, Recipient, Trust, VerifiedLicense, oid};
use forge::{Key, jwe};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// For the reader.
    #[serde(rename = "what")]
    _what: String,
    /// When it is looked at.
    at: Timestamp,
    format: Format,
    token: Option<String>,
    derived: Option<Derived>,
    /// Names in `keys`, `roots` and `lists`.
    recipient: Option<String>,
    roots: Option<String>,
    lists: Option<String>,
    #[serde(default)]
    partners: bool,
    refused: Option<Refused>,
    opens: Option<Opens>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Sealed,
    Key,
}

/// Tokens made of the token of another file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Derived {
    from: String,
    by: Change,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    /// What remains when it is cut at any byte.
    EveryPrefix,
    /// The signed license inside, cut at any byte and sealed again.
    EverySealedPrefix,
    /// The same with one character of the signed license replaced, every third in its turn.
    EverySealedCharacter,
    /// Ten megabytes of it, one after the other.
    TenMegabytes,
    /// Followed by dots up to ten megabytes.
    TenMegabytesOfDots,
}

/// Messages quote little of what they were shown.
const LONGEST_MESSAGE: usize = 300;

/// Where it stops, and in which words. Without words any will do, and so will every step that is `any`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    stage: String,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opens {
    license: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartnerFile {
    markers: Vec<String>,
    allowed: Vec<String>,
    products: BTreeMap<String, String>,
}

#[test]
fn every_hostile_file_is_refused_with_its_reason_and_every_other_one_opens() {
    let mut failures = Vec::new();
    for (name, case) in corpus() {
        let verdict = catch_unwind(AssertUnwindSafe(|| judge(&case)));
        match verdict {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failures.push(format!("{name}: {failure}")),
            Err(_) => failures.push(format!("{name}: panicked")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_corpus_holds_the_attacks_it_was_asked_for() {
    // What the corpus must never lose. Files may be added, not renamed away.
    const ASKED_FOR: &[&str] = &[
        "bounds/ten-megabytes",
        "bounds/ten-megabytes-of-dots",
        "chain/expired-leaf",
        "chain/self-signed",
        "chain/wrong-root",
        "claims/open-json",
        "development/32-days",
        "header/duplicate-alg",
        "header/jwe-crit",
        "header/jws-crit",
        "header/zip",
        "jwe/nested-twice",
        "jwe/wrong-recipient",
        "jwe/truncated",
        "policy/missing-eku",
        "policy/missing-policy",
        "policy/partner-foreign-product",
        "revocation/revoked-signer",
        "revocation/stale-list",
        "signature/alg-hs256",
        "signature/alg-none",
        "signature/alg-swap",
        "signature/truncated",
    ];
    let there: BTreeSet<String> = corpus().into_keys().collect();
    let missing: Vec<_> = ASKED_FOR.iter().filter(|name| !there.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_step_of_opening_refuses_something() {
    let stages: BTreeSet<String> =
        corpus().into_values().filter_map(|case| Some(case.refused?.stage)).collect();
    for stage in [
        "bounds",
        "format",
        "header",
        "decrypt",
        "signature",
        "chain",
        "policy",
        "revocation",
        "claims",
        "parties",
        "lists",
        "roots",
    ] {
        assert!(stages.contains(stage), "no file is refused as `{stage}`");
    }
}

/// Whether the file's tokens fare as it says.
fn judge(case: &Case) -> Result<(), String> {
    let tokens = tokens(case)?;
    if tokens.is_empty() {
        return Err("no token".to_owned());
    }
    let deployment = Deployment::of(case);
    for token in &tokens {
        let verdict = match &deployment {
            Ok(deployment) => deployment.open(token, case.at),
            Err(refused) => Err(refused.clone()),
        };
        match (&case.refused, &case.opens, verdict) {
            (Some(expected), None, Err(found)) => {
                let text = found.error.as_deref().unwrap_or_default();
                if text.len() > LONGEST_MESSAGE || text.contains(char::is_control) {
                    return Err(format!("the message is not fit for a log: {text:.200?}"));
                }
                let step = expected.stage == "any" || expected.stage == found.stage;
                let words = expected.error.is_none() || expected.error == found.error;
                if !step || !words {
                    return Err(format!("expected {expected:?}, refused as {found:?}"));
                }
            }
            (None, Some(expected), Ok(license)) if license.claims().license_id == expected.license => {}
            (Some(_), None, Ok(_)) => return Err("it opens".to_owned()),
            (None, Some(_), Ok(license)) => {
                return Err(format!("it opens as {}", license.claims().license_id));
            }
            (None, Some(_), Err(found)) => return Err(format!("it does not open: {found:?}")),
            _ => return Err("a file says either `refused` or `opens`".to_owned()),
        }
    }
    Ok(())
}

/// Who opens a license.
enum Deployment {
    Sealed(Box<Recipient>, Box<Trust>),
    Key(PinnedKeys),
}

impl Deployment {
    fn of(case: &Case) -> Result<Self, Refused> {
        let Format::Sealed = case.format else { return Ok(Self::Key(pinned())) };
        let recipient = named("recipient", case.recipient.as_ref());
        let recipient = Recipient::from_pem(recipient, &key(recipient)).expect("a recipient's key");
        let roots = read(&format!("roots/{}.pem", named("roots", case.roots.as_ref())));
        let mut trust = Trust::from_pem(&roots).map_err(|error| refused("roots", &error))?;
        if let Some(lists) = &case.lists {
            let lists = Crls::from_pem(&read(&format!("lists/{lists}.pem")));
            trust = trust.checking_crls(lists.map_err(|error| refused("lists", &error))?);
        }
        if case.partners {
            trust = trust.partners(partners());
        }
        Ok(Self::Sealed(Box::new(recipient), Box::new(trust)))
    }

    fn open(&self, token: &str, at: Timestamp) -> Result<VerifiedLicense, Refused> {
        let opened = match self {
            Self::Sealed(recipient, trust) => envelope::open(token, recipient, trust, at),
            Self::Key(pinned) => envelope::open_key(token, pinned),
        };
        opened.map_err(|error| refused(error.stage().as_str(), &error))
    }
}

fn refused(stage: &str, error: &dyn ToString) -> Refused {
    Refused { stage: stage.to_owned(), error: Some(error.to_string()) }
}

/// The tokens a file is about: its own, or those it derives.
fn tokens(case: &Case) -> Result<Vec<String>, String> {
    const TEN_MEGABYTES: usize = 10 * 1024 * 1024;
    let Derived { from, by } = match (&case.token, &case.derived) {
        (Some(token), None) => return Ok(vec![token.clone()]),
        (None, Some(derived)) => derived,
        _ => return Err("a file has either a `token` or `derived`".to_owned()),
    };
    let source = load(&corpus_folder().join(format!("{from}.toml")));
    let token = source.token.expect("the file it derives from has a token");
    let recipient = || named("recipient", source.recipient.as_ref());
    let inner = || {
        let recipient = recipient();
        let recipient = Recipient::from_pem(recipient, &key(recipient)).expect("a recipient's key");
        let inner = envelope::jose::decrypt(&token, &recipient).expect("a good token");
        String::from_utf8(inner).expect("a JWS is ASCII")
    };
    let sealer = source.recipient.as_ref().map(|name| Key::from_pem(&key(name)));
    let seal = |jws: &str| jwe::seal(jws, sealer.as_ref().expect("a recipient"), recipient());
    Ok(match by {
        Change::EveryPrefix => (0..token.len()).map(|end| token[..end].to_owned()).collect(),
        Change::EverySealedPrefix => {
            let jws = inner();
            (0..jws.len()).map(|end| seal(&jws[..end])).collect()
        }
        Change::EverySealedCharacter => {
            let jws = inner();
            let replaced = |(at, character): (usize, char)| {
                let other = if character == 'A' { 'B' } else { 'A' };
                seal(&format!("{}{other}{}", &jws[..at], &jws[at + 1..]))
            };
            jws.char_indices().step_by(3).map(replaced).collect()
        }
        Change::TenMegabytes => vec![token.repeat(TEN_MEGABYTES / token.len() + 1)],
        Change::TenMegabytesOfDots => vec![format!("{token}{}", ".".repeat(TEN_MEGABYTES))],
    })
}

/// Every file by its path below the corpus, without ending.
fn corpus() -> BTreeMap<String, Case> {
    let folder = corpus_folder();
    let mut cases = BTreeMap::new();
    for theme in folders(&folder) {
        for entry in fs::read_dir(&theme).expect("a folder of the corpus") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.strip_prefix(&folder).expect("below the corpus").with_extension("");
                cases.insert(name.to_string_lossy().into_owned(), load(&path));
            }
        }
    }
    cases
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).expect("the corpus");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir())
}

fn load(path: &Path) -> Case {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn corpus_folder() -> PathBuf {
    root().join("tests/hostile")
}

fn read(name: &str) -> String {
    let path = corpus_folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn key(name: &str) -> String {
    read(&format!("keys/{name}.pem"))
}

#[track_caller]
fn named<'n>(what: &str, name: Option<&'n String>) -> &'n str {
    name.unwrap_or_else(|| panic!("the file does not name its `{what}`"))
}

fn partners() -> Partners {
    let file: PartnerFile = toml::from_str(&read("partners.toml")).expect("partners");
    let policies = |texts: &[String]| oid::parse_list(&texts.join(",")).expect("object identifiers");
    let products = file.products.into_iter().map(|(product, policy)| (product, policies(&[policy])[0]));
    Partners {
        markers: policies(&file.markers),
        allowed: policies(&file.allowed),
        products: products.collect(),
    }
}

fn pinned() -> PinnedKeys {
    let keys: BTreeMap<String, Map<String, Value>> =
        serde_json::from_str(&read("keys/pinned.json")).expect("keys");
    PinnedKeys::new(keys.iter().map(|(kid, jwk)| (kid.as_str(), jwk))).expect("pinned keys")
}
