//! What does not open, and where it stops.

use crate::support::{Entity, KeyKind, Profile, World, base64url, claims, days, jwe, jws, now, with_part};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use chancery_envelope::{
    CertificateError, EnvelopeError, Layer, MAX_CERTIFICATES, MAX_TOKEN_BYTES, Recipient, Stage, oid, open,
    path::PathError,
};
use der::Encode as _;
use openssl::{hash::MessageDigest, nid::Nid};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Flips the lowest bit of the middle byte.
fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[test]
fn a_license_for_another_recipient_does_not_open() {
    let world = World::new();
    let token = world.token(&claims());
    let other = Recipient::generate("site-2").unwrap();
    let refusal = open(&token, &other, &world.trust, now()).unwrap_err();
    assert_eq!(refusal, EnvelopeError::OtherRecipient { found: "site-1-2026".into() });
    let namesake = Recipient::generate("site-1-2026").unwrap();
    assert_eq!(open(&token, &namesake, &world.trust, now()).unwrap_err(), EnvelopeError::Decrypt);
}

#[test]
fn a_flipped_bit_in_any_part_of_the_jwe_is_noticed() {
    let world = World::new();
    let token = world.token(&claims());
    for part in 1..5 {
        assert_eq!(world.refusal(&with_part(&token, part, flipped)), EnvelopeError::Decrypt, "part {part}");
    }
    assert!(world.open(&with_part(&token, 0, flipped)).is_err());
    // A header that still reads the same is authenticated too.
    let spaced = with_part(&token, 0, |json| [json, b" ".to_vec()].concat());
    assert_eq!(world.refusal(&spaced), EnvelopeError::Decrypt);
}

#[test]
fn lengths_that_josekit_would_accept_or_panic_on_are_refused_first() {
    let world = World::new();
    let token = world.token(&claims());
    for (part, name, expected) in
        [(1, "encrypted key", 40), (2, "initialization vector", 12), (4, "authentication tag", 16)]
    {
        for bytes in [0, 1, 7, expected - 1] {
            let short = with_part(&token, part, |whole| whole[..bytes].to_vec());
            let refusal = EnvelopeError::PartLength { layer: Layer::Jwe, part: name, bytes, expected };
            assert_eq!(world.refusal(&short), refusal);
        }
    }
}

#[test]
fn a_base64_text_has_one_spelling() {
    let world = World::new();
    let token = world.token(&claims());
    assert_eq!(world.refusal(&format!("{token}==")).stage(), Stage::Format);
    // 16 bytes leave four unused bits in the last character, which must be zero.
    let last = token.chars().last().unwrap();
    let sibling = char::from(last as u8 + 1);
    let respelled = format!("{}{sibling}", &token[..token.len() - 1]);
    assert_eq!(world.refusal(&respelled).stage(), Stage::Format);
}

#[test]
fn a_jwe_header_accepts_what_is_listed_and_nothing_else() {
    let world = World::new();
    let token = world.token(&claims());
    for (name, value) in [
        ("zip", json!("DEF")),
        ("crit", json!(["exp"])),
        ("jku", json!("https://evil.example/keys")),
        ("jwk", json!({})),
        ("x5u", json!("https://evil.example/chain")),
        ("x5c", json!([])),
        ("apu", json!("AAAA")),
        ("p2c", json!(1_000_000)),
    ] {
        let changed = with_part(&token, 0, |header| {
            let mut header: Value = serde_json::from_slice(&header).unwrap();
            header[name] = value.clone();
            header.to_string().into_bytes()
        });
        let refusal = EnvelopeError::HeaderParameter { layer: Layer::Jwe, name: name.into() };
        assert_eq!(world.refusal(&changed), refusal);
    }
    for (name, values) in [
        ("alg", ["none", "dir", "RSA1_5", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "PBES2-HS256+A128KW"]),
        ("enc", ["", "A128GCM", "A192GCM", "A128CBC-HS256", "A256CBC-HS512", "a256gcm", "none"]),
    ] {
        for value in values {
            let changed = with_part(&token, 0, |header| {
                let mut header: Value = serde_json::from_slice(&header).unwrap();
                header[name] = json!(value);
                header.to_string().into_bytes()
            });
            let refusal = world.refusal(&changed);
            assert!(matches!(refusal, EnvelopeError::Algorithm { .. }), "{refusal}");
            assert!(refusal.to_string().contains(&format!("`{value}`")), "{refusal}");
        }
    }
}

