//! What opening a license costs: whole, and beside the same primitives called bare through the same libraries.

mod machine;

use std::hint::black_box;

use chancery_benches::Figure;
use envelope::{Claims, Crls, Recipient, Trust, jose, oid, path};
use forge::{
    Key, Kind,
    certificate::{Entity, Profile},
    crl::{self, List},
    der, jwe, jws,
};
use jiff::{SignedDuration, Timestamp};
use josekit::jwe::{ECDH_ES_A256KW, JweDecrypter, RSA_OAEP_256};
use machine::{clock, introduce};
use openssl::{
    bn::BigNumContext,
    ec::{EcGroup, EcKey, EcPoint},
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Public},
    rsa::Padding,
    sign::{RsaPssSaltlen, Verifier},
};
use serde_json::{Value, json};

const ROUNDS: usize = 1_000;
const WARM_UP: usize = ROUNDS / 10;
/// Length of the claims.
const CLAIMS: usize = 4 * 1024;
const KEY_ID: &str = "site-1-2026";

fn main() {
    introduce();
    println!("{}", openssl::version::version());
    println!("One thread. Microseconds: median and 99th percentile of {ROUNDS} rounds.");
    println!(
        "Claims of {CLAIMS} bytes; x5c of signer and intermediate, the root from the bundle, a list by each."
    );
    println!("Bare: JWE by josekit; signatures on license, two certificates and two lists by OpenSSL. Every");
    println!("round measures all three. Loading: the two public keys that come with the token, from DER.\n");
    println!(
        "{:<26}{:>7}{:>10}{:>10}{:>10}{:>10}{:>8}{:>8}",
        "", "bytes", "open", "p99", "bare", "+ loading", "x bare", "x load"
    );
    for recipient in [Kind::P256, Kind::X25519, Kind::Rsa(2048)] {
        for signer in [Kind::P256, Kind::P384, Kind::Rsa(2048), Kind::Ed25519] {
            whole(&Scene::new(recipient, signer));
        }
    }
    println!("\nIn parts, P-256 and ES256:\n");
    println!("{:<54}{:>10}{:>10}", "", "median", "p99");
    parts(&Scene::new(Kind::P256, Kind::P256));
}

/// A deployment and a license for it.
struct Scene {
    token: String,
    inner: String,
    claims: Vec<u8>,
    recipient: Recipient,
    recipient_key: Key,
    trust: Trust,
    chain: [Entity; 3],
    lists: [Vec<u8>; 2],
}

impl Scene {
    fn new(recipient: Kind, signer: Kind) -> Self {
        let validity = now() - days(1)..now() + days(1000);
        let policy = oid::LICENSE_SIGNING_POLICY.to_string();
        let purpose = oid::LICENSE_SIGNING_EKU.to_string();
        let root = Profile::authority("Root", validity.clone(), Some(1)).self_signed(&Key::new(Kind::P256));
        let intermediate = Profile::authority("Intermediate", validity.clone(), Some(0)).policies(&[&policy]);
        let intermediate = intermediate.issue(&Key::new(Kind::P256), &root);
        let signer_profile = Profile::signer("Signer", validity).purposes(&[&purpose]).policies(&[&policy]);
        let signer = signer_profile.issue(&Key::new(signer), &intermediate);

        let list = List::new(now() - days(1), now() + days(30));
        let lists = [list.sign(&intermediate), list.sign(&root)];
        let bundle = lists.each_ref().map(|list| crl::pem(list)).concat();
        let trust = Trust::from_pem(&root.pem()).expect("a root");
        let trust = trust.checking_crls(Crls::from_pem(&bundle).expect("two lists"));

        let recipient_key = Key::new(recipient);
        let recipient = Recipient::from_pem(KEY_ID, &recipient_key.pem()).expect("a recipient");
        let claims = claims().to_string().into_bytes();
        let header = jws::header(&[&signer, &intermediate]);
        let inner = jws::sign(&header.to_string(), &claims, &signer.key);
        let token = jwe::seal(&inner, &recipient_key, KEY_ID);
        let chain = [signer, intermediate, root];
        Self { token, inner, claims, recipient, recipient_key, trust, chain, lists }
    }

    fn open(&self) {
        let opened = envelope::open(black_box(&self.token), &self.recipient, &self.trust, now());
        black_box(opened.expect("a good license"));
    }

    fn decrypter(&self) -> Box<dyn JweDecrypter> {
        let pkcs8 = self.recipient_key.native().private_key_to_pkcs8().expect("a key");
        match self.recipient_key.native().id() {
            Id::RSA => Box::new(RSA_OAEP_256.decrypter_from_der(pkcs8).expect("a decrypter")),
            _ => Box::new(ECDH_ES_A256KW.decrypter_from_der(pkcs8).expect("a decrypter")),
        }
    }

