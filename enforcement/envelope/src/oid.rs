//! Our object identifiers, in one place.
//!
//! **Private and unregistered.** Until the vendor has a Private Enterprise Number, everything sits beneath
//! [`ARC`]: the UUID `b753b721-482e-4ff2-a1ca-f7cac3239823`, drawn once, beneath the public arc that is open to whoever
//! draws one, `1.2.840.113556.1.8000.2554`. It collides with nobody, and unlike
//! `2.25.<uuid>` every number fits the 32 bits that DER libraries commonly allow.
//!
//! | suffix | kind | meaning |
//! |---|---|---|
//! | `.1.1` | extended key usage | [`LICENSE_SIGNING_EKU`] |
//! | `.2.1` | certificate policy | [`LICENSE_SIGNING_POLICY`] |
//! | `.2.2` | certificate policy | [`DEVELOPMENT_POLICY`] |
//! | `.2.3` | certificate policy | [`PARTNER_CA_POLICY`] |
//! | `.3.n` | certificate policy | a product of ours, as its catalog entry states |

pub use const_oid::{Error as OidError, ObjectIdentifier};

/// The arc beneath which all of ours stand.
pub const ARC: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113556.1.8000.2554.46931.46881.18478.20466.41418.16239299.2332707");

/// Extended key usage of a certificate that signs licenses (RFC 5280, 4.2.1.12).
pub const LICENSE_SIGNING_EKU: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.46931.46881.18478.20466.41418.16239299.2332707.1.1",
);

/// Certificate policy under which licenses are signed: in the signer and every intermediate (RFC 5280, 4.2.1.4).
pub const LICENSE_SIGNING_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.46931.46881.18478.20466.41418.16239299.2332707.2.1",
);

/// Certificate policy of a root that may only vouch for development licenses (semantics 3.6).
pub const DEVELOPMENT_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.46931.46881.18478.20466.41418.16239299.2332707.2.2",
);

/// Certificate policy that marks an intermediate as a partner's (semantics 3.4).
pub const PARTNER_CA_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.46931.46881.18478.20466.41418.16239299.2332707.2.3",
);

/// Reads a comma-separated list of dotted identifiers. An empty text is an empty list (semantics 3.4).
pub fn parse_list(text: &str) -> Result<Vec<ObjectIdentifier>, OidError> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(ObjectIdentifier::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_stand_beneath_the_arc() {
        for ours in [LICENSE_SIGNING_EKU, LICENSE_SIGNING_POLICY, DEVELOPMENT_POLICY, PARTNER_CA_POLICY] {
            assert!(ours.to_string().starts_with(&format!("{ARC}.")), "{ours}");
        }
    }

    #[test]
    fn a_list_is_comma_separated_and_an_empty_text_is_an_empty_list() {
        let listed = format!(" {LICENSE_SIGNING_POLICY}, 2.5.29.37.0 ");
        assert_eq!(parse_list(&listed).unwrap().len(), 2);
        assert_eq!(parse_list("").unwrap(), []);
        assert!(parse_list("license-signing").is_err());
    }
}
