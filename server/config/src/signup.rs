//! `[tenant.signup]`: registration by whoever wants a tenant.

use std::{num::NonZeroU32, time::Duration};

use jiff::SignedDuration;
use schemars::JsonSchema;
use secrets::SecretRef;
use serde::Deserialize;
use url::Url;

use crate::{address, section::duration};

/// `[tenant.signup]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Signup {
    /// For tenants at the root.
    pub platform: SignupPolicy,
    /// For tenants beneath others.
    pub children: SignupPolicy,
    /// How long a request is kept once it has come to its end: registered, rejected, expired or failed.
    pub retention_days: NonZeroU32,
    /// Who tells people from programs. Without one every signup is rejected.
    pub challenge: Option<Challenge>,
}

/// `[tenant.signup.platform]` and `[tenant.signup.children]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SignupPolicy {
    /// Whether people may sign up.
    pub enabled: bool,
    /// Whether an operator must approve once the address is confirmed.
    pub require_approval: bool,
    /// How long a link works: an ISO 8601 duration such as `PT24H`, or seconds.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub token_ttl: SignedDuration,
    /// How often another link may be asked for.
    pub max_resends: u32,
    /// How many links one mail address may be sent in a window.
    pub rate_limit_per_email: u32,
    /// How many calls one network address may make in a window.
    pub rate_limit_per_ip: u32,
    /// How long a window is. It begins with the first call in it.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub rate_limit_window: SignedDuration,
}

/// `[tenant.signup.challenge]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Challenge {
    /// The address that checks proofs by the `siteverify` protocol. `https`, or on this machine.
    #[serde(deserialize_with = "address::open")]
    #[schemars(with = "String")]
    pub verify_url: Url,
    /// Where the site's secret is. It is read for each check.
    #[schemars(extend("writeOnly" = true))]
    pub secret: SecretRef,
    /// How long an answer may take.
    #[serde(default = "some_seconds")]
    pub timeout_seconds: NonZeroU32,
    /// From 0 to 100: how sure the service must be that a person asks, where it says.
    #[serde(default = "half")]
    pub minimum_score_percent: u8,
}

impl Default for Signup {
    fn default() -> Self {
        Self {
            platform: SignupPolicy::default(),
            children: SignupPolicy::default(),
            retention_days: const { NonZeroU32::new(90).unwrap() },
            challenge: None,
        }
    }
}

impl Signup {
    /// Whether people may sign up anywhere.
    pub const fn is_offered(&self) -> bool {
        self.platform.enabled || self.children.enabled
    }
}

impl Challenge {
    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.get().into())
    }
}

impl Default for SignupPolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            require_approval: true,
            token_ttl: SignedDuration::from_hours(24),
            max_resends: 3,
            rate_limit_per_email: 5,
            rate_limit_per_ip: 30,
            rate_limit_window: SignedDuration::from_hours(1),
        }
    }
}

const fn some_seconds() -> NonZeroU32 {
    const { NonZeroU32::new(5).unwrap() }
}

const fn half() -> u8 {
    50
}
