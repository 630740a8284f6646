//! What opens, and what an opened license says.

use crate::support::{Entity, Profile, World, claims, days, new_key, now};
use chancery_envelope::{
    Authority, CertificateError, Claims, ClaimsError, EnvelopeError, LicenseRequest, MAX_ROOTS, Recipient,
    RecipientError, RecipientPublic, Stage, Trust, TrustError,
    development::{self, DevelopmentAuthority},
    oid, open, outline,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

fn read(claims: &Value) -> Claims {
    serde_json::from_value(claims.clone()).unwrap()
}

#[test]
fn a_sealed_license_opens_and_says_what_was_signed() {
    let world = World::new();
    let license = world.open(&world.token(&claims())).unwrap();
    assert!(*license.claims() == read(&claims()));
    assert_eq!(license.authority(), Authority::Vendor);
    assert_eq!(license.chain_expires_at(), now() + days(1000));
    assert_eq!(license.signer_fingerprint().len(), 64);
}

#[test]
fn white_space_around_a_token_is_ignored() {
    let world = World::new();
    assert!(world.open(&format!("\n{}\r\n", world.token(&claims()))).is_ok());
}

#[test]
fn an_intermediate_may_stand_between_and_the_root_may_be_sent_along() {
    let world = World::new();
    let intermediate = Profile::intermediate().issue(Some(&world.root));
    let signer = Profile::signer().issue(Some(&intermediate));
    assert!(world.open(&world.token_by(&signer, &[&intermediate])).is_ok());
    assert!(world.open(&world.token_by(&signer, &[&intermediate, &world.root])).is_ok());
    assert!(world.open(&world.token_by(&world.signer, &[&world.root])).is_ok());
}

#[test]
fn the_chain_expires_with_its_first_certificate() {
    let world = World::new();
    let soon = now() + days(10);
    let intermediate = Profile { validity: now() - days(1)..soon, ..Profile::intermediate() };
    let intermediate = intermediate.issue(Some(&world.root));
    let signer = Profile::signer().issue(Some(&intermediate));
    let license = world.open(&world.token_by(&signer, &[&intermediate])).unwrap();
    assert_eq!(license.chain_expires_at(), soon);
}

#[test]
fn a_license_does_not_outlive_its_signers_certificate() {
    let world = World::new();
    let token = world.token(&claims());
    let end = world.open(&token).unwrap().chain_expires_at();
    let (last, after) = (end - SignedDuration::from_secs(1), end);
    assert!(open(&token, &world.recipient, &world.trust, last).is_ok());
    let refusal = open(&token, &world.recipient, &world.trust, after).unwrap_err();
    assert_eq!(refusal.to_string(), "certificate 0 is not valid at the time of the check");
}

#[test]
fn an_expired_license_still_opens_for_its_grace_is_in_its_claims() {
    let world = World::new();
    let late = now() + days(400);
    let license = open(&world.token(&claims()), &world.recipient, &world.trust, late).unwrap();
    assert!(license.claims().expires_at < late);
    assert_eq!(license.claims().grace_ends_at(), license.claims().expires_at + days(14));
}

#[test]
fn unknown_claims_are_kept() {
    let world = World::new();
    let mut claims = claims();
    claims["statusList"] = json!({ "uri": "https://vendor.example/status", "index": 7 });
    let license = world.open(&world.token(&claims)).unwrap();
    assert_eq!(license.claims().other["statusList"]["index"], 7);
    assert_eq!(serde_json::to_value(license.claims()).unwrap(), claims);
}

#[test]
fn claims_that_are_not_a_license_are_refused_by_name() {
    let world = World::new();
    let refused = |change: fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        let refusal = world.refusal(&world.token(&claims));
        assert_eq!(refusal.stage(), Stage::Claims);
        refusal.to_string()
    };
    for (change, message) in [
        (
            (|claims| claims["schema"] = json!("urn:chancery:license:2")) as fn(&mut Value),
            "the claims have the schema `urn:chancery:license:2`, which this build does not know",
        ),
        (|claims| *claims = json!([1]), "the claims are not a JSON object with a schema"),
        (|claims| claims["graceDays"] = json!(-1), "the claim `graceDays` does not fit the schema"),
        (|claims| claims["licensee"] = json!({ "id": "acme" }), "the claim `licensee.name` is absent"),
        (|claims| drop(claims.as_object_mut().unwrap().remove("grant")), "the claim `grant` is absent"),
        (
            |claims| claims["grant"]["commands"]["deny"] = json!(["chancery.*"]),
            "the claim `grant.commands.deny[0]` does not fit the schema",
        ),
        (
            |claims| claims["binding"]["hardwareId"] = json!("secret"),
            "the claim `binding.hardwareId` does not fit the schema",
        ),
        (|claims| claims["licenseId"] = json!(" "), "the claim `licenseId` is empty"),
        (
            |claims| claims["expiresAt"] = claims["notBefore"].clone(),
            "the license ends at 2026-06-01T00:00:00Z, before it begins",
        ),
        (
            |claims| claims["issuedAt"] = json!("2028-01-01T00:00:00Z"),
            "the license ends at 2027-06-01T00:00:00Z, before it begins",
        ),
    ] {
        assert_eq!(refused(change), message);
    }
}

