//! What is shipped beside the programs, and the guide that says how to keep a deployment.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use chancery_acceptance::{Quickstart, program, root, text};
use kit::Database;
use reqwest::StatusCode;
use serde_json::json;
use store::{Options, Store, sqlx};

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let unit = fs::read_to_string(root().join("packaging/chancery.service")).unwrap();
    let here = program().get_program().to_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chancery.service");
    fs::write(&file, unit.replace("/usr/bin/chancery", &here)).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
    let said = text(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_linter_finds_nothing_wrong_with_the_dockerfile() {
    let linter = root().join("target/foreign/venv/bin/hadolint");
    let linted = Command::new(linter).arg(root().join("packaging/Dockerfile")).output().unwrap();
    assert!(linted.status.success(), "{}", text(&linted.stdout));
}

#[test]
fn the_configuration_that_is_shipped_is_one() {
    let file = root().join("packaging/chancery.toml");
    let checked = program().args(["config", "check", "--config"]).arg(file).output().unwrap();
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
}

#[test]
fn every_command_has_a_manual_page_and_every_shell_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    assert!(program().arg("manual").arg(folder.path()).status().unwrap().success());
    let page = fs::read_to_string(folder.path().join("chancery-license-install.1")).unwrap();
    assert!(page.contains("Install"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let script = program().args(["completions", shell]).output().unwrap();
        assert!(text(&script.stdout).contains("quickstart"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_of_the_installation_guide_runs_and_what_was_backed_up_comes_back() {
    let mut deployment = Quickstart::over(Database::sqlite());
    let file = deployment.path("chancery.db");
    symlink(deployment.database().trim_start_matches("sqlite://"), &file).unwrap();
    let guide = fs::read_to_string(root().join("docs/install.md")).unwrap();
    let blocks: Vec<_> =
        guide.split("```sh\n").skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect();
    let [back_up, restore, upgrade] = blocks[..] else { panic!("three blocks, not {}", blocks.len()) };

    let created = async |slug| deployment.call("tenancy.tenants.create", json!({ "slug": slug })).await.0;
    assert_eq!(created("before").await, StatusCode::OK);
    paste(&deployment, back_up);
    assert_eq!(created("after").await, StatusCode::OK);
    assert!(deployment.stop());
    paste(&deployment, restore);
    paste(&deployment, upgrade);

    let store = Store::open(&format!("sqlite://{}", file.display()), Options::default()).await.unwrap();
    let slugs: Vec<String> =
        sqlx::query_scalar("SELECT slug FROM tenancy_tenant WHERE system = 0 ORDER BY slug")
            .fetch_all(store.reader())
            .await
            .unwrap();
    store.close().await;
    assert_eq!(slugs, ["before", "demo"]);
}

fn paste(deployment: &Quickstart, block: &str) {
    let tools = Path::new(program().get_program()).parent().unwrap().to_owned();
    let done = Command::new("sh")
        .args(["-eu", "-c", block])
        .current_dir(deployment.path("."))
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", tools.display()))
        .env("CHANCERY_CONFIG", "chancery.toml")
        .output()
        .unwrap();
    assert!(done.status.success(), "{block}\n{}{}", text(&done.stdout), text(&done.stderr));
}
