//! Minting.

use std::fs;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use envelope::{Crls, Trust, armor::dearmor};
use serde_json::{Value, json};

use crate::desk::{CATALOG, Desk, TEMPLATE, done, failed, now};

#[test]
fn a_minted_license_opens_in_its_deployment() {
    let desk = Desk::with_signer();
    assert_eq!(done(&desk.issue("")), "L-2026-1\n");
    let claims = desk.open();
    assert_eq!(claims.binding.installation_id.as_deref(), Some("site-1"));
    assert_eq!(claims.installation_owner, claims.licensee);
    assert_eq!(claims.grant.quotas["tenancy.exports.max"], 50);
    assert_eq!(claims.expires_at.duration_since(claims.not_before).as_hours(), 365 * 24);
    assert_eq!(claims.metadata["requestId"], "R-1");

    // The form to be pasted holds the same.
    let pasted = desk.read("license.jwe.txt");
    assert!(pasted.starts_with("-----BEGIN CHANCERY LICENSE-----\n"), "{pasted}");
    assert_eq!(dearmor(&pasted).unwrap(), desk.read("license.jwe").trim());
}

#[test]
fn an_edition_is_expanded_through_the_catalog_and_the_templates_own_words_win() {
    let desk = Desk::with_signer();
    let sale = "[[sell]]\nproduct = \"chancery\"\nedition = \"scale\"\nmodules = [\"tenancy\"]\n";
    let head = TEMPLATE.split("[grant]").next().unwrap();
    desk.write("template.toml", &format!("{head}{sale}"));
    done(&desk.issue(CATALOG));
    let grant = serde_json::to_value(desk.open().grant).unwrap();
    assert_eq!(
        grant,
        json!({
            "products": { "chancery": { "edition": "scale", "modules": ["tenancy"] } },
            "features": {
                "tenancy.custom-domains.v1": true,
                "tenancy.self-signup.v1": true,
                "tenancy.subtenants.v1": true,
            },
            "commands": { "allow": [], "deny": [] },
            "quotas": {
                "tenancy.exports.max": 1000,
                "tenants.depth.max": 3,
                "tenants.root.max": 250,
                "tenants.total.max": 5000,
            },
        })
    );

    let own = "[grant]\nquotas = { \"tenancy.exports.max\" = 5000 }\ncommands = { deny = [\"chancery.signup.**\"] }\n";
    let own = own.to_owned() + "features = { \"tenancy.subtenants.v1\" = false }\n";
    desk.write("template.toml", &format!("{head}{sale}{own}").replace("L-2026-1", "L-2026-2"));
    for file in ["license.jwe", "license.jwe.txt"] {
        fs::remove_file(desk.path(file)).unwrap();
    }
    done(&desk.issue(CATALOG));
    let grant = serde_json::to_value(desk.open().grant).unwrap();
    assert_eq!(grant["quotas"]["tenancy.exports.max"], 5000);
    assert_eq!(grant["quotas"]["tenants.root.max"], 250);
    assert_eq!(grant["features"]["tenancy.subtenants.v1"], false);
    assert_eq!(grant["features"]["tenancy.self-signup.v1"], true);
    assert_eq!(grant["commands"], json!({ "allow": [], "deny": ["chancery.signup.**"] }));
    assert_eq!(grant["products"]["chancery"]["edition"], "scale");
}