    /// Every signature that has to be verified, with the key it is verified by.
    fn signatures(&self) -> Vec<Check> {
        let [signer, intermediate, root] = &self.chain;
        let (message, signature) = self.inner.rsplit_once('.').expect("a JWS");
        let signature = forge::from_base64url(signature);
        let license = Check {
            key: public(signer),
            algorithm: signer.key.algorithm(),
            message: message.as_bytes().to_vec(),
            signature: if signer.key.algorithm().starts_with("ES") { der_of(&signature) } else { signature },
        };
        let x509 = |issuer: &Entity, document: &[u8]| {
            let (message, signature) = der::signed_and_signature(document).expect("a signed document");
            let (message, signature) = (message.to_vec(), signature.to_vec());
            Check { key: public(issuer), algorithm: "ES256", message, signature }
        };
        vec![
            license,
            x509(intermediate, &signer.der),
            x509(root, &intermediate.der),
            x509(intermediate, &self.lists[0]),
            x509(root, &self.lists[1]),
        ]
    }
}

/// A signature over a message, and what it is verified with.
struct Check {
    key: PKey<Public>,
    algorithm: &'static str,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Check {
    fn verify(&self) {
        let digest = match self.algorithm {
            "ES384" => MessageDigest::sha384(),
            _ => MessageDigest::sha256(),
        };
        let mut verifier = match self.algorithm {
            "EdDSA" => Verifier::new_without_digest(&self.key),
            _ => Verifier::new(digest, &self.key),
        }
        .expect("a verifier");
        if self.algorithm == "PS256" {
            verifier.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
            verifier.set_rsa_mgf1_md(digest).expect("MGF1");
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).expect("a salt");
        }
        let verdict = verifier.verify_oneshot(black_box(&self.signature), black_box(&self.message));
        assert!(verdict.expect("a verdict"), "the signature is right");
    }
}

fn whole(scene: &Scene) {
    let decrypter = scene.decrypter();
    let signatures = scene.signatures();
    let carried = [0, 1].map(|position| scene.chain[position].key.public_der());
    let bare = || {
        let content = josekit::jwe::deserialize_compact(black_box(&scene.token), &*decrypter);
        black_box(content.expect("a good license"));
        signatures.iter().for_each(Check::verify);
    };
    let loading = || {
        for key in &carried {
            black_box(PKey::public_key_from_der(black_box(key)).expect("a public key"));
        }
    };

    let [opened, bare, loading] = measure([&|| scene.open(), &bare, &loading]);
    let (open, primitives) = (quantile(&opened, 50), quantile(&bare, 50));
    let loaded = primitives + quantile(&loading, 50);
    let recipient = match scene.recipient_key.native().id() {
        Id::RSA => "RSA-2048",
        Id::X25519 => "X25519",
        _ => "P-256",
    };
    let name = format!("{recipient}, {}", scene.chain[0].key.algorithm());
    println!(
        "{name:<26}{:>7}{open:>10.1}{:>10.1}{primitives:>10.1}{loaded:>10.1}{:>8.2}{:>8.2}",
        scene.token.len(),
        quantile(&opened, 99),
        open / primitives,
        open / loaded
    );
    for (what, micros) in [("open", &opened), ("the same primitives, bare", &bare)] {
        Figure::median("envelope", &format!("{name}: {what}"), "us", micros).tell();
    }
}

