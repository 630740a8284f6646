//! Licenses that two foreign libraries seal open here, and ours open there: Python's jwcrypto and Node's jose, in every
//! pairing of an encryption with a signature that semantics 3.2 accepts. `tests/run` installs them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use chancery_acceptance::root;
use envelope::{Claims, Recipient, Trust, authoring::Signer, oid};
use forge::{
    Key, Kind,
    certificate::{Entity, Profile},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The keys that licenses are sealed to, by what they are used for.
const RECIPIENTS: [(&str, Kind); 4] = [
    ("ECDH-ES+A256KW", Kind::P256),
    ("ECDH-ES+A256KW", Kind::X25519),
    ("RSA-OAEP-256", Kind::Rsa(2048)),
    ("RSA-OAEP-256", Kind::Rsa(4096)),
];

/// The keys that licenses are signed with.
const SIGNERS: [(&str, Kind); 4] =
    [("ES256", Kind::P256), ("ES384", Kind::P384), ("PS256", Kind::Rsa(2048)), ("EdDSA", Kind::Ed25519)];

#[test]
fn what_jwcrypto_seals_opens_here() {
    what_they_seal_opens_here(&jwcrypto());
}

#[test]
fn what_we_seal_opens_in_jwcrypto() {
    what_we_seal_opens_there(&jwcrypto());
}

#[test]
fn what_jose_seals_opens_here() {
    what_they_seal_opens_here(&jose());
}

#[test]
fn what_we_seal_opens_in_jose() {
    what_we_seal_opens_there(&jose());
}

fn what_they_seal_opens_here(library: &Library) {
    let mut jobs = Vec::new();
    for pairing in pairings() {
        jobs.push(json!({
            "do": "seal",
            "claims": claims(pairing).to_string(),
            "signing": pairing.signing(),
            "signer": WORLD.signer(pairing).key.pem(),
            "x5c": [WORLD.signer(pairing).x5c(), WORLD.intermediate.x5c()],
            "encryption": pairing.encryption(),
            "recipient": WORLD.recipient(pairing).public(),
        }));
    }
    let tokens = library.run(&jobs);
    for (pairing, token) in pairings().zip(tokens) {
        let opened = envelope::open(&token, WORLD.recipient(pairing), &WORLD.trust, now());
        let license = opened.unwrap_or_else(|error| panic!("{pairing:?}: {error}"));
        assert_eq!(serde_json::to_value(license.claims()).expect("claims"), claims(pairing), "{pairing:?}");
    }
}

fn what_we_seal_opens_there(library: &Library) {
    let mut jobs = Vec::new();
    for pairing in pairings() {
        let signer = WORLD.signer(pairing);
        let chain = format!("{}{}", signer.pem(), WORLD.intermediate.pem());
        let signer = Signer::from_pem(&chain, &signer.key.pem(), "").expect("a stored signer");
        let document: Claims = serde_json::from_value(claims(pairing)).expect("claims");
        let token = signer.seal(&document, &WORLD.recipient(pairing).public()).expect("a sealed license");
        jobs.push(json!({
            "do": "open",
            "token": token,
            "signing": pairing.signing(),
            "encryption": pairing.encryption(),
            "recipient": &*WORLD.recipient(pairing).to_pem().expect("a key"),
        }));
    }
    for (pairing, text) in pairings().zip(library.run(&jobs)) {
        let found: Value = serde_json::from_str(&text).expect("claims in JSON");
        assert_eq!(found, claims(pairing), "{pairing:?}");
    }
}

/// A recipient and a signer, by their places in the tables.
#[derive(Clone, Copy, Debug)]
struct Pairing {
    recipient: usize,
    signer: usize,
}

impl Pairing {
    const fn encryption(self) -> &'static str {
        RECIPIENTS[self.recipient].0
    }

    const fn signing(self) -> &'static str {
        SIGNERS[self.signer].0
    }
}

fn pairings() -> impl Iterator<Item = Pairing> {
    let signers = |recipient| (0..SIGNERS.len()).map(move |signer| Pairing { recipient, signer });
    (0..RECIPIENTS.len()).flat_map(signers)
}

