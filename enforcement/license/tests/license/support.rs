//! A deployment on disk, and the vendor that licenses it.

use std::{fs, path::PathBuf};

use chancery_license::{
    RecipientKey, Refusal, RunningLicense, RuntimeSettings, Site as Deployment, Sources, State, TrustSettings,
};
use descriptors::grant::{FeatureValue, Grant, LicenseStatus, ProductGrant};
use envelope::{
    Claims, PinnedKeys, Recipient,
    authoring::{Root, Signer},
    claims::{Binding, Party, Schema},
    development::DevelopmentAuthority,
};
use jiff::{SignedDuration, Timestamp};
use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    base64,
    hash::MessageDigest,
    pkey::{PKey, Private},
    sign,
    x509::{X509, X509CrlBuilder, X509Extension, X509RevokedBuilder, extension::AuthorityKeyIdentifier},
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub(crate) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// For `site-1`, thirty days from now.
pub(crate) fn claims() -> Claims {
    let party = |id: &str| Party { id: id.to_owned(), name: format!("{id} by name") };
    let mut grant = Grant::nothing();
    grant.products.insert("chancery".to_owned(), ProductGrant { edition: "pro".to_owned(), modules: None });
    grant.features.insert("tenancy.subtenants.v1".to_owned(), FeatureValue::Boolean(true));
    Claims {
        schema: Schema::V1,
        license_id: "L-1".to_owned(),
        issuer: party("vendor"),
        licensee: party("acme"),
        installation_owner: party("acme"),
        issued_at: now(),
        not_before: now(),
        expires_at: now() + days(30),
        grace_days: 0,
        binding: Binding { installation_id: Some("site-1".to_owned()), base_domains: Vec::new() },
        grant,
        asserted_policies: Vec::new(),
        revocation: None,
        metadata: Map::new(),
        other: Map::new(),
    }
}

/// Another license, issued then, for sixty days.
pub(crate) fn renewed(id: &str, issued_at: Timestamp) -> Claims {
    Claims {
        license_id: id.to_owned(),
        issued_at,
        not_before: issued_at,
        expires_at: issued_at + days(60),
        ..claims()
    }
}

pub(crate) struct Vendor {
    root: Root,
    pub(crate) signer: Signer,
    /// A signer that is never revoked.
    pub(crate) second: Signer,
}

impl Vendor {
    pub(crate) fn new() -> Self {
        let validity = now() - days(1)..now() + days(1000);
        let root = Root::create("Vendor", validity.clone()).unwrap();
        let signer = root.signer("Signer", validity.clone()).unwrap();
        let second = root.signer("Second signer", validity).unwrap();
        Self { root, signer, second }
    }

    /// A revocation list that is good until then.
    pub(crate) fn list(&self, revoked: &[&Signer], until: Timestamp) -> String {
        let root = X509::from_pem(self.root.certificate_pem().unwrap().as_bytes()).unwrap();
        let key = self.root.key_pem("a passphrase of the test").unwrap();
        let key = PKey::private_key_from_pem_passphrase(key.as_bytes(), b"a passphrase of the test").unwrap();
        let time = |at: Timestamp| Asn1Time::from_unix(at.as_second()).unwrap();
        let mut list = X509CrlBuilder::new().unwrap();
        list.set_issuer_name(root.subject_name()).unwrap();
        list.set_last_update(&time(now() - days(1))).unwrap();
        list.set_next_update(&time(until)).unwrap();
        let draft = X509::builder().unwrap();
        let context = draft.x509v3_context(Some(&root), None);
        list.append_extension(AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap()).unwrap();
        let number = Asn1Object::from_str("2.5.29.20").unwrap();
        let value = Asn1OctetString::new_from_bytes(&[2, 1, 7]).unwrap();
        list.append_extension(X509Extension::new_from_der(&number, false, &value).unwrap()).unwrap();
        for signer in revoked {
            let chain = X509::stack_from_pem(signer.chain_pem().unwrap().as_bytes()).unwrap();
            let mut entry = X509RevokedBuilder::new().unwrap();
            entry.set_serial_number(chain[0].serial_number()).unwrap();
            entry.set_revocation_date(&time(now() - days(1))).unwrap();
            list.add_revoked(entry.build()).unwrap();
        }
        list.sign(&key, MessageDigest::sha256()).unwrap();
        String::from_utf8(list.build().unwrap().to_pem().unwrap()).unwrap()
    }
}

