//! Revocation lists: configured and stapled.

use std::ops::Range;

use base64ct::{Base64, Encoding as _};
use chancery_envelope::{
    CrlBundleError, CrlError, Crls, EnvelopeError, MAX_CRLS, Stage, Trust, path::PathError,
};
use jiff::Timestamp;
use openssl::x509::X509Crl;
use serde_json::json;

use crate::support::{Entity, Profile, World, claims, crl, crl_with, days, extension, jws, now};

/// A root, an intermediate and a signer.
struct Chain {
    world: World,
    intermediate: Entity,
    signer: Entity,
}

fn current() -> Range<Timestamp> {
    now() - days(1)..now() + days(7)
}

impl Chain {
    fn new() -> Self {
        let world = World::new();
        let intermediate = Profile::intermediate().issue(Some(&world.root));
        let signer = Profile::signer().issue(Some(&intermediate));
        Self { world, intermediate, signer }
    }

    fn open(&self, bundle: &[String]) -> Result<(), EnvelopeError> {
        let crls = Crls::from_pem(&bundle.concat()).unwrap();
        let trust = Trust::from_pem(&self.world.root.pem()).unwrap().checking_crls(crls);
        let token = self.world.token_by(&self.signer, &[&self.intermediate]);
        chancery_envelope::open(&token, &self.world.recipient, &trust, now()).map(drop)
    }

    fn by_root(&self, revoked: &[&Entity]) -> String {
        crl(&self.world.root, revoked, current())
    }

    fn by_intermediate(&self, revoked: &[&Entity]) -> String {
        crl(&self.intermediate, revoked, current())
    }
}

fn refused(error: PathError) -> Result<(), EnvelopeError> {
    Err(EnvelopeError::Path(error))
}

#[test]
fn a_license_opens_where_every_issuer_says_that_nothing_is_revoked() {
    let chain = Chain::new();
    assert_eq!(chain.open(&[chain.by_root(&[]), chain.by_intermediate(&[])]), Ok(()));
    assert_eq!(chain.open(&[chain.by_intermediate(&[&chain.world.signer]), chain.by_root(&[])]), Ok(()));
}

#[test]
fn a_revoked_signer_and_a_revoked_intermediate_are_told_apart_from_uncertainty() {
    let chain = Chain::new();
    let signer = chain.open(&[chain.by_root(&[]), chain.by_intermediate(&[&chain.signer])]);
    assert_eq!(signer, refused(PathError::Revoked { position: 0 }));
    assert!(signer.unwrap_err().is_revoked());
    let intermediate = chain.open(&[chain.by_root(&[&chain.intermediate]), chain.by_intermediate(&[])]);
    assert_eq!(intermediate, refused(PathError::Revoked { position: 1 }));
}

#[test]
fn an_issuer_without_a_list_leaves_it_uncertain() {
    let chain = Chain::new();
    assert_eq!(chain.open(&[chain.by_root(&[])]), refused(PathError::NoList { position: 0 }));
    assert_eq!(chain.open(&[chain.by_intermediate(&[])]), refused(PathError::NoList { position: 1 }));
    let uncertain = chain.open(&[chain.by_root(&[])]).unwrap_err();
    assert!(uncertain.stage() == Stage::Revocation && !uncertain.is_revoked());
}

#[test]
fn a_list_counts_until_it_is_due_and_not_before_it_begins() {
    let chain = Chain::new();
    let due = now() - days(1);
    let old = crl(&chain.intermediate, &[], now() - days(8)..due);
    assert_eq!(
        chain.open(&[chain.by_root(&[]), old.clone()]),
        refused(PathError::StaleList { position: 0, due })
    );
    assert_eq!(chain.open(&[chain.by_root(&[]), old, chain.by_intermediate(&[])]), Ok(()));
    let exactly = crl(&chain.intermediate, &[], now() - days(8)..now());
    assert!(chain.open(&[chain.by_root(&[]), exactly]).is_err());
    let early = crl(&chain.intermediate, &[], now() + days(1)..now() + days(8));
    assert!(chain.open(&[chain.by_root(&[]), early]).is_err());
}

#[test]
fn what_an_old_list_says_of_a_certificate_stays_true() {
    let chain = Chain::new();
    let old = crl(&chain.intermediate, &[&chain.signer], now() - days(8)..now() - days(1));
    let opened = chain.open(&[chain.by_root(&[]), chain.by_intermediate(&[]), old]);
    assert_eq!(opened, refused(PathError::Revoked { position: 0 }));
}

#[test]
fn a_list_by_anyone_else_is_no_list() {
    let chain = Chain::new();
    let namesake = Profile::intermediate().issue(None);
    let forged = crl(&namesake, &[], current());
    assert_eq!(chain.open(&[chain.by_root(&[]), forged]), refused(PathError::NoList { position: 0 }));
    // Nor does a stranger revoke anything.
    let malicious = crl(&namesake, &[&chain.signer], current());
    assert_eq!(chain.open(&[chain.by_root(&[]), chain.by_intermediate(&[]), malicious]), Ok(()));
}