#[test]
fn an_inflating_token_is_not_inflated() {
    let world = World::new();
    let content = "0".repeat(1 << 20);
    let bomb = jwe(&content, &world.recipient.public(), |header| header.set_compression("DEF"));
    assert!(bomb.len() < MAX_TOKEN_BYTES);
    let refusal = EnvelopeError::HeaderParameter { layer: Layer::Jwe, name: "zip".into() };
    assert_eq!(world.refusal(&bomb), refusal);
}

#[test]
fn an_ephemeral_key_must_lie_on_the_curve() {
    let world = World::new();
    for change in [
        (|epk| epk["y"] = epk["x"].clone()) as fn(&mut Value),
        |epk| epk["x"] = json!(""),
        |epk| epk["crv"] = json!("P-384"),
        |epk| epk["kty"] = json!("OKP"),
        |epk| *epk = json!("key"),
        |epk| *epk = Value::Null,
    ] {
        let changed = with_part(&world.token(&claims()), 0, |header| {
            let mut header: Value = serde_json::from_slice(&header).unwrap();
            change(&mut header["epk"]);
            header.to_string().into_bytes()
        });
        assert_eq!(world.refusal(&changed), EnvelopeError::Decrypt);
    }
}

#[test]
fn a_jws_header_accepts_what_is_listed_and_nothing_else() {
    let world = World::new();
    let with = |name: &str, value: Value| {
        let mut header = world.header();
        header[name] = value;
        world.refusal(&world.seal(&jws(&header, &claims(), &world.signer.key)))
    };
    for name in ["crit", "jku", "jwk", "x5u", "b64", "kid", "zip"] {
        let refusal = EnvelopeError::HeaderParameter { layer: Layer::Jws, name: name.into() };
        assert_eq!(with(name, json!(true)), refusal);
    }
    for value in ["none", "None", "HS256", "ES512", "ES256K", "RS256", "PS384", "Ed25519", ""] {
        assert!(matches!(with("alg", json!(value)), EnvelopeError::Algorithm { layer: Layer::Jws, .. }));
    }
    // Accepted, and yet not what the signer's key is for.
    for value in ["ES384", "PS256", "EdDSA"] {
        assert_eq!(with("alg", json!(value)), EnvelopeError::Signature);
    }
    assert_eq!(with("alg", json!(1)), EnvelopeError::HeaderLacks { layer: Layer::Jws, name: "alg" });
}

#[test]
fn a_signature_is_the_signers_over_exactly_these_bytes() {
    let world = World::new();
    let good = jws(&world.header(), &claims(), &world.signer.key);
    for part in 1..3 {
        assert_eq!(world.refusal(&world.seal(&with_part(&good, part, flipped))), EnvelopeError::Signature);
    }
    let unsigned = with_part(&good, 2, |_| vec![]);
    assert_eq!(world.refusal(&world.seal(&unsigned)), EnvelopeError::Signature);
    // r = s = 0, the "psychic" signature.
    let zero = with_part(&good, 2, |_| vec![0; 64]);
    assert_eq!(world.refusal(&world.seal(&zero)), EnvelopeError::Signature);
    let by_the_root = jws(&world.header(), &claims(), &world.root.key);
    assert_eq!(world.refusal(&world.seal(&by_the_root)), EnvelopeError::Signature);
}

#[test]
fn a_license_that_is_only_encrypted_or_only_signed_does_not_open() {
    let world = World::new();
    let plain = world.seal(&claims().to_string());
    assert_eq!(world.refusal(&plain).stage(), Stage::Format);
    let signed = jws(&world.header(), &claims(), &world.signer.key);
    let refusal = EnvelopeError::Parts { layer: Layer::Jwe, parts: 3, expected: 5 };
    assert_eq!(world.refusal(&signed), refusal);
}

#[test]
fn x5c_is_a_short_list_of_certificates() {
    let world = World::new();
    let with = |x5c: Value| {
        let header = json!({ "alg": "ES256", "x5c": x5c });
        world.refusal(&world.seal(&jws(&header, &claims(), &world.signer.key)))
    };
    let lacks = EnvelopeError::HeaderLacks { layer: Layer::Jws, name: "x5c" };
    assert_eq!(with(Value::Null), lacks);
    assert_eq!(with(json!(world.signer.x5c())), lacks);
    assert_eq!(with(json!([1])), lacks);
    let limit = MAX_CERTIFICATES;
    assert_eq!(with(json!([])), EnvelopeError::ChainLength { certificates: 0, limit });
    let many = vec![world.signer.x5c(); limit + 1];
    assert_eq!(with(json!(many)), EnvelopeError::ChainLength { certificates: limit + 1, limit });
    let stuffed = Profile { extra: Some(("1.2.3.4", false, vec![0; 17 * 1024])), ..Profile::signer() };
    let problem = CertificateError::TooLarge;
    let stuffed = stuffed.issue(Some(&world.root)).x5c();
    assert_eq!(with(json!([stuffed])), EnvelopeError::Certificate { position: 0, problem });
    for garbage in ["", "AAAA", "%", &base64url("-----BEGIN"), &"A".repeat(32 * 1024)] {
        let refusal = with(json!([world.signer.x5c(), garbage]));
        assert!(matches!(refusal, EnvelopeError::Certificate { position: 1, .. }), "{refusal}");
    }
}

