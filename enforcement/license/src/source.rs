use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use envelope::{
    Authority, Partners, PinnedKeys,
    armor::MAX_ARMORED_BYTES,
    development::MAX_DAYS,
    oid::{self, ObjectIdentifier},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    opening::{NotOpened, Opener},
    reading::{Absent, Reading, Refusal, Refused, SourceKind, TakenBack, Unreadable, Verified},
    state::Held,
};

/// Where a license may come from, what it is verified against, and how it runs, as configured.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `license.path`.
    pub path: Option<PathBuf>,
    /// `license.token`.
    pub token: Option<SecretString>,
    /// `license.dev.path`, when `license.dev.enabled`.
    pub development: Option<PathBuf>,
    /// `license.recipient.*`.
    pub recipient: Option<RecipientKey>,
    /// `license.trust.*`.
    pub trust: TrustSettings,
    /// The keys of the key format. They come with a vendor's build, never from configuration.
    pub pinned: PinnedKeys,
    /// What this deployment is.
    pub site: Site,
    /// `license.runtime.*`.
    pub runtime: RuntimeSettings,
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
    /// `license.trust.partner-ca-policy-oid` and `license.trust.partner-allowed-policy-oids`.
    pub partners: Partners,
    /// `license.trust.crl-bundle-path`. With it, a certificate that no current list vouches for is refused.
    pub crl_bundle: Option<PathBuf>,
}

/// The deployment that a license must be meant for.
#[derive(Clone, Debug)]
pub struct Site {
    /// `deployment.id`: licenses bound to another installation are refused.
    pub installation: String,
    /// `license.installation-owner`, where stated: licenses for another owner are refused.
    pub owner: Option<String>,
    /// The host of `server.public-url`: licenses bound to other base domains are refused.
    pub public_host: Option<String>,
    /// Whether the shape states `environment=production`, where a development license is refused.
    pub production: bool,
    /// Whether the shape states `packaging=server` or `packaging=container`, where a license in key format is refused.
    pub sealed_only: bool,
}

/// How a license runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// `license.runtime.expiry-grace-cap-days`: cuts the signed grace, never extends it.
    pub grace_cap_days: Option<u32>,
    /// `license.runtime.recovery-days`: how long the last license that was read may stand in. 0 turns it off.
    pub recovery_days: u32,
    /// `license.runtime.clock-rollback-tolerance`.
    pub clock_rollback_tolerance: SignedDuration,
    /// `license.runtime.warning-days`: how many days before an end a warning is due, in any order.
    pub warning_days: Vec<u32>,
}

impl RuntimeSettings {
    /// What holds where nothing is configured: the signed grace, seven days of recovery, five minutes of tolerance, and
    /// warnings 90, 60, 30, 14, 7 days and one day ahead.
    pub fn standard() -> Self {
        Self {
            grace_cap_days: None,
            recovery_days: 7,
            clock_rollback_tolerance: SignedDuration::from_mins(5),
            warning_days: vec![90, 60, 30, 14, 7, 1],
        }
    }
}

impl TrustSettings {
    /// The signer must carry our extended key usage, signer and intermediates our policy. Partners may sign for no
    /// product, until it is stated which policy stands for it. No revocation lists are asked.
    pub fn standard(root_bundle: Option<PathBuf>) -> Self {
        Self {
            root_bundle,
            signing_eku: vec![oid::LICENSE_SIGNING_EKU],
            required_policies: vec![oid::LICENSE_SIGNING_POLICY],
            partners: Partners {
                markers: vec![oid::PARTNER_CA_POLICY],
                allowed: Vec::new(),
                products: BTreeMap::new(),
            },
            crl_bundle: None,
        }
    }
}

/// The first source that is present, and what is in it.
#[derive(Clone)]
pub(crate) enum Found {
    Nothing,
    Unreadable(Unreadable),
    Refused(Refusal),
    Token(SourceKind, SecretString),
}

/// What the database says about an installed license.
#[derive(Clone, Debug)]
pub(crate) enum Slot<T> {
    Empty,
    Kept(T),
    /// Somebody changed it, or it was written under another recipient key.
    Changed,
    Unreadable,
}

impl Sources {
    /// The first source that is present (semantics 3.6). A bad one is never skipped for a later one.
    pub(crate) fn find(&self, installed: &Slot<SecretString>) -> Found {
        match installed {
            Slot::Kept(token) => return Found::Token(SourceKind::Installed, token.clone()),
            Slot::Changed => {
                let detail =
                    "the installed license was changed in the database, or the recipient key was replaced";
                return Found::Refused(Refusal::new("memory", detail.to_owned()));
            }
            Slot::Unreadable => {
                let (source, detail) =
                    (SourceKind::Installed, "what is installed cannot be read from the database".to_owned());
                return Found::Unreadable(Unreadable { source, detail, is_gone: false });
            }
            Slot::Empty => {}
        }
        match (&self.path, &self.token, &self.development) {
            (Some(path), _, _) => read_file(SourceKind::Path, path),
            (None, Some(token), _) => Found::Token(SourceKind::Token, token.clone()),
            (None, None, Some(path)) => read_file(SourceKind::Development, path),
            (None, None, None) => Found::Nothing,
        }
    }

