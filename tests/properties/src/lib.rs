//! What holds whatever the bytes are. Each function takes an input as a fuzzer makes it, and panics if something does not
//! hold. Beyond that nothing panics, the one law is: nothing opens that was not signed by whom the deployment trusts.
//!
//! Everything happens in the deployment of the hostile corpus, whose keys are known, so that an input can be wrapped for
//! real and reaches the depth it is meant for. The first byte of an input tells how it is wrapped:
//!
//! | [`Target`] | first byte | the rest is |
//! |---|---|---|
//! | `key` | `k` | a license in key format |
//! | | `h` | the header of one, which the pinned key then signs |
//! | | `j` | a JWK |
//! | | `s` | a `SubjectPublicKeyInfo` (DER) |
//! | `envelope` | `t` | a sealed license |
//! | | `i` | what is inside the seal |
//! | | `h` | the header of the signed license, which the signer then signs |
//! | | `x` | the signer's certificate (DER) |
//! | | `l` | a revocation list (DER) |
//! | | `r` | a root bundle (PEM) |
//! | `claims` | `k` | claims, signed by the pinned key |
//! | | `e` | claims, signed by the signer and sealed |
//! | `request` | `r` | a license request |
//! | | `d` | the document of one, which the recipient's key then signs |
//! | | `h` | the header of one, likewise |
//! | | `a` | a text that may be armored |
//! | `pattern` | none | a rule, and from the second line on keys |

mod claims;
mod corpus;
mod envelopes;
mod keys;
mod pattern;
mod requests;
mod world;

/// What can be fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The key format, JWKs and public keys.
    Key,
    /// Sealed licenses, layer by layer.
    Envelope,
    /// Claims that are signed.
    Claims,
    /// License requests, and the armored form of everything.
    Request,
    /// Rules over entitlement keys.
    Pattern,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Key, Self::Envelope, Self::Claims, Self::Request, Self::Pattern];

    /// Its name, which is also that of its binary in `tests/fuzz`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Envelope => "envelope",
            Self::Claims => "claims",
            Self::Request => "request",
            Self::Pattern => "pattern",
        }
    }

    /// Judges one input. Panics if a law is broken.
    pub fn judge(self, input: &[u8]) {
        match self {
            Self::Key => keys::judge(input),
            Self::Envelope => envelopes::judge(input),
            Self::Claims => claims::judge(input),
            Self::Request => requests::judge(input),
            Self::Pattern => pattern::judge(input),
        }
    }

    /// Inputs to begin with, made from the hostile corpus.
    pub fn seeds(self) -> Vec<Vec<u8>> {
        corpus::seeds(self)
    }
}

/// The first byte, and the rest.
fn split(input: &[u8]) -> Option<(u8, &[u8])> {
    input.split_first().map(|(first, rest)| (*first, rest))
}
