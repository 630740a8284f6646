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
use license::{Memory, RecipientKey, RunningLicense, RuntimeSettings, Site, Sources, TrustSettings};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One file.
#[derive(Deserialize)]
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
    /// What `running` files say besides.
    #[serde(flatten)]
    running: Running,
}

/// A deployment with a running license, and what happens to it.
#[derive(Deserialize)]
struct Running {
    /// Whether the token is in `license.dev.path` instead of `license.path`.
    #[serde(default)]
    development: bool,
    /// Another file whose token is in `license.dev.path`.
    fallback: Option<String>,
    /// `deployment.id`, where it is not that of the license.
    installation: Option<String>,
    /// `license.installation-owner`.
    owner: Option<String>,
    /// The host of `server.public-url`.
    public_host: Option<String>,
    #[serde(default)]
    production: bool,
    /// Whether the packaging is one that takes the key format too.
    #[serde(default)]
    takes_keys: bool,
    #[serde(default)]
    then: Vec<Step>,
}

/// Something that happens, and how the license stands afterwards.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: Timestamp,
    does: Vec<Event>,
    status: String,
    /// In which words, where there are some.
    detail: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Event {
    /// The program looks again.
    Tick,
    /// The program ends and starts anew.
    Restart,
    /// The license cannot be read any more.
    LoseLicense,
    /// Something that is no license stands in its place.
    SpoilLicense,
    /// One digit of the year in the note of the last good license is changed.
    EditLastGood,
    /// The same in the note of the latest time.
    EditLastSeen,
    /// The note of the latest time takes the place of the last good license.
    SwapNotes,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Sealed,
    Key,
    Running,
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

/// In bytes.
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
        "claims/deep-json",
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
        "running/development-32-days",
        "running/edited-last-good",
        "running/future-not-before",
        "running/key-on-a-server",
        "running/rolled-back-clock",
        "running/wrong-installation",
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
    if let Format::Running = case.format {
        return kit::run(run(case));
    }
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
                fit_for_a_log(found.error.as_deref().unwrap_or_default())?;
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

/// Messages quote little of what they were shown, and nothing that paints a terminal.
fn fit_for_a_log(message: &str) -> Result<(), String> {
    if message.len() <= LONGEST_MESSAGE && !message.contains(char::is_control) {
        return Ok(());
    }
    Err(format!("the message is not fit for a log: {message:.200?}"))
}

/// Who opens a license.
enum Deployment {
    Sealed(Box<Recipient>, Box<Trust>),
    Key(PinnedKeys),
}

impl Deployment {
    fn of(case: &Case) -> Result<Self, Refused> {
        if let Format::Key = case.format {
            return Ok(Self::Key(pinned()));
        }
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

/// A running license through everything that happens to it.
async fn run(case: &Case) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let put = |name: &str, text: &str| {
        fs::write(file(name), text).expect("write a file");
        file(name)
    };
    let running = &case.running;
    let recipient = named("recipient", case.recipient.as_ref());
    let token = tokens(case)?.remove(0);
    let license = put("license", &token);
    let roots = read(&format!("roots/{}.pem", named("roots", case.roots.as_ref())));
    let mut trust = TrustSettings::standard(Some(put("roots.pem", &roots)));
    trust.crl_bundle =
        case.lists.as_ref().map(|lists| put("lists.pem", &read(&format!("lists/{lists}.pem"))));
    let fallback = running.fallback.as_ref().map(|name| {
        let other = load(&corpus_folder().join(format!("{name}.toml")));
        put("fallback", &other.token.expect("the other file has a token"))
    });
    let sources = Sources {
        path: (!running.development).then(|| license.clone()),
        token: None,
        development: if running.development { Some(license.clone()) } else { fallback },
        recipient: Some(RecipientKey { id: recipient.to_owned(), path: put("key.pem", &key(recipient)) }),
        trust,
        pinned: if running.takes_keys { pinned() } else { PinnedKeys::none() },
        site: Site {
            installation: running.installation.clone().unwrap_or_else(|| "site-1".to_owned()),
            owner: running.owner.clone(),
            public_host: Some(running.public_host.clone().unwrap_or_else(|| "acme.example".to_owned())),
            production: running.production,
            sealed_only: !running.takes_keys,
        },
        runtime: RuntimeSettings::standard(),
    };
    let memory = || Memory::files(Some(file("last-good")), Some(file("last-seen")));
    let edit = |name: &str| {
        let text = fs::read_to_string(file(name)).expect("a note");
        let edited = text.replace("2026-", "2027-");
        assert_ne!(edited, text, "the note names the year");
        put(name, &edited);
    };

    let mut license_of_now = RunningLicense::start(sources.clone(), memory(), case.at).await;
    for (number, step) in running.then.iter().enumerate() {
        for event in &step.does {
            match event {
                Event::Tick => license_of_now.tick(step.at).await,
                Event::Restart => {
                    license_of_now = RunningLicense::start(sources.clone(), memory(), step.at).await;
                }
                Event::LoseLicense => {
                    fs::remove_file(&license).expect("remove the license");
                    fs::create_dir(&license).expect("a folder in its place");
                }
                Event::SpoilLicense => drop(put("license", "garbage")),
                Event::EditLastGood => edit("last-good"),
                Event::EditLastSeen => edit("last-seen"),
                Event::SwapNotes => {
                    fs::copy(file("last-seen"), file("last-good")).expect("swap the notes");
                }
            }
        }
        let snapshot = license_of_now.snapshot();
        let status = serde_json::to_value(snapshot.status()).expect("a status");
        let detail = snapshot.state().detail();
        // Where the license was is not the same twice.
        let detail = detail.map(|text| text.replace(&folder.path().display().to_string(), "."));
        fit_for_a_log(detail.as_deref().unwrap_or_default())?;
        if status != step.status || (step.detail.is_some() && step.detail != detail) {
            return Err(format!("step {number}: expected {step:?}, found {status} {detail:?}"));
        }
    }
    if running.then.is_empty() { Err("nothing happens".to_owned()) } else { Ok(()) }
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
