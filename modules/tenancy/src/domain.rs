use std::{borrow::Cow, fmt, str::FromStr};

use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, Any, AnyConnection, Executor, Row, any::AnyRow},
    },
};

use crate::{
    TenancyError, Tenant,
    tenant::{self, decode, truncated},
};

/// The name under a domain where its proof is looked for.
const CHALLENGE_LABEL: &str = "_chancery-challenge";

/// The longest name that DNS can hold, less what the challenge puts before it.
const LONGEST: usize = 253 - CHALLENGE_LABEL.len() - 1;

/// A host name of two labels or more, in lower case and in the letters that DNS knows: `münchen.example` is
/// `xn--mnchen-3ya.example`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// The text is no domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a domain is a host name such as `tenant.example.com`, without scheme, port or path")]
pub struct DomainError;

impl DomainName {
    /// The domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this domain, or beneath it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self == other || self.0.strip_suffix(&other.0).is_some_and(|rest| rest.ends_with('.'))
    }

    /// What stands directly before this domain: `acme` of `acme.tenants.example` beneath `tenants.example`. What is
    /// deeper is told whole, and names nobody.
    pub(crate) fn label_beneath(&self, platform: &Self) -> Option<&str> {
        self.0.strip_suffix(&platform.0)?.strip_suffix('.')
    }
}

impl FromStr for DomainName {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let ascii = idna::domain_to_ascii_strict(text.strip_suffix('.').unwrap_or(text));
        let ascii = ascii.map_err(|_| DomainError)?;
        let labels: Vec<&str> = ascii.split('.').collect();
        let fits = ascii.len() <= LONGEST
            && labels.len() > 1
            && labels.iter().all(|label| (1..=63).contains(&label.len()))
            // A last label of digits is an address.
            && labels.last().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()));
        if fits { Ok(Self(ascii)) } else { Err(DomainError) }
    }
}

impl TryFrom<String> for DomainName {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(domain: DomainName) -> Self {
        domain.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for DomainName {
    fn schema_name() -> Cow<'static, str> {
        "DomainName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "idn-hostname", "maxLength": 253 })
    }
}

/// A domain of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantDomain {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The domain.
    pub domain: DomainName,
    /// How the tenant came to it.
    pub kind: DomainKind,
    /// Whether links to the tenant are made with it.
    pub is_primary: bool,
    /// When it was proved to be the tenant's. Until then no request is for the tenant because of it.
    pub verified_at: Option<Timestamp>,
    /// What proves it; absent once it is proved.
    pub challenge: Option<Challenge>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// How a tenant comes to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DomainKind {
    /// From the platform, made of its slug.
    PlatformSubdomain,
    /// It is its own.
    CustomDomain,
}

impl DomainKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PlatformSubdomain => "PLATFORM_SUBDOMAIN",
            Self::CustomDomain => "CUSTOM_DOMAIN",
        }
    }
}

/// The TXT record that proves a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Challenge {
    /// Where it must be.
    pub name: String,
    /// What it must hold.
    pub value: String,
}

impl Challenge {
    /// One that nobody can guess.
    pub(crate) fn fresh(domain: &DomainName, cx: &Cx) -> Self {
        let random = u128::from_be_bytes(cx.ambient().bytes());
        Self::of(domain, format!("chancery-domain-verification={random:032x}"))
    }

    fn of(domain: &DomainName, value: String) -> Self {
        Self { name: format!("{CHALLENGE_LABEL}.{domain}"), value }
    }
}

