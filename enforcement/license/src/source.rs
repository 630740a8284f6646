use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use envelope::{
    Authority, EnvelopeError, MAX_TOKEN_BYTES, Recipient, Trust, VerifiedLicense,
    development::MAX_DAYS,
    oid::{self, ObjectIdentifier},
    open,
};
use jiff::{SignedDuration, Timestamp};

use crate::{Held, Refusal, SourceKind, State};

/// Where a license may come from and what it is verified against, as configured.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `license.path`.
    pub path: Option<PathBuf>,
    /// `license.dev.path`, when `license.dev.enabled`.
    pub development: Option<PathBuf>,
    /// `license.recipient.*`.
    pub recipient: Option<RecipientKey>,
    /// `license.trust.*`.
    pub trust: TrustSettings,
    /// The host of `server.public-url`: licenses bound to other base domains are refused.
    pub public_host: Option<String>,
    /// `deployment.id`: licenses bound to another installation are refused.
    pub installation: String,
    /// Whether the shape states `environment=production`, where a development license is refused.
    pub production: bool,
}

/// The key that licenses are encrypted to.
#[derive(Clone, Debug)]
pub struct RecipientKey {
    /// `license.recipient.key-id`.
    pub id: String,
    /// `license.recipient.private-key-path`.
    pub path: PathBuf,
}

/// What a license must lead to. An empty list turns that one check off, never the root bundle.
#[derive(Clone, Debug)]
pub struct TrustSettings {
    /// `license.trust.root-ca-bundle-path`. Without it every license is refused.
    pub root_bundle: Option<PathBuf>,
    /// `license.trust.license-signing-eku`.
    pub signing_eku: Vec<ObjectIdentifier>,
    /// `license.trust.required-policy-oids`.
    pub required_policies: Vec<ObjectIdentifier>,
}

impl TrustSettings {
    /// The signer must carry our extended key usage, signer and intermediates our policy.
    pub fn standard(root_bundle: Option<PathBuf>) -> Self {
        Self {
            root_bundle,
            signing_eku: vec![oid::LICENSE_SIGNING_EKU],
            required_policies: vec![oid::LICENSE_SIGNING_POLICY],
        }
    }
}

impl Sources {
    /// Reads and verifies the first source that is present.
    pub(crate) fn read(&self, now: Timestamp) -> State {
        let (path, kind) = match (&self.path, &self.development) {
            (Some(path), _) => (path, SourceKind::Path),
            (None, Some(path)) => (path, SourceKind::Development),
            (None, None) => return State::Missing,
        };
        let token = match read_bounded(path) {
            Ok(token) => token,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return State::Missing,
            Err(error) => return refused("source", format!("failed to read `{}`: {error}", path.display())),
        };
        let license = match self.verify(token.trim(), now) {
            Ok(license) => license,
            Err(refusal) => return State::Invalid(refusal),
        };
        let held = Held { license: Arc::new(license), source: kind };
        match self.admit(&held, now) {
            Err(refusal) => State::Invalid(refusal),
            Ok(()) if held.license.claims().expires_at <= now => State::Expired(held),
            Ok(()) => State::Active(held),
        }
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedLicense, Refusal> {
        let configured = |stage, what: &str| Refusal::new(stage, format!("`{what}` is not configured"));
        let bundle = self
            .trust
            .root_bundle
            .as_ref()
            .ok_or_else(|| configured("trust", "license.trust.root-ca-bundle-path"))?;
        let key = self
            .recipient
            .as_ref()
            .ok_or_else(|| configured("recipient", "license.recipient.private-key-path"))?;
        let text = |stage, path: &Path| {
            fs::read_to_string(path)
                .map_err(|error| Refusal::new(stage, format!("failed to read `{}`: {error}", path.display())))
        };
        let trust = Trust::from_pem(&text("trust", bundle)?)
            .map_err(|error| Refusal::new("trust", error.to_string()))?
            .requiring_eku(self.trust.signing_eku.clone())
            .requiring_policies(self.trust.required_policies.clone());
        let recipient = Recipient::from_pem(&key.id, &text("recipient", &key.path)?)
            .map_err(|error| Refusal::new("recipient", error.to_string()))?;
        open(token, &recipient, &trust, now)
            .map_err(|error: EnvelopeError| Refusal::new(error.stage().as_str(), error.to_string()))
    }

    fn serves_under(&self, domains: &[String]) -> bool {
        self.public_host.as_ref().is_some_and(|host| domains.iter().any(|domain| is_within(host, domain)))
    }

    /// What verification cannot know: whether this license is meant for this deployment, now.
    fn admit(&self, held: &Held, now: Timestamp) -> Result<(), Refusal> {
        let claims = held.license.claims();
        let refuse = |stage, detail| Err(Refusal::new(stage, detail));
        if let Some(bound) = &claims.binding.installation_id
            && *bound != self.installation
        {
            return refuse(
                "binding",
                format!("bound to installation `{bound}`, this is `{}`", self.installation),
            );
        }
        let domains = &claims.binding.base_domains;
        if !domains.is_empty() && !self.serves_under(domains) {
            let here = self.public_host.as_deref().map_or_else(
                || "`server.public-url` is not configured".to_owned(),
                |host| format!("`server.public-url` is at `{host}`"),
            );
            return refuse("binding", format!("bound to base domains {}; {here}", domains.join(", ")));
        }
        if held.license.authority() == Authority::Development {
            if held.source != SourceKind::Development {
                return refuse(
                    "source",
                    "a development license is accepted from `license.dev.path` only".to_owned(),
                );
            }
            if self.production {
                return refuse(
                    "source",
                    "a development license is refused where `environment=production`".to_owned(),
                );
            }
        }
        let longest = SignedDuration::from_hours(24 * MAX_DAYS);
        if held.source == SourceKind::Development
            && claims.grace_ends_at().duration_since(claims.not_before) > longest
        {
            return refuse("claims", format!("a development license is valid for at most {MAX_DAYS} days"));
        }
        if claims.not_before > now {
            let early = Refusal::new("claims", format!("not valid before {}", claims.not_before));
            return Err(Refusal { valid_from: Some(claims.not_before), ..early });
        }
        Ok(())
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(&domain.to_ascii_lowercase()).is_some_and(|left| left.is_empty() || left.ends_with('.'))
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let longest = u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX);
    let mut token = String::new();
    fs::File::open(path)?.take(longest + 1).read_to_string(&mut token)?;
    if token.len() > MAX_TOKEN_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {longest} bytes")));
    }
    Ok(token)
}

fn refused(stage: &'static str, detail: String) -> State {
    State::Invalid(Refusal::new(stage, detail))
}
