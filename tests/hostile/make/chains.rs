//! Certification paths.

use forge::Key;
use forge::Kind;
use forge::certificate;
use forge::certificate::CRL_SIGN;
use forge::certificate::DIGITAL_SIGNATURE;
use forge::certificate::Entity;
use forge::certificate::KEY_CERT_SIGN;
use forge::certificate::Profile;
use forge::der;
use forge::jws;
use serde_json::json;

use crate::world::{
    World, a_root, a_signer, at, authority, case, claims, days, rsa_public_key, steady, stored, years,
};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn chains(&self) {
        let foreign = a_signer("Foreign signer").issue(&Self::passing(), &self.foreign_root);
        let none = "no path leads to a configured root";
        case("chain/wrong-root", "signed beneath a root that is not configured").refused(
            &self.license(&[&foreign]),
            "chain",
            none,
        );
        case("chain/wrong-root-sent-along", "the same, with that root in x5c").refused(
            &self.license(&[&foreign, &self.foreign_root]),
            "chain",
            none,
        );
        let namesake = a_root("Vendor root", Some(2)).self_signed(&Self::passing());
        let signer = a_signer("Foreign signer").issue(&Self::passing(), &namesake);
        case("chain/root-of-the-same-name", "signed beneath a foreign root that has our root's name")
            .refused(
                &self.license(&[&signer]),
                "chain",
                "the signature on certificate 0 does not match its issuer's key",
            );
        case("chain/root-of-the-same-name-sent-along", "the same, with that root in x5c").refused(
            &self.license(&[&signer, &namesake]),
            "chain",
            none,
        );
        let crossed =
            authority("Vendor intermediate", Some(0)).issue(&self.intermediate.key, &self.foreign_root);
        case("chain/cross-signed", "our intermediate's name and key, certified by a foreign root").refused(
            &self.license(&[&self.signer, &crossed]),
            "chain",
            none,
        );
        let impostor = authority("Vendor intermediate", Some(0)).issue(&Self::passing(), &self.root);
        case("chain/intermediate-of-the-same-name", "a signer beneath another intermediate of the same name")
            .refused(
                &self.license(&[&self.signer, &impostor]),
                "chain",
                "the signature on certificate 0 does not match its issuer's key",
            );
        let own = a_signer("Vendor signer").self_signed(&Self::passing());
        case("chain/self-signed", "the signer vouches for itself").refused(
            &self.license(&[&own]),
            "chain",
            none,
        );
        let own = a_signer("Vendor root").self_signed(&Self::passing());
        case("chain/self-signed-as-the-root", "the signer vouches for itself under our root's name").refused(
            &self.license(&[&own]),
            "chain",
            none,
        );
        case("chain/signer-above-the-root", "our root stands in x5c, above a signer it did not issue")
            .refused(&self.license(&[&foreign, &self.root]), "chain", none);

        let expired = |profile: Profile| Profile { validity: at() - days(20)..at() - days(10), ..profile };
        let future = |profile: Profile| Profile { validity: at() + days(10)..at() + days(20), ..profile };
        let invalid =
            |position: usize| format!("certificate {position} is not valid at the time of the check");
        case("chain/expired-leaf", "the signer's certificate has expired").refused(
            &self.by(&expired(a_signer("Signer"))),
            "chain",
            &invalid(0),
        );
        case("chain/future-leaf", "the signer's certificate is not valid yet").refused(
            &self.by(&future(a_signer("Signer"))),
            "chain",
            &invalid(0),
        );
        case("chain/expired-intermediate", "the intermediate has expired").refused(
            &self.beneath(&expired(authority("Old", Some(0)))),
            "chain",
            &invalid(1),
        );
        let short_lived =
            a_root("Short-lived root", Some(2)).self_signed(&stored("short-lived-root", Kind::P256));
        let signer = a_signer("Signer").issue(&Self::passing(), &short_lived);
        case("chain/expired-root", "the configured root itself has expired")
            .roots("short-lived")
            .at("2026-06-12T00:00:00Z")
            .refused(&self.license(&[&signer]), "chain", &invalid(1));
        case("chain/last-second", "at the very instant at which all certificates expire")
            .at("2036-04-09T00:00:00Z")
            .refused(&self.license(&self.chain()), "chain", &invalid(2));

        let authority_as_signer =
            a_signer("Signer").constraints(true, Some(0)).usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN);
        let not_a_signer = "the signer's certificate is not one for signing documents";
        case("chain/authority-as-signer", "an authority signs a license").refused(
            &self.beneath_root(&authority_as_signer),
            "chain",
            not_a_signer,
        );
        case("chain/root-as-signer", "the root signs a license").refused(
            &self.license(&[&self.root]),
            "chain",
            not_a_signer,
        );
        case("chain/no-digital-signature", "the signer's key is not for signing").refused(
            &self.by(&a_signer("Signer").usage(certificate::KEY_AGREEMENT)),
            "chain",
            not_a_signer,
        );
        case("chain/no-key-usage", "the signer does not say what its key is for").refused(
            &self.by(&a_signer("Signer").without(certificate::KEY_USAGE)),
            "chain",
            not_a_signer,
        );

        let not_an_authority = "certificate 1 is not an authority";
        let plain = a_signer("Not an authority");
        case("chain/intermediate-without-ca", "a signer signs another signer").refused(
            &self.beneath(&plain),
            "chain",
            not_an_authority,
        );
        let no_constraints = authority("No constraints", Some(0)).without(certificate::BASIC_CONSTRAINTS);
        case("chain/intermediate-without-constraints", "an intermediate without basicConstraints").refused(
            &self.beneath(&no_constraints),
            "chain",
            not_an_authority,
        );
        let no_cert_sign = authority("No keyCertSign", Some(0)).usage(DIGITAL_SIGNATURE | CRL_SIGN);
        case("chain/intermediate-without-cert-sign", "an intermediate that may not sign certificates")
            .refused(&self.beneath(&no_cert_sign), "chain", not_an_authority);
        let version_1 = steady(Profile::new("Version 1", years()));
        case("chain/intermediate-of-version-1", "an intermediate of X.509 version 1").refused(
            &self.beneath(&version_1),
            "chain",
            not_an_authority,
        );

        let length = "the path length is more than an authority allows";
        let first = authority("First", Some(0)).issue(&Self::passing(), &self.root);
        let second = authority("Second", Some(0)).issue(&Self::passing(), &first);
        let signer = a_signer("Signer").issue(&Self::passing(), &second);
        case("chain/path-length-exceeded", "an authority that allows none beneath it issues one").refused(
            &self.license(&[&signer, &second, &first]),
            "chain",
            length,
        );
        let mut chain = vec![self.root.clone()];
        for name in ["First", "Second", "Third"] {
            let above = chain.last().expect("the root");
            let next = authority(name, None).issue(&Self::passing(), above);
            chain.push(next);
        }
        let signer = a_signer("Signer").issue(&Self::passing(), &chain[3]);
        case("chain/path-length-of-the-root-exceeded", "three intermediates beneath a root that allows two")
            .refused(&self.license(&[&signer, &chain[3], &chain[2], &chain[1]]), "chain", length);

        let elsewhere = authority("Constrained", Some(0)).permitting("Elsewhere");
        case("chain/name-constraint-violated", "the intermediate may only issue beneath another name")
            .refused(
                &self.beneath(&elsewhere),
                "chain",
                "certificate 0 has a name outside its authority's constraints",
            );

        let unknown = ("1.3.6.1.4.1.99999.9", [0x05, 0x00]);
        let malformed = |position: usize| {
            format!("certificate {position} is malformed or has an unknown critical extension")
        };
        case(
            "chain/unknown-critical-extension-leaf",
            "the signer has a critical extension that nobody knows",
        )
        .refused(
            &self.by(&a_signer("Signer").with(unknown.0, true, &unknown.1)),
            "chain",
            &malformed(0),
        );
        case("chain/unknown-critical-extension-intermediate", "the intermediate has one").refused(
            &self.beneath(&authority("Critical", Some(0)).with(unknown.0, true, &unknown.1)),
            "chain",
            &malformed(1),
        );
        let ill_formed =
            |position: usize| format!("certificate {position} of x5c: not a well-formed X.509 certificate");
        let doubled = a_signer("Signer").twice(certificate::BASIC_CONSTRAINTS, true, &der::sequence(&[]));
        case("chain/extension-twice", "basicConstraints stand twice").refused(
            &self.by(&doubled),
            "chain",
            &ill_formed(0),
        );
        let doubled =
            a_signer("Signer").twice(unknown.0, false, &unknown.1).twice(unknown.0, false, &unknown.1);
        case("chain/unknown-extension-twice", "an extension that nobody knows stands twice").refused(
            &self.by(&doubled),
            "chain",
            &ill_formed(0),
        );
        let sha1 = Profile { sha1: true, ..a_signer("Signer") };
        case("chain/sha1", "the signer's certificate is signed with SHA-1").refused(
            &self.by(&sha1),
            "chain",
            "the signature on certificate 0 does not match its issuer's key",
        );
        let (_, rsa) = Key::new(Kind::Rsa(2048)).sign_x509(&[]);
        let confused = Profile { algorithm_inside: Some(rsa), ..a_signer("Signer") };
        case(
            "chain/algorithms-disagree",
            "the certificate names one signature algorithm inside and another outside",
        )
        .refused(&self.by(&confused), "chain", &malformed(0));

        case("chain/missing-intermediate", "x5c leaves the intermediate out").refused(
            &self.license(&[&self.signer]),
            "chain",
            none,
        );
        case("chain/reversed", "x5c begins with the intermediate").refused(
            &self.seal(jws::sign(
                &json!({ "alg": "ES256", "x5c": [self.intermediate.x5c(), self.signer.x5c()] }).to_string(),
                claims().to_string().as_bytes(),
                &self.signer.key,
            )),
            "signature",
            "the signature does not match the signer's key",
        );
        case("chain/stranger-between", "x5c holds a certificate that does not belong").refused(
            &self.license(&[&self.signer, &foreign, &self.intermediate]),
            "chain",
            length,
        );
        case("chain/stranger-at-the-end", "x5c ends in a certificate that does not belong").refused(
            &self.license(&[&self.signer, &self.intermediate, &self.foreign_root]),
            "chain",
            none,
        );
        case("chain/loop", "the intermediate stands twice").refused(
            &self.license(&[&self.signer, &self.intermediate, &self.intermediate]),
            "chain",
            "a certificate stands twice in the path",
        );
        let (one, two) = (Self::passing(), Self::passing());
        let (profile_one, profile_two) = (authority("One", None), authority("Two", None));
        let two_by_one = profile_two.sign(&two, "One", &one);
        let one_by_two = profile_one.sign(&one, "Two", &two);
        let signer = a_signer("Signer").issue(&Self::passing(), &two_by_one);
        case("chain/two-that-vouch-for-each-other", "two intermediates issue each other").refused(
            &self.license(&[&signer, &two_by_one, &one_by_two]),
            "chain",
            none,
        );
        let trailing = Entity { der: [self.signer.der.clone(), vec![0]].concat(), ..self.signer.clone() };
        case("chain/trailing-byte", "a byte follows the certificate").refused(
            &self.license(&[&trailing, &self.intermediate]),
            "chain",
            &ill_formed(0),
        );
        let garbage = Entity { der: b"-----BEGIN CERTIFICATE-----".to_vec(), ..self.intermediate.clone() };
        case("chain/garbage", "what should be a certificate is none").refused(
            &self.license(&[&self.signer, &garbage]),
            "chain",
            &ill_formed(1),
        );
        let stuffed = a_signer("Signer").with(unknown.0, false, &vec![0; 17 * 1024]);
        case("chain/large-certificate", "a certificate of 17 kB").refused(
            &self.by(&stuffed),
            "chain",
            "certificate 0 of x5c: longer than 16384 bytes",
        );

        let unsupported =
            "certificate 0 of x5c: not an EC key on P-256 or P-384, an RSA key or an Ed25519 key";
        case("chain/secp256k1", "a signer on secp256k1").refused(
            &self.by_key(&Key::new(Kind::Secp256k1), "ES256"),
            "chain",
            unsupported,
        );
        case("chain/x25519", "a signer whose key cannot sign").refused(
            &self.with_public_key(Key::new(Kind::X25519).public_der(), "EdDSA"),
            "chain",
            unsupported,
        );
        case("chain/rsa-1024", "a signer with a modulus of 1024 bits").refused(
            &self.by_key(&Key::new(Kind::Rsa(1024)), "PS256"),
            "chain",
            "certificate 0 of x5c: an RSA modulus of 1024 bits; 2048 to 4096 are accepted",
        );
        case("chain/rsa-16384", "a modulus of 16384 bits, to keep the verifier busy").refused(
            &self.with_public_key(rsa_public_key(2048, &[1, 0, 1]), "PS256"),
            "chain",
            "certificate 0 of x5c: an RSA modulus of 16384 bits; 2048 to 4096 are accepted",
        );
        case("chain/rsa-huge-exponent", "an exponent as long as the modulus, to keep the verifier busy")
            .refused(
                &self.with_public_key(rsa_public_key(512, &[0x7f; 511]), "PS256"),
                "signature",
                "the signature does not match the signer's key",
            );
        let mut off_curve = self.signer.key.public_der();
        *off_curve.last_mut().expect("a point") ^= 1;
        case("chain/point-off-curve", "a signer whose point is not on its curve").refused(
            &self.with_public_key(off_curve, "ES256"),
            "chain",
            "certificate 0 of x5c: not a well-formed public key",
        );
        case("chain/roots-without-authority", "a root bundle of a self-signed signer")
            .roots("self-signed-signer")
            .refused(
                &self.license(&self.chain()),
                "roots",
                "certificate 0 of the root bundle is not a self-signed authority",
            );
        case("chain/intermediate-as-root", "a root bundle of an intermediate")
            .roots("intermediate-as-root")
            .refused(
                &self.license(&self.chain()),
                "roots",
                "certificate 0 of the root bundle is not a self-signed authority",
            );
    }
}