/// A deployment that trusts one vendor and has no license yet.
pub(crate) struct Site {
    pub(crate) vendor: Vendor,
    pub(crate) recipient: Recipient,
    pub(crate) sources: Sources,
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let vendor = Vendor::new();
        let recipient = Recipient::generate("site-1-2026").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources {
            path: None,
            token: None,
            development: None,
            recipient: Some(RecipientKey {
                id: "site-1-2026".to_owned(),
                path: folder.path().join("key.pem"),
            }),
            trust: TrustSettings::standard(Some(folder.path().join("roots.pem"))),
            pinned: PinnedKeys::none(),
            site: Deployment {
                installation: "site-1".to_owned(),
                owner: None,
                public_host: None,
                production: false,
                sealed_only: true,
            },
            runtime: RuntimeSettings::standard(),
        };
        let site = Self { vendor, recipient, sources, folder };
        site.write("key.pem", &site.recipient.to_pem().unwrap());
        site.write("roots.pem", &site.vendor.root.certificate_pem().unwrap());
        site
    }

    pub(crate) fn licensed(claims: &Claims) -> Self {
        let mut site = Self::new();
        site.sources.path = Some(site.write("license", &site.sealed(claims)));
        site
    }

    /// Under a license by a development authority, which it trusts besides its vendor.
    pub(crate) fn in_development() -> Self {
        let mut site = Self::new();
        let authority = DevelopmentAuthority::create(now(), days(60)).unwrap();
        let vendor = site.vendor.root.certificate_pem().unwrap();
        site.write("roots.pem", &format!("{vendor}{}", authority.root_pem()));
        let token = authority.issue(&claims(), &site.recipient.public()).unwrap();
        site.sources.development = Some(site.write("development", &token));
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in place of whatever is there, in one step.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, partial) = (self.path(name), self.path(&format!("{name}.partial")));
        fs::write(&partial, text).unwrap();
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        }
        fs::rename(&partial, &path).unwrap();
        path
    }

    /// Takes a file away.
    pub(crate) fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else if path.exists() {
            fs::remove_file(&path).unwrap();
        }
    }

    /// Puts something there that cannot be read as a file, whoever runs the test.
    pub(crate) fn make_unreadable(&self, name: &str) {
        self.remove(name);
        fs::create_dir(self.path(name)).unwrap();
    }

    pub(crate) fn sealed(&self, claims: &Claims) -> String {
        self.vendor.signer.seal(claims, &self.recipient.public()).unwrap()
    }

    pub(crate) fn sealed_by_second(&self, claims: &Claims) -> String {
        self.vendor.second.seal(claims, &self.recipient.public()).unwrap()
    }

    pub(crate) fn read(&self) -> RunningLicense {
        RunningLicense::read(self.sources.clone(), now())
    }

    pub(crate) fn status(&self) -> LicenseStatus {
        self.read().snapshot().status()
    }

    /// Why the license is refused now.
    pub(crate) fn refusal(&self) -> Refusal {
        let snapshot = self.read().snapshot();
        assert_eq!(snapshot.status(), LicenseStatus::Invalid);
        match snapshot.state() {
            State::Invalid(state) => state.refusal().clone(),
            other => panic!("the license must be refused, and is {other:?}"),
        }
    }
}

/// A license in key format, by a fresh key, and that key as a vendor's build pins it under this name.
pub(crate) fn key_license(claims: &Claims, kid: &str) -> (String, Value) {
    let key: PKey<Private> = PKey::generate_ed25519().unwrap();
    let header = json!({ "alg": "EdDSA", "kid": kid });
    let signed = format!(
        "{}.{}",
        base64url(header.to_string().as_bytes()),
        base64url(serde_json::to_string(claims).unwrap().as_bytes())
    );
    let signature =
        sign::Signer::new_without_digest(&key).unwrap().sign_oneshot_to_vec(signed.as_bytes()).unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&key.raw_public_key().unwrap()) });
    (format!("{signed}.{}", base64url(&signature)), jwk)
}

pub(crate) fn pinned(kid: &str, jwk: &Value) -> PinnedKeys {
    PinnedKeys::new([(kid, jwk.as_object().unwrap())]).unwrap()
}

fn base64url(bytes: &[u8]) -> String {
    base64::encode_block(bytes).replace('+', "-").replace('/', "_").replace(['=', '\n'], "")
}
