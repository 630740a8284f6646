//! How long the console's pages take, with a thousand tenants: one request after another on one connection, from the first
//! byte sent to the last byte read.
//!
//! ```text
//! cargo build --release --bins && cargo run --release -p chancery-acceptance --bin render
//! ```
//!
//! Ends with 1 when the 99th percentile of a page is not below 5 ms.

use std::{fs, process::ExitCode, time::Duration};

use chancery_acceptance::{Quickstart, Vendor, answer, generous, under};
use kit::Database;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

const TENANTS: usize = 1_000;
const VIEWS: usize = 400;
const GOAL: Duration = Duration::from_millis(5);

const PAGES: [&str; 11] = [
    "/console",
    "/console/license",
    "/console/commands",
    "/console/commands/tenancy.children.create?tenant=demo",
    "/console/coverage",
    "/console/tenants",
    "/console/baseline",
    "/console/signups",
    "/console/onboarding",
    "/console/audit",
    "/console/account",
];

fn main() -> ExitCode {
    let slow = kit::run(render());
    for page in &slow {
        eprintln!("slower than {GOAL:?}: {page}");
    }
    ExitCode::from(u8::from(!slow.is_empty()))
}

async fn render() -> Vec<&'static str> {
    let vendor = Vendor::open();
    let mut server = Quickstart::over(Database::sqlite());
    let request = under(&vendor, &mut server);
    let license = vendor.mint(&request, "RENDER", &generous("RENDER", 1_000));
    fs::copy(license, server.path("current.jwe")).expect("the license");
    server.start();
    for n in 1..TENANTS {
        let body = json!({ "slug": format!("tenant-{n}") });
        let (status, told) = server.call("tenancy.tenants.create", body).await;
        assert_eq!(status, StatusCode::OK, "{told}");
    }

    let credentials = server.credentials();
    let text = |name: &str| credentials[name].as_str().expect("a text").to_owned();
    let signing_in = json!({ "name": text("operator"), "password": text("password") });
    let request = server.request(Method::POST, "/api/identity/v1/sessions").json(&signing_in);
    let (_, session): (_, Value) = answer(request).await;
    let cookie = format!("__Host-chancery-session={}", session["sessionToken"].as_str().expect("a session"));
    let client = Client::new();

    println!("{TENANTS} tenants, {VIEWS} views of each page, milliseconds\n");
    println!("{:<56}{:>8}{:>8}{:>10}", "page", "median", "p99", "bytes");
    let mut slow = Vec::new();
    for page in PAGES {
        let (mut times, mut bytes) = (Vec::with_capacity(VIEWS), 0);
        for view in 0..VIEWS + 20 {
            let request = client.get(format!("{}{page}", text("url"))).header("cookie", &cookie);
            let began = Instant::now();
            let answered = request.send().await.expect("an answer");
            assert_eq!(answered.status(), StatusCode::OK, "{page}");
            bytes = answered.bytes().await.expect("the page").len();
            // The first few warm up.
            if view >= 20 {
                times.push(began.elapsed());
            }
        }
        times.sort();
        let (median, p99) = (times[VIEWS / 2], times[VIEWS * 99 / 100]);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!("{page:<56}{:>8.2}{:>8.2}{bytes:>10}", ms(median), ms(p99));
        if p99 >= GOAL {
            slow.push(page);
        }
    }
    slow
}
