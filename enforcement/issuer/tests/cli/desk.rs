//! A vendor's desk: a folder with the real program, a template, a catalog, and a deployment's request on it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use envelope::{
    Claims, Recipient, Trust,
    request::{Contact, ContactRole, Draft, LicenseRequest, SignedRequest},
};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

pub(crate) const TEMPLATE: &str = r#"
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
quotas = { "tenancy.exports.max" = 50 }
"#;

pub(crate) const CATALOG: &str = "--catalog platform.toml tenancy.toml ledger.toml";

/// A second product, so that there is one a partner may not sign for, and a third that no partner may.
const LEDGER: &str = r#"
[[product]]
id = "ledger"
name = "Ledger"
policy = "1.2.840.113556.1.8000.2554.46931.46881.18478.20466.41418.16239299.2332707.3.2"
[[product.edition]]
id = "pro"
name = "Pro"
features = { "tenancy.subtenants.v1" = true }
quotas = { "tenancy.exports.max" = 7 }

[[product]]
id = "vault"
name = "Vault"
[[product.edition]]
id = "pro"
name = "Pro"
"#;

pub(crate) struct Desk {
    folder: TempDir,
    pub(crate) recipient: Recipient,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let recipient = Recipient::generate("site-1").unwrap();
        let desk = Self { folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), recipient };
        desk.write("request.jws", desk.request(|draft| draft).token());
        desk.write("recipient.key.pem", &desk.recipient.to_pem().unwrap());
        desk.write("template.toml", TEMPLATE);
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules");
        for module in ["platform", "tenancy"] {
            let slice = fs::read_to_string(modules.join(module).join("catalog.toml")).unwrap();
            desk.write(&format!("{module}.toml"), &slice);
        }
        desk.write("ledger.toml", LEDGER);
        desk
    }

    /// With a root and a signer beneath it.
    pub(crate) fn with_signer() -> Self {
        static MADE: LazyLock<Desk> = LazyLock::new(|| {
            let desk = Desk::new();
            done(&desk.run("ca init --dir pki --name Root"));
            done(&desk.run("ca signer --dir pki --name Signer"));
            desk
        });
        Self::new().taking_over(&MADE)
    }

    /// With a root, an intermediate, a partner for `chancery`, and a signer beneath each of the two.
    pub(crate) fn with_partner() -> Self {
        static MADE: LazyLock<Desk> = LazyLock::new(|| {
            let desk = Desk::new();
            done(&desk.run("ca init --dir pki --name Root"));
            done(&desk.run("ca intermediate --dir pki --name Issuing"));
            done(&desk.run(&format!("ca partner --dir pki --name Reseller --product chancery {CATALOG}")));
            done(&desk.run("ca signer --dir pki --name Acme --under issuing"));
            done(&desk.run("ca signer --dir pki --name Bolt --under reseller"));
            desk
        });
        Self::new().taking_over(&MADE)
    }

    /// With a copy of the folder that was made once: keys take their time.
    fn taking_over(self, made: &Self) -> Self {
        let copied =
            Command::new("cp").arg("-a").args([made.path("pki"), self.path("pki")]).status().unwrap();
        assert!(copied.success());
        self
    }

    /// The deployment's request, changed.
    pub(crate) fn request(&self, change: impl Fn(Draft) -> Draft) -> SignedRequest {
        let draft = LicenseRequest::draft("R-1", now(), "site-1", "Acme")
            .base_domain("acme.example")
            .contact(Contact {
                email: "ada@acme.example".into(),
                given_name: "Ada".into(),
                family_name: "Lovelace".into(),
                roles: [ContactRole::Technical].into(),
                display_name: None,
            });
        change(draft).sign(&self.recipient).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-issuer"));
        command.args(arguments.split(' ')).current_dir(&self.folder).env_clear();
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        self.command(arguments).env("CHANCERY_ISSUER_PASSPHRASE", PASSPHRASE).output().unwrap()
    }

    pub(crate) fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&done(&self.run(arguments))).unwrap()
    }

    pub(crate) fn issue(&self, more: &str) -> Output {
        let issue = "issue --dir pki --template template.toml --request request.jws --out license.jwe";
        self.run(format!("{issue} {more}").trim_end())
    }

    /// A template changed in one place.
    pub(crate) fn template(&self, from: &str, to: &str) {
        assert!(TEMPLATE.contains(from), "{from}");
        self.write("template.toml", &TEMPLATE.replace(from, to));
    }

    /// What the license says, where its deployment trusts this root.
    pub(crate) fn open(&self) -> Claims {
        let trust = Trust::from_pem(&self.read("pki/authorities/root.pem")).unwrap();
        let license = envelope::open(&self.read("license.jwe"), &self.recipient, &trust, now()).unwrap();
        license.claims().clone()
    }

    pub(crate) fn openssl(&self, arguments: &str) -> Output {
        Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .output()
            .expect("the openssl command must be installed")
    }

    /// `openssl verify` of the certificate of this name.
    pub(crate) fn judged(&self, name: &str, options: &str) -> Output {
        self.openssl(&format!(
            "verify -x509_strict -check_ss_sig -no-CAfile -no-CApath -no-CAstore -CAfile pki/authorities/root.pem \
             -untrusted pki/signers/{name}.pem {options} pki/signers/{name}.pem"
        ))
    }
}

/// The standard output of a command that succeeded.
#[track_caller]
pub(crate) fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The message of a command that failed, with nothing on standard output.
#[track_caller]
pub(crate) fn failed(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the process under test reads the same clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