#[test]
fn x5c_is_the_path_in_order_and_nothing_else() {
    let world = World::new();
    let upper = Profile { name: "upper", authority: Some(1), ..Profile::intermediate() };
    let upper = upper.issue(Some(&world.root));
    let lower = Profile::intermediate().issue(Some(&upper));
    let signer = Profile::signer().issue(Some(&lower));
    let open = |above: &[&Entity]| world.open(&world.token_by(&signer, above)).map(drop);

    assert_eq!(open(&[&lower, &upper]), Ok(()));
    assert_eq!(open(&[&lower, &upper, &world.root]), Ok(()));
    for wrong in
        [&[&upper, &lower][..], &[&lower, &upper, &world.signer], &[&lower, &lower, &upper], &[&lower]]
    {
        assert_eq!(open(wrong).unwrap_err().stage(), Stage::Chain);
    }

    let leaf_last = json!({ "alg": "ES256", "x5c": [lower.x5c(), signer.x5c(), upper.x5c()] });
    let token = world.seal(&jws(&leaf_last, &claims(), &signer.key));
    assert_eq!(world.refusal(&token), EnvelopeError::Signature);
}

#[test]
fn a_foreign_root_vouches_for_nothing_even_under_the_same_name() {
    let world = World::new();
    let foreign = Profile::root().issue(None);
    let signer = Profile::signer().issue(Some(&foreign));
    for above in [&[][..], &[&foreign], &[&world.root]] {
        assert_eq!(world.refusal(&world.token_by(&signer, above)).stage(), Stage::Chain);
    }
    let self_signed = Profile::signer().issue(None);
    assert_eq!(world.refusal(&world.token_by(&self_signed, &[])).stage(), Stage::Chain);
}

/// A signer with one thing wrong, and where it stops.
#[test]
fn a_signer_must_be_one() {
    let world = World::new();
    let valid = Profile::signer;
    let past = now() - days(20)..now() - days(10);
    let future = now() + days(10)..now() + days(20);
    let stranger = oid::parse_list("1.3.6.1.5.5.7.3.3").unwrap();
    for (name, signer, stage) in [
        ("expired", Profile { validity: past, ..valid() }, Stage::Chain),
        ("not yet valid", Profile { validity: future, ..valid() }, Stage::Chain),
        ("an authority", Profile { authority: Some(0), ..valid() }, Stage::Chain),
        ("no digitalSignature", Profile { signs_documents: false, ..valid() }, Stage::Chain),
        (
            "an unknown critical extension",
            Profile { extra: Some(("1.2.3.4", true, vec![5, 0])), ..valid() },
            Stage::Chain,
        ),
        ("signed with SHA-1", Profile { digest: MessageDigest::sha1(), ..valid() }, Stage::Chain),
        ("a P-384 key", Profile { key: KeyKind::Ec(Nid::SECP384R1), ..valid() }, Stage::Signature),
        ("no EKU", Profile { purposes: vec![], ..valid() }, Stage::Policy),
        ("another EKU", Profile { purposes: stranger, ..valid() }, Stage::Policy),
        ("any EKU", Profile { purposes: oid::parse_list("2.5.29.37.0").unwrap(), ..valid() }, Stage::Policy),
        ("no policy", Profile { policies: vec![], ..valid() }, Stage::Policy),
        (
            "any policy",
            Profile { policies: oid::parse_list("2.5.29.32.0").unwrap(), ..valid() },
            Stage::Policy,
        ),
    ] {
        let signer = signer.issue(Some(&world.root));
        let refusal = world.refusal(&world.token_by(&signer, &[]));
        assert_eq!(refusal.stage(), stage, "{name}: {refusal}");
    }
}

#[test]
fn the_root_itself_signs_no_license() {
    let world = World::new();
    assert_eq!(world.refusal(&world.token_by(&world.root, &[])), EnvelopeError::NotASigner);
}

