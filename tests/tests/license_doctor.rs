//! `chancery doctor` on deployments that are broken in one way each: it names that, and how to mend it.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use chancery_acceptance::{Quickstart, Vendor, Wanted, program, text};
use kit::Database;
use serde_json::{Value, json};

/// A deployment in order under a vendor's license, not running; and another license of its vendor's.
struct Sound {
    deployment: Quickstart,
    vendor: Vendor,
}

impl Sound {
    fn new() -> Self {
        let vendor = Vendor::open();
        let mut deployment = Quickstart::over(Database::sqlite());
        assert!(deployment.stop());
        fs::copy(vendor.root(), deployment.path("root.pem")).unwrap();
        deployment.configure("enabled = true\npath = \"license.jwe\"", "enabled = false");
        deployment
            .configure("[license.recipient]", "[license]\npath = \"current.jwe\"\n\n[license.recipient]");
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        deployment.configure("listen = \"127.0.0.1:0\"", &format!("listen = \"{free}\""));
        let sound = Self { deployment, vendor };
        sound.issue(&Wanted { id: "L-1", valid_days: 365, subtenants: true, exports: 9 });
        sound
    }

    /// What its files hold, so that they can be set right after they were broken.
    fn files(&self) -> [(PathBuf, Vec<u8>); 4] {
        ["chancery.toml", "recipient.pem", "root.pem", "current.jwe"].map(|name| {
            let path = self.deployment.path(name);
            (path.clone(), fs::read(path).unwrap())
        })
    }