    /// Verifies what was found.
    pub(crate) fn judge(&self, found: Found, opener: &Opener, at: Timestamp) -> Reading {
        match found {
            Found::Nothing => Reading::Absent(Absent::new()),
            Found::Unreadable(unreadable) => Reading::Unreadable(unreadable),
            Found::Refused(refusal) => Reading::Refused(Refused(refusal)),
            Found::Token(source, token) => self.verify(source, &token, opener, at),
        }
    }

    /// Verifies a token as if it came from that source.
    pub(crate) fn verify(
        &self,
        source: SourceKind,
        token: &SecretString,
        opener: &Opener,
        at: Timestamp,
    ) -> Reading {
        match opener.open(token.expose_secret().trim(), at) {
            Err(NotOpened::Refused(refusal)) => Reading::Refused(Refused(refusal)),
            Err(NotOpened::Revoked(refusal)) => Reading::Revoked(TakenBack(refusal)),
            Ok(license) => {
                let grace_until = self.grace_until(license.claims());
                let held = Held { license: Arc::new(license), source, grace_until };
                match self.admit(&held) {
                    Err(refusal) => Reading::Refused(Refused(refusal)),
                    Ok(()) => Reading::Verified(Verified(held)),
                }
            }
        }
    }

    /// The signed grace, cut by the operator's cap.
    fn grace_until(&self, claims: &envelope::Claims) -> Timestamp {
        let signed = claims.grace_ends_at();
        self.runtime.grace_cap_days.map_or(signed, |days| signed.min(later(claims.expires_at, days)))
    }

    fn serves_under(&self, domains: &[String]) -> bool {
        self.site
            .public_host
            .as_ref()
            .is_some_and(|host| domains.iter().any(|domain| is_within(host, domain)))
    }

    /// What verification cannot know: whether this license is meant for this deployment.
    fn admit(&self, held: &Held) -> Result<(), Refusal> {
        let claims = held.license.claims();
        let refuse = |stage, detail| Err(Refusal::new(stage, detail));
        if let Some(owner) = &self.site.owner
            && claims.installation_owner.id != *owner
        {
            let stated = &claims.installation_owner.id;
            let detail = format!("the installation owner is `{stated}`, here it is `{owner}`");
            return refuse(Refusal::PARTIES, detail);
        }
        if let Some(bound) = &claims.binding.installation_id
            && *bound != self.site.installation
        {
            let here = &self.site.installation;
            return refuse("binding", format!("bound to installation `{bound}`, this is `{here}`"));
        }
        let domains = &claims.binding.base_domains;
        if !domains.is_empty() && !self.serves_under(domains) {
            let here = self.site.public_host.as_deref().map_or_else(
                || "`server.public-url` is not configured".to_owned(),
                |host| format!("`server.public-url` is at `{host}`"),
            );
            let more = if domains.len() > 5 { ", …" } else { "" };
            let few = domains.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            return refuse("binding", format!("bound to base domains {few}{more}; {here}"));
        }
        if held.license.authority() == Authority::Development {
            if held.source != SourceKind::Development {
                let detail = "a development license is accepted from `license.dev.path` only";
                return refuse("source", detail.to_owned());
            }
            if self.site.production {
                let detail = "a development license is refused where `environment=production`";
                return refuse("source", detail.to_owned());
            }
        }
        let longest = SignedDuration::from_hours(24 * MAX_DAYS);
        if held.source == SourceKind::Development
            && claims.grace_ends_at().duration_since(claims.not_before) > longest
        {
            return refuse("claims", format!("a development license is valid for at most {MAX_DAYS} days"));
        }
        Ok(())
    }

    /// Every file that a reading rests on.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        let Self { path, development, recipient, trust, .. } = self;
        let files = [
            path.as_ref(),
            development.as_ref(),
            recipient.as_ref().map(|key| &key.path),
            trust.root_bundle.as_ref(),
            trust.crl_bundle.as_ref(),
        ];
        files.into_iter().flatten().map(|path| Stamp::of(path)).collect()
    }
}

/// What tells one state of a file from another without reading it. Links are followed, since mounted secrets are swapped
/// by a link. `ctime` shows a change that keeps the length and puts `mtime` back, and one of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    Gone,
    There { device: u64, inode: u64, length: u64, modified: (i64, i64), changed: (i64, i64) },
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let Ok(file) = fs::metadata(path) else { return Self::Gone };
        Self::There {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(&domain.to_ascii_lowercase()).is_some_and(|left| left.is_empty() || left.ends_with('.'))
}

/// That many days later.
pub(crate) fn later(time: Timestamp, days: u32) -> Timestamp {
    time.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

fn read_file(source: SourceKind, path: &Path) -> Found {
    let unreadable = |detail, is_gone| Found::Unreadable(Unreadable { source, detail, is_gone });
    match read_bounded(path) {
        Ok(token) => Found::Token(source, token),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            unreadable(format!("there is no file `{}`", path.display()), true)
        }
        // It was read far enough to know that it is no license.
        Err(error) if matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData) => {
            Found::Refused(Refusal::new("source", format!("`{}` is no license: {error}", path.display())))
        }
        Err(error) => unreadable(format!("failed to read `{}`: {error}", path.display()), false),
    }
}

fn read_bounded(path: &Path) -> io::Result<SecretString> {
    let longest = u64::try_from(MAX_ARMORED_BYTES).unwrap_or(u64::MAX);
    let mut token = String::new();
    fs::File::open(path)?.take(longest + 1).read_to_string(&mut token)?;
    if token.len() > MAX_ARMORED_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {longest} bytes")));
    }
    Ok(token.into())
}