#[test]
fn what_a_template_cannot_sell_is_refused_by_the_word() {
    let desk = Desk::with_signer();
    let head = TEMPLATE.split("[grant]").next().unwrap();
    let sell = |sales: &[(&str, &str)], own: &str| {
        let sales = sales.iter().map(|(product, edition)| {
            format!("[[sell]]\nproduct = \"{product}\"\nedition = \"{edition}\"\n")
        });
        format!("{head}{}{own}", sales.collect::<String>())
    };
    for (template, catalog, words) in [
        (head.to_owned(), CATALOG, "sells nothing"),
        (sell(&[("chancery", "pro")], ""), "", "give --catalog"),
        (sell(&[("chancery", "gold")], ""), CATALOG, "no edition `chancery/gold`"),
        (sell(&[("chest", "pro")], ""), CATALOG, "no edition `chest/pro`"),
        (sell(&[("chancery", "pro"), ("chancery", "trial")], ""), CATALOG, "sells `chancery` twice"),
        (sell(&[("chancery", "pro"), ("ledger", "pro")], ""), CATALOG, "`tenancy.exports.max` has one value"),
        (
            sell(&[], "[grant]\nquotas = { \"tenancy.export.max\" = 1 }\n"),
            CATALOG,
            "no quota `tenancy.export.max`",
        ),
        (
            sell(&[], "[grant]\nfeatures = { \"tenancy.sub.v1\" = true }\n"),
            CATALOG,
            "no feature `tenancy.sub.v1`",
        ),
        (
            sell(&[], "[grant]\nfeatures = { \"tenancy.subtenants.v1\" = 3 }\n"),
            CATALOG,
            "`tenancy.subtenants.v1` is not Boolean",
        ),
        (sell(&[], "[grant]\nproducts = { chest = { edition = \"pro\" } }\n"), CATALOG, "no product `chest`"),
        (sell(&[], "[grant]\nfeatures = { sub = true }\n"), "", "`sub`"),
    ] {
        desk.write("template.toml", &template);
        let refusal = failed(&desk.issue(catalog));
        assert!(refusal.contains(words), "{words}: {refusal}");
        assert!(!desk.path("license.jwe").exists());
    }
    // What two products say differently, the template may settle.
    let settled = sell(
        &[("chancery", "pro"), ("ledger", "pro")],
        "[grant]\nquotas = { \"tenancy.exports.max\" = 9 }\n",
    );
    desk.write("template.toml", &settled);
    done(&desk.issue(CATALOG));
    assert_eq!(desk.open().grant.quotas["tenancy.exports.max"], 9);
}

#[test]
fn a_template_that_is_not_one_is_refused_by_the_word() {
    let desk = Desk::with_signer();
    for (from, to, word) in [
        ("chancery.signup.**", "chancery.*", "chancery.*"),
        ("tenancy.subtenants.v1", "tenancy.subtenants", "tenancy.subtenants"),
        ("graceDays", "grace", "grace"),
        ("\"L-2026-1\"", "\"\"", "licenseId"),
        ("validDays = 365", "validDays = 0", "before it begins"),
        ("graceDays = 14", "graceDays = 14\nassertedPolicies = [\"one\"]", "assertedPolicies[0]"),
        (
            "graceDays = 14",
            "graceDays = 14\nassertedPolicies = [\"1.2.3\"]",
            "not valid for the policy `1.2.3`",
        ),
    ] {
        desk.template(from, to);
        let refusal = failed(&desk.issue(""));
        assert!(refusal.contains(word), "{refusal}");
    }
    assert!(!desk.path("license.jwe").exists());
}

#[test]
fn a_template_may_be_json() {
    let desk = Desk::with_signer();
    let template: Value = toml::from_str(TEMPLATE).unwrap();
    desk.write("template.json", &template.to_string());
    done(&desk.run("issue --dir pki --template template.json --request request.jws --out license.jwe"));
    desk.write("template.yaml", "");
    let other = "issue --dir pki --template template.yaml --request request.jws --out other.jwe";
    assert!(failed(&desk.run(other)).contains("a `.toml` or a `.json` file"));
}

#[test]
fn domains_are_the_requests_unless_the_template_states_them() {
    let desk = Desk::with_signer();
    for (from, to, expected) in [
        ("baseDomains = [\"acme.example\"]", "baseDomains = [\"other.example\"]", json!(["other.example"])),
        ("baseDomains = [\"acme.example\"]", "", json!(["acme.example"])),
        ("baseDomains = [\"acme.example\"]", "baseDomains = []", json!([])),
    ] {
        desk.template(from, to);
        let previewed =
            desk.json("issue --dir pki --template template.toml --request request.jws --preview --json");
        assert_eq!(previewed["claims"]["binding"]["baseDomains"], expected);
    }
}