/// Adds a domain that nobody has proved yet, or one that needs no proof.
pub(crate) async fn add(work: &mut Work, cx: &Cx, domain: &TenantDomain) -> Result<bool, TenancyError> {
    let inserted = sqlx::query(
        "INSERT INTO tenancy_domain
             (id, tenant, domain, kind, is_primary, challenge, verified_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (tenant, domain) DO NOTHING",
    )
    .bind(cx.uuid().to_string())
    .bind(domain.tenant_id.to_string())
    .bind(domain.domain.as_str())
    .bind(domain.kind.as_str())
    .bind(i64::from(domain.is_primary))
    .bind(domain.challenge.as_ref().map(|challenge| challenge.value.clone()))
    .bind(domain.verified_at.map(Timestamp::as_microsecond))
    .bind(domain.created_at.as_microsecond())
    .execute(&mut **work)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The subdomain that comes with a tenant.
pub(crate) async fn add_subdomain(
    work: &mut Work,
    cx: &Cx,
    tenant: &Tenant,
    platform: &DomainName,
) -> Result<(), TenancyError> {
    let now = truncated(cx.now());
    let subdomain = TenantDomain {
        tenant_id: tenant.id,
        domain: DomainName(format!("{}.{platform}", tenant.slug)),
        kind: DomainKind::PlatformSubdomain,
        is_primary: true,
        verified_at: Some(now),
        challenge: None,
        created_at: now,
        updated_at: now,
    };
    add(work, cx, &subdomain).await.map(drop)
}

/// The tenant that has proved this domain.
pub(crate) async fn owner<'e>(
    executor: impl Executor<'e, Database = Any>,
    domain: &DomainName,
) -> Result<Option<Tenant>, TenancyError> {
    let row = sqlx::query(
        "SELECT t.* FROM tenancy_domain d JOIN tenancy_tenant t ON t.id = d.tenant
         WHERE d.domain = $1 AND d.verified_at IS NOT NULL AND t.deleted_at IS NULL",
    )
    .bind(domain.as_str())
    .fetch_optional(executor)
    .await?;
    Ok(row.as_ref().map(tenant::read).transpose()?)
}

/// The domain of this tenant.
pub(crate) async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: TenantId,
    domain: &DomainName,
) -> Result<TenantDomain, TenancyError> {
    let row = sqlx::query("SELECT * FROM tenancy_domain WHERE tenant = $1 AND domain = $2")
        .bind(tenant.to_string())
        .bind(domain.as_str())
        .fetch_optional(executor)
        .await?;
    let found = row.as_ref().map(read).transpose()?;
    found.ok_or_else(|| TenancyError::NoSuchDomain(domain.clone()))
}

/// Keeps others from changing which domains a live tenant has, until the work ends.
pub(crate) async fn lock(work: &mut AnyConnection, tenant: TenantId) -> Result<(), TenancyError> {
    let locked =
        sqlx::query("UPDATE tenancy_tenant SET updated_at = updated_at WHERE id = $1 AND deleted_at IS NULL")
            .bind(tenant.to_string())
            .execute(work)
            .await?;
    if locked.rows_affected() == 1 { Ok(()) } else { Err(TenancyError::NoSuchTenant(tenant.to_string())) }
}

/// A row of the table as a domain.
pub(crate) fn read(row: &AnyRow) -> Result<TenantDomain, sqlx::Error> {
    let kind: String = row.try_get("kind")?;
    let kinds = [DomainKind::PlatformSubdomain, DomainKind::CustomDomain];
    let domain: DomainName = row.try_get::<String, _>("domain")?.parse().map_err(decode)?;
    let verified_at = tenant::maybe_instant(row, "verified_at")?;
    let challenge: Option<String> = row.try_get("challenge")?;
    let challenge = challenge.filter(|_| verified_at.is_none()).map(|value| Challenge::of(&domain, value));
    Ok(TenantDomain {
        tenant_id: tenant::id(row, "tenant")?,
        domain,
        kind: kinds.into_iter().find(|it| it.as_str() == kind).ok_or_else(|| decode("no such kind"))?,
        is_primary: row.try_get::<i64, _>("is_primary")? == 1,
        verified_at,
        challenge,
        created_at: tenant::instant(row, "created_at")?,
        updated_at: tenant::instant(row, "updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_told_in_one_way() {
        for (said, meant) in [
            ("Acme.Example", "acme.example"),
            ("acme.example.", "acme.example"),
            ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ] {
            assert_eq!(said.parse::<DomainName>().unwrap().as_str(), meant, "{said}");
        }
    }

    #[test]
    fn what_is_no_host_name_of_its_own_is_no_domain() {
        let longest = format!("{}.example", ["a".repeat(63).as_str(); 4].join("."));
        for text in [
            "",
            ".",
            "localhost",
            "acme",
            "127.0.0.1",
            "[::1]",
            "acme.1",
            "https://acme.example",
            "acme.example:80",
            "acme.example/x",
            "a_b.example",
            "-a.example",
            "a-.example",
            "a..example",
            "*.example",
            "a b.example",
            "a\0.example",
            &longest,
        ] {
            assert_eq!(text.parse::<DomainName>(), Err(DomainError), "{text}");
        }
    }

    #[test]
    fn a_label_stands_directly_before_the_platforms_domain() {
        let domain = |text: &str| text.parse::<DomainName>().unwrap();
        let platform = domain("tenants.example");
        assert_eq!(domain("acme.tenants.example").label_beneath(&platform), Some("acme"));
        assert_eq!(domain("a.acme.tenants.example").label_beneath(&platform), Some("a.acme"));
        assert_eq!(domain("acmetenants.example").label_beneath(&platform), None);
        assert_eq!(platform.label_beneath(&platform), None);
        assert!(platform.is_within(&platform) && domain("a.b.tenants.example").is_within(&platform));
        assert!(!domain("xtenants.example").is_within(&platform));
    }
}
