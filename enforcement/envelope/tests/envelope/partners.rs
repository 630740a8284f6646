//! What a partner authority may sign for (semantics 3.4).

use std::collections::BTreeMap;

use chancery_envelope::{EnvelopeError, Partners, Trust, oid};
use const_oid::ObjectIdentifier;
use serde_json::{Value, json};

use crate::support::{Entity, Profile, World, claims, jws};

const CHANCERY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.3.1");
const OTHER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.3.2");

/// A deployment that knows two products, and a partner that its vendor lets sign for one of them.
struct Market {
    world: World,
    partner: Entity,
    signer: Entity,
}

fn partners() -> Partners {
    Partners {
        markers: vec![oid::PARTNER_CA_POLICY],
        allowed: vec![CHANCERY, OTHER],
        products: BTreeMap::from([("chancery".to_owned(), CHANCERY), ("other".to_owned(), OTHER)]),
    }
}

impl Market {
    fn new() -> Self {
        Self::where_the_partner_asserts(vec![oid::LICENSE_SIGNING_POLICY, oid::PARTNER_CA_POLICY, CHANCERY])
    }

    fn where_the_partner_asserts(policies: Vec<ObjectIdentifier>) -> Self {
        let world = World::new();
        let partner = Profile { policies, ..Profile::intermediate() }.issue(Some(&world.root));
        // A partner can write into its signer whatever it likes.
        let policies = vec![oid::LICENSE_SIGNING_POLICY, CHANCERY, OTHER];
        let signer = Profile { policies, ..Profile::signer() }.issue(Some(&partner));
        Self { world, partner, signer }.trusting(partners())
    }

    fn trusting(mut self, partners: Partners) -> Self {
        self.world.trust = Trust::from_pem(&self.world.root.pem()).unwrap().partners(partners);
        self
    }

    fn open(&self, claims: &Value) -> Result<(), EnvelopeError> {
        let header = json!({ "alg": "ES256", "x5c": [self.signer.x5c(), self.partner.x5c()] });
        self.world.open(&self.world.seal(&jws(&header, claims, &self.signer.key))).map(drop)
    }
}

fn selling(products: &[&str], allow: &[&str]) -> Value {
    let mut claims = claims();
    let products = products.iter().map(|product| ((*product).to_owned(), json!({ "edition": "pro" })));
    claims["grant"]["products"] = products.collect::<serde_json::Map<_, _>>().into();
    claims["grant"]["commands"]["allow"] = json!(allow);
    claims
}

fn foreign(product: &str) -> Result<(), EnvelopeError> {
    Err(EnvelopeError::ForeignProduct { product: product.to_owned() })
}

#[test]
fn a_partner_signs_for_its_own_products() {
    let market = Market::new();
    assert_eq!(market.open(&selling(&["chancery"], &["chancery.tenancy.**"])), Ok(()));
    assert_eq!(market.open(&selling(&[], &[])), Ok(()));
}

#[test]
fn a_partner_signs_for_no_other_product_whatever_its_signer_asserts() {
    let market = Market::new();
    assert_eq!(market.open(&selling(&["chancery", "other"], &[])), foreign("other"));
    assert_eq!(market.open(&selling(&["unheard-of"], &[])), foreign("unheard-of"));
}

#[test]
fn an_allow_rule_is_a_grant_too() {
    let market = Market::new();
    for rule in ["other.**", "**", "*.*.*.*", "{chancery,other}.a.b.c", "other.a.b.c"] {
        assert_eq!(market.open(&selling(&["chancery"], &[rule])), foreign(rule), "{rule}");
    }
}

#[test]
fn the_operator_can_allow_partners_less_than_the_vendor_does() {
    let none_of_ours = Partners { allowed: vec![OTHER], ..partners() };
    let market = Market::new().trusting(none_of_ours);
    assert_eq!(market.open(&selling(&["chancery"], &[])), foreign("chancery"));
}

#[test]
fn turning_one_check_off_leaves_the_other_on() {
    let any_product = Partners { allowed: vec![], ..partners() };
    let market = Market::new().trusting(any_product);
    assert_eq!(market.open(&selling(&["chancery"], &[])), Ok(()));
    assert_eq!(market.open(&selling(&["other"], &[])), foreign("other"));

    let no_partners = Partners { markers: vec![], ..partners() };
    assert_eq!(Market::new().trusting(no_partners).open(&selling(&["other"], &[])), Ok(()));
}

#[test]
fn a_product_without_a_policy_is_for_no_partner() {
    let unlisted = Partners { products: BTreeMap::new(), ..partners() };
    let market = Market::new().trusting(unlisted);
    assert_eq!(market.open(&selling(&["chancery"], &[])), foreign("chancery"));
}

#[test]
fn an_authority_beneath_a_partner_stays_bound() {
    let market = Market::new();
    let policies = vec![oid::LICENSE_SIGNING_POLICY, oid::PARTNER_CA_POLICY, CHANCERY];
    let upper = Profile { name: "upper", authority: Some(1), policies, ..Profile::intermediate() };
    let upper = upper.issue(Some(&market.world.root));
    let policies = vec![oid::LICENSE_SIGNING_POLICY, CHANCERY, OTHER];
    let lower = Profile { policies: policies.clone(), ..Profile::intermediate() }.issue(Some(&upper));
    let signer = Profile { policies, ..Profile::signer() }.issue(Some(&lower));
    let header = json!({ "alg": "ES256", "x5c": [signer.x5c(), lower.x5c(), upper.x5c()] });
    let open = |claims: &Value| market.world.open(&market.world.seal(&jws(&header, claims, &signer.key)));
    assert!(open(&selling(&["chancery"], &[])).is_ok());
    assert_eq!(open(&selling(&["other"], &[])).map(drop), foreign("other"));
}

#[test]
fn an_intermediate_that_is_no_partner_signs_for_everything() {
    let market = Market::where_the_partner_asserts(vec![oid::LICENSE_SIGNING_POLICY]);
    assert_eq!(market.open(&selling(&["other", "unheard-of"], &["**"])), Ok(()));
}

#[test]
fn claims_assert_only_policies_that_the_path_is_valid_for() {
    let market = Market::new();
    let asserting = |policy: &str| {
        let mut claims = selling(&["chancery"], &[]);
        claims["assertedPolicies"] = json!([policy]);
        market.open(&claims)
    };
    assert_eq!(asserting(&CHANCERY.to_string()), Ok(()));
    assert_eq!(asserting(&OTHER.to_string()), Err(EnvelopeError::Policy { position: 0, policy: OTHER }));
    assert_eq!(
        asserting("chancery").unwrap_err().to_string(),
        "the claim `assertedPolicies[0]` does not fit the schema"
    );
}