#[test]
fn a_request_is_read_in_either_form_and_only_if_its_own_key_signed_it() {
    let desk = Desk::with_signer();
    let request = desk.request(|draft| draft);
    desk.write("request.jws", &request.armored());
    done(&desk.issue(""));
    for file in ["license.jwe", "license.jwe.txt"] {
        fs::remove_file(desk.path(file)).unwrap();
    }
    desk.template("\"L-2026-1\"", "\"L-2026-2\"");

    let mut parts: Vec<String> = request.token().split('.').map(str::to_owned).collect();
    let document = String::from_utf8(Base64UrlUnpadded::decode_vec(&parts[1]).unwrap()).unwrap();
    let with = |document: &str, parts: &mut Vec<String>| {
        parts[1] = Base64UrlUnpadded::encode_string(document.as_bytes());
        parts.join(".")
    };
    let stolen = with(&document.replace("\"Acme\"", "\"Evil\""), &mut parts);
    let private = with(&document.replace("\"kty\"", "\"d\":\"AAAA\",\"kty\""), &mut parts);
    for (text, words) in [
        (stolen.as_str(), "not signed with the recipient key it names"),
        (private.as_str(), "holds a private key"),
        (document.as_str(), "neither a token nor"),
        (
            &envelope::armor::armor(envelope::armor::Label::License, request.token()),
            "not hold a license request",
        ),
    ] {
        desk.write("request.jws", text);
        let refusal = failed(&desk.issue(""));
        assert!(refusal.contains(words), "{words}: {refusal}");
        assert!(!desk.path("license.jwe").exists());
    }
}

#[test]
fn the_fingerprint_is_compared_before_anything_is_signed() {
    let desk = Desk::with_signer();
    let fingerprint = desk.request(|draft| draft).request().fingerprint().to_owned();
    let other = Desk::new().request(|draft| draft).request().fingerprint().to_owned();
    assert!(failed(&desk.issue(&format!("--fingerprint {other}"))).contains(&fingerprint));
    assert!(!desk.path("license.jwe").exists());
    // People may have written it in capitals and groups.
    let grouped = fingerprint.to_uppercase();
    let grouped = format!("{}-{}", &grouped[..32], &grouped[32..]);
    done(&desk.issue(&format!("--fingerprint {grouped}")));
}

#[test]
fn a_preview_shows_what_a_renewal_would_change_and_signs_nothing() {
    let desk = Desk::with_signer();
    done(&desk.issue(""));
    desk.write("request.jws", desk.request(|draft| draft.renewing("L-2026-1")).token());
    let renewed = TEMPLATE
        .replace("L-2026-1", "L-2027-1")
        .replace(" = 50", " = 500")
        .replace("graceDays = 14", "graceDays = 7");
    desk.write("template.toml", &renewed);
    // Without a passphrase: nothing is to be signed.
    let preview = "issue --dir pki --template template.toml --request request.jws --preview";
    let shown = done(&desk.command(preview).output().unwrap());
    let fingerprint = desk.request(|draft| draft).request().fingerprint().to_owned();
    for words in [
        "~ /licenseId  \"L-2026-1\" -> \"L-2027-1\"",
        "~ /graceDays  14 -> 7",
        "~ /grant/quotas/tenancy.exports.max  50 -> 500",
        "+ /metadata/renews  \"L-2026-1\"",
        &fingerprint,
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("/licensee"), "what stays is not listed: {shown}");

    let shown = desk.json(&format!("{preview} --json"));
    let changed: Vec<&str> = shown["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["path"].as_str().unwrap())
        .collect();
    assert!(changed.contains(&"/graceDays") && !changed.contains(&"/licensee"), "{changed:?}");
    assert_eq!(
        (&shown["recipientFingerprint"], &shown["claims"]["licenseId"]),
        (&json!(fingerprint), &json!("L-2027-1"))
    );

    // Against a file, as `verify --json` writes it.
    desk.write("previous.json", &json!({ "claims": shown["claims"] }).to_string());
    let same = desk.json(&format!("{preview} --json --previous previous.json"));
    let changed = same["differences"].as_array().unwrap();
    assert!(
        changed
            .iter()
            .all(|change| ["/issuedAt", "/notBefore", "/expiresAt"]
                .contains(&change["path"].as_str().unwrap())),
        "{same}"
    );
    assert!(!desk.read("pki/issued.jsonl").contains("L-2027-1"));
}

#[test]
fn a_license_id_is_minted_once_and_without_one_each_gets_its_own() {
    let desk = Desk::with_signer();
    done(&desk.issue(""));
    let again = desk.run("issue --dir pki --template template.toml --request request.jws --out again.jwe");
    assert!(failed(&again).contains("`L-2026-1`: a license of this id was minted before"));
    assert!(!desk.path("again.jwe").exists());

    desk.template("licenseId = \"L-2026-1\"", "");
    let mint = |out: &str| {
        done(
            &desk.run(&format!("issue --dir pki --template template.toml --request request.jws --out {out}")),
        )
    };
    assert_ne!(mint("one.jwe"), mint("two.jwe"));
}

#[test]
fn what_was_minted_is_told_to_programs() {
    let desk = Desk::with_signer();
    let told: Value = serde_json::from_str(&done(&desk.issue("--json"))).unwrap();
    assert_eq!(
        (&told["licenseId"], &told["signer"], &told["format"]),
        (&json!("L-2026-1"), &json!("signer"), &json!("sealed"))
    );
    assert_eq!(told["files"], json!(["license.jwe", "license.jwe.txt"]));
    let book = desk.read("pki/issued.jsonl");
    let last: Value = serde_json::from_str(book.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["claims"]["licenseId"]), (&json!("license"), &json!("L-2026-1")));
    assert_eq!(last["recipientFingerprint"], told["recipientFingerprint"]);
}

