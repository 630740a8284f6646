use std::{collections::HashSet, fmt};

use envelope::{Claims, EnvelopeError, VerifiedLicense};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::{
    split,
    world::{WORLD, jws_of},
};

pub(crate) fn judge(input: &[u8]) {
    let Some((mode, payload)) = split(input) else { return };
    let opened = match mode {
        b'k' => WORLD.open_key(&jws_of(br#"{"alg":"EdDSA","kid":"key-1"}"#, payload, &WORLD.pinned_key)),
        b'e' => WORLD.open(&WORLD.license(WORLD.header.to_string().as_bytes(), payload)),
        _ => return,
    };
    match opened {
        Ok(license) => is_what_was_signed(&license, payload),
        Err(EnvelopeError::TokenTooLarge { .. }) => {}
        Err(error) => {
            let by_what_they_say = matches!(
                error,
                EnvelopeError::Claims(_)
                    | EnvelopeError::Policy { .. }
                    | EnvelopeError::Path(_)
                    | EnvelopeError::ForeignProduct { .. }
            );
            assert!(by_what_they_say, "what is signed is judged by its claims, not: {error}");
        }
    }
}

fn is_what_was_signed(license: &VerifiedLicense, payload: &[u8]) {
    let claims = license.claims();
    let signed: Value = serde_json::from_slice(payload).expect("claims that open are JSON");
    assert!(serde_json::from_slice::<EachOnce>(payload).is_ok(), "two readers cannot take different members");
    assert_eq!(signed["schema"], "urn:chancery:license:1");
    assert_eq!(signed["licenseId"], claims.license_id.as_str());
    assert!(!claims.license_id.trim().is_empty(), "a license has a name");
    for party in [&claims.issuer, &claims.licensee, &claims.installation_owner] {
        assert!(!party.id.trim().is_empty(), "a party has an id");
    }
    assert!(claims.not_before < claims.expires_at, "a license is valid at some time");
    assert!(claims.expires_at <= claims.grace_ends_at(), "grace takes nothing away");

    let written = serde_json::to_value(claims).expect("claims can be written");
    let read: Claims = serde_json::from_value(written.clone()).expect("what is written can be read");
    assert!(read == *claims, "claims survive writing");
    assert_eq!(serde_json::to_value(&read).expect("claims"), written);
    // Whoever reads the signed text with another reader finds the same grant.
    for member in ["products", "quotas", "features"] {
        assert_eq!(signed["grant"][member], written["grant"][member], "{member}");
    }
}

/// JSON in which every object names a member once.
struct EachOnce;

impl<'de> Deserialize<'de> for EachOnce {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for EachOnce {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut named = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            members.next_value::<Self>()?;
            if !named.insert(name) {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}
