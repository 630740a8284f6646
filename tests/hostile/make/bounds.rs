//! Sizes and counts.

use forge::Key;
use forge::Kind;
use forge::certificate::Profile;

use crate::world::{World, a_signer, authority, case, license_policy, steady, years};

impl World {
    pub(crate) fn bounds(&self) {
        case("bounds/ten-megabytes", "a token of 10 MB").derived(
            "valid/p256-es256",
            "ten-megabytes",
            "bounds",
        );
        case("bounds/ten-megabytes-of-dots", "a token and 10 MB of dots").derived(
            "valid/p256-es256",
            "ten-megabytes-of-dots",
            "bounds",
        );
        case("bounds/key-of-ten-megabytes", "a license in key format of 10 MB").key_format().derived(
            "valid/key-format",
            "ten-megabytes",
            "bounds",
        );
        // A path's policies multiply from certificate to certificate (RFC 5280, 6.1.3 d): each doubled policy doubles them.
        let eight = vec![license_policy(); 8];
        let eight: Vec<&str> = eight.iter().map(String::as_str).collect();
        let first = authority("First", Some(1)).policies(&eight).issue(&Self::passing(), &self.root);
        let second = authority("Second", Some(0)).policies(&eight).issue(&Self::passing(), &first);
        let signer = a_signer("Signer").policies(&eight).issue(&Self::passing(), &second);
        case("bounds/policies-that-multiply", "every certificate asserts the same policy eight times")
            .refused(
                &self.license(&[&signer, &second, &first]),
                "chain",
                "certificate 0 of x5c: not a well-formed X.509 certificate",
            );
        let tiny = steady(Profile::new("x", years())).self_signed(&Key::new(Kind::Ed25519));
        let mut many = vec![&self.signer, &self.intermediate];
        many.resize(200, &tiny);
        case("bounds/200-certificates", "a chain of 200 certificates").refused(
            &self.license(&many),
            "bounds",
            "x5c holds 200 certificates, 1 to 5 are accepted",
        );
        case("bounds/6-certificates", "a chain of one certificate too many").refused(
            &self.license(&many[..6]),
            "bounds",
            "x5c holds 6 certificates, 1 to 5 are accepted",
        );
        case("bounds/no-certificate", "a chain of no certificate").refused(
            &self.under_header(r#"{"alg":"ES256","x5c":[]}"#),
            "bounds",
            "x5c holds 0 certificates, 1 to 5 are accepted",
        );
    }
}
