//! Authorities, signers and their keys.

use std::fs;

use serde_json::Value;

use crate::desk::{CATALOG, Desk, PASSPHRASE, done, failed};

const ARC: &str = "1.2.840.113556.1.8000.2554.46931.46881.18478.20466.41418.16239299.2332707";

#[test]
fn an_independent_judge_accepts_every_signer_for_what_it_may_and_for_nothing_else() {
    let desk = Desk::with_partner();
    done(&desk.run("ca signer --dir pki --name Direct --under root"));
    for (signer, chancery) in [("acme", false), ("bolt", true), ("direct", false)] {
        for (policy, expected) in
            [("2.1", true), ("2.2", false), ("2.3", false), ("3.1", chancery), ("3.2", false)]
        {
            let options = format!("-policy_check -explicit_policy -policy {ARC}.{policy}");
            let verdict = desk.judged(signer, &options);
            assert_eq!(verdict.status.success(), expected, "{signer} {policy}: {verdict:?}");
        }
    }
}

#[test]
fn every_algorithm_mints_what_opens_and_an_independent_judge_knows_its_keys() {
    let desk = Desk::new();
    done(&desk.run("ca init --dir pki --name Root --algorithm es384"));
    done(&desk.run("ca intermediate --dir pki --name Issuing --algorithm es384"));
    for (algorithm, key) in
        [("es256", "prime256v1"), ("es384", "secp384r1"), ("ps256", "3072 bit"), ("eddsa", "ED25519")]
    {
        done(&desk.run(&format!("ca signer --dir pki --name {algorithm} --algorithm {algorithm}")));
        assert!(desk.judged(algorithm, "").status.success());
        let shown = done(&desk.openssl(&format!("x509 -in pki/signers/{algorithm}.pem -noout -text")));
        assert!(shown.contains(key) && shown.contains("ecdsa-with-SHA384"), "{algorithm}: {shown}");
        desk.template("L-2026-1", algorithm);
        done(&desk.issue(&format!("--signer {algorithm}")));
        assert_eq!(desk.open().license_id, algorithm);
        for file in ["license.jwe", "license.jwe.txt"] {
            fs::remove_file(desk.path(file)).unwrap();
        }
    }
}

#[test]
fn where_there_is_one_it_is_taken_and_where_there_are_several_one_is_named() {
    let desk = Desk::new();
    done(&desk.run("ca init --dir pki --name Root"));
    assert!(failed(&desk.issue("")).contains("holds none; name one with --signer"));
    done(&desk.run("ca signer --dir pki --name First"));
    done(&desk.run("ca intermediate --dir pki --name One"));
    done(&desk.run("ca signer --dir pki --name Second"));
    let issuer = |name: &str| done(&desk.openssl(&format!("x509 -in pki/signers/{name}.pem -noout -issuer")));
    assert_eq!((issuer("first").trim(), issuer("second").trim()), ("issuer=CN = Root", "issuer=CN = One"));

    done(&desk.run("ca intermediate --dir pki --name Two"));
    let refusal = failed(&desk.run("ca signer --dir pki --name Third"));
    assert!(refusal.contains("holds `one`, `two`; name one with --under"), "{refusal}");
    let refusal = failed(&desk.run("ca signer --dir pki --name Third --under three"));
    assert!(
        refusal.contains("no authority `three`") && refusal.contains("`one`, `root`, `two`"),
        "{refusal}"
    );
    let refusal = failed(&desk.issue(""));
    assert!(refusal.contains("holds `first`, `second`; name one with --signer"), "{refusal}");
    done(&desk.issue("--signer Second"));
}

#[test]
fn an_authority_makes_what_it_may_and_nothing_else() {
    let desk = Desk::with_partner();
    for (arguments, words) in [
        (
            format!("ca partner --dir pki --name P --product chancery --under reseller {CATALOG}"),
            "not a root or an intermediate's",
        ),
        (format!("ca partner --dir pki --name P --product chest {CATALOG}"), "no such product"),
        (format!("ca partner --dir pki --name P --product vault {CATALOG}"), "states no policy"),
        ("ca partner --dir pki --name P --product chancery".to_owned(), "give --catalog"),
        ("ca signer --dir pki --name Reseller".to_owned(), "exists and is not overwritten"),
        ("ca signer --dir pki --name Root --under root".to_owned(), "exists and is not overwritten"),
        ("ca signer --dir pki --name root! --under root".to_owned(), "exists and is not overwritten"),
        (
            "ca signer --dir pki --name ROOT_2 --under root --valid-days 9000".to_owned(),
            "its issuer only until",
        ),
        ("ca signer --dir pki --name !! --under root".to_owned(), "no letter or digit"),
        (
            format!("ca signer --dir pki --name {} --under root", "x".repeat(65)),
            "1 to 64 printable characters",
        ),
    ] {
        let refusal = failed(&desk.run(&arguments));
        assert!(refusal.contains(words), "{arguments}: {refusal}");
    }
    assert_eq!(desk.run("ca partner --dir pki --name P").status.code(), Some(2), "a partner has products");
}