#[test]
fn a_license_that_leaves_out_a_party_is_nobodys() {
    let world = World::new();
    for role in ["issuer", "licensee", "installationOwner"] {
        let mut blank = claims();
        blank[role]["id"] = json!(" ");
        let mut absent = claims();
        absent.as_object_mut().unwrap().remove(role);
        for document in [blank, absent] {
            let refusal = world.refusal(&world.token(&document));
            assert_eq!(refusal.stage(), Stage::Parties);
            assert_eq!(refusal.to_string(), format!("the license does not state its {role}"));
        }
    }
}

#[test]
fn eku_and_policy_checks_can_each_be_turned_off_but_the_root_cannot() {
    let world = World::new();
    let plain = Profile { purposes: vec![], policies: vec![], ..Profile::signer() }.issue(Some(&world.root));
    let token = world.token_by(&plain, &[]);
    let trust = || Trust::from_pem(&world.root.pem()).unwrap();
    let open_with = |trust: &Trust| open(&token, &world.recipient, trust, now());

    let purpose = oid::LICENSE_SIGNING_EKU;
    assert_eq!(open_with(&trust()).unwrap_err(), EnvelopeError::Purpose { purpose });
    let policy = oid::LICENSE_SIGNING_POLICY;
    let without_eku = trust().requiring_eku(vec![]);
    assert_eq!(open_with(&without_eku).unwrap_err(), EnvelopeError::Policy { position: 0, policy });
    assert!(open_with(&without_eku.requiring_policies(vec![])).is_ok());

    let other_root = Trust::from_pem(&Profile::root().issue(None).pem()).unwrap();
    let refusal = open_with(&other_root.requiring_eku(vec![]).requiring_policies(vec![])).unwrap_err();
    assert_eq!(refusal.stage(), Stage::Chain);
}

#[test]
fn a_bundle_holds_self_signed_authorities_and_at_least_one() {
    let world = World::new();
    let intermediate = Profile::intermediate().issue(Some(&world.root));
    let both = |entity: &Entity| format!("{}{}", world.root.pem(), entity.pem());
    assert!(Trust::from_pem(&both(&world.root)).is_ok());
    assert_eq!(Trust::from_pem(&both(&intermediate)).unwrap_err(), TrustError::NotARoot { position: 1 });
    assert_eq!(Trust::from_pem(&world.signer.pem()).unwrap_err(), TrustError::NotARoot { position: 0 });
    let self_signed_leaf = Profile::signer().issue(None);
    assert_eq!(Trust::from_pem(&self_signed_leaf.pem()).unwrap_err(), TrustError::NotARoot { position: 0 });
    assert_eq!(Trust::from_pem("").unwrap_err(), TrustError::Empty);
    let broken = world.root.pem().replace('M', "A");
    let problem = CertificateError::Malformed;
    assert_eq!(Trust::from_pem(&broken).unwrap_err(), TrustError::Certificate { position: 0, problem });
    let unreadable = world.root.pem().replace("-----END", "----END");
    assert_eq!(Trust::from_pem(&unreadable).unwrap_err(), TrustError::Pem);
    let other = world.root.pem().replace("CERTIFICATE", "PUBLIC KEY");
    assert_eq!(Trust::from_pem(&other).unwrap_err(), TrustError::Pem);
    assert_eq!(
        Trust::from_pem(&world.root.pem().repeat(MAX_ROOTS + 1)).unwrap_err(),
        TrustError::TooMany { roots: MAX_ROOTS + 1 }
    );
}

#[test]
fn a_development_authority_issues_one_short_license_that_is_marked_as_such() {
    let recipient = Recipient::generate("dev").unwrap();
    let mut document = claims();
    document["expiresAt"] = json!(now() + days(17));

    let authority = DevelopmentAuthority::create(now(), days(development::MAX_DAYS)).unwrap();
    let trust = Trust::from_pem(authority.root_pem()).unwrap();
    let token = authority.issue(&read(&document), &recipient.public()).unwrap();
    let license = open(&token, &recipient, &trust, now()).unwrap();
    assert_eq!(license.authority(), Authority::Development);

    document["expiresAt"] = json!(now() + days(18));
    let authority = DevelopmentAuthority::create(now(), days(365)).unwrap();
    let refusal = authority.issue(&read(&document), &recipient.public()).unwrap_err();
    assert_eq!(refusal.to_string(), "a development license counts for at most 31 days, grace included");
}

#[test]
fn an_authority_made_between_two_seconds_vouches_for_its_whole_span() {
    let at = now() + SignedDuration::from_millis(700);
    let recipient = Recipient::generate("dev").unwrap();
    let mut document = claims();
    document["graceDays"] = json!(0);
    document["issuedAt"] = json!(at);
    document["notBefore"] = json!(at);
    document["expiresAt"] = json!(at + days(30));
    let authority = DevelopmentAuthority::create(at, days(30)).unwrap();
    let trust = Trust::from_pem(authority.root_pem()).unwrap();
    let token = authority.issue(&read(&document), &recipient.public()).unwrap();
    assert!(open(&token, &recipient, &trust, at).is_ok());
}

