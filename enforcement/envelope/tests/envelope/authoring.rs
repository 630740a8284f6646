//! What the vendor's side makes, judged by the `openssl` command and by opening it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use chancery_envelope::{
    AuthoringError, Authority, Claims, Crls, EnvelopeError, Partners, PinnedKeys, Recipient, RecipientError,
    Trust,
    authoring::{
        Curve, Intermediate, Issuer, KDF_ROUNDS, LicenseKey, Partner, Reason, Revoked, Role, Root, Serial,
        SignatureAlgorithm, Signer, certificates, crls,
    },
    oid::{self, ObjectIdentifier},
    open, open_key,
    path::PathError,
};
use openssl::{pkey::PKey, rsa::Rsa};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{claims, days, now};

const PASSPHRASE: &str = "correct horse battery staple";

fn root() -> Root {
    Root::create("Vendor licensing root", now()..now() + days(7000)).unwrap()
}

fn read(claims: &Value) -> Claims {
    serde_json::from_value(claims.clone()).unwrap()
}

fn recipient() -> Recipient {
    Recipient::generate("site-1").unwrap()
}

fn trust(root: &Root) -> Trust {
    Trust::from_pem(&root.certificate_pem().unwrap()).unwrap()
}

/// The policy of the n-th product.
fn product(n: u32) -> ObjectIdentifier {
    ObjectIdentifier::new(&format!("{}.3.{n}", oid::ARC)).unwrap()
}

/// What the catalog states.
fn products() -> BTreeMap<String, ObjectIdentifier> {
    [("chancery".to_owned(), product(1)), ("ledger".to_owned(), product(2))].into()
}

/// The vendor's tree of authorities, and a partner that may sign for `chancery`.
struct Tree {
    root: Root,
    intermediate: Intermediate,
    partner: Partner,
}

impl Tree {
    fn new() -> Self {
        let root = Root::create_on(Curve::P384, "Vendor licensing root", now()..now() + days(7000)).unwrap();
        let intermediate = root.intermediate(Curve::P384, "Issuing", now()..now() + days(6000)).unwrap();
        let partner =
            intermediate.partner(Curve::P256, "Reseller", now()..now() + days(5000), &[product(1)]).unwrap();
        Self { root, intermediate, partner }
    }

    fn trust(&self) -> Trust {
        trust(&self.root).partners(Partners {
            markers: vec![oid::PARTNER_CA_POLICY],
            allowed: products().into_values().collect(),
            products: products(),
        })
    }
}

/// A folder for a foreign judge.
struct Court(TempDir);