/// Each part through the public door nearest to it.
fn parts(scene: &Scene) {
    let show = |name: &str, run: &dyn Fn()| {
        let [times] = measure([run]);
        println!("{name:<54}{:>10.1}{:>10.1}", quantile(&times, 50), quantile(&times, 99));
    };
    #[cfg(feature = "peers")]
    peer(scene);
    let decrypter = scene.decrypter();
    show("bare: JWE by josekit", &|| {
        black_box(josekit::jwe::deserialize_compact(black_box(&scene.token), &*decrypter).expect("content"));
    });
    let names = ["license", "signer", "intermediate", "list of the intermediate", "list of the root"];
    for (name, signature) in names.iter().zip(scene.signatures()) {
        show(&format!("bare: signature on the {name}"), &|| signature.verify());
    }
    let public_key = scene.chain[0].key.public_der();
    show("bare: a public key from DER", &|| {
        black_box(PKey::public_key_from_der(black_box(&public_key)).expect("a key"));
    });
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let point = &public_key[public_key.len() - 65..];
    let from_point = || {
        let mut context = BigNumContext::new().expect("a context");
        let point = EcPoint::from_bytes(&curve, black_box(point), &mut context).expect("a point");
        PKey::from_ec_key(EcKey::from_public_key(&curve, &point).expect("a key")).expect("a key")
    };
    show("bare: the same from its point", &|| drop(black_box(from_point())));
    let license = scene.signatures().swap_remove(0);
    let Check { algorithm, message, signature, .. } = license;
    let with = |key| {
        let (message, signature) = (message.clone(), signature.clone());
        Check { key, algorithm, message, signature }.verify();
    };
    show("bare: a key from DER, and its first signature", &|| {
        with(PKey::public_key_from_der(black_box(&public_key)).expect("a key"));
    });
    show("bare: a key from its point, and its first signature", &|| with(from_point()));
    show("ours: open", &|| scene.open());
    show("ours: jose::decrypt", &|| {
        black_box(jose::decrypt(black_box(&scene.token), &scene.recipient).expect("content"));
    });
    let key = jose::PublicKey::from_spki_der(&public_key).expect("a key");
    let plain = jws::sign(r#"{"alg":"ES256"}"#, &scene.claims, &scene.chain[0].key);
    show("ours: jose::verify, without a chain", &|| {
        black_box(jose::verify(black_box(&plain), &key).expect("a payload"));
    });
    let [signer, intermediate, root] =
        scene.chain.each_ref().map(|entity| path::Certificate::from_der(&entity.der).expect("a certificate"));
    show("ours: a certificate from DER", &|| {
        black_box(path::Certificate::from_der(black_box(&scene.chain[0].der)).expect("a certificate"));
    });
    let lists = scene.lists.each_ref().map(|list| path::Crl::from_der(list).expect("a list"));
    let requirements = path::Requirements {
        explicit_policy: false,
        policies: vec![],
        inhibit_mapping: true,
        inhibit_any_policy: false,
    };
    let (chain, roots) = ([signer, intermediate], [root]);
    for (name, lists) in [("without lists", None), ("with two lists", Some(lists.as_slice()))] {
        show(&format!("ours: path::validate, {name}"), &|| {
            let path = path::validate(black_box(&chain), &roots, lists, &requirements, now());
            black_box(path.expect("a valid path"));
        });
    }
    show("ours: claims by serde", &|| {
        black_box(serde_json::from_slice::<Claims>(black_box(&scene.claims)).expect("claims"));
    });
}

/// A signature over the same claims, verified by `jsonwebtoken` and its own primitives.
#[cfg(feature = "peers")]
fn peer(scene: &Scene) {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use openssl::{bn::BigNumContext, ec::PointConversionForm};

    let token = jws::sign(r#"{"alg":"ES256"}"#, &scene.claims, &scene.chain[0].key);
    let key = public(&scene.chain[0]).ec_key().expect("a key of a curve");
    let mut numbers = BigNumContext::new().expect("room for numbers");
    let point = key.public_key().to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut numbers);
    let key = DecodingKey::from_ec_der(&point.expect("a point"));
    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let verify = || {
        black_box(decode::<Value>(black_box(token.as_str()), &key, &validation).expect("a good signature"));
    };
    let [times] = measure([&verify]);
    println!(
        "{:<54}{:>10.1}{:>10.1}",
        "jsonwebtoken: one signature, without a chain",
        quantile(&times, 50),
        quantile(&times, 99)
    );
    Figure::median("envelope", "jsonwebtoken: one signature, without a chain", "us", &times).tell();
}

/// Times each in every round, in microseconds, in order of size.
fn measure<const N: usize>(runs: [&dyn Fn(); N]) -> [Vec<f64>; N] {
    let mut times = runs.map(|_| Vec::with_capacity(ROUNDS));
    for round in 0..WARM_UP + ROUNDS {
        for (run, times) in runs.iter().zip(&mut times) {
            let start = clock();
            run();
            let elapsed = start.elapsed();
            if round >= WARM_UP {
                times.push(elapsed.as_secs_f64() * 1e6);
            }
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times
}

fn quantile(times: &[f64], percent: usize) -> f64 {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// Claims of [`CLAIMS`] bytes, most of them features, quotas and rules.
fn claims() -> Value {
    let mut claims = json!({
        "schema": "urn:chancery:license:1",
        "licenseId": "L-2026-1",
        "issuer": { "id": "vendor", "name": "Vendor" },
        "licensee": { "id": "acme", "name": "Acme" },
        "installationOwner": { "id": "acme", "name": "Acme" },
        "issuedAt": now(),
        "notBefore": now(),
        "expiresAt": now() + days(365),
        "graceDays": 14,
        "binding": { "installationId": "site-1", "baseDomains": ["acme.example"] },
        "grant": {
            "products": { "chancery": { "edition": "pro", "modules": ["tenancy", "platform", "identity"] } },
            "features": {},
            "commands": { "allow": ["chancery.tenancy.**"], "deny": ["*.*.*.purge"] },
            "quotas": {},
        },
        "metadata": { "padding": "" },
    });
    for number in 0..30 {
        claims["grant"]["features"][format!("tenancy.feature-{number}.v1")] = json!(number % 2 == 0);
        claims["grant"]["quotas"][format!("tenants.quota-{number}.max")] = json!(number * 1000);
        let rules = claims["grant"]["commands"]["allow"].as_array_mut().expect("a list");
        rules.push(json!(format!("chancery.tenancy.part-{number}.{{list,read}}")));
    }
    let padding = CLAIMS - claims.to_string().len();
    claims["metadata"]["padding"] = json!("x".repeat(padding));
    claims
}

fn now() -> Timestamp {
    Timestamp::from_second(1_780_000_000).expect("a time")
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

fn public(entity: &Entity) -> PKey<Public> {
    PKey::public_key_from_der(&entity.key.public_der()).expect("a public key")
}

/// The two numbers of an ECDSA signature, as OpenSSL reads them.
fn der_of(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    der::sequence(&[&der::integer(r), &der::integer(s)])
}
