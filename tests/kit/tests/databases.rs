//! What the other crates' tests rely on.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chancery_test_kit::{self as kit, Cluster, Database};
use sqlx::{Connection as _, PgConnection};

fn socket_folder(url: &str) -> &Path {
    Path::new(url.split_once("host=").expect("the address names the socket").1)
}

fn gone_soon(folder: &Path) -> bool {
    (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        !folder.exists()
    })
}

#[test]
fn two_databases_are_two_and_are_gone_afterwards() {
    kit::run(async {
        let (first, second) = (Database::postgres().await, Database::postgres().await);
        assert_ne!(first.url(), second.url());
        let url = first.url().to_owned();
        PgConnection::connect(&url).await.expect("the database exists");
        drop(first);
        assert!(PgConnection::connect(&url).await.is_err());
        PgConnection::connect(second.url()).await.expect("the other database still exists");
    });
}

#[test]
fn a_dropped_cluster_leaves_no_folder() {
    let cluster = Cluster::start();
    let folder = socket_folder(cluster.url()).to_owned();
    assert!(folder.exists());
    drop(cluster);
    assert!(!folder.exists());
}

#[test]
fn with_postgres_passes_the_address_on_and_the_exit_code_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_with-postgres"))
        .args(["sh", "-c", "echo $DATABASE_URL; exit 7"])
        .output()
        .expect("run with-postgres");
    assert_eq!(output.status.code(), Some(7));
    let url = String::from_utf8(output.stdout).expect("text");
    assert!(url.starts_with("postgres://"), "{url}");
    assert!(!socket_folder(url.trim()).exists());
}

#[test]
fn a_cluster_does_not_survive_its_killed_owner() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_with-postgres"))
        .args(["sh", "-c", "echo $DATABASE_URL; read _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run with-postgres");
    let mut url = String::new();
    let stdout = owner.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut url).expect("read the address");
    let folder = socket_folder(url.trim()).to_owned();
    assert!(folder.exists());
    owner.kill().expect("kill -9");
    owner.wait().expect("reap");
    assert!(gone_soon(&folder));
}

#[test]
fn without_a_command_with_postgres_explains_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_with-postgres")).output().expect("run with-postgres");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: with-postgres"));
}
