//! The console in a real browser: a newcomer's path without JavaScript, every page in light and dark, and the first setup.
//!
//! `tests/run` installs the browser and what drives it. The scripts are in `tests/console`; the pictures that they take are
//! in `target/console-screenshots`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chancery_acceptance::{Fresh, Quickstart, Vendor, Wanted, root, text};
use kit::Database;
use serde_json::json;

/// Runs a script of `tests/console` against the server that this file of credentials names.
fn browse(script: &str, credentials: &Path) {
    let foreign = root().join("target/foreign");
    assert!(
        foreign.join("node_modules/playwright-core").exists(),
        "`tests/run` installs what drives the browser"
    );
    let output = Command::new("node")
        .arg(root().join("tests/console").join(script))
        .args([&foreign, &credentials.to_owned(), &root().join("target/console-screenshots")])
        .output()
        .expect("start node");
    let told = text(&output.stdout);
    println!("{told}");
    assert!(output.status.success(), "{script}:\n{told}\n{}", text(&output.stderr));
}

/// A quickstart that also trusts a vendor, and has a license of theirs in `vendor.jwe`, not installed.
fn quickstart() -> Quickstart {
    let mut quickstart = Quickstart::over(Database::sqlite());
    let vendor = Vendor::open();
    let request = quickstart.path("request.jws");
    let asked = quickstart.chancery([
        "license",
        "request",
        "--organization",
        "Acme",
        "--contact",
        "Ada Lovelace <ada@acme.example>:TECHNICAL,ADMINISTRATOR",
        "--base-domain",
        "platform.acme.example",
        "--out",
        request.to_str().expect("a path that is a text"),
    ]);
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    let wanted = Wanted { id: "L-1", valid_days: 365, subtenants: true, exports: 100 };
    fs::copy(vendor.issue(&request, &wanted), quickstart.path("vendor.jwe")).expect("the license arrives");
    assert!(quickstart.stop(), "it stops when told to");
    let roots =
        [quickstart.path("root.pem"), vendor.root()].map(|root| fs::read_to_string(root).expect("a root"));
    fs::write(quickstart.path("root.pem"), roots.concat()).expect("trust both");
    let address = "public-url = \"https://platform.acme.example\"\n\n[deployment]";
    quickstart.configure("[deployment]", address);
    quickstart.start();
    quickstart
}

fn credentials(quickstart: &Quickstart) -> PathBuf {
    quickstart.path("credentials.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_finds_the_way_and_every_form_works_without_javascript() {
    browse("newcomer.mjs", &credentials(&quickstart()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_small_and_quiet_in_light_and_dark() {
    browse("pages.mjs", &credentials(&quickstart()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_setup_is_led_through_once() {
    let fresh = Fresh::over(Database::sqlite(), "");
    let credentials = fresh.path("credentials.json");
    fs::write(&credentials, json!({ "url": fresh.url() }).to_string()).expect("tell where it serves");
    browse("setup.mjs", &credentials);
}