#[test]
fn an_intermediate_must_be_one() {
    let world = World::new();
    let valid = Profile::intermediate;
    // One mapping, of our policy to 1.2.3.4.
    let ours = oid::LICENSE_SIGNING_POLICY.to_der().unwrap();
    let pair = [ours, vec![6, 3, 0x2a, 3, 4]].concat();
    let tagged = |content: Vec<u8>| [vec![0x30, u8::try_from(content.len()).unwrap()], content].concat();
    let mappings = tagged(tagged(pair));
    for (name, intermediate, stage) in [
        ("a signer", Profile { name: "middle", ..Profile::signer() }, Stage::Chain),
        ("expired", Profile { validity: now() - days(20)..now() - days(10), ..valid() }, Stage::Chain),
        ("no policy", Profile { policies: vec![], ..valid() }, Stage::Policy),
        (
            "policy mappings",
            Profile { extra: Some(("2.5.29.33", false, mappings)), ..valid() },
            Stage::Policy,
        ),
    ] {
        let intermediate = intermediate.issue(Some(&world.root));
        let signer = Profile::signer().issue(Some(&intermediate));
        let refusal = world.refusal(&world.token_by(&signer, &[&intermediate]));
        assert_eq!(refusal.stage(), stage, "{name}: {refusal}");
    }

    let first = Profile { name: "first", ..valid() }.issue(Some(&world.root));
    let second = valid().issue(Some(&first));
    let signer = Profile::signer().issue(Some(&second));
    let refusal = world.refusal(&world.token_by(&signer, &[&second, &first]));
    assert!(refusal.to_string().contains("path length"), "{refusal}");
}

#[test]
fn a_policy_that_the_chain_itself_demands_is_demanded_even_where_none_is_configured() {
    let mut world = World::new();
    world.trust = world.trust.requiring_policies(vec![]);
    // policyConstraints, requireExplicitPolicy 0.
    let demanding = vec![0x30, 0x03, 0x80, 0x01, 0x00];
    let intermediate = Profile { extra: Some(("2.5.29.36", true, demanding)), ..Profile::intermediate() };
    let intermediate = intermediate.issue(Some(&world.root));
    let signer = Profile::signer().issue(Some(&intermediate));
    assert!(world.open(&world.token_by(&signer, &[&intermediate])).is_ok());
    let silent = Profile { policies: vec![], ..Profile::signer() }.issue(Some(&intermediate));
    let refusal = world.refusal(&world.token_by(&silent, &[&intermediate]));
    assert_eq!(refusal, EnvelopeError::Path(PathError::NoPolicy));
}

#[test]
fn an_oversized_token_is_not_looked_at() {
    let world = World::new();
    let refusal = EnvelopeError::TokenTooLarge { bytes: MAX_TOKEN_BYTES + 1, limit: MAX_TOKEN_BYTES };
    assert_eq!(world.refusal(&"a".repeat(MAX_TOKEN_BYTES + 1)), refusal);
}

#[test]
fn what_a_token_says_is_cut_and_escaped_in_messages() {
    let world = World::new();
    let header = json!({ "alg": format!("\n\u{1b}[31m{}", "x".repeat(10_000)) }).to_string();
    let message = world.refusal(&format!("{}.a.b.c.d", base64url(&header))).to_string();
    assert!(message.len() < 200 && !message.contains(['\n', '\u{1b}']), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_is_refused_without_panicking(token in "[A-Za-z0-9_.\\-]{0,400}", text in "\\PC{0,200}") {
        let world = World::new();
        prop_assert!(world.open(&token).is_err());
        prop_assert!(world.open(&text).is_err());
    }

    #[test]
    fn garbage_in_good_wrapping_is_refused_without_panicking(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..6),
        content in "\\PC{0,200}",
        replaced in 0_usize..5,
    ) {
        let world = World::new();
        let encode = |part: &Vec<u8>| Base64UrlUnpadded::encode_string(part);
        let joined = parts.iter().map(encode).collect::<Vec<_>>().join(".");
        prop_assert!(world.open(&joined).is_err());
        prop_assert!(world.open(&world.seal(&joined)).is_err());
        prop_assert!(world.open(&world.seal(&content)).is_err());
        let garbled = with_part(&world.token(&claims()), replaced, |_| content.clone().into_bytes());
        prop_assert!(world.open(&garbled).is_err());
        let x5c = json!({ "alg": "ES256", "x5c": parts.iter().map(encode).collect::<Vec<_>>() });
        prop_assert!(world.open(&world.seal(&jws(&x5c, &claims(), &world.signer.key))).is_err());
    }
}
