//! The vendor's tool, end to end, as a process.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use envelope::{LicenseRequest, Recipient, Trust};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

const PASSPHRASE: &str = "correct horse battery staple";

const TEMPLATE: &str = r#"
licenseId = "L-2026-1"
validDays = 365
graceDays = 14
baseDomains = ["acme.example"]
issuer = { id = "vendor", name = "Vendor" }
licensee = { id = "acme", name = "Acme" }

[grant]
products = { chancery = { edition = "pro" } }
features = { "tenancy.subtenants.v1" = true }
commands = { allow = [], deny = ["chancery.signup.**"] }
quotas = { "tenants.root.max" = 50 }
"#;

/// A vendor's desk: a folder, a template, and a deployment's request on it.
struct Desk {
    folder: TempDir,
    recipient: Recipient,
}

impl Desk {
    fn new() -> Self {
        let desk =
            Self { folder: tempfile::tempdir().unwrap(), recipient: Recipient::generate("site-1").unwrap() };
        let request = LicenseRequest { installation_id: "site-1".into(), recipient: desk.recipient.public() };
        desk.write("request.json", &serde_json::to_string(&request).unwrap());
        desk.write("recipient.key.pem", &desk.recipient.to_pem().unwrap());
        desk.write("template.toml", TEMPLATE);
        desk
    }

    /// With a root and a signer.
    fn with_authority() -> Self {
        let desk = Self::new();
        done(&desk.run("ca init --dir pki --name Root"));
        done(&desk.run("ca signer --dir pki --name Signer"));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-issuer"));
        command.args(arguments.split(' ')).current_dir(&self.folder).env_clear();
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).env("CHANCERY_ISSUER_PASSPHRASE", PASSPHRASE).output().unwrap()
    }

    fn issue(&self) -> Output {
        self.run("issue --dir pki --template template.toml --request request.json --out license.jwe")
    }
}

