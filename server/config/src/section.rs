//! The sections, in the order of the file. Their documentation is the operators'.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use descriptors::{
    coverage::{AllowlistEntry, CoveragePolicy, GapMode},
    descriptor::DeploymentShape,
};
use envelope::{
    Partners, PinnedKeys,
    oid::{self, ObjectIdentifier},
};
use jiff::SignedDuration;
use license::{RecipientKey, RuntimeSettings, Site, Sources, TrustSettings};
use schemars::JsonSchema;
use secrets::SecretRef;
use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;

use crate::{
    Address, Audit, CatalogFiles, ConfigError, Identity, Mail, Quota, Secrets, Telemetry, Tenant, Tls,
    address, secrets::Named,
};

/// The whole configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub database: Database,
    /// How calls come in.
    #[serde(default)]
    pub server: Server,
    /// What this installation is.
    pub deployment: Deployment,
    /// What it is allowed.
    #[serde(default)]
    pub license: License,
    /// What it sells of its own.
    #[serde(default)]
    pub catalog: CatalogFiles,
    /// How operators sign in.
    #[serde(default)]
    pub identity: Identity,
    /// Where secrets are that are named by a reference.
    #[serde(default)]
    pub secrets: Secrets,
    /// How answers look over HTTP.
    #[serde(default)]
    pub http: Http,
    /// Where tenants are found, and how they come to be.
    #[serde(default)]
    pub tenant: Tenant,
    /// How mail leaves. Without it none does.
    pub mail: Option<Mail>,
    /// How long audit events are kept, and where they go.
    #[serde(default)]
    pub audit: Audit,
    /// What leaves the machine.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// What is written to standard error.
    #[serde(default)]
    pub log: Log,
    /// The secrets that are named above.
    #[serde(skip, default = "Named::none")]
    #[schemars(skip)]
    pub(crate) named: Named,
}

/// `[database]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Database {
    /// `sqlite:///path/to/file` or `postgres://user@host/name`. One that holds a password is named by a reference.
    pub url: Address,
    /// Connections to PostgreSQL, or readers of the SQLite file. When not stated, what the store finds sensible.
    pub connections: Option<NonZeroU32>,
    /// Whether `serve` may apply outstanding migrations. When not, it refuses to start while there are some.
    #[serde(default = "allowed")]
    pub migrate: bool,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Server {
    /// Address and port to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The address people reach this server by, for links that leave it.
    #[serde(deserialize_with = "stated_address")]
    #[schemars(with = "Option<String>")]
    pub public_url: Option<Url>,
    /// Addresses of the proxies before this server, separated by commas in the environment. What they say in
    /// `x-forwarded-for` is believed.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpAddr>,
    /// Largest body of a request.
    pub max_body_bytes: usize,
    /// How long a request may take, from its first line to its answer.
    pub request_timeout_seconds: NonZeroU32,
    /// How long running requests may take to finish once the server is told to stop.
    pub shutdown_grace_seconds: u32,
    /// Most connections at a time. For one more, the connection is closed that has waited longest for its client.
    pub max_connections: NonZeroU32,
    /// How long a client may take to send the head of a request, and to take in an answer.
    pub patience_seconds: NonZeroU32,
    /// How long a connection without a request stays open. Longer than the proxy before this server keeps it, or the proxy
    /// sends requests that nobody reads.
    pub idle_timeout_seconds: NonZeroU32,
    /// What TLS is served with. Not stated, it ends at the proxy before this server.
    pub tls: Option<Tls>,
}

/// `[deployment]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deployment {
    /// The installation's id, to which licenses are bound.
    #[serde(deserialize_with = "non_empty")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Facts about this deployment, such as `environment = "production"`. What is not stated counts as enforced.
    #[serde(default = "nothing_stated")]
    pub shape: DeploymentShape,
}

/// `[license]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct License {
    /// The license file.
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// Where the license itself is, where there is no file for it.
    #[schemars(extend("writeOnly" = true))]
    pub token: Option<SecretRef>,
    /// The id of the party that owns this installation. Where stated, a license that names another owner is refused.
    pub installation_owner: Option<String>,
    /// The key that licenses are encrypted to.
    pub recipient: Option<Recipient>,
    /// What a license must lead to.
    pub trust: Trust,
    /// Licenses for development.
    pub dev: Development,
    /// How a license runs out, and what happens when it cannot be read.
    pub runtime: Runtime,
    /// How commands are enforced.
    pub command_enforcement: CommandEnforcement,
    /// How quotas are counted.
    pub quota: Quota,
}

/// `[license.recipient]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipient {
    /// The `kid` in licenses for this deployment.
    pub key_id: String,
    /// The private key, in PEM.
    #[schemars(extend("format" = "path"))]
    pub private_key_path: PathBuf,
}

