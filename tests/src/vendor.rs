//! A vendor at a desk of its own: what it makes leaves by files only.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use tempfile::TempDir;

use crate::{Quickstart, issuer, text};

/// A vendor with a root and a signer.
pub struct Vendor {
    desk: TempDir,
}

/// What a license is to say. The rest is the same for all.
pub struct Wanted<'w> {
    /// Its id.
    pub id: &'w str,
    /// Days until it expires.
    pub valid_days: u32,
    /// Whether there may be tenants beneath tenants.
    pub subtenants: bool,
    /// How many exports in a day.
    pub exports: u64,
}

impl Wanted<'_> {
    fn template(&self) -> String {
        let Self { id, valid_days, subtenants, exports } = self;
        format!(
            r#"
            licenseId = "{id}"
            validDays = {valid_days}
            graceDays = 0
            issuer = {{ id = "vendor", name = "Vendor" }}
            licensee = {{ id = "acme", name = "Acme" }}

            [grant]
            products = {{ chancery = {{ edition = "pro" }} }}
            features = {{ "tenancy.subtenants.v1" = {subtenants} }}

            [grant.quotas]
            "tenants.root.max" = 25
            "tenants.total.max" = 100
            "tenants.depth.max" = 2
            "tenancy.exports.max" = {exports}
            "#
        )
    }
}

impl Vendor {
    /// A new one, that nobody trusts yet.
    ///
    /// # Panics
    ///
    /// When the authorities cannot be made.
    pub fn open() -> Self {
        Self::lasting(1_095)
    }

    /// A new one, whose certificates are valid for so many days.
    ///
    /// # Panics
    ///
    /// When the authorities cannot be made.
    pub fn lasting(days: u32) -> Self {
        let vendor = Self { desk: tempfile::tempdir().expect("a temporary folder") };
        vendor.run(&format!("ca init --dir pki --name Root --valid-days {}", days + 1));
        vendor.run(&format!("ca signer --dir pki --name Signer --valid-days {days}"));
        vendor
    }

    /// `chancery-issuer` with these arguments, at the desk.
    ///
    /// # Panics
    ///
    /// When it does not succeed.
    pub fn run(&self, arguments: &str) -> Output {
        let output = issuer()
            .args(arguments.split(' '))
            .env("CHANCERY_ISSUER_PASSPHRASE", "correct horse battery staple")
            .current_dir(self.desk.path())
            .output()
            .expect("start chancery-issuer");
        assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
        output
    }

    /// A file at the desk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.desk.path().join(name)
    }

    /// The certificate that deployments are to trust.
    pub fn root(&self) -> PathBuf {
        self.path("pki/authorities/root.pem")
    }

    /// A license for this request.
    ///
    /// # Panics
    ///
    /// When it cannot be minted.
    pub fn issue(&self, request: &Path, wanted: &Wanted<'_>) -> PathBuf {
        self.mint(request, wanted.id, &wanted.template())
    }

    /// A license that is not valid before this instant (RFC 3339).
    ///
    /// # Panics
    ///
    /// When it cannot be minted.
    pub fn issue_from(&self, request: &Path, wanted: &Wanted<'_>, not_before: &str) -> PathBuf {
        let template = format!("notBefore = \"{not_before}\"\n{}", wanted.template());
        self.mint(request, wanted.id, &template)
    }

    /// A license of this id and template (see `docs/vendor.md`).
    ///
    /// # Panics
    ///
    /// When it cannot be minted.
    pub fn mint(&self, request: &Path, id: &str, template: &str) -> PathBuf {
        fs::write(self.path(&format!("{id}.toml")), template).expect("write the template");
        self.run(&format!(
            "issue --dir pki --template {id}.toml --request {} --out {id}.jwe",
            request.display()
        ));
        self.path(&format!("{id}.jwe"))
    }
}

/// Stops a deployment, makes it trust this vendor, reads its license from `current.jwe`, and asks for one. The request.
///
/// # Panics
///
/// When it cannot be asked for.
pub fn under(vendor: &Vendor, deployment: &mut Quickstart) -> PathBuf {
    assert!(deployment.stop(), "it ends well");
    fs::copy(vendor.root(), deployment.path("vendor-root.pem")).expect("the vendor's root");
    deployment.configure(r#""root.pem""#, r#""vendor-root.pem""#);
    deployment.configure("enabled = true\npath = \"license.jwe\"", "enabled = false");
    deployment.configure("[license.recipient]", "[license]\npath = \"current.jwe\"\n\n[license.recipient]");
    let request = deployment.path("request.jws");
    let contact = "Ada Lovelace <ada@acme.example>:TECHNICAL";
    let line = ["license", "request", "--organization", "Acme", "--contact", contact, "--out"];
    let output = deployment.chancery(line.into_iter().chain([request.to_str().expect("a path of text")]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    request
}

/// A template of a license of so many exports in a day, and enough of everything else.
pub fn generous(id: &str, exports: u64) -> String {
    format!(
        r#"
        licenseId = "{id}"
        validDays = 365
        graceDays = 0
        issuer = {{ id = "vendor", name = "Vendor" }}
        licensee = {{ id = "acme", name = "Acme" }}

        [grant]
        products = {{ chancery = {{ edition = "enterprise" }} }}
        features = {{ "tenancy.subtenants.v1" = true }}

        [grant.quotas]
        "tenancy.exports.max" = {exports}
        "tenants.root.max" = 1000000
        "tenants.total.max" = 1000000
        "tenants.depth.max" = 10
        "#
    )
}