/// The standard output of a command that succeeded.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The message of a command that failed, with nothing on standard output.
fn failed(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the process under test reads the same clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_minted_license_opens_in_its_deployment() {
    let desk = Desk::with_authority();
    assert_eq!(done(&desk.issue()), "L-2026-1\n");

    let trust = Trust::from_pem(&desk.read("pki/root.pem")).unwrap();
    let license = envelope::open(&desk.read("license.jwe"), &desk.recipient, &trust, now()).unwrap();
    let claims = license.claims();
    assert_eq!(claims.binding.installation_id.as_deref(), Some("site-1"));
    assert_eq!(claims.installation_owner, claims.licensee);
    assert_eq!(claims.grant.quotas["tenants.root.max"], 50);
    assert_eq!(claims.expires_at.duration_since(claims.not_before).as_hours(), 365 * 24);
}

#[test]
fn verify_says_what_was_minted_and_refuses_under_another_root() {
    let desk = Desk::with_authority();
    done(&desk.issue());
    let verify = "verify license.jwe --recipient-key recipient.key.pem --root";
    assert!(done(&desk.run(&format!("{verify} pki/root.pem"))).contains("Acme (acme)"));
    let json: Value =
        serde_json::from_str(&done(&desk.run(&format!("{verify} pki/root.pem --json")))).unwrap();
    assert_eq!((&json["authority"], &json["claims"]["licenseId"]), (&"vendor".into(), &"L-2026-1".into()));

    done(&desk.run("ca init --dir other --name Root"));
    let refusal = failed(&desk.run(&format!("{verify} other/root.pem")));
    assert!(
        refusal.starts_with("failed to verify the license: certificate 0 has no valid path"),
        "{refusal}"
    );
}

#[test]
fn inspect_needs_no_key() {
    let desk = Desk::with_authority();
    done(&desk.issue());
    assert!(done(&desk.run("inspect license.jwe")).contains("recipient key    site-1"));
    let json: Value = serde_json::from_str(&done(&desk.run("inspect license.jwe --json"))).unwrap();
    assert_eq!((&json["alg"], &json["enc"]), (&"ECDH-ES+A256KW".into(), &"A256GCM".into()));
    desk.write("garbage", "no.license");
    failed(&desk.run("inspect garbage"));
}

#[test]
fn a_license_without_an_id_gets_one_of_its_own() {
    let desk = Desk::with_authority();
    desk.write("template.toml", &TEMPLATE.replace("licenseId = \"L-2026-1\"", ""));
    let first = done(&desk.issue());
    fs::remove_file(desk.path("license.jwe")).unwrap();
    assert_ne!(first, done(&desk.issue()));
}

#[test]
fn a_template_may_be_json() {
    let desk = Desk::with_authority();
    let template: Value = toml::from_str(TEMPLATE).unwrap();
    desk.write("template.json", &template.to_string());
    done(&desk.run("issue --dir pki --template template.json --request request.json --out license.jwe"));
}

#[test]
fn keys_are_encrypted_and_readable_by_their_owner_only() {
    let desk = Desk::with_authority();
    for key in ["pki/root.key.pem", "pki/signer.key.pem"] {
        assert!(desk.read(key).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{key}");
        assert_eq!(mode(&desk.path(key)), 0o600, "{key}");
    }
}

#[test]
fn a_wrong_an_empty_and_a_missing_passphrase_are_refused() {
    let desk = Desk::with_authority();
    desk.write("wrong", "incorrect\n");
    desk.write("empty", "\n");
    desk.write("right", &format!("{PASSPHRASE}\n"));
    let issue = "issue --dir pki --template template.toml --request request.json --out license.jwe";
    let with = |file| desk.run(&format!("{issue} --passphrase-file {file}"));
    assert!(failed(&with("wrong")).contains("does not open with this passphrase"));
    assert!(failed(&with("empty")).contains("empty passphrase"));
    assert!(failed(&desk.command(issue).output().unwrap()).contains("CHANCERY_ISSUER_PASSPHRASE"));
    assert!(!desk.path("license.jwe").exists());
    done(&with("right"));

    assert!(failed(&desk.run("ca signer --dir nowhere --name Signer")).contains("root.pem"));
    let refusal = failed(&desk.run("ca init --dir new --name Root --passphrase-file empty"));
    assert!(refusal.contains("empty passphrase") && !desk.path("new").exists(), "{refusal}");
}

#[test]
fn nothing_is_overwritten() {
    let desk = Desk::with_authority();
    done(&desk.issue());
    let files = ["pki/root.pem", "pki/root.key.pem", "pki/signer.pem", "pki/signer.key.pem", "license.jwe"];
    let before = files.map(|file| desk.read(file));
    for (output, file) in [
        (desk.run("ca init --dir pki --name Root"), "pki/root.pem"),
        (desk.run("ca signer --dir pki --name Signer"), "pki/signer.pem"),
        (desk.issue(), "license.jwe"),
    ] {
        let refusal = failed(&output);
        assert!(refusal.contains(&format!("`{file}` exists and is not overwritten")), "{refusal}");
    }
    assert_eq!(files.map(|file| desk.read(file)), before);

    // A root whose key was taken elsewhere is still there.
    fs::remove_file(desk.path("pki/root.key.pem")).unwrap();
    failed(&desk.run("ca init --dir pki --name Root"));
    assert!(!desk.path("pki/root.key.pem").exists());
}

#[test]
fn no_license_outlives_its_signer_and_no_signer_its_root() {
    let desk = Desk::new();
    done(&desk.run("ca init --dir pki --name Root --valid-days 400"));
    let refusal = failed(&desk.run("ca signer --dir pki --name Signer --valid-days 401"));
    assert!(refusal.contains("its issuer only until"), "{refusal}");
    // 365 days fit into 370, 14 days of grace do not.
    done(&desk.run("ca signer --dir pki --name Signer --valid-days 370"));
    let refusal = failed(&desk.issue());
    assert!(refusal.contains("its signer only until"), "{refusal}");
    assert!(!desk.path("license.jwe").exists());
}

#[test]
fn a_template_that_is_not_one_is_refused_by_the_word() {
    let desk = Desk::with_authority();
    for (from, to, word) in [
        ("chancery.signup.**", "chancery.*", "chancery.*"),
        ("tenancy.subtenants.v1", "tenancy.subtenants", "tenancy.subtenants"),
        ("graceDays", "grace", "grace"),
        ("\"L-2026-1\"", "\"\"", "licenseId"),
        ("validDays = 365", "validDays = 0", "before it begins"),
    ] {
        desk.write("template.toml", &TEMPLATE.replace(from, to));
        let refusal = failed(&desk.issue());
        assert!(refusal.contains(word), "{refusal}");
    }
}

#[test]
fn a_request_with_a_private_key_is_refused() {
    let desk = Desk::with_authority();
    let request = desk.read("request.json").replace("\"kty\"", "\"d\":\"AAAA\",\"kty\"");
    desk.write("request.json", &request);
    assert!(failed(&desk.issue()).contains("holds a private key"));
}

#[test]
fn wrong_usage_has_its_own_exit_code_and_help_names_the_files() {
    let desk = Desk::new();
    assert_eq!(desk.run("issue --dir pki").status.code(), Some(2));
    let help = done(&desk.run("--help"));
    assert!(help.contains("root.key.pem") && help.contains("CHANCERY_ISSUER_PASSPHRASE"), "{help}");
}