#[test]
fn what_is_exported_is_read_by_other_programs_and_imported_elsewhere() {
    let desk = Desk::with_partner();
    desk.write("outside", "another passphrase\n");
    desk.write("inside", PASSPHRASE);
    let export = "ca export --dir pki --export-passphrase-file outside";
    done(&desk.run(&format!("{export} reseller --out reseller.p12")));
    done(&desk.run(&format!("{export} acme --out acme.pem")));
    assert_eq!((desk.mode("reseller.p12"), desk.mode("acme.pem")), (0o600, 0o600));
    let opened = desk.openssl("pkcs12 -in reseller.p12 -passin file:outside -info -nokeys");
    let shown =
        String::from_utf8_lossy(&opened.stdout).into_owned() + &String::from_utf8_lossy(&opened.stderr);
    assert!(opened.status.success() && shown.contains("PBES2, PBKDF2, AES-256-CBC"), "{shown}");
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 2, "itself and the intermediate: {shown}");
    assert!(done(&desk.openssl("pkey -in acme.pem -passin file:outside -noout -check")).contains("valid"));

    // The partner's own desk: its authority makes signers there, and the vendor's root is not needed.
    let import = "ca import --dir partner --import-passphrase-file outside";
    assert!(
        failed(&desk.run("ca import --dir partner reseller.p12 --as reseller")).contains("does not open")
    );
    assert_eq!(done(&desk.run(&format!("{import} reseller.p12 --as reseller"))), "reseller\n");
    done(&desk.run("ca signer --dir partner --name Customer"));
    done(&desk.run(&format!(
        "issue --dir partner --template template.toml --request request.jws --out license.jwe {CATALOG}"
    )));
    assert_eq!(desk.open().license_id, "L-2026-1");
    done(&desk.run(&format!("{import} acme.pem --as acme")));
    let refusal = failed(&desk.run("revoke acme --dir partner --reason superseded"));
    assert!(refusal.contains("no authority of this folder issued it"), "{refusal}");

    assert!(
        failed(&desk.run(&format!("{export} nobody --out nobody.p12"))).contains("no certificate `nobody`")
    );
    assert!(
        failed(&desk.run(&format!("{export} acme --out acme.txt"))).contains("neither `.p12` nor `.pem`")
    );
    assert!(failed(&desk.run(&format!("{export} acme --out acme.pem"))).contains("is not overwritten"));
    desk.write("garbage.p12", "garbage");
    failed(&desk.run(&format!("{import} garbage.p12 --as garbage")));
    assert!(failed(&desk.run(&format!("{import} acme.pem --as reseller"))).contains("is not overwritten"));
}

#[test]
fn another_programs_certificate_is_no_signer_unless_it_is_one() {
    let desk = Desk::with_signer();
    let made = desk.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout web.key.pem -out web.pem -subj /CN=web \
         -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature",
    );
    assert!(made.status.success(), "{made:?}");
    desk.write("both.pem", &(desk.read("web.pem") + &desk.read("web.key.pem")));
    assert!(failed(&desk.run("ca import --dir pki both.pem --as web")).contains("not an authority's"));
}

#[test]
fn what_there_is_is_listed() {
    let desk = Desk::with_partner();
    done(&desk.run("ca key --dir pki --kid 2026-1"));
    done(&desk.run("revoke acme --dir pki --reason superseded"));
    let listed = desk.json("ca list --dir pki --json");
    let of = |shelf: &str| -> Vec<(String, String, String)> {
        let lines = listed[shelf].as_array().unwrap().iter();
        let text = |line: &Value, member: &str| line[member].as_str().unwrap().to_owned();
        lines.map(|line| (text(line, "name"), text(line, "role"), text(line, "state"))).collect()
    };
    let line = |name: &str, role: &str, state: &str| (name.to_owned(), role.to_owned(), state.to_owned());
    assert_eq!(
        of("authorities"),
        [
            line("issuing", "intermediate", "valid"),
            line("reseller", "partner", "valid"),
            line("root", "root", "valid")
        ]
    );
    assert_eq!(of("signers"), [line("acme", "signer", "revoked"), line("bolt", "signer", "valid")]);
    assert_eq!(listed["keys"], serde_json::json!(["2026-1"]));
    let table = done(&desk.run("ca list --dir pki"));
    assert_eq!(table.lines().count(), 6, "{table}");
    assert!(failed(&desk.run("ca list --dir nowhere")).contains("nowhere"));
}

