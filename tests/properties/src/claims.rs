use envelope::{Claims, EnvelopeError, VerifiedLicense};
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