#[test]
fn an_authority_that_may_not_sign_lists_signs_none() {
    let mut chain = Chain::new();
    chain.intermediate =
        Profile { signs_crls: false, ..Profile::intermediate() }.issue(Some(&chain.world.root));
    chain.signer = Profile::signer().issue(Some(&chain.intermediate));
    let opened = chain.open(&[chain.by_root(&[]), chain.by_intermediate(&[])]);
    assert_eq!(opened, refused(PathError::NoList { position: 0 }));
}

#[test]
fn indirect_partial_and_delta_lists_are_refused_by_name() {
    let world = World::new();
    // issuingDistributionPoint with indirectCRL, then with onlyContainsUserCerts; deltaCRLIndicator.
    for (id, der, problem) in [
        ("2.5.29.28", vec![0x30, 3, 0x84, 1, 0xff], CrlError::Indirect),
        ("2.5.29.28", vec![0x30, 3, 0x81, 1, 0xff], CrlError::Partial),
        ("2.5.29.27", vec![2, 1, 1], CrlError::Delta),
        ("1.2.3.4", vec![5, 0], CrlError::CriticalExtension { id: "1.2.3.4".parse().unwrap() }),
    ] {
        let list = crl_with(&world.root, &[], current(), Some(extension(id, true, &der)));
        let good = crl(&world.root, &[], current());
        let refusal = Crls::from_pem(&format!("{good}{list}")).err().unwrap();
        assert_eq!(refusal, CrlBundleError::List { position: 1, problem });
    }
}

#[test]
fn a_bundle_is_a_bounded_list_of_lists() {
    let world = World::new();
    let list = crl(&world.root, &[], current());
    assert!(Crls::from_pem(&list.repeat(MAX_CRLS)).is_ok());
    for lists in [0, MAX_CRLS + 1] {
        assert_eq!(Crls::from_pem(&list.repeat(lists)).err(), Some(CrlBundleError::Count { lists }));
    }
    assert_eq!(Crls::from_pem(&world.root.pem()).err(), Some(CrlBundleError::Pem));
}

#[test]
fn an_open_license_says_when_its_lists_are_due() {
    let chain = Chain::new();
    let soon = now() + days(3);
    let bundle = [chain.by_root(&[]), crl(&chain.intermediate, &[], now() - days(1)..soon)].concat();
    let trust = Trust::from_pem(&chain.world.root.pem()).unwrap();
    let trust = trust.checking_crls(Crls::from_pem(&bundle).unwrap());
    let token = chain.world.token_by(&chain.signer, &[&chain.intermediate]);
    let license = chain_open(&chain, &token, &trust).unwrap();
    assert_eq!(license.lists_fresh_until(), Some(soon));
    assert_eq!(license.reopen_at(), soon);
    assert_eq!(chain.world.open(&token).unwrap().lists_fresh_until(), None);
}

fn chain_open(
    chain: &Chain,
    token: &str,
    trust: &Trust,
) -> Result<chancery_envelope::VerifiedLicense, EnvelopeError> {
    chancery_envelope::open(token, &chain.world.recipient, trust, now())
}

#[test]
fn a_stapled_list_takes_away_and_never_vouches() {
    let world = World::new();
    let stapling = |list: &str| {
        let der = X509Crl::from_pem(list.as_bytes()).unwrap().to_der().unwrap();
        let mut claims = claims();
        claims["revocation"] = json!({ "crls": [Base64::encode_string(&der)] });
        world.seal(&jws(&world.header(), &claims, &world.signer.key))
    };
    let old = now() - days(300)..now() - days(200);
    let harmless = stapling(&crl(&world.root, &[], old.clone()));
    assert!(world.open(&harmless).is_ok());
    let refusal = world.refusal(&stapling(&crl(&world.root, &[&world.signer], old)));
    assert!(refusal.is_revoked());

    let elsewhere = Profile::root().issue(None);
    assert!(world.open(&stapling(&crl(&elsewhere, &[&world.signer], current()))).is_ok());
    let trust = Trust::from_pem(&world.root.pem()).unwrap();
    let trust = trust.checking_crls(Crls::from_pem(&crl(&elsewhere, &[], current())).unwrap());
    let unvouched = chancery_envelope::open(&harmless, &world.recipient, &trust, now()).unwrap_err();
    assert_eq!(unvouched, EnvelopeError::Path(PathError::NoList { position: 0 }));
}

#[test]
fn a_staple_that_cannot_be_read_is_not_passed_over() {
    let world = World::new();
    for staple in ["AAAA", "%"] {
        let mut claims = claims();
        claims["revocation"] = json!({ "crls": [staple] });
        let refusal = world.refusal(&world.token(&claims));
        assert_eq!(refusal.to_string(), "the claim `revocation.crls[0]` does not fit the schema");
    }
}
