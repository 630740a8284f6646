use jiff::SignedDuration;

use crate::{PasswordParametersError, passwords::Passwords};

/// How operators sign in. Nothing here has a default of its own; [`STANDARD`](Settings::STANDARD) says what is sensible.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How passwords are hashed.
    pub password: PasswordSettings,
    /// How long a session lasts.
    pub session: SessionSettings,
    /// How often someone may try.
    pub throttle: ThrottleSettings,
    /// How long a one-time token is good.
    pub action_lifetime: SignedDuration,
    /// Whether platform administrators may do nothing without a second factor.
    pub require_second_factor: bool,
    /// How authenticator apps name this deployment.
    pub issuer: String,
}

/// How passwords are hashed: Argon2id (RFC 9106). A hash of other parameters is made anew when its owner signs in.
#[derive(Clone, Copy, Debug)]
pub struct PasswordSettings {
    /// Memory of one hash, in KiB: 8 at least for each lane.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Hashes made at a time.
    pub threads: usize,
    /// Hashes that may wait for their turn; more are turned away.
    pub queue: usize,
}

impl PasswordSettings {
    /// Whether Argon2 takes them.
    pub fn check(self) -> Result<(), PasswordParametersError> {
        Passwords::of(self).map(drop)
    }
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Without a call.
    pub idle: SignedDuration,
    /// At all.
    pub absolute: SignedDuration,
}

/// How often someone may try: so many attempts at once, and one more after each period.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleSettings {
    /// For one account, from wherever.
    pub account: Allowance,
    /// From one address, for whatever account.
    pub address: Allowance,
}

/// So many attempts at once, and one more after each period.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// At once.
    pub burst: u32,
    /// Until there is one more.
    pub period: SignedDuration,
}

impl Settings {
    /// What is sensible for a deployment that says nothing else.
    pub const STANDARD: Self = Self {
        password: PasswordSettings {
            memory_kib: 19 * 1024,
            iterations: 2,
            parallelism: 1,
            threads: 2,
            queue: 32,
        },
        session: SessionSettings {
            idle: SignedDuration::from_mins(30),
            absolute: SignedDuration::from_hours(12),
        },
        throttle: ThrottleSettings {
            account: Allowance { burst: 10, period: SignedDuration::from_mins(5) },
            address: Allowance { burst: 50, period: SignedDuration::from_secs(10) },
        },
        action_lifetime: SignedDuration::from_hours(24),
        require_second_factor: false,
        issuer: String::new(),
    };
}