#[test]
fn no_license_outlives_its_signer_and_no_signer_its_root() {
    let desk = Desk::new();
    done(&desk.run("ca init --dir pki --name Root --valid-days 400"));
    let refusal = failed(&desk.run("ca signer --dir pki --name Signer --valid-days 401"));
    assert!(refusal.contains("its issuer only until"), "{refusal}");
    // 365 days fit into 370, 14 days of grace do not.
    done(&desk.run("ca signer --dir pki --name Signer --valid-days 370"));
    let refusal = failed(&desk.issue(""));
    assert!(refusal.contains("its signer only until"), "{refusal}");
    assert!(!desk.path("license.jwe").exists());
}

#[test]
fn a_partners_signer_mints_for_the_partners_products_and_for_nothing_more() {
    let desk = Desk::with_partner();
    let products = "products = { chancery = { edition = \"pro\" } }";
    let allow = "allow = []";
    for (from, to, catalog, named) in [
        (products, "products = { ledger = { edition = \"pro\" } }", CATALOG, "ledger"),
        (
            products,
            "products = { chancery = { edition = \"pro\" }, ledger = { edition = \"pro\" } }",
            CATALOG,
            "ledger",
        ),
        (products, "products = { vault = { edition = \"pro\" } }", CATALOG, "vault"),
        (allow, "allow = [\"ledger.**\"]", CATALOG, "ledger.**"),
        (allow, "allow = [\"**\"]", CATALOG, "**"),
        (allow, "allow = [\"*.tenancy.**\"]", CATALOG, "*.tenancy.**"),
        (allow, "allow = [\"{chancery,ledger}.tenancy.**\"]", CATALOG, "{chancery,ledger}.tenancy.**"),
        // Without a catalog nothing is known of any product.
        (allow, "allow = []", "", "chancery"),
    ] {
        desk.template(from, to);
        let refusal = failed(&desk.issue(format!("--signer bolt {catalog}").trim()));
        assert!(refusal.contains(&format!("partner may not sign for `{named}`")), "{named}: {refusal}");
        assert!(!desk.path("license.jwe").exists() && !desk.read("pki/issued.jsonl").contains("L-2026-1"));
    }
    desk.template(allow, "allow = [\"chancery.tenancy.**\"]");
    done(&desk.issue(&format!("--signer bolt {CATALOG}")));
    let verify = "verify license.jwe --recipient-key recipient.key.pem --root pki/authorities/root.pem";
    done(&desk.run(&format!("{verify} {CATALOG}")));
    assert!(
        failed(&desk.run(verify)).contains("chancery"),
        "the deployment must know the product's policy too"
    );

    // The vendor's own signer is not bound.
    desk.template(products, "products = { ledger = { edition = \"pro\" } }");
    desk.write("template.toml", &desk.read("template.toml").replace("L-2026-1", "L-2026-2"));
    let mint =
        "issue --dir pki --template template.toml --request request.jws --out ledger.jwe --signer acme";
    done(&desk.run(mint));
}

