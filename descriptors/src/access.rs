//! Who may run a command. Enforced before anything is said about licensing (semantics 2.7).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something a principal may be allowed to do, such as `tenants.write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(&'static str);

impl Permission {
    /// A permission written in source.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as written.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Authenticator assurance level (NIST SP 800-63B): 1 is one factor, 2 is two, 3 is two with a hardware key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Aal(u8);

impl Aal {
    /// One factor.
    pub const ONE: Self = Self(1);

    /// A level written in source. One outside 1 to 3 does not compile.
    #[track_caller]
    pub const fn literal(level: u8) -> Self {
        assert!(level >= 1 && level <= 3, "an authenticator assurance level is 1, 2 or 3");
        Self(level)
    }

    /// The plain number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Who is let in at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anyone, without credentials.
    Public,
    /// Any authenticated principal.
    Authenticated,
    /// A principal that holds the permission.
    Permission(Permission),
    /// Only the process itself, through the bus. No adapter exposes it.
    Internal,
}

/// The access facet of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    audience: Audience,
    aal: Aal,
    max_age: Option<Duration>,
}

impl Access {
    /// Begins a facet. Who may run a command is always said: a builder without an audience does not build.
    pub const fn builder() -> AccessBuilder {
        AccessBuilder { audience: None, aal: Aal::ONE, max_age: None }
    }

    /// Who is let in.
    pub const fn audience(&self) -> Audience {
        self.audience
    }

    /// The assurance the principal's authentication must have.
    pub const fn aal(&self) -> Aal {
        self.aal
    }

    /// How long ago the principal may have authenticated at most.
    pub const fn max_age(&self) -> Option<Duration> {
        self.max_age
    }
}

/// Builds an [`Access`]. The options of the `#[access(…)]` attribute are these methods.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct AccessBuilder {
    audience: Option<Audience>,
    aal: Aal,
    max_age: Option<Duration>,
}

impl AccessBuilder {
    /// Anyone, without credentials.
    pub const fn public(mut self) -> Self {
        self.audience = Some(Audience::Public);
        self
    }

    /// Any authenticated principal.
    pub const fn authenticated(mut self) -> Self {
        self.audience = Some(Audience::Authenticated);
        self
    }

    /// A principal that holds the permission.
    pub const fn permission(mut self, permission: Permission) -> Self {
        self.audience = Some(Audience::Permission(permission));
        self
    }

    /// Only the process itself.
    pub const fn internal(mut self) -> Self {
        self.audience = Some(Audience::Internal);
        self
    }

    /// The assurance level the authentication must have: 1, 2 or 3.
    #[track_caller]
    pub const fn aal(mut self, level: u8) -> Self {
        self.aal = Aal::literal(level);
        self
    }

    /// How long ago the principal may have authenticated at most: a number and its unit, `s`, `m`, `h` or `d`, such as
    /// `15m`. Anything else does not compile.
    #[track_caller]
    pub const fn max_age(mut self, age: &str) -> Self {
        self.max_age = Some(Duration::from_secs(seconds(age)));
        self
    }

    /// The facet. One that names nobody, or asks assurance of nobody, does not compile when built in `const`.
    #[track_caller]
    pub const fn build(self) -> Access {
        let Some(audience) = self.audience else {
            panic!("say who may run this: `public`, `authenticated`, `permission = …` or `internal`")
        };
        let asks = self.aal.get() > 1 || self.max_age.is_some();
        assert!(
            !(asks && matches!(audience, Audience::Public | Audience::Internal)),
            "`aal` and `max_age` ask for an authenticated principal"
        );
        Access { audience, aal: self.aal, max_age: self.max_age }
    }
}

/// The seconds that a text such as `15m` means.
#[track_caller]
const fn seconds(age: &str) -> u64 {
    const MALFORMED: &str = "a maximum age is a number above 0 and its unit: `90s`, `15m`, `8h`, `30d`";
    let bytes = age.as_bytes();
    let Some((unit, digits)) = bytes.split_last() else { panic!("{}", MALFORMED) };
    assert!(!digits.is_empty() && digits.len() < 7, "{}", MALFORMED);
    let (mut number, mut at) = (0, 0);
    while at < digits.len() {
        assert!(digits[at].is_ascii_digit(), "{}", MALFORMED);
        number = number * 10 + (digits[at] - b'0') as u64;
        at += 1;
    }
    assert!(number > 0, "{}", MALFORMED);
    number
        * match *unit {
            b's' => 1,
            b'm' => 60,
            b'h' => 60 * 60,
            b'd' => 24 * 60 * 60,
            _ => panic!("{}", MALFORMED),
        }
}

/// The module's own policy that a command must pass before anything is read from the database for it, by name. A
/// pipeline in which no policy of that name is installed does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardedBy(&'static str);

impl GuardedBy {
    /// A policy's name, written in source.
    pub const fn policy(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as written.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    fn max_age(text: &'static str) -> Option<Duration> {
        catch_unwind(|| Access::builder().authenticated().max_age(text).build().max_age()).ok().flatten()
    }

    #[test]
    fn a_maximum_age_is_a_number_and_its_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("8h", 28_800), ("30d", 2_592_000)] {
            assert_eq!(max_age(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "m", "15", "0m", "15 m", "-1m", "1.5h", "15M", "1h30m", "1000000s", "é"] {
            assert_eq!(max_age(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_known_has_no_age() {
        assert!(catch_unwind(|| Access::builder().public().max_age("15m").build()).is_err());
        assert!(catch_unwind(|| Access::builder().internal().max_age("15m").build()).is_err());
    }
}
