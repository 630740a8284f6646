//! The operator's guide, pasted; the vendor's answers come in between, as files.

use std::fs;

use chancery_acceptance::{Quickstart, Vendor, Wanted, program, root, text};
use kit::Database;
use store::{Cause, Options, Store, sqlx};

#[tokio::test(flavor = "multi_thread")]
async fn every_block_of_the_operators_guide_runs_in_its_order() {
    let vendor = Vendor::open();
    let mut deployment = Quickstart::over(Database::sqlite());
    assert!(deployment.stop());
    fs::copy(vendor.root(), deployment.path("roots.pem")).unwrap();
    deployment.configure(r#""root.pem""#, r#""roots.pem""#);
    deployment.configure(r#""recipient.pem""#, r#""acme.pem""#);
    deployment.configure("enabled = true\npath = \"license.jwe\"", "enabled = false");
    deployment.configure("[deployment]", "public-url = \"https://platform.acme.example\"\n\n[deployment]");
    // The quickstart's own notes are under its own key.
    let store = Store::open(deployment.database(), Options::default()).await.unwrap();
    let mut work = store.begin().await.unwrap();
    sqlx::query("DELETE FROM license_memory").execute(&mut *work).await.unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;
    // A quickstart that finds no license of its own would make one, and the guide's is to go there.
    fs::write(deployment.path("license.jwe"), "").unwrap();
    deployment.start();
    fs::remove_file(deployment.path("license.jwe")).unwrap();

    let guide = fs::read_to_string(root().join("docs/operator.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```\n").next().unwrap());
    let tools = program().get_program().to_owned();
    let tools = std::path::Path::new(&tools).parent().unwrap().to_owned();
    let mut shown = String::new();
    for block in blocks {
        let output = std::process::Command::new("sh")
            .args(["-eu", "-c", block])
            .current_dir(deployment.path("."))
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", tools.display()))
            .env("CHANCERY_DATABASE__URL", deployment.database())
            .env("CHANCERY_CONFIG", "chancery.toml")
            .env("CHANCERY_CREDENTIALS", "credentials.json")
            .output()
            .unwrap();
        shown += &text(&output.stdout);
        assert!(output.status.success(), "{block}\n{shown}\n{}", text(&output.stderr));
        for (request, answer, id, exports) in
            [("request", "license.jwe", "L-1", 100), ("renewal-request", "renewal.jwe", "L-2", 200)]
        {
            if block.contains(&format!("--out {request}\n")) {
                let wanted = Wanted { id, valid_days: 365, subtenants: true, exports };
                let license = vendor.issue(&deployment.path(request), &wanted);
                fs::copy(license, deployment.path(answer)).unwrap();
            }
        }
    }
    // What the guide promises on the way.
    for words in [
        "the license is missing, as it should be",
        "fingerprint   ",
        "license MISSING -> ACTIVE",
        "license validity    `L-1`, ACTIVE",
        "is raised from 100 to 200",
        "\"removed\": true",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}