#[test]
fn a_development_root_cannot_vouch_for_longer_even_if_made_by_hand() {
    let mut world = World::new();
    let root = Profile { policies: vec![oid::DEVELOPMENT_POLICY], ..Profile::root() }.issue(None);
    world.signer = Profile::signer().issue(Some(&root));
    world.trust = Trust::from_pem(&root.pem()).unwrap();
    let limit_days = development::MAX_DAYS;
    assert_eq!(
        world.refusal(&world.token(&claims())),
        EnvelopeError::Claims(ClaimsError::DevelopmentTooLong { limit_days })
    );
}

#[test]
fn a_development_license_is_sealed_only_while_its_signer_lives() {
    let recipient = Recipient::generate("dev").unwrap();
    let mut document = claims();
    document["expiresAt"] = json!(now() + days(10));
    let authority = DevelopmentAuthority::create(now(), days(20)).unwrap();
    let refusal = authority.issue(&read(&document), &recipient.public()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the license would count until 2026-06-25T00:00:00Z, its signer only until 2026-06-21T00:00:00Z"
    );
}

#[test]
fn a_recipient_key_survives_storing() {
    let world = World::new();
    let pem = world.recipient.to_pem().unwrap();
    let stored = Recipient::from_pem("site-1-2026", &pem).unwrap();
    assert!(open(&world.token(&claims()), &stored, &world.trust, now()).is_ok());
}

#[test]
fn a_recipient_key_is_one_of_three_kinds_in_plain_pem_and_has_a_name() {
    let p384 = new_key(openssl::nid::Nid::SECP384R1).private_key_to_pem_pkcs8().unwrap();
    let p384 = String::from_utf8(p384).unwrap();
    assert_eq!(Recipient::from_pem("k", &p384).unwrap_err(), RecipientError::Unsupported);
    let rsa = openssl::rsa::Rsa::generate(1024).unwrap().private_key_to_pem().unwrap();
    let rsa = String::from_utf8(rsa).unwrap();
    assert_eq!(Recipient::from_pem("k", &rsa).unwrap_err(), RecipientError::Unsupported);
    assert_eq!(Recipient::from_pem("k", "no key").unwrap_err(), RecipientError::Pem);
    assert_eq!(Recipient::generate("").unwrap_err(), RecipientError::KeyId { bytes: 0 });
}

#[test]
fn a_request_carries_the_public_key_and_never_the_private_one() {
    let recipient = Recipient::generate("site-1").unwrap();
    let request = LicenseRequest { installation_id: "site-1".into(), recipient: recipient.public() };
    let mut json = serde_json::to_value(&request).unwrap();
    assert_eq!(json["recipient"]["kid"], "site-1");
    assert!(json["recipient"].get("d").is_none());
    assert!(serde_json::from_value::<LicenseRequest>(json.clone()).is_ok());

    json["recipient"]["d"] = json!("AAAA");
    let refusal = serde_json::from_value::<LicenseRequest>(json.clone()).unwrap_err();
    assert!(refusal.to_string().contains("holds a private key"), "{refusal}");

    for (member, value) in [
        ("crv", json!("P-384")),
        ("alg", json!("ECDH-ES")),
        ("use", json!("sig")),
        ("y", json["recipient"]["x"].clone()),
        ("kid", Value::Null),
        ("kty", json!("oct")),
    ] {
        let mut jwk = serde_json::to_value(recipient.public()).unwrap();
        jwk[member] = value;
        assert!(serde_json::from_value::<RecipientPublic>(jwk).is_err(), "{member}");
    }
}

#[test]
fn an_outline_needs_no_key() {
    let world = World::new();
    let outline = outline(&world.token(&claims())).unwrap();
    assert_eq!(outline.alg, "ECDH-ES+A256KW");
    assert_eq!(outline.recipient_key_id.as_deref(), Some("site-1-2026"));
}

#[test]
fn nothing_prints_keys_or_claims() {
    let world = World::new();
    let license = world.open(&world.token(&claims())).unwrap();
    let printed =
        format!("{:?} {:?} {license:?} {:?}", world.recipient, world.recipient.public(), world.trust);
    assert!(printed.contains("Recipient(site-1-2026)"), "{printed}");
    assert!(!printed.contains("Acme") && !printed.contains("tenants.root.max"), "{printed}");
    let jwk = serde_json::to_value(world.recipient.public()).unwrap();
    assert!(!printed.contains(jwk["x"].as_str().unwrap()), "{printed}");
}

#[test]
fn the_published_schema_names_every_claim() {
    let schema = Claims::json_schema().to_value();
    for (claim, _) in claims().as_object().unwrap() {
        assert!(schema["properties"].get(claim).is_some(), "{claim}");
    }
    assert!(schema.to_string().contains("urn:chancery:license:1"));
}
