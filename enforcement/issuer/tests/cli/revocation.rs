//! Taking back.

use std::{fs, sync::Barrier, thread};

use serde_json::{Value, json};

use crate::desk::{CATALOG, Desk, done, failed};

#[test]
fn a_revoked_signer_is_refused_by_deployments_and_by_an_independent_judge() {
    let desk = Desk::with_partner();
    done(&desk.issue("--signer acme"));
    let verify = "verify license.jwe --recipient-key recipient.key.pem --root pki/authorities/root.pem --crl lists.pem";
    done(&desk.run("crl --dir pki --out lists.pem"));
    done(&desk.run(verify));
    let judged = |name: &str| desk.judged(name, "-crl_check_all -CRLfile lists.pem");
    assert!(judged("acme").status.success() && judged("bolt").status.success());

    let serial = done(&desk.run("revoke acme --dir pki --reason key-compromise"));
    done(&desk.run(verify));
    done(&desk.run("crl --dir pki --out lists.pem"));
    assert!(failed(&desk.run(verify)).contains("revoked"));
    let verdict = judged("acme");
    assert!(
        !verdict.status.success() && String::from_utf8_lossy(&verdict.stderr).contains("certificate revoked")
    );
    assert!(judged("bolt").status.success());
    let shown = done(&desk.openssl("crl -in pki/authorities/issuing.crl.pem -noout -text"));
    assert!(shown.to_lowercase().contains(&format!("serial number: {}", serial.trim())), "{shown}");
    assert!(shown.contains("Key Compromise") && shown.contains("CRL Number"), "{shown}");
}

#[test]
fn with_a_partner_everything_beneath_it_is_revoked() {
    let desk = Desk::with_partner();
    done(&desk.run("revoke reseller --dir pki --reason privilege-withdrawn"));
    done(&desk.run("crl --dir pki --out lists.pem"));
    assert!(!desk.judged("bolt", "-crl_check_all -CRLfile lists.pem").status.success());
    assert!(desk.judged("acme", "-crl_check_all -CRLfile lists.pem").status.success());
    for arguments in [
        format!(
            "issue --dir pki --template template.toml --request request.jws --out license.jwe --signer bolt {CATALOG}"
        ),
        "ca signer --dir pki --name More --under reseller".to_owned(),
    ] {
        assert!(failed(&desk.run(&arguments)).contains("`CN=Reseller` is revoked since"), "{arguments}");
    }
    assert!(!desk.path("license.jwe").exists());
}

#[test]
fn a_revoked_signer_signs_no_more_and_is_revoked_once() {
    let desk = Desk::with_signer();
    let listed = desk.json("ca list --dir pki --json");
    let serial = listed["signers"][0]["serial"].as_str().unwrap().to_uppercase();
    done(&desk.run(&format!("revoke --serial {serial} --dir pki --reason superseded")));
    assert!(failed(&desk.issue("")).contains("is revoked since"));
    assert!(failed(&desk.run("revoke signer --dir pki --reason superseded")).contains("it is revoked since"));
}

#[test]
fn what_no_list_could_name_is_not_revoked() {
    let desk = Desk::with_signer();
    done(&desk.issue(""));
    for (named, words) in [
        ("root", "no authority of this folder issued it"),
        ("nobody", "the book does not know it"),
        ("--serial 0102", "the book does not know it"),
        ("L-2026-1", "a license is revoked with its signer. That is `signer`, which has signed 0 more"),
    ] {
        let refusal = failed(&desk.run(&format!("revoke {named} --dir pki --reason unspecified")));
        assert!(refusal.contains(words), "{named}: {refusal}");
    }
    assert_eq!(desk.run("revoke signer --dir pki --reason whim").status.code(), Some(2));
    assert_eq!(desk.run("revoke --serial xyz --dir pki --reason superseded").status.code(), Some(2));
}

#[test]
fn the_numbers_of_lists_only_grow() {
    let desk = Desk::with_signer();
    let number = |told: &Value| told[0]["list"]["number"].as_str().unwrap().to_owned();
    for expected in ["01", "02", "03"] {
        assert_eq!(number(&desk.json("crl --dir pki --out lists.pem --json")), expected);
    }
    // Whatever becomes of the lists themselves: the book knows.
    fs::remove_file(desk.path("lists.pem")).unwrap();
    fs::remove_file(desk.path("pki/authorities/root.crl.pem")).unwrap();
    assert_eq!(number(&desk.json("crl --dir pki --out lists.pem --json --valid-days 400")), "04");
    assert!(failed(&desk.run("crl --dir pki --out lists.pem --valid-days 0")).contains("before it begins"));
    assert_eq!(desk.mode("lists.pem"), 0o644);
}

#[test]
fn two_who_publish_at_once_take_different_numbers() {
    let desk = Desk::with_signer();
    let start = Barrier::new(4);
    let publish = &|n: usize| {
        start.wait();
        desk.json(&format!("crl --dir pki --out lists-{n}.pem --json"))[0]["list"]["number"].clone()
    };
    let mut numbers: Vec<Value> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || publish(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort_by_key(ToString::to_string);
    assert_eq!(numbers, ["01", "02", "03", "04"]);
}

#[test]
fn a_root_whose_key_is_in_a_safe_keeps_its_last_list_while_it_counts() {
    let desk = Desk::with_partner();
    let key = desk.path("pki/authorities/root.key.pem");
    let safe = desk.path("safe.key.pem");
    fs::rename(&key, &safe).unwrap();
    assert!(
        failed(&desk.run("crl --dir pki --out lists.pem"))
            .contains("`root`: its key is not here, and no list")
    );
    assert!(!desk.path("lists.pem").exists());

    // Once a year with the key from the safe, and then every month without.
    fs::rename(&safe, &key).unwrap();
    done(&desk.run("crl --dir pki --under root --out root.crl.pem --valid-days 400"));
    fs::rename(&key, &safe).unwrap();
    let told = desk.json("crl --dir pki --out lists.pem --json");
    let names: Vec<&str> =
        told.as_array().unwrap().iter().map(|list| list["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["issuing", "reseller", "root"]);
    assert!(desk.read("lists.pem").contains(&desk.read("root.crl.pem")));
    assert!(desk.judged("bolt", "-crl_check_all -CRLfile lists.pem").status.success());
    assert!(failed(&desk.run("crl --dir pki --under nobody --out x.pem")).contains("no authority `nobody`"));
}

#[test]
fn a_damaged_book_stops_everything_and_says_where() {
    let desk = Desk::with_signer();
    let book = desk.read("pki/issued.jsonl");
    for damaged in
        [book.trim_end().to_owned(), book.replacen('{', "", 1), format!("{book}\n"), format!("{book}{{}}\n")]
    {
        desk.write("pki/issued.jsonl", &damaged);
        for arguments in [
            "revoke signer --dir pki --reason superseded",
            "crl --dir pki --out lists.pem",
            "ca list --dir pki",
        ] {
            let refusal = failed(&desk.run(arguments));
            assert!(refusal.contains("of the book `pki/issued.jsonl` is damaged"), "{refusal}");
        }
        failed(&desk.issue(""));
        assert!(!desk.path("license.jwe").exists());
    }
    desk.write("pki/issued.jsonl", &book);
    done(&desk.issue(""));
    let entries: Vec<Value> =
        desk.read("pki/issued.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&Value> = entries.iter().map(|entry| &entry["event"]).collect();
    assert_eq!(events, [&json!("certificate"), &json!("certificate"), &json!("license")]);
}