    fn issue(&self, wanted: &Wanted<'_>) {
        let asked = self.deployment.path(&format!("{}.jws", wanted.id));
        let contact = "Ada Lovelace <ada@acme.example>:TECHNICAL";
        let line = ["license", "request", "--organization", "Acme", "--contact", contact, "--out"];
        let output = self.deployment.chancery(line.into_iter().chain([asked.to_str().unwrap()]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        fs::copy(self.vendor.issue(&asked, wanted), self.deployment.path("current.jwe")).unwrap();
    }

    fn doctor(&self) -> (bool, Value) {
        let output = self.deployment.chancery(["doctor", "--json"]);
        let report = serde_json::from_slice(&output.stdout);
        (output.status.success(), report.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
    }

    /// The one check that fails, and how to mend it. Nothing after it is looked at.
    fn first_failing(&self) -> (String, String) {
        let (sound, report) = self.doctor();
        assert!(!sound && report["ok"] == false, "{report:#}");
        let checks = report["checks"].as_array().unwrap();
        assert_eq!(checks.len(), 27, "every check is listed");
        let at = checks.iter().position(|check| check["outcome"] == "failed").unwrap();
        assert!(checks[..at].iter().all(|check| check["outcome"] == "ok" || check["outcome"] == "warning"));
        assert!(checks[at + 1..].iter().all(|check| check["outcome"] == "not-looked-at"), "{report:#}");
        let text = |key: &str| checks[at][key].as_str().unwrap().to_owned();
        (text("name"), text("mend"))
    }
}

/// What breaks a sound deployment, the check that is to fail, and what the way to mend it names.
type Case = (&'static str, fn(&Sound), &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "an unknown key",
        |sound| sound.deployment.configure("[log]", "[lag]"),
        "configuration",
        "chancery config check",
    ),
    (
        "a secret that is not where its reference says",
        |sound| {
            let collector =
                "[telemetry.otlp]\nendpoint = \"https://a.example\"\nauthorization = \"k8s:otlp/token\"";
            sound.deployment.configure("[log]", &format!("{collector}\n\n[log]"));
        },
        "secrets",
        "`k8s:`",
    ),
    (
        "signup without an address for its links",
        |sound| sound.deployment.configure("[log]", "[tenant.signup.platform]\nenabled = true\n\n[log]"),
        "parts",
        "chancery config check",
    ),
    (
        "a filter that is none",
        |sound| sound.deployment.configure("warn,chancery_license=info", "[[["),
        "configuration",
        "chancery config schema",
    ),
    (
        "a license that is gone",
        |sound| fs::remove_file(sound.deployment.path("current.jwe")).unwrap(),
        "license source",
        "license.path",
    ),
    (
        "no license at all",
        |sound| sound.deployment.configure("path = \"current.jwe\"", ""),
        "license source",
        "chancery license request",
    ),
    (
        "a key that others may read",
        |sound| {
            let key = sound.deployment.path("recipient.pem");
            fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
        },
        "recipient key",
        "chmod 600",
    ),
    (
        "a key that is gone",
        |sound| fs::remove_file(sound.deployment.path("recipient.pem")).unwrap(),
        "recipient key",
        "license.recipient.private-key-path",
    ),
    (
        "a key that is none",
        |sound| fs::write(sound.deployment.path("recipient.pem"), "no key").unwrap(),
        "recipient key",
        "license.recipient.private-key-path",
    ),
    (
        "no roots",
        |sound| sound.deployment.configure("root-ca-bundle-path = \"root.pem\"", ""),
        "root bundle",
        "license.trust.root-ca-bundle-path",
    ),
    (
        "roots that are none",
        |sound| fs::write(sound.deployment.path("root.pem"), "no root").unwrap(),
        "root bundle",
        "license.trust.root-ca-bundle-path",
    ),
    (
        "lists that are none",
        |sound| {
            fs::write(sound.deployment.path("crls.pem"), "no list").unwrap();
            sound.deployment.configure("[license.trust]", "[license.trust]\ncrl-bundle-path = \"crls.pem\"");
        },
        "revocation lists",
        "license.trust.crl-bundle-path",
    ),
    (
        "a file that is no license",
        |sound| fs::write(sound.deployment.path("current.jwe"), "no license").unwrap(),
        "license format",
        "chancery license inspect",
    ),
    (
        "a license that was damaged",
        |sound| {
            let file = sound.deployment.path("current.jwe");
            let token = fs::read_to_string(&file).unwrap();
            let (start, tag) = token.trim().rsplit_once('.').unwrap();
            let other = if tag.starts_with('A') { 'B' } else { 'A' };
            fs::write(file, format!("{start}.{other}{}", &tag[1..])).unwrap();
        },
        "license decrypt",
        "license.recipient.key-id",
    ),
    (
        "roots of another vendor",
        |sound| {
            fs::copy(Vendor::open().root(), sound.deployment.path("root.pem")).unwrap();
        },
        "license chain",
        "license.trust.root-ca-bundle-path",
    ),
    (
        "a policy that nobody asserts",
        |sound| {
            let trust = "[license.trust]\nrequired-policy-oids = \"1.2.3.4\"";
            sound.deployment.configure("[license.trust]", trust);
        },
        "license policy",
        "license.trust.license-signing-eku",
    ),
    (
        "another owner",
        |sound| sound.deployment.configure("[license]\n", "[license]\ninstallation-owner = \"someone\"\n"),
        "license parties",
        "license.installation-owner",
    ),
    (
        "another installation",
        |sound| sound.deployment.configure("id = \"quickstart\"", "id = \"elsewhere\""),
        "license binding",
        "deployment.id",
    ),
    (
        "a license that has not begun",
        |sound| {
            let asked = sound.deployment.path("L-1.jws");
            let late = Wanted { id: "L-9", valid_days: 365, subtenants: true, exports: 9 };
            let date = Command::new("date").args(["-u", "-d", "+30 days", "+%FT%TZ"]).output().unwrap();
            let license = sound.vendor.issue_from(&asked, &late, text(&date.stdout).trim());
            fs::copy(license, sound.deployment.path("current.jwe")).unwrap();
        },
        "license validity",
        "wait until it begins",
    ),
    (
        "a signer that was revoked",
        |sound| {
            sound.vendor.run("revoke signer --dir pki --reason superseded");
            sound.vendor.run("crl --dir pki --under root --out list.pem");
            fs::copy(sound.vendor.path("list.pem"), sound.deployment.path("crls.pem")).unwrap();
            sound.deployment.configure("[license.trust]", "[license.trust]\ncrl-bundle-path = \"crls.pem\"");
        },
        "license revocation",
        "chancery license request",
    ),
    (
        "an address that is taken",
        |sound| {
            // Held until the process of the test ends.
            let taken = Box::leak(Box::new(TcpListener::bind("127.0.0.1:0").unwrap())).local_addr().unwrap();
            let config = fs::read_to_string(sound.deployment.path("chancery.toml")).unwrap();
            let listen = config.lines().find(|line| line.starts_with("listen")).unwrap();
            sound.deployment.configure(listen, &format!("listen = \"{taken}\""));
        },
        "listen address",
        "server.listen",
    ),
];

#[test]
fn the_first_thing_that_does_not_hold_is_named_and_how_to_mend_it() {
    let sound = Sound::new();
    let files = sound.files();
    for (case, break_it, check, mend) in CASES {
        for (path, content) in &files {
            fs::write(path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let (holds, report) = sound.doctor();
        assert!(holds && report["ok"] == true, "before {case}: {report:#}");
        break_it(&sound);
        let (failing, mending) = sound.first_failing();
        assert_eq!(failing, *check, "{case}");
        assert!(mending.contains(mend), "{case}: {mending}");
    }
}

#[test]
fn a_database_that_is_not_there_and_one_that_is_not_up_to_date_are_named() {
    let sound = Sound::new();
    let doctor = |url: &str| {
        let output = program()
            .args(["doctor", "--json", "--config", sound.deployment.path("chancery.toml").to_str().unwrap()])
            .env("CHANCERY_DATABASE__URL", url)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["outcome"] == "failed").unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.db");
    let url = format!("sqlite://{}", file.display());
    let found = doctor(&url);
    assert_eq!(found["name"], "database");
    assert!(found["mend"].as_str().unwrap().contains("database.url"), "{found}");
    assert!(!file.exists(), "looking makes nothing");

    fs::write(&file, "").unwrap();
    let found = doctor(&url);
    assert_eq!((&found["name"], &found["mend"]), (&json!("schema"), &json!("run `chancery migrate`")));
    let found = doctor("postgres://nobody:hunter2@127.0.0.1:1/none");
    assert_eq!(found["name"], "database");
    assert!(!found.to_string().contains("hunter2"));
}

#[test]
fn a_running_server_is_no_trouble_and_a_license_near_its_end_is_a_note() {
    let mut sound = Sound::new();
    sound.issue(&Wanted { id: "L-2", valid_days: 5, subtenants: true, exports: 9 });
    let url = sound.deployment.credentials()["url"].as_str().unwrap().to_owned();
    let config = fs::read_to_string(sound.deployment.path("chancery.toml")).unwrap();
    let listen = config.lines().find(|line| line.starts_with("listen")).unwrap().to_owned();
    assert!(!url.is_empty());
    sound.deployment.start();
    let url = sound.deployment.credentials()["url"].as_str().unwrap().to_owned();
    sound.deployment.configure(&listen, &format!("listen = \"{}\"", url.trim_start_matches("http://")));
    let (holds, report) = sound.doctor();
    assert!(holds, "{report:#}");
    let check = |name: &str| {
        report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
    };
    assert!(check("listen address")["detail"].as_str().unwrap().contains("a server answers"));
    assert_eq!(check("license warnings")["outcome"], "warning");
}