/// `[license.trust]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Trust {
    /// The licensing roots, in PEM. Without it every license is refused.
    #[schemars(extend("format" = "path"))]
    pub root_ca_bundle_path: Option<PathBuf>,
    /// Extended key usages of which the signer must have one, separated by commas. Empty turns the check off.
    #[serde(deserialize_with = "identifiers")]
    #[schemars(with = "String")]
    pub license_signing_eku: Vec<ObjectIdentifier>,
    /// Certificate policies that the signer and every intermediate must assert, separated by commas. Empty turns the
    /// check off.
    #[serde(deserialize_with = "identifiers")]
    #[schemars(with = "String")]
    pub required_policy_oids: Vec<ObjectIdentifier>,
    /// Certificate policies that mark an intermediate as a partner's, separated by commas. Empty turns the check off.
    #[serde(deserialize_with = "identifiers")]
    #[schemars(with = "String")]
    pub partner_ca_policy_oid: Vec<ObjectIdentifier>,
    /// Product policies that partners may sign for, separated by commas; when not stated, those of every product in the
    /// catalog. Empty turns this check off; a partner still signs only for products whose policy its certificates carry.
    #[serde(deserialize_with = "stated_identifiers")]
    #[schemars(with = "Option<String>")]
    pub partner_allowed_policy_oids: Option<Vec<ObjectIdentifier>>,
    /// Certificate revocation lists, in PEM. Where stated, a license is refused unless a current list vouches for each
    /// certificate.
    #[schemars(extend("format" = "path"))]
    pub crl_bundle_path: Option<PathBuf>,
}

/// `[license.dev]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Development {
    /// Whether a development license is accepted. Never where `environment=production`.
    pub enabled: bool,
    /// The license file.
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
}

/// `[license.runtime]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Runtime {
    /// How many days past its end a license may count at most. It cuts the grace that the license grants, and extends
    /// nothing. Not stated, the license's own grace counts.
    pub expiry_grace_cap_days: Option<u32>,
    /// How many days the license that was last read may stand in for one that cannot be read, and never beyond its own
    /// end. 0 turns it off.
    pub recovery_days: u32,
    /// How far the clock may go back: an ISO 8601 duration such as `PT5M`, or seconds.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub clock_rollback_tolerance: SignedDuration,
    /// How many days before the license ends, or its grace, a warning is given; separated by commas.
    #[serde(deserialize_with = "days")]
    #[schemars(with = "String")]
    pub warning_days: Vec<u32>,
    /// Where the license that was last read is kept when there is no database to keep it in.
    #[schemars(extend("format" = "path"))]
    pub last_good_snapshot_path: Option<PathBuf>,
    /// Where the latest time that was seen is kept when there is no database to keep it in.
    #[schemars(extend("format" = "path"))]
    pub last_seen_time_path: Option<PathBuf>,
}

/// `[license.command-enforcement]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CommandEnforcement {
    /// Whether commands are enforced at all.
    pub enabled: bool,
    /// What happens to a command without a license descriptor.
    pub missing_descriptor_mode: GapMode,
    /// Prefixes of command ids that are denied without a descriptor even in warn mode.
    pub hard_fail_prefixes: Vec<String>,
    /// Commands that are meant to have none, each with the reason. In the file only.
    pub allowlist: Vec<AllowlistEntry>,
}

/// `[http]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Http {
    /// The status of a license denial.
    pub denial_status: DenialStatus,
}

/// `http.denial-status`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DenialStatus {
    /// What fits the reason: 402, 403 or 429.
    #[default]
    ByReason,
    /// 403, whatever the reason.
    Forbidden,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// What is logged, as `tracing` filters: `info,chancery_pipeline=debug`.
    pub filter: String,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Server {
    /// How long a request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds.get().into())
    }

    /// How long a client may take over its part.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_seconds.get().into())
    }

    /// How long a connection without a request stays open.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds.get().into())
    }
}

