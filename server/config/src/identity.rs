use std::num::NonZeroU32;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::section::duration;

/// `[identity]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Identity {
    /// Whether platform administrators may do nothing in a session without a second factor.
    pub require_second_factor: bool,
    /// How long a one-time token for a password is good: an ISO 8601 duration such as `PT24H`, or seconds.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub action_lifetime: SignedDuration,
    /// How passwords are hashed.
    pub password: Password,
    /// How long sessions last.
    pub session: Session,
    /// How often someone may try to sign in.
    pub throttle: Throttle,
}

/// `[identity.password]`: Argon2id. A hash of other parameters is made anew when its owner signs in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Password {
    /// Memory of one hash, in KiB.
    pub memory_kib: NonZeroU32,
    /// Passes over it.
    pub iterations: NonZeroU32,
    /// Lanes.
    pub parallelism: NonZeroU32,
    /// Hashes made at a time, 64 at most.
    pub threads: NonZeroU32,
    /// Hashes that may wait for their turn; more are turned away with 503.
    pub queue: u32,
}

/// `[identity.session]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Session {
    /// Without a call: an ISO 8601 duration such as `PT30M`, or seconds.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub idle: SignedDuration,
    /// At all: an ISO 8601 duration such as `PT12H`, or seconds.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub absolute: SignedDuration,
}

/// `[identity.throttle]`: so many attempts at once, and one more after each period.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Throttle {
    /// Attempts at once on one account.
    pub account_burst: NonZeroU32,
    /// Until an account has one more: an ISO 8601 duration such as `PT5M`, or seconds.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub account_period: SignedDuration,
    /// Attempts at once from one address.
    pub address_burst: NonZeroU32,
    /// Until an address has one more: an ISO 8601 duration such as `PT10S`, or seconds.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub address_period: SignedDuration,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            require_second_factor: false,
            action_lifetime: SignedDuration::from_hours(24),
            password: Password::default(),
            session: Session::default(),
            throttle: Throttle::default(),
        }
    }
}

/// What OWASP recommends first.
impl Default for Password {
    fn default() -> Self {
        Self {
            memory_kib: const { NonZeroU32::new(19 * 1024).unwrap() },
            iterations: const { NonZeroU32::new(2).unwrap() },
            parallelism: NonZeroU32::MIN,
            threads: const { NonZeroU32::new(2).unwrap() },
            queue: 32,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self { idle: SignedDuration::from_mins(30), absolute: SignedDuration::from_hours(12) }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            account_burst: const { NonZeroU32::new(10).unwrap() },
            account_period: SignedDuration::from_mins(5),
            address_burst: const { NonZeroU32::new(50).unwrap() },
            address_period: SignedDuration::from_secs(10),
        }
    }
}
