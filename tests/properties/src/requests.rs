use std::collections::BTreeSet;

use envelope::{
    armor::{Label, armor, dearmor, dearmor_as},
    request::{Contact, ContactRole, LicenseRequest, REQUEST_TYPE},
};
use serde_json::{Map, Value, json};

use crate::{
    split,
    world::{WORLD, at, jws_of},
};

pub(crate) fn judge(input: &[u8]) {
    let Some((mode, rest)) = split(input) else { return };
    match mode {
        b'a' => {
            if let Ok(text) = std::str::from_utf8(rest) {
                armored(text);
            }
        }
        b'r' => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            if LicenseRequest::verify(text).is_ok() {
                let token = dearmor(text).expect("a request that is verified can be read");
                // Nobody but the recipient's key signs anything here.
                assert!(WORLD.recipient_key.signed_jws(&token), "only what was signed is a request");
            }
        }
        b'd' => judge_signed(&header(), rest),
        b'h' => judge_signed(rest, &document()),
        _ => {}
    }
}

/// A request that the recipient's key really signed.
fn judge_signed(header: &[u8], document: &[u8]) {
    let token = jws_of(header, document, &WORLD.recipient_key);
    let Ok(request) = LicenseRequest::verify(&token) else { return };
    let ours: Map<String, Value> = WORLD.recipient.public().into();
    let theirs: Map<String, Value> = request.recipient().clone().into();
    assert_eq!((&ours["x"], &ours["y"]), (&theirs["x"], &theirs["y"]), "who signs is who is named");
    let read: Value = serde_json::from_slice(document).expect("a document that is accepted is JSON");
    let written = serde_json::to_value(request.document()).expect("a document can be written");
    assert_eq!(read["installationId"], written["installationId"]);
    let no_terminal_obeys = |text: &str| !text.contains(char::is_control);
    let says = request.document();
    for text in [&says.installation_id, &says.request_id, &says.organization_name] {
        assert!(no_terminal_obeys(text) && !text.trim().is_empty(), "a text for people");
    }
    assert!(!says.contacts.is_empty(), "somebody can be asked");
    let armored = armor(Label::LicenseRequest, &token);
    assert!(LicenseRequest::verify(&armored).is_ok(), "the armored form says the same");
}

fn armored(text: &str) {
    if let Ok(token) = dearmor(text) {
        assert!(!token.contains(char::is_whitespace), "a token has no blanks");
        assert!(dearmor(&token).is_ok_and(|again| again == token), "a token is its own compact form");
        for label in [Label::License, Label::LicenseKey, Label::LicenseRequest] {
            let armored = armor(label, &token);
            assert_eq!(dearmor_as(label, &armored).expect("what is armored can be read"), token);
        }
    }
}

/// Inputs to begin with.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let request = request();
    let texts = [request.clone(), armor(Label::LicenseRequest, &request), armor(Label::License, &request)];
    let mut seeds = Vec::new();
    for text in &texts {
        seeds.push([b"a", text.as_bytes()].concat());
        seeds.push([b"a", text.replace('\n', "\r\n").as_bytes()].concat());
        seeds.push([b"r", text.as_bytes()].concat());
    }
    seeds.push([b"d".to_vec(), document()].concat());
    seeds.push([b"h".to_vec(), header()].concat());
    seeds.push(b"hx".to_vec());
    seeds
}

fn header() -> Vec<u8> {
    let kid = WORLD.recipient.key_id();
    json!({ "alg": "ES256", "kid": kid, "typ": REQUEST_TYPE }).to_string().into_bytes()
}

fn document() -> Vec<u8> {
    let payload = request().split('.').nth(1).map(forge::from_base64url);
    payload.expect("a payload")
}

/// One request, the same at every call.
fn request() -> String {
    static REQUEST: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let contact = Contact {
            email: "ada@acme.example".to_owned(),
            given_name: "Ada".to_owned(),
            family_name: "Acme".to_owned(),
            roles: BTreeSet::from([ContactRole::Technical, ContactRole::Administrator]),
            display_name: None,
        };
        let draft = LicenseRequest::draft("R-1", at(), "site-1", "Acme").contact(contact);
        let draft = draft.base_domain("acme.example").renewing("L-2026-1").wanting("chancery", "pro");
        draft.sign(&WORLD.recipient).expect("a signed request").token().to_owned()
    });
    REQUEST.clone()
}