#[test]
fn keys_are_encrypted_and_readable_by_their_owner_only() {
    let desk = Desk::with_partner();
    for name in
        ["authorities/root", "authorities/issuing", "authorities/reseller", "signers/acme", "signers/bolt"]
    {
        let key = format!("pki/{name}.key.pem");
        assert!(desk.read(&key).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{key}");
        assert_eq!((desk.mode(&key), desk.mode(&format!("pki/{name}.pem"))), (0o600, 0o644), "{key}");
    }
    assert_eq!(desk.mode("pki/issued.jsonl"), 0o600);
}

#[test]
fn a_wrong_an_empty_and_a_missing_passphrase_are_refused() {
    let desk = Desk::with_signer();
    desk.write("wrong", "incorrect\n");
    desk.write("empty", "\n");
    desk.write("right", &format!("{PASSPHRASE}\n"));
    let issue = "issue --dir pki --template template.toml --request request.jws --out license.jwe";
    let with = |file| desk.run(&format!("{issue} --passphrase-file {file}"));
    assert!(failed(&with("wrong")).contains("does not open with this passphrase"));
    assert!(failed(&with("empty")).contains("empty passphrase"));
    assert!(failed(&desk.command(issue).output().unwrap()).contains("CHANCERY_ISSUER_PASSPHRASE"));
    assert!(!desk.path("license.jwe").exists() && !desk.read("pki/issued.jsonl").contains("L-2026-1"));
    done(&with("right"));

    assert!(failed(&desk.run("ca signer --dir nowhere --name Signer")).contains("nowhere"));
    let refusal = failed(&desk.run("ca init --dir new --name Root --passphrase-file empty"));
    assert!(refusal.contains("empty passphrase") && !desk.path("new").exists(), "{refusal}");
}

#[test]
fn nothing_is_overwritten() {
    let desk = Desk::with_signer();
    done(&desk.issue(""));
    desk.template("L-2026-1", "L-2026-2");
    let files = [
        "pki/authorities/root.pem",
        "pki/authorities/root.key.pem",
        "pki/signers/signer.pem",
        "pki/signers/signer.key.pem",
        "pki/issued.jsonl",
        "license.jwe",
        "license.jwe.txt",
    ];
    let before = files.map(|file| desk.read(file));
    for (output, file) in [
        (desk.run("ca init --dir pki --name Root"), "pki/authorities/root.pem"),
        (desk.run("ca signer --dir pki --name Signer"), "pki/signers/signer.pem"),
        (desk.issue(""), "license.jwe"),
    ] {
        let refusal = failed(&output);
        assert!(refusal.contains(&format!("`{file}` exists and is not overwritten")), "{refusal}");
    }
    assert_eq!(files.map(|file| desk.read(file)), before);

    // A root whose key was taken elsewhere is still there, and so is a license whose text form is.
    fs::remove_file(desk.path("pki/authorities/root.key.pem")).unwrap();
    failed(&desk.run("ca init --dir pki --name Root"));
    assert!(!desk.path("pki/authorities/root.key.pem").exists());
    fs::remove_file(desk.path("license.jwe")).unwrap();
    assert!(failed(&desk.issue("")).contains("`license.jwe.txt` exists"));
    assert!(!desk.path("license.jwe").exists());
}

#[test]
fn wrong_usage_has_its_own_exit_code_and_help_names_the_files() {
    let desk = Desk::new();
    for usage in
        ["issue --dir pki", "ca", "revoke --dir pki acme", "revoke --dir pki --reason superseded", "verify x"]
    {
        assert_eq!(desk.run(usage).status.code(), Some(2), "{usage}");
    }
    let help = done(&desk.run("--help"));
    assert!(help.contains("root.key.pem") && help.contains("CHANCERY_ISSUER_PASSPHRASE"), "{help}");
    for command in [
        "ca init",
        "ca intermediate",
        "ca partner",
        "ca signer",
        "ca key",
        "ca export",
        "ca import",
        "ca list",
        "issue",
        "inspect",
        "verify",
        "revoke",
        "crl",
        "schema",
    ] {
        assert!(done(&desk.run(&format!("{command} --help"))).contains("Usage:"), "{command}");
    }
}
