//! Looking and judging.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::desk::{Desk, done, failed};

const VERIFY: &str = "verify license.jwe --recipient-key recipient.key.pem --root";

#[test]
fn verify_says_what_was_minted_and_refuses_under_another_root() {
    let desk = Desk::with_signer();
    done(&desk.issue(""));
    assert!(done(&desk.run(&format!("{VERIFY} pki/authorities/root.pem"))).contains("Acme (acme)"));
    let told = desk.json(&format!("{VERIFY} pki/authorities/root.pem --json"));
    assert_eq!((&told["authority"], &told["claims"]["licenseId"]), (&json!("vendor"), &json!("L-2026-1")));
    let pasted = VERIFY.replace("license.jwe", "license.jwe.txt");
    assert_eq!(desk.json(&format!("{pasted} pki/authorities/root.pem --json")), told);

    done(&desk.run("ca init --dir other --name Root"));
    let refusal = failed(&desk.run(&format!("{VERIFY} other/authorities/root.pem")));
    assert!(refusal.starts_with("failed to verify the license: "), "{refusal}");
}

#[test]
fn verify_ends_with_1_where_the_license_does_not_count_yet_or_any_more() {
    let desk = Desk::with_signer();
    for (starts, words) in
        [("2099-01-01T00:00:00Z", "its signer only"), ("2020-01-01T00:00:00Z", "before it begins")]
    {
        desk.template("validDays", &format!("notBefore = \"{starts}\"\nvalidDays"));
        let refusal = failed(&desk.issue(""));
        assert!(refusal.contains(words), "what never counts is not minted: {refusal}");
    }
    let tomorrow = crate::desk::now().checked_add(jiff::SignedDuration::from_hours(24)).unwrap();
    desk.template("validDays", &format!("notBefore = \"{tomorrow}\"\nvalidDays"));
    done(&desk.issue(""));
    let output = desk.run(&format!("{VERIFY} pki/authorities/root.pem"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it is valid from"), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("L-2026-1"), "{output:?}");
}

#[test]
fn inspect_tells_what_a_file_is() {
    let desk = Desk::with_partner();
    done(&desk.run("ca key --dir pki --kid 2026-1"));
    done(&desk.issue("--signer acme"));
    desk.template("L-2026-1", "L-2026-2");
    done(
        &desk
            .run("issue --dir pki --template template.toml --request request.jws --out key.jws --format key"),
    );
    done(&desk.run("revoke bolt --dir pki --reason superseded"));
    done(&desk.run("crl --dir pki --out lists.pem"));
    let request = desk.request(|draft| draft.renewing("L-2025-1").wanting("chancery", "pro"));
    desk.write("request.txt", &request.armored());

    for (file, kind, words) in [
        ("license.jwe", "sealed-license", "recipient key    site-1"),
        ("license.jwe.txt", "sealed-license", "ECDH-ES+A256KW"),
        ("key.jws", "license-key", "nobody has looked at its signature"),
        ("key.jws.txt", "license-key", "L-2026-2"),
        ("request.txt", "license-request", request.request().fingerprint()),
        ("request.jws", "license-request", "Ada Lovelace <ada@acme.example>, technical"),
        ("pki/signers/bolt.pem", "certificates", "certificate      partner"),
        ("pki/authorities/root.pem", "certificates", "certificate      root"),
        ("lists.pem", "revocation-lists", "Superseded"),
        ("pki/signers/acme.key.pem", "private-key", "a private key, encrypted"),
        ("recipient.key.pem", "private-key", "not encrypted"),
    ] {
        let shown = done(&desk.run(&format!("inspect {file}")));
        assert!(shown.contains(words), "{file}: {shown}");
        assert_eq!(desk.json(&format!("inspect {file} --json"))["kind"], kind, "{file}");
        let key = desk.read("recipient.key.pem");
        let secret = key.lines().nth(1).unwrap();
        assert!(!shown.contains(secret), "{file}");
    }
    assert_eq!(desk.json("inspect license.jwe --json")["outline"]["enc"], "A256GCM");
    assert_eq!(desk.json("inspect key.jws --json")["verified"], false);
    assert_eq!(desk.json("inspect request.jws --json")["request"]["installationId"], "site-1");
}

#[test]
fn inspect_ends_with_1_where_a_file_is_nothing_or_is_not_what_it_says() {
    let desk = Desk::new();
    let request = desk.request(|draft| draft).token().to_owned();
    let (signed, _) = request.rsplit_once('.').unwrap();
    for text in [
        "no.license",
        "",
        "garbage",
        "a.b.c",
        "a.b.c.d.e",
        &format!("{signed}.AAAA"),
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----",
    ] {
        desk.write("file", text);
        assert!(failed(&desk.run("inspect file")).starts_with("failed to inspect `file`: "), "{text}");
    }
    assert!(failed(&desk.run("inspect nothing")).contains("nothing"));
}

#[test]
fn the_published_schemas_are_those_of_this_build() {
    let desk = Desk::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    for (document, file) in [("license", "license-1"), ("request", "license-request-1")] {
        let built = done(&desk.run(&format!("schema {document}")));
        let published = fs::read_to_string(folder.join(format!("{file}.schema.json"))).unwrap_or_default();
        assert!(
            built == published,
            "run `chancery-issuer schema {document} > docs/schemas/{file}.schema.json` and look at what changed"
        );
    }
}

#[test]
fn what_the_schema_requires_is_what_a_request_has() {
    let desk = Desk::new();
    let schema = desk.json("schema request");
    let document = serde_json::to_value(desk.request(|draft| draft).request()).unwrap();
    let required = schema["required"].as_array().unwrap();
    assert!(required.iter().all(|member| document.get(member.as_str().unwrap()).is_some()), "{document}");
    let known = schema["properties"].as_object().unwrap();
    assert!(document.as_object().unwrap().keys().all(|member| known.contains_key(member)), "{schema}");
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
}