#[test]
fn a_license_in_key_format_is_verified_against_the_public_half_of_any_of_several_keys() {
    let desk = Desk::new();
    let jwk: Value = serde_json::from_str(&done(&desk.run("ca key --dir pki --kid 2026-1"))).unwrap();
    assert_eq!((&jwk["kty"], &jwk["crv"], &jwk["kid"]), (&json!("OKP"), &json!("Ed25519"), &json!("2026-1")));
    assert!(jwk.get("d").is_none());
    let mint = |out: &str, more: &str| {
        desk.run(&format!(
            "issue --dir pki --template template.toml --request request.jws --out {out} --format key{more}"
        ))
    };
    done(&mint("first.jws", ""));
    assert!(desk.read("first.jws.txt").starts_with("-----BEGIN CHANCERY LICENSE KEY-----\n"));

    // The key rotates: both halves are pinned, and either license is read.
    done(&desk.run("ca key --dir pki --kid 2027-1"));
    desk.template("\"L-2026-1\"", "\"L-2027-1\"");
    assert!(failed(&mint("second.jws", "")).contains("`2026-1`, `2027-1`; name one with --signer"));
    done(&mint("second.jws", " --signer 2027-1"));
    let keys = "--key pki/keys/2026-1.jwk.json pki/keys/2027-1.jwk.json";
    for (file, id) in [("first.jws", "L-2026-1"), ("second.jws", "L-2027-1"), ("second.jws.txt", "L-2027-1")]
    {
        assert_eq!(desk.json(&format!("verify {file} --json {keys}"))["claims"]["licenseId"], id);
    }
    let refusal = failed(&desk.run("verify second.jws --key pki/keys/2026-1.jwk.json"));
    assert!(refusal.contains("2027-1"), "{refusal}");

    assert_eq!((desk.mode("pki/keys/2026-1.key.pem"), desk.mode("pki/keys/2026-1.jwk.json")), (0o600, 0o644));
    assert!(desk.read("pki/keys/2026-1.key.pem").starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert!(failed(&desk.run("ca key --dir pki --kid 2026-1")).contains("is not overwritten"));
    desk.template("graceDays = 14", "graceDays = 14\nassertedPolicies = [\"1.2.3\"]");
    desk.write("template.toml", &desk.read("template.toml").replace("L-2026-1", "L-2028-1"));
    assert!(failed(&mint("third.jws", " --signer 2026-1")).contains("asserts no policies"));
    assert!(failed(&mint("third.jws", " --signer 2026-1 --staple-crl")).contains("staple revocation lists"));
}

#[test]
fn lists_are_stapled_as_they_were_last_published() {
    let desk = Desk::with_partner();
    let staple = format!("--signer acme --staple-crl {CATALOG}");
    assert!(failed(&desk.issue(&staple)).contains("there is none, run `crl`"));
    done(&desk.run("crl --dir pki --out lists.pem"));
    done(&desk.issue(&staple));
    let revocation = desk.open().revocation.unwrap();
    assert_eq!(revocation.crls.len(), 2, "of the root and of the intermediate, not of the partner");

    // Stapled lists only take away; a deployment that looks into lists still needs its own.
    let trust = Trust::from_pem(&desk.read("pki/authorities/root.pem")).unwrap();
    let trust = trust.checking_crls(Crls::from_pem(&desk.read("lists.pem")).unwrap());
    assert!(envelope::open(&desk.read("license.jwe"), &desk.recipient, &trust, now()).is_ok());
}
