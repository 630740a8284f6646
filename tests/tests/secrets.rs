//! Secrets by reference, through the real program: every place they may be, and no place where they may be seen.

use std::fs;

use chancery_acceptance::{program, text};
use serde_json::Value;

const SECRET: &str = "hunter2-canary";

/// `chancery config check --json` with this as the mail server's password.
fn checked(password: &str, variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("mounted/smtp")).unwrap();
    fs::write(folder.path().join("mounted/smtp/password"), SECRET).unwrap();
    let file = folder.path().join("chancery.toml");
    let config = format!(
        "[database]\nurl = \"sqlite:chancery.db\"\n[deployment]\nid = \"test\"\n\
         [secrets]\nkubernetes-mount = \"mounted\"\n[mail]\nfrom = \"no-reply@example.com\"\n\
         [mail.smtp]\nhost = \"mail.example.com\"\nusername = \"platform\"\n{password}\n",
        password = password.replace("FOLDER", &folder.path().display().to_string()),
    );
    fs::write(&file, config).unwrap();
    let path = folder.path().join("mounted/smtp/password").display().to_string();
    let variables = variables.iter().map(|(name, value)| (*name, value.replace("PATH", &path)));
    let output = program()
        .args(["config", "check", "--json", "--config"])
        .arg(&file)
        .envs(variables)
        .output()
        .unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_secret_may_be_in_each_place_that_a_reference_names() {
    for (password, variables) in [
        ("password = \"file:FOLDER/mounted/smtp/password\"", &[][..]),
        ("password = \"k8s:smtp/password\"", &[]),
        ("password = \"env:SMTP_PASSWORD\"", &[("SMTP_PASSWORD", SECRET)]),
        ("", &[("CHANCERY_MAIL__SMTP__PASSWORD", SECRET)]),
        ("", &[("CHANCERY_MAIL__SMTP__PASSWORD", "k8s:smtp/password")]),
        ("", &[("CHANCERY_MAIL__SMTP__PASSWORD_FILE", "PATH")]),
    ] {
        let (code, out, err) = checked(password, variables);
        assert_eq!(code, Some(0), "{password}: {err}");
        assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");
        let facts: Value = serde_json::from_str(&out).unwrap();
        let cautions = facts["cautions"].to_string();
        assert!(cautions.contains("`mail` is configured without `server.public-url`"), "{cautions}");
    }
}

#[test]
fn what_cannot_be_read_and_what_is_written_out_is_refused_by_its_key_and_not_repeated() {
    for (password, part) in [
        ("password = \"env:NOT_SET\"", "`mail.smtp.password`: the secret `env:NOT_SET` is not set"),
        ("password = \"k8s:smtp/other\"", "`mail.smtp.password`: failed to read the secret `k8s:smtp/other`"),
        ("password = \"file:/nowhere/smtp\"", "`mail.smtp.password`: failed to read the secret"),
        ("password = \"hunter2-canary\"", "line 12: a secret is named by"),
        ("password = [\"hunter2-canary\"]", "line 12: "),
    ] {
        let (code, out, err) = checked(password, &[]);
        assert_eq!(code, Some(78), "{password}: {err}");
        assert!(err.contains(part), "{password}: {err}");
        assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");
    }
}
