//! `[tenant]`: where tenants are found, and who proves their domains.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

/// The port of name servers that none is stated for.
const DNS: u16 = 53;

/// `[tenant]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tenant {
    /// The domain beneath which every tenant has a subdomain by its slug, such as `tenants.example.com`.
    pub platform_domain: Option<String>,
    /// For which tenant a request is that says nothing of itself.
    pub resolution: Resolution,
    /// Who is asked for the records that prove a domain.
    pub dns: Dns,
}

/// `[tenant.resolution]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Resolution {
    /// Whether requests to a verified domain of a tenant are for that tenant.
    pub custom_domains: bool,
    /// The slug of the tenant that requests are for when nothing else names one.
    pub self_tenant: Option<String>,
}

/// `[tenant.dns]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Dns {
    /// Addresses of name servers, each with a port where it is not 53. When none is stated, those of the system.
    #[serde(deserialize_with = "servers")]
    #[schemars(with = "Vec<String>")]
    pub servers: Vec<SocketAddr>,
}

impl Default for Resolution {
    fn default() -> Self {
        Self { custom_domains: true, self_tenant: None }
    }
}

fn servers<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<SocketAddr>, D::Error> {
    let read = |text: String| {
        let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS));
        text.parse().or(bare).map_err(|_| {
            D::Error::custom(format!(
                "expected an address such as `10.0.0.2` or `10.0.0.2:5353`, not `{text}`"
            ))
        })
    };
    Vec::<String>::deserialize(value)?.into_iter().map(read).collect()
}
