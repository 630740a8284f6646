//! What goes in and never comes out: no part of a license, and nothing of the recipient key, is in an answer, in what a
//! process writes, or in the database beyond the one table that holds the installed license. At the most talkative level
//! of logging there is.

use std::{fs, path::Path};

use chancery_acceptance::{Quickstart, Vendor, Wanted, answer, everything, text};
use kit::Database;
use reqwest::Method;
use serde_json::json;

const LICENSE: &str = "/api/platform/admin/v1/application/license";

/// Texts that give it away, from all over a token.
fn canaries(token: &str) -> Vec<String> {
    let token = token.trim();
    let at = |tenths: usize| token[token.len() * tenths / 10..][..24].to_owned();
    [1, 3, 5, 7, 9].into_iter().map(at).collect()
}

async fn nothing_of_a_license_gets_out(database: Database) {
    let vendor = Vendor::open();
    let mut deployment = Quickstart::over(database);
    assert!(deployment.stop());
    fs::copy(vendor.root(), deployment.path("vendor-root.pem")).unwrap();
    deployment.configure(r#""root.pem""#, r#""vendor-root.pem""#);
    deployment.configure("enabled = true\npath = \"license.jwe\"", "enabled = false");
    deployment.configure(r#""warn,chancery_license=info""#, r#""trace""#);
    let asked = deployment.path("request.jws");
    let contact = "Ada Lovelace <ada@acme.example>:TECHNICAL";
    let mut written = Vec::new();
    let mut run = |deployment: &Quickstart, line: &str, file: &Path| {
        let words = line.split('|').map(|word| if word == "FILE" { file.to_str().unwrap() } else { word });
        let output = deployment.chancery(words);
        written.push(text(&output.stdout) + &text(&output.stderr));
        output.status.success()
    };
    let ask = format!("license|request|--organization|Acme|--contact|{contact}|--out|FILE");
    assert!(run(&deployment, &ask, &asked));
    let license = vendor.issue(&asked, &Wanted { id: "L-1", valid_days: 60, subtenants: true, exports: 9 });
    let stranger = Vendor::open();
    let foreign = stranger.issue(&asked, &Wanted { id: "X-1", valid_days: 60, subtenants: true, exports: 9 });
    let tokens = [&license, &foreign].map(|file| fs::read_to_string(file).unwrap());
    let damaged = tokens[0].replace(&tokens[0][200..210], "AAAAAAAAAA");
    fs::write(deployment.path("damaged.jwe"), &damaged).unwrap();

    deployment.start();
    for (file, good) in [(&foreign, false), (&deployment.path("damaged.jwe"), false), (&license, true)] {
        run(&deployment, "license|inspect|FILE", file);
        run(&deployment, "license|simulate|FILE|--json", file);
        assert_eq!(run(&deployment, "license|install|FILE|--preview|--json", file), good);
        assert_eq!(run(&deployment, "license|install|FILE|--yes|--json", file), good);
        run(&deployment, "license|diff|FILE|FILE", file);
    }
    let keyed = |body| {
        let request = deployment.request(Method::POST, LICENSE).header("idempotency-key", "install-1");
        answer(request.json(&body))
    };
    let mut answers = vec![keyed(json!({ "license": tokens[0] })).await.1.to_string()];
    // What is not of the right form is not repeated either.
    for wrong in
        [json!({ "licence": tokens[0] }), json!({ "license": { "of": tokens[0] } }), json!(tokens[0])]
    {
        let (refused, body) = answer(deployment.request(Method::POST, LICENSE).json(&wrong)).await;
        assert!(refused.is_client_error());
        answers.push(body.to_string());
    }
    for path in [LICENSE, "/api/audit/v1/events?limit=1000", "/openapi.json"] {
        answers.push(answer(deployment.request(Method::GET, path)).await.1.to_string());
    }
    for line in ["license|status|--json", "doctor|--json", "config|check|--json"] {
        run(&deployment, line, &license);
    }
    assert!(deployment.stop());

    let key = fs::read_to_string(deployment.path("recipient.pem")).unwrap();
    let mut secrets: Vec<String> =
        tokens.iter().chain([&damaged]).flat_map(|token| canaries(token)).collect();
    secrets.extend(key.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
    let logged = deployment.logged();
    assert!(logged.contains("DEBUG"), "it logs everything there is");
    let told = answers.iter().chain(&written).chain([&logged]);
    for (place, secret) in told.flat_map(|text| secrets.iter().map(move |secret| (text, secret))) {
        assert!(!place.contains(secret.as_str()), "`{secret}` is in: {}", &place[..place.len().min(4000)]);
    }
    let rows = everything(deployment.database()).await;
    assert!(rows.iter().any(|(table, _)| table == "audit_event") && rows.len() > 20, "the audit has rows");
    for (table, row) in &rows {
        let found = secrets.iter().find(|secret| row.contains(secret.as_str()));
        assert!(found.is_none() || table == "license_memory", "`{found:?}` is in `{table}`: {row}");
    }
    let kept = rows.iter().filter(|(table, row)| table == "license_memory" && row.contains(&secrets[0]));
    assert!(kept.count() > 0, "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_license_gets_out_on_sqlite() {
    nothing_of_a_license_gets_out(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_license_gets_out_on_postgresql() {
    nothing_of_a_license_gets_out(Database::postgres().await).await;
}
