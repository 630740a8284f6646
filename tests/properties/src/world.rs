//! The deployment of the hostile corpus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use base64ct::{Base64, Encoding as _};
use envelope::{Crls, EnvelopeError, Partners, PinnedKeys, Recipient, Trust, VerifiedLicense, jose, oid};
use forge::{Key, from_base64url, jwe};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::corpus;

pub(crate) struct World {
    pub(crate) recipient: Recipient,
    pub(crate) recipient_key: Key,
    pub(crate) roots: String,
    pub(crate) trust: Trust,
    pub(crate) pinned: PinnedKeys,
    pub(crate) pinned_key: Key,
    pub(crate) signer_key: Key,
    pub(crate) intermediate_key: Key,
    pub(crate) root_key: Key,
    /// The header of the good license.
    pub(crate) header: Value,
    /// Its claims.
    pub(crate) claims: Vec<u8>,
    /// What the keys of the corpus signed under its rules, and so may open: headers and payloads of JWS.
    pub(crate) signed: BTreeSet<String>,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::new);

const RECIPIENT: &str = "recipient-p256";

pub(crate) fn at() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

pub(crate) fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile");
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn key(name: &str) -> Key {
    Key::from_pem(&read(&format!("keys/{name}.pem")))
}

impl World {
    fn new() -> Self {
        let recipient = Recipient::from_pem(RECIPIENT, &read(&format!("keys/{RECIPIENT}.pem")));
        let recipient = recipient.expect("a recipient's key");
        let roots = read("roots/vendor.pem");
        let keys: BTreeMap<String, Map<String, Value>> =
            serde_json::from_str(&read("keys/pinned.json")).expect("pinned keys");
        let pinned = PinnedKeys::new(keys.iter().map(|(kid, jwk)| (kid.as_str(), jwk)));

        let good = inside(&corpus::token("valid/p256-es256"), &recipient).expect("a good license");
        let mut parts = good.split('.');
        let mut part = || from_base64url(parts.next().expect("a part"));
        let (header, claims) = (part(), part());
        let header: Value = serde_json::from_slice(&header).expect("a header");

        let mut world = Self {
            recipient_key: key(RECIPIENT),
            trust: trust(&roots),
            pinned: pinned.expect("pinned keys"),
            pinned_key: key("pinned"),
            signer_key: key("signer"),
            intermediate_key: key("intermediate"),
            root_key: key("root"),
            header,
            claims,
            signed: BTreeSet::new(),
            recipient,
            roots,
        };
        // Some hostile tokens are good ones elsewhere than in the deployment they are refused by.
        let tokens = corpus::tokens();
        let open = tokens.iter().filter(|token| world.open(token).is_ok());
        let signed: BTreeSet<String> = open.map(|token| world.signed_part(token)).collect();
        let keys = tokens.iter().filter(|token| world.open_key(token).is_ok());
        let keys: Vec<String> = keys.map(|token| before_signature(token)).collect();
        world.signed = signed.into_iter().chain(keys).collect();
        assert!(world.signed.len() >= 3, "some tokens of the corpus open");
        world
    }

    pub(crate) fn open(&self, token: &str) -> Result<VerifiedLicense, EnvelopeError> {
        envelope::open(token, &self.recipient, &self.trust, at())
    }

    pub(crate) fn open_key(&self, token: &str) -> Result<VerifiedLicense, EnvelopeError> {
        envelope::open_key(token, &self.pinned)
    }

    pub(crate) fn seal(&self, content: impl AsRef<[u8]>) -> String {
        jwe::seal(content, &self.recipient_key, RECIPIENT)
    }

    /// A license that the signer signed under this header, over these claims.
    pub(crate) fn license(&self, header: &[u8], claims: &[u8]) -> String {
        self.seal(jws_of(header, claims, &self.signer_key))
    }

    /// What the signature of a sealed license covers.
    pub(crate) fn signed_part(&self, token: &str) -> String {
        before_signature(&inside(token, &self.recipient).expect("what opened can be decrypted"))
    }
}

/// What is inside the seal, if it is text.
pub(crate) fn inside(token: &str, recipient: &Recipient) -> Option<String> {
    String::from_utf8(jose::decrypt(token, recipient).ok()?).ok()
}

/// A JWS over any header, text or not.
pub(crate) fn jws_of(header: &[u8], payload: &[u8], key: &Key) -> String {
    let signed = format!("{}.{}", forge::base64url(header), forge::base64url(payload));
    let signature = key.sign_jws(signed.as_bytes());
    format!("{signed}.{}", forge::base64url(signature))
}

pub(crate) fn before_signature(jws: &str) -> String {
    jws.trim().rsplit_once('.').map_or(jws, |(signed, _)| signed).to_owned()
}

pub(crate) fn from_base64(text: &str) -> Vec<u8> {
    Base64::decode_vec(text).expect("base64")
}

/// The vendor's roots, their lists, and partners.
pub(crate) fn trust(roots: &str) -> Trust {
    let lists = Crls::from_pem(&read("lists/current.pem")).expect("lists");
    let partners: toml::Table = read("partners.toml").parse().expect("partners");
    let policies = |value: &toml::Value| {
        let texts: Vec<_> =
            value.as_array().expect("a list").iter().filter_map(toml::Value::as_str).collect();
        oid::parse_list(&texts.join(",")).expect("object identifiers")
    };
    let products = partners["products"].as_table().expect("a table").iter().map(|(product, policy)| {
        let policy = oid::parse_list(policy.as_str().expect("a text")).expect("an object identifier");
        (product.clone(), policy[0])
    });
    let partners = Partners {
        markers: policies(&partners["markers"]),
        allowed: policies(&partners["allowed"]),
        products: products.collect(),
    };
    Trust::from_pem(roots).expect("roots").checking_crls(lists).partners(partners)
}