impl Court {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn openssl(&self, arguments: &str) -> Output {
        Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&self.0)
            .output()
            .expect("the openssl command must be installed")
    }

    /// `openssl verify` of a chain whose first certificate is the end entity.
    fn verifies(&self, root: &Root, chain: &str, options: &str) -> Output {
        self.file("root.pem", root.certificate_pem().unwrap());
        self.file("chain.pem", chain);
        let at = (now() + days(1)).as_second();
        self.openssl(&format!(
            "verify -x509_strict -check_ss_sig -no-CAfile -no-CApath -no-CAstore -attime {at} -CAfile root.pem \
             -untrusted chain.pem {options} chain.pem"
        ))
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn an_independent_judge_accepts_each_chain_under_its_policies_and_under_no_other() {
    let tree = Tree::new();
    let court = Court::new();
    let span = || now()..now() + days(1000);
    let beneath = [
        (tree.root.signer("A", span()).unwrap(), false),
        (tree.intermediate.signer("B", span()).unwrap(), false),
        (tree.partner.signer("C", span()).unwrap(), true),
        (
            tree.root.partner(Curve::P256, "D", span(), &[product(1)]).unwrap().signer("E", span()).unwrap(),
            true,
        ),
    ];
    for (signer, for_product) in beneath {
        let chain = signer.chain_pem().unwrap();
        for (policy, expected) in [
            (oid::LICENSE_SIGNING_POLICY, true),
            (product(1), for_product),
            (product(2), false),
            (oid::DEVELOPMENT_POLICY, false),
            (oid::PARTNER_CA_POLICY, false),
        ] {
            let options = format!("-policy_check -explicit_policy -policy {policy}");
            let verdict = court.verifies(&tree.root, &chain, &options);
            assert_eq!(verdict.status.success(), expected, "{signer:?} {policy}: {verdict:?}");
        }
    }
}

#[test]
fn what_each_certificate_is_shows() {
    let tree = Tree::new();
    let signer = tree.partner.signer("Signer", now()..now() + days(100)).unwrap();
    let chain = certificates(&signer.chain_pem().unwrap()).unwrap();
    let roles: Vec<Role> = chain.iter().map(|certificate| certificate.role).collect();
    assert_eq!(roles, [Role::Signer, Role::Partner, Role::Intermediate]);
    assert_eq!(chain[0].subject, "CN=Signer");
    assert_eq!((&chain[0].issuer, &chain[1].issuer), (&chain[1].subject, &chain[2].subject));
    assert_eq!(chain[0].purposes, [oid::LICENSE_SIGNING_EKU.to_string()]);
    assert_eq!(chain[0].policies, [oid::LICENSE_SIGNING_POLICY, product(1)].map(|policy| policy.to_string()));
    assert_eq!(
        (&chain[0].serial, &chain[0].fingerprint),
        (&signer.serial().unwrap(), &signer.fingerprint().unwrap())
    );
    assert_eq!(chain[0].not_after, now() + days(100));

    let court = Court::new();
    court.file("signer.pem", signer.certificate_pem().unwrap());
    let judged =
        court.openssl("x509 -in signer.pem -noout -serial -ext keyUsage,extendedKeyUsage,basicConstraints");
    let judged = String::from_utf8(judged.stdout).unwrap();
    assert!(judged.to_lowercase().contains(&format!("serial={}", chain[0].serial)), "{judged}");
    assert!(judged.contains("CA:FALSE") && judged.contains("Digital Signature\n"), "{judged}");
    assert_eq!(certificates(&tree.root.certificate_pem().unwrap()).unwrap()[0].role, Role::Root);
}

#[test]
fn every_signer_seals_to_every_recipient_what_opens_there() {
    let tree = Tree::new();
    let x25519 = PKey::generate_x25519().unwrap().private_key_to_pem_pkcs8().unwrap();
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
    let recipients = [
        recipient(),
        Recipient::from_pem("site-1", std::str::from_utf8(&x25519).unwrap()).unwrap(),
        Recipient::from_pem("site-1", std::str::from_utf8(&rsa).unwrap()).unwrap(),
    ];
    for algorithm in SignatureAlgorithm::ALL {
        let signer = tree.intermediate.signer_with(algorithm, "Signer", now()..now() + days(1000)).unwrap();
        for recipient in &recipients {
            let token = signer.seal(&read(&claims()), &recipient.public()).unwrap();
            let license = open(&token, recipient, &tree.trust(), now()).unwrap();
            assert_eq!(license.authority(), Authority::Vendor);
            assert_eq!(license.signer_fingerprint(), signer.fingerprint().unwrap(), "{algorithm:?}");
        }
    }
}

#[test]
fn a_stored_tree_seals_what_opens() {
    let tree = Tree::new();
    macro_rules! stored {
        ($kind:ident, $made:expr) => {{
            let made = $made;
            $kind::from_pem(&made.chain_pem().unwrap(), &made.key_pem(PASSPHRASE).unwrap(), PASSPHRASE)
                .unwrap()
        }};
    }
    let root = stored!(Root, &tree.root);
    let intermediate =
        stored!(Intermediate, &root.intermediate(Curve::P256, "I", now()..now() + days(3000)).unwrap());
    let span = || now()..now() + days(1000);
    let partner = stored!(Partner, &intermediate.partner(Curve::P256, "P", span(), &[product(1)]).unwrap());
    let signer = stored!(Signer, &partner.signer("S", span()).unwrap());

    let recipient = recipient();
    let token = signer.seal_products(&read(&claims()), &recipient.public(), &products()).unwrap();
    let license = open(&token, &recipient, &tree.trust(), now()).unwrap();
    assert_eq!(license.chain_expires_at(), signer.expires_at().unwrap());
}

#[test]
fn a_stored_key_is_encrypted_and_opens_only_with_its_passphrase_beside_its_certificate() {
    let root = root();
    let (certificate, key) = (root.certificate_pem().unwrap(), root.key_pem(PASSPHRASE).unwrap());
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_eq!(root.key_pem("").unwrap_err(), AuthoringError::EmptyPassphrase);
    assert_eq!(root.key_pem("a\0b").unwrap_err(), AuthoringError::PassphraseZero);
    for wrong in ["", "correct horse"] {
        assert_eq!(Root::from_pem(&certificate, &key, wrong).unwrap_err(), AuthoringError::Key);
    }
    let other = self::root().certificate_pem().unwrap();
    assert_eq!(Root::from_pem(&other, &key, PASSPHRASE).unwrap_err(), AuthoringError::OtherKey);
    assert!(Signer::from_pem("", &key, PASSPHRASE).is_err());
    // OpenSSL must not ask for the passphrase on the terminal.
    assert_eq!(Recipient::from_pem("site-1", &key).unwrap_err(), RecipientError::Pem);
}

#[test]
fn an_independent_judge_opens_a_stored_key_and_counts_the_rounds() {
    let court = Court::new();
    court.file("key.pem", &*root().key_pem(PASSPHRASE).unwrap());
    court.file("passphrase", PASSPHRASE);
    let opened = court.openssl("pkey -in key.pem -passin file:passphrase -noout -check");
    assert!(opened.status.success(), "{opened:?}");
    let shown = String::from_utf8(court.openssl("asn1parse -in key.pem").stdout).unwrap();
    for word in
        ["PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc", &format!("INTEGER           :{KDF_ROUNDS:06X}")]
    {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[test]
fn pkcs12_goes_to_other_programs_and_comes_back() {
    let tree = Tree::new();
    let signer = tree.partner.signer("Signer", now()..now() + days(1000)).unwrap();
    let archive = signer.to_pkcs12(PASSPHRASE).unwrap();
    let court = Court::new();
    court.file("signer.p12", &archive);
    court.file("passphrase", PASSPHRASE);
    let shown = court.openssl("pkcs12 -in signer.p12 -passin file:passphrase -info -noout");
    let shown = String::from_utf8(shown.stderr).unwrap();
    assert!(shown.contains("MAC: sha256, Iteration 600000"), "{shown}");
    assert!(shown.contains("Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 600000"), "{shown}");

    let back = Signer::from_pkcs12(&archive, PASSPHRASE).unwrap();
    assert_eq!(back.chain_pem().unwrap(), signer.chain_pem().unwrap());
    for wrong in ["wrong", " "] {
        assert_eq!(Signer::from_pkcs12(&archive, wrong).unwrap_err(), AuthoringError::Key);
    }
    assert_eq!(signer.to_pkcs12("").unwrap_err(), AuthoringError::EmptyPassphrase);
    assert_eq!(Signer::from_pkcs12(&archive, "").unwrap_err(), AuthoringError::EmptyPassphrase);
    assert_eq!(Signer::from_pkcs12(b"archive", PASSPHRASE).unwrap_err(), AuthoringError::Key);

    // Another program's archive: the root in it, and the authorities in no order.
    let chain = signer.chain_pem().unwrap();
    let mut blocks: Vec<&str> = chain.split_inclusive("-----END CERTIFICATE-----\n").collect();
    let own = blocks.remove(0);
    blocks.reverse();
    court.file("own.pem", own);
    court.file("others.pem", format!("{}{}", tree.root.certificate_pem().unwrap(), blocks.concat()));
    court.file("key.pem", &*signer.key_pem(PASSPHRASE).unwrap());
    court.file("twice", format!("{PASSPHRASE}\n{PASSPHRASE}\n"));
    let made = court.openssl(
        "pkcs12 -export -in own.pem -inkey key.pem -passin file:twice -certfile others.pem -out foreign.p12 \
         -passout file:twice",
    );
    assert!(made.status.success(), "{made:?}");
    let foreign = fs::read(court.0.path().join("foreign.p12")).unwrap();
    let foreign = Signer::from_pkcs12(&foreign, PASSPHRASE).unwrap();
    assert_eq!(foreign.chain_pem().unwrap(), signer.chain_pem().unwrap());
    assert_eq!(text(&court.0.path().join("own.pem")), foreign.certificate_pem().unwrap());
}

#[test]
fn a_chain_that_leads_nowhere_is_not_taken() {
    let tree = Tree::new();
    let signer = tree.partner.signer("Signer", now()..now() + days(1000)).unwrap();
    let stranger = Tree::new().intermediate.chain_pem().unwrap();
    let chain = signer.chain_pem().unwrap() + &stranger;
    let refusal = Signer::from_pem(&chain, &signer.key_pem(PASSPHRASE).unwrap(), PASSPHRASE).unwrap_err();
    assert_eq!(refusal, AuthoringError::BrokenChain);
}

#[test]
fn a_certificate_is_used_for_what_it_is_and_for_nothing_else() {
    let tree = Tree::new();
    let signer = tree.partner.signer("Signer", now()..now() + days(1000)).unwrap();
    let stored = [
        (tree.root.chain_pem(), tree.root.key_pem(PASSPHRASE)),
        (tree.intermediate.chain_pem(), tree.intermediate.key_pem(PASSPHRASE)),
        (tree.partner.chain_pem(), tree.partner.key_pem(PASSPHRASE)),
        (signer.chain_pem(), signer.key_pem(PASSPHRASE)),
    ];
    for (place, (chain, key)) in stored.into_iter().enumerate() {
        let (chain, key) = (chain.unwrap(), key.unwrap());
        let taken = [
            Root::from_pem(&chain, &key, PASSPHRASE).err(),
            Intermediate::from_pem(&chain, &key, PASSPHRASE).err(),
            Partner::from_pem(&chain, &key, PASSPHRASE).err(),
            Signer::from_pem(&chain, &key, PASSPHRASE).err(),
        ];
        for (kind, refusal) in taken.into_iter().enumerate() {
            assert_eq!(refusal.is_none(), kind == place, "{place} as {kind}: {refusal:?}");
            assert!(refusal.is_none_or(|refusal| matches!(refusal, AuthoringError::Role { .. })));
        }
    }
    let issuer = |chain: String, key: &str| Issuer::from_pem(&chain, key, PASSPHRASE);
    let partner =
        issuer(tree.partner.chain_pem().unwrap(), &tree.partner.key_pem(PASSPHRASE).unwrap()).unwrap();
    let span = || now()..now() + days(10);
    assert!(matches!(partner.intermediate(Curve::P256, "I", span()), Err(AuthoringError::Role { .. })));
    assert!(matches!(partner.partner(Curve::P256, "P", span(), &[]), Err(AuthoringError::Role { .. })));
    assert!(partner.signer(SignatureAlgorithm::Es256, "S", span()).is_ok());
    let refusal = issuer(signer.chain_pem().unwrap(), &signer.key_pem(PASSPHRASE).unwrap()).unwrap_err();
    assert!(matches!(refusal, AuthoringError::Role { .. }), "{refusal}");
}

#[test]
fn nothing_outlives_what_vouches_for_it() {
    let tree = Tree::new();
    let refusal = tree.root.signer("Signer", now()..now() + days(7001)).unwrap_err();
    assert!(matches!(refusal, AuthoringError::BeyondIssuer { .. }), "{refusal}");
    let refusal = tree.partner.signer("Signer", now()..now() + days(5001)).unwrap_err();
    assert!(matches!(refusal, AuthoringError::BeyondIssuer { .. }), "{refusal}");

    // The license ends in time, its grace does not.
    let mut document = claims();
    document["graceDays"] = json!(20);
    let signer = tree.root.signer("Signer", now()..now() + days(365 + 19)).unwrap();
    let recipient = recipient();
    let refusal = signer.seal(&read(&document), &recipient.public()).unwrap_err();
    assert!(matches!(refusal, AuthoringError::BeyondSigner { .. }), "{refusal}");
    document["graceDays"] = json!(19);
    assert!(signer.seal(&read(&document), &recipient.public()).is_ok());
}

#[test]
fn what_would_not_open_is_not_sealed() {
    let signer = root().signer("Signer", now()..now() + days(1000)).unwrap();
    let key = LicenseKey::create("2026-1").unwrap();
    let recipient = recipient().public();
    let mut document = claims();
    document["licenseId"] = json!("");
    for refusal in [signer.seal(&read(&document), &recipient), key.seal(&read(&document))] {
        assert!(matches!(refusal, Err(AuthoringError::Claims(_))), "{refusal:?}");
    }
    document = claims();
    document["metadata"] = json!({ "padding": "x".repeat(300 * 1024) });
    for refusal in [signer.seal(&read(&document), &recipient), key.seal(&read(&document))] {
        assert!(matches!(refusal, Err(AuthoringError::TooLarge { .. })), "{refusal:?}");
    }
}

#[test]
fn a_partner_signs_for_its_products_only_and_a_deployment_would_say_the_same() {
    let tree = Tree::new();
    let span = || now()..now() + days(1000);
    let of_partner = tree.partner.signer("Partner's", span()).unwrap();
    let of_vendor = tree.intermediate.signer("Vendor's", span()).unwrap();
    let recipient = recipient();
    for (pointer, value, named) in [
        ("/grant/products", json!({ "ledger": { "edition": "pro" } }), "ledger"),
        ("/grant/products", json!({ "unknown": { "edition": "pro" } }), "unknown"),
        ("/grant/commands/allow", json!(["ledger.**"]), "ledger.**"),
        ("/grant/commands/allow", json!(["**"]), "**"),
        ("/grant/commands/allow", json!(["*.*.*.list"]), "*.*.*.list"),
        ("/grant/commands/allow", json!(["{chancery,ledger}.**"]), "{chancery,ledger}.**"),
    ] {
        let mut document = claims();
        *document.pointer_mut(pointer).unwrap() = value.clone();
        let document = read(&document);
        let refusal = of_partner.seal_products(&document, &recipient.public(), &products()).unwrap_err();
        assert_eq!(refusal, AuthoringError::ForeignProduct { named: named.to_owned() }, "{value}");
        // The vendor's own signer may, and the deployment agrees.
        let token = of_vendor.seal(&document, &recipient.public()).unwrap();
        assert!(open(&token, &recipient, &tree.trust(), now()).is_ok(), "{value}");
    }
    for (pointer, value) in [
        ("/grant/products", json!({})),
        ("/grant/commands/allow", json!(["chancery.tenancy.**"])),
        ("/grant/commands/deny", json!(["**", "ledger.**"])),
    ] {
        let mut document = claims();
        *document.pointer_mut(pointer).unwrap() = value.clone();
        let token = of_partner.seal_products(&read(&document), &recipient.public(), &products()).unwrap();
        assert!(open(&token, &recipient, &tree.trust(), now()).is_ok(), "{value}");
    }
    // Without the catalog nothing is known of products, so nothing is sealed for one.
    let refusal = of_partner.seal(&read(&claims()), &recipient.public()).unwrap_err();
    assert!(matches!(refusal, AuthoringError::ForeignProduct { .. }), "{refusal}");
}

#[test]
fn a_partner_asserts_products_each_once_and_nothing_that_stands_for_more() {
    let tree = Tree::new();
    let partner = |products: &[ObjectIdentifier]| {
        tree.root.partner(Curve::P256, "P", now()..now() + days(10), products)
    };
    let any_policy = ObjectIdentifier::new("2.5.29.32.0").unwrap();
    for policy in [any_policy, oid::LICENSE_SIGNING_POLICY, oid::PARTNER_CA_POLICY, oid::DEVELOPMENT_POLICY] {
        let refusal = partner(&[product(1), policy]).unwrap_err();
        assert_eq!(refusal, AuthoringError::ReservedPolicy { policy });
    }
    let twice = partner(&[product(1), product(1)]).unwrap().chain_pem().unwrap();
    assert_eq!(certificates(&twice).unwrap()[0].policies.len(), 3);
}

#[test]
fn a_partners_signer_gains_nothing_by_asserting_more_than_its_authority() {
    // A partner that holds its own key can make such a signer with other tools. The deployment does not believe it.
    let tree = Tree::new();
    let generous = tree
        .intermediate
        .partner(Curve::P256, "Generous", now()..now() + days(1000), &[product(1), product(2)])
        .unwrap();
    let signer = generous.signer("Signer", now()..now() + days(1000)).unwrap();
    let mut document = claims();
    document["grant"]["products"] = json!({ "ledger": { "edition": "pro" } });
    let recipient = recipient();
    let token = signer.seal_products(&read(&document), &recipient.public(), &products()).unwrap();
    let strict = trust(&tree.root).partners(Partners {
        markers: vec![oid::PARTNER_CA_POLICY],
        allowed: vec![product(1)],
        products: products(),
    });
    assert!(open(&token, &recipient, &tree.trust(), now()).is_ok());
    assert!(matches!(open(&token, &recipient, &strict, now()), Err(EnvelopeError::ForeignProduct { .. })));
}

#[test]
fn claims_assert_only_policies_that_the_path_is_valid_for() {
    let tree = Tree::new();
    let span = || now()..now() + days(1000);
    let (of_partner, of_vendor) =
        (tree.partner.signer("P", span()).unwrap(), tree.intermediate.signer("V", span()).unwrap());
    let recipient = recipient();
    for (signer, policy, valid) in [
        (&of_vendor, oid::LICENSE_SIGNING_POLICY, true),
        (&of_vendor, product(1), false),
        (&of_vendor, oid::DEVELOPMENT_POLICY, false),
        (&of_partner, oid::LICENSE_SIGNING_POLICY, true),
        (&of_partner, product(1), true),
        (&of_partner, product(2), false),
        (&of_partner, oid::PARTNER_CA_POLICY, false),
    ] {
        let mut document = claims();
        document["assertedPolicies"] = json!([policy.to_string()]);
        match signer.seal_products(&read(&document), &recipient.public(), &products()) {
            Ok(token) => {
                assert!(valid, "{signer:?} {policy}");
                assert!(open(&token, &recipient, &tree.trust(), now()).is_ok(), "{signer:?} {policy}");
            }
            Err(refusal) => {
                assert!(!valid, "{signer:?} {policy}");
                assert_eq!(refusal, AuthoringError::Policy { policy });
            }
        }
    }
    let mut document = claims();
    document["assertedPolicies"] = json!(["license-signing"]);
    let refusal = of_vendor.seal(&read(&document), &recipient.public()).unwrap_err();
    assert!(refusal.to_string().contains("assertedPolicies[0]"), "{refusal}");
}

#[test]
fn a_license_key_signs_what_opens_under_its_pinned_half() {
    let (first, second) = (LicenseKey::create("2026-1").unwrap(), LicenseKey::create("2026-2").unwrap());
    let stored = LicenseKey::from_pem("2026-1", &first.key_pem(PASSPHRASE).unwrap(), PASSPHRASE).unwrap();
    let jwks = [&first, &second].map(|key| (key.kid().to_owned(), key.public_jwk().unwrap()));
    let pinned = PinnedKeys::new(jwks.iter().map(|(kid, jwk)| (kid.as_str(), jwk))).unwrap();
    for key in [&first, &second, &stored] {
        let token = key.seal(&read(&claims())).unwrap();
        assert_eq!(open_key(&token, &pinned).unwrap().claims().license_id, "L-2026-1");
    }
    let stranger = LicenseKey::create("2026-1").unwrap().seal(&read(&claims())).unwrap();
    assert_eq!(open_key(&stranger, &pinned).unwrap_err(), EnvelopeError::Signature);

    assert!(!jwks[0].1.contains_key("d"));
    assert_eq!(format!("{first:?}"), "LicenseKey(2026-1)");
    for kid in ["", "a b", "a\u{7}", &"x".repeat(129)] {
        assert!(matches!(LicenseKey::create(kid), Err(AuthoringError::KeyId { .. })), "{kid}");
    }
    let ec = root().key_pem(PASSPHRASE).unwrap();
    assert_eq!(LicenseKey::from_pem("k", &ec, PASSPHRASE).unwrap_err(), AuthoringError::Unsigning);
    let mut document = claims();
    document["assertedPolicies"] = json!([product(1).to_string()]);
    assert_eq!(first.seal(&read(&document)).unwrap_err(), AuthoringError::PolicyUnderKey);
}

/// A list of each authority of the tree; the intermediate's names what is given.
fn lists(tree: &Tree, revoked: &[Revoked]) -> String {
    let (at, until) = (now(), now() + days(30));
    [
        tree.root.crl(&[], 1, at, until).unwrap(),
        tree.intermediate.crl(revoked, 300, at, until).unwrap(),
        tree.partner.crl(&[], 1, at, until).unwrap(),
    ]
    .concat()
}

#[test]
fn a_revoked_signer_and_a_revoked_partner_open_nothing_and_an_independent_judge_agrees() {
    let tree = Tree::new();
    let span = || now()..now() + days(1000);
    let (kept, lost) = (
        tree.intermediate.signer("Kept", span()).unwrap(),
        tree.intermediate.signer("Lost", span()).unwrap(),
    );
    let of_partner = tree.partner.signer("Partner's", span()).unwrap();
    let entry = |serial: Serial| Revoked { serial, at: now(), reason: Reason::KeyCompromise };
    let revoked = [entry(lost.serial().unwrap()), entry(tree.partner.serial().unwrap())];
    let (clean, bundle) = (lists(&tree, &[]), lists(&tree, &revoked));

    let recipient = recipient();
    let court = Court::new();
    for (signer, position) in [(&kept, None), (&lost, Some(0)), (&of_partner, Some(1))] {
        let token = signer.seal_products(&read(&claims()), &recipient.public(), &products()).unwrap();
        let at = now() + days(1);
        let checking = |bundle: &str| tree.trust().checking_crls(Crls::from_pem(bundle).unwrap());
        assert!(open(&token, &recipient, &checking(&clean), at).is_ok());
        let opened = open(&token, &recipient, &checking(&bundle), at).err();
        assert_eq!(opened, position.map(|position| PathError::Revoked { position }.into()), "{signer:?}");

        let chain = signer.chain_pem().unwrap();
        for (lists, expected) in [(&clean, true), (&bundle, position.is_none())] {
            court.file("lists.pem", lists);
            let verdict = court.verifies(&tree.root, &chain, "-crl_check_all -CRLfile lists.pem");
            assert_eq!(verdict.status.success(), expected, "{signer:?}: {verdict:?}");
            assert!(expected || String::from_utf8_lossy(&verdict.stderr).contains("certificate revoked"));
        }
    }
}

#[test]
fn an_independent_judge_reads_every_part_of_a_list() {
    let tree = Tree::new();
    let reasons = [
        (Reason::Unspecified, ""),
        (Reason::KeyCompromise, "Key Compromise"),
        (Reason::CaCompromise, "CA Compromise"),
        (Reason::AffiliationChanged, "Affiliation Changed"),
        (Reason::Superseded, "Superseded"),
        (Reason::CessationOfOperation, "Cessation Of Operation"),
        (Reason::PrivilegeWithdrawn, "Privilege Withdrawn"),
    ];
    let serial = |n: usize| format!("{}", 81 + n).parse::<Serial>().unwrap();
    let revoked: Vec<Revoked> = reasons
        .iter()
        .enumerate()
        .map(|(n, (reason, _))| Revoked { serial: serial(n), at: now() - days(1), reason: *reason })
        .collect();
    let until: jiff::Timestamp = "2051-01-02T03:04:05.678Z".parse().unwrap();
    let list = tree.intermediate.crl(&revoked, 1000, now(), until).unwrap();

    let court = Court::new();
    court.file("list.pem", &list);
    court.file("issuer.pem", tree.intermediate.certificate_pem().unwrap());
    let judged = court.openssl("crl -in list.pem -noout -text -verify -CAfile issuer.pem");
    assert!(judged.status.success(), "{judged:?}");
    let shown = String::from_utf8(judged.stdout).unwrap();
    for word in [
        "Version 2 (0x1)",
        "ecdsa-with-SHA384",
        "Issuer: CN = Issuing",
        "Last Update: Jun  1 00:00:00 2026 GMT",
        "Next Update: Jan  2 03:04:05 2051 GMT",
        "X509v3 CRL Number: \n                1000",
        "X509v3 Authority Key Identifier",
        "Serial Number: 81",
        "Revocation Date: May 31 00:00:00 2026 GMT",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    for (_, word) in reasons {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert_eq!(shown.matches("X509v3 CRL Reason Code").count(), reasons.len() - 1, "{shown}");

    let summary = crls(&list).unwrap().remove(0);
    assert_eq!((summary.issuer.as_str(), summary.number.as_deref()), ("CN=Issuing", Some("03e8")));
    assert_eq!((summary.this_update, summary.revoked.len()), (now(), reasons.len()));
    assert_eq!(summary.revoked[1].reason, Some(Reason::KeyCompromise));
    assert_eq!(summary.revoked[1].serial, revoked[1].serial);

    let empty = tree.root.crl(&[], 1, now(), until).unwrap();
    court.file("empty.pem", &empty);
    let shown = String::from_utf8(court.openssl("crl -in empty.pem -noout -text").stdout).unwrap();
    assert!(shown.contains("No Revoked Certificates."), "{shown}");
    let refusal = tree.root.crl(&[], 2, now(), now()).unwrap_err();
    assert!(matches!(refusal, AuthoringError::NeverValid { .. }), "{refusal}");
}

#[test]
fn serial_numbers_are_read_as_other_programs_print_them() {
    for (given, read) in [("0A1B", "0a1b"), ("0a:1b", "0a1b"), ("00ff", "ff"), ("7f", "7f")] {
        assert_eq!(given.parse::<Serial>().unwrap().as_str(), read);
    }
    for wrong in ["", "00", "xyz", "abc", &"ff".repeat(21)] {
        assert!(matches!(wrong.parse::<Serial>(), Err(AuthoringError::Serial { .. })), "{wrong}");
    }
}

#[test]
fn names_and_validities_that_no_certificate_may_have_are_refused() {
    for name in ["", " ", "a\0b", "a\u{1b}[2J", &"x".repeat(65)] {
        let refusal = Root::create(name, now()..now() + days(1)).unwrap_err();
        assert_eq!(refusal, AuthoringError::Name { name: name.to_owned() });
    }
    let refusal = Root::create("Root", now()..now()).unwrap_err();
    assert_eq!(refusal, AuthoringError::NeverValid { until: now() });
    let refusal = root().signer("Vendor licensing root", now()..now() + days(1)).unwrap_err();
    assert!(matches!(refusal, AuthoringError::SameName { .. }), "{refusal}");
}

#[test]
fn nothing_prints_keys() {
    let root = root();
    let signer = root.signer("Signer", now()..now() + days(1)).unwrap();
    let printed = format!("{root:?} {signer:?}");
    assert_eq!(printed, "Certified(Vendor licensing root) Certified(Signer)");
}