/// Everybody's keys and certificates, made once for all tests.
struct World {
    recipients: [Recipient; 4],
    signers: [Entity; 4],
    intermediate: Entity,
    trust: Trust,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let validity = || now() - SignedDuration::from_hours(24)..now() + SignedDuration::from_hours(24 * 1000);
    let policy = oid::LICENSE_SIGNING_POLICY.to_string();
    let purpose = oid::LICENSE_SIGNING_EKU.to_string();
    let root = Profile::authority("Root", validity(), Some(1)).self_signed(&Key::new(Kind::P384));
    let intermediate = Profile::authority("Intermediate", validity(), Some(0)).policies(&[&policy]);
    let intermediate = intermediate.issue(&Key::new(Kind::Rsa(2048)), &root);
    let signer = Profile::signer("Signer", validity()).purposes(&[&purpose]).policies(&[&policy]);
    World {
        recipients: RECIPIENTS.map(|(_, kind)| {
            Recipient::from_pem("site-1", &Key::new(kind).pem()).expect("a recipient's key")
        }),
        signers: SIGNERS.map(|(_, kind)| signer.issue(&Key::new(kind), &intermediate)),
        trust: Trust::from_pem(&root.pem()).expect("a root"),
        intermediate,
    }
});

impl World {
    fn recipient(&self, pairing: Pairing) -> &Recipient {
        &self.recipients[pairing.recipient]
    }

    fn signer(&self, pairing: Pairing) -> &Entity {
        &self.signers[pairing.signer]
    }
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

/// Claims that tell one pairing from another, and are not all ASCII.
fn claims(pairing: Pairing) -> Value {
    let party = json!({ "id": "acme", "name": "Ac\u{e9}me \u{1f511}" });
    json!({
        "schema": "urn:chancery:license:1",
        "licenseId": format!("L-{}-{}", pairing.recipient, pairing.signer),
        "issuer": party,
        "licensee": party,
        "installationOwner": party,
        "issuedAt": "2026-06-01T00:00:00Z",
        "notBefore": "2026-06-01T00:00:00Z",
        "expiresAt": "2027-06-01T00:00:00Z",
        "graceDays": 14,
        "binding": { "installationId": "site-1", "baseDomains": [] },
        "grant": {
            "products": { "chancery": { "edition": "pro" } },
            "features": { "tenancy.subtenants.v1": true },
            "commands": { "allow": [], "deny": [] },
            "quotas": { "tenants.root.max": 18_446_744_073_709_551_615_u64 },
        },
    })
}

/// A program that does jobs with a foreign library.
struct Library {
    program: PathBuf,
    script: &'static str,
}

fn jwcrypto() -> Library {
    Library { program: installed("venv/bin/python"), script: "with_jwcrypto.py" }
}

fn jose() -> Library {
    installed("node_modules/jose");
    Library { program: "node".into(), script: "with_jose.js" }
}

fn folder() -> PathBuf {
    root().join("target/foreign")
}

#[track_caller]
fn installed(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.exists(), "{} is not there: `tests/run` installs it", path.display());
    path
}

impl Library {
    /// The answers to these jobs, each a text.
    fn run(&self, jobs: &[Value]) -> Vec<String> {
        let script: &Path = &root().join("tests/foreign").join(self.script);
        let mut process = Command::new(&self.program)
            .arg(script)
            .env("NODE_PATH", folder().join("node_modules"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{} does not start: {error}; `tests/run` installs it", self.program.display())
            });
        let mut input = process.stdin.take().expect("its input");
        input.write_all(Value::from(jobs).to_string().as_bytes()).expect("hand over the jobs");
        drop(input);
        let output = process.wait_with_output().expect("its answers");
        assert!(output.status.success(), "{}: {}", self.script, chancery_acceptance::text(&output.stderr));
        let answers: Vec<String> = serde_json::from_slice(&output.stdout).expect("a list of texts");
        assert_eq!(answers.len(), jobs.len(), "{} answers every job", self.script);
        answers
    }
}