impl Config {
    /// Where licenses may come from, and what they are verified against. `products` are the policies under which partners
    /// sign for a product. A license that is named as a secret is read.
    pub fn license_sources(
        &self,
        products: BTreeMap<String, ObjectIdentifier>,
    ) -> Result<Sources, ConfigError> {
        let License { path, token, installation_owner, recipient, trust, dev, runtime, .. } = &self.license;
        let shape = &self.deployment.shape;
        let packaging = |value| shape.fact("packaging") == Some(value);
        let token = token.as_ref().map(|reference| self.secret(reference).read());
        let token = token.transpose().map_err(|error| ConfigError::lacking("license.token", error))?;
        Ok(Sources {
            path: path.clone(),
            token,
            development: dev.path.clone().filter(|_| dev.enabled),
            recipient: recipient
                .as_ref()
                .map(|key| RecipientKey { id: key.key_id.clone(), path: key.private_key_path.clone() }),
            trust: TrustSettings {
                root_bundle: trust.root_ca_bundle_path.clone(),
                signing_eku: trust.license_signing_eku.clone(),
                required_policies: trust.required_policy_oids.clone(),
                partners: Partners {
                    markers: trust.partner_ca_policy_oid.clone(),
                    allowed: trust
                        .partner_allowed_policy_oids
                        .clone()
                        .unwrap_or_else(|| products.values().copied().collect()),
                    products,
                },
                crl_bundle: trust.crl_bundle_path.clone(),
            },
            pinned: PinnedKeys::none(),
            site: Site {
                installation: self.deployment.id.clone(),
                owner: installation_owner.clone(),
                public_host: self.server.public_url.as_ref().and_then(Url::host_str).map(str::to_owned),
                production: shape.is_production(),
                sealed_only: packaging("server") || packaging("container"),
            },
            runtime: RuntimeSettings {
                grace_cap_days: runtime.expiry_grace_cap_days,
                recovery_days: runtime.recovery_days,
                clock_rollback_tolerance: runtime.clock_rollback_tolerance,
                warning_days: runtime.warning_days.clone(),
            },
        })
    }

    /// How commands that are not covered are treated.
    pub fn coverage_policy(&self) -> CoveragePolicy {
        let CommandEnforcement { enabled, missing_descriptor_mode, hard_fail_prefixes, allowlist } =
            self.license.command_enforcement.clone();
        CoveragePolicy { enforced: enabled, gaps: missing_descriptor_mode, allowlist, hard_fail_prefixes }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            public_url: None,
            trusted_proxies: Vec::new(),
            max_body_bytes: 1024 * 1024,
            request_timeout_seconds: const { NonZeroU32::new(30).unwrap() },
            shutdown_grace_seconds: 10,
            max_connections: const { NonZeroU32::new(10_000).unwrap() },
            patience_seconds: const { NonZeroU32::new(10).unwrap() },
            idle_timeout_seconds: const { NonZeroU32::new(75).unwrap() },
            tls: None,
        }
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            root_ca_bundle_path: None,
            license_signing_eku: vec![oid::LICENSE_SIGNING_EKU],
            required_policy_oids: vec![oid::LICENSE_SIGNING_POLICY],
            partner_ca_policy_oid: vec![oid::PARTNER_CA_POLICY],
            partner_allowed_policy_oids: None,
            crl_bundle_path: None,
        }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        let standard = RuntimeSettings::standard();
        Self {
            expiry_grace_cap_days: standard.grace_cap_days,
            recovery_days: standard.recovery_days,
            clock_rollback_tolerance: standard.clock_rollback_tolerance,
            warning_days: standard.warning_days,
            last_good_snapshot_path: None,
            last_seen_time_path: None,
        }
    }
}

impl Default for CommandEnforcement {
    fn default() -> Self {
        Self {
            enabled: true,
            missing_descriptor_mode: GapMode::Warn,
            hard_fail_prefixes: Vec::new(),
            allowlist: Vec::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

const fn allowed() -> bool {
    true
}

fn nothing_stated() -> DeploymentShape {
    DeploymentShape::stating([])
}

fn non_empty<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let text = String::deserialize(value)?;
    if text.is_empty() { Err(D::Error::custom("expected a text that is not empty")) } else { Ok(text) }
}

fn stated_address<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Url>, D::Error> {
    address::open(value).map(Some)
}

fn identifiers<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<ObjectIdentifier>, D::Error> {
    oid::parse_list(&String::deserialize(value)?).map_err(|error| {
        D::Error::custom(format!("expected object identifiers separated by commas: {error}"))
    })
}

fn stated_identifiers<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Vec<ObjectIdentifier>>, D::Error> {
    identifiers(value).map(Some)
}

/// `PT5M`, or a number of seconds.
pub(crate) fn duration<'de, D: Deserializer<'de>>(value: D) -> Result<SignedDuration, D::Error> {
    let text = String::deserialize(value)?;
    let seconds = text.trim().parse::<u32>().map(|seconds| SignedDuration::from_secs(seconds.into()));
    let parsed = seconds.ok().or_else(|| text.trim().parse::<SignedDuration>().ok());
    parsed.filter(|duration| !duration.is_negative()).ok_or_else(|| {
        D::Error::custom("expected an ISO 8601 duration that is not negative, such as `PT5M`, or seconds")
    })
}

/// Whole numbers separated by commas; none is allowed.
fn days<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<u32>, D::Error> {
    let text = String::deserialize(value)?;
    let named = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    named
        .map(|part| part.parse().map_err(|_| D::Error::custom("expected whole days separated by commas")))
        .collect()
}
