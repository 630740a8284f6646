use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use envelope::{Crls, Trust, path};
use forge::crl;
use serde_json::{Value, json};

use crate::{
    split,
    world::{WORLD, at, read},
};

pub(crate) fn judge(input: &[u8]) {
    let Some((mode, rest)) = split(input) else { return };
    match mode {
        b't' => {
            let Ok(token) = std::str::from_utf8(rest) else { return };
            let _ = envelope::outline(token);
            opens_only_what_was_signed(token);
        }
        b'i' => opens_only_what_was_signed(&WORLD.seal(rest)),
        b'h' => {
            if let Ok(license) = WORLD.open(&WORLD.license(rest, &WORLD.claims)) {
                let header: Value = serde_json::from_slice(rest).expect("an accepted header is JSON");
                assert_eq!(header["alg"], "ES256", "the signer's own algorithm");
                let claims: Value = serde_json::from_slice(&WORLD.claims).expect("claims");
                assert_eq!(serde_json::to_value(license.claims()).expect("claims"), claims);
            }
        }
        b'x' => certificate(rest),
        b'l' => list(rest),
        b'r' => {
            let Ok(bundle) = std::str::from_utf8(rest) else { return };
            if let Ok(trust) = Trust::from_pem(bundle) {
                let good = WORLD.license(WORLD.header.to_string().as_bytes(), &WORLD.claims);
                let opened = envelope::open(&good, &WORLD.recipient, &trust, at());
                let holds_ours = pem_bodies(bundle).any(|der| WORLD.root_key.signed_x509(&der));
                assert!(opened.is_err() || holds_ours, "only our root vouches for our signer");
            }
        }
        _ => {}
    }
}

fn opens_only_what_was_signed(token: &str) {
    if WORLD.open(token).is_ok() {
        assert!(WORLD.signed.contains(&WORLD.signed_part(token)), "only what was signed opens");
    }
}

/// A signer's certificate that nobody but its issuer can have made.
fn certificate(der: &[u8]) {
    let _ = path::Certificate::from_der(der);
    let mut header = WORLD.header.clone();
    header["x5c"][0] = json!(Base64::encode_string(der));
    let token = WORLD.license(header.to_string().as_bytes(), &WORLD.claims);
    if WORLD.open(&token).is_ok() {
        assert!(WORLD.intermediate_key.signed_x509(der), "a certificate is what its issuer signed");
    }
}

/// A list beside the root's own good one.
fn list(der: &[u8]) {
    let _ = path::Crl::from_der(der);
    let bundle = read("lists/current.pem");
    let roots_list = pem_bodies(&bundle).last().expect("the root's list");
    let bundle = format!("{}{}", crl::pem(der), crl::pem(&roots_list));
    let Ok(lists) = Crls::from_pem(&bundle) else { return };
    let trust = Trust::from_pem(&WORLD.roots).expect("roots").checking_crls(lists);
    let token = WORLD.license(WORLD.header.to_string().as_bytes(), &WORLD.claims);
    if envelope::open(&token, &WORLD.recipient, &trust, at()).is_ok() {
        assert!(WORLD.intermediate_key.signed_x509(der), "a list is what its issuer signed");
    }
}

/// The documents of a PEM text, read as loosely as can be.
fn pem_bodies(text: &str) -> impl Iterator<Item = Vec<u8>> {
    text.split("-----BEGIN ").skip(1).filter_map(|block| {
        let body: String = block.split("-----").nth(1)?.split_whitespace().collect();
        let body = body.trim_end_matches('=').replace('+', "-").replace('/', "_");
        Base64UrlUnpadded::decode_vec(&body).ok()
    })
}
