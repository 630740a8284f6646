use std::fmt;

use const_oid::ObjectIdentifier;

use crate::{certificate::CertificateError, claims::ClaimsError, path::PathError};

/// Why a token is refused: which check failed, and nothing secret. Texts from the token (header names and values) are
/// cut to 40 characters and escaped. Certificates count from zero, the signer being 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The token is longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES).
    #[error("the token has {bytes} bytes, at most {limit} are accepted")]
    TokenTooLarge {
        /// Length of the token.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Not a compact serialization: five dotted parts for JWE, three for JWS.
    #[error("the {layer} has {parts} dotted parts, not {expected}")]
    Parts {
        /// Which serialization.
        layer: Layer,
        /// Parts found.
        parts: usize,
        /// Parts required.
        expected: usize,
    },
    /// A part is not unpadded base64url, or not UTF-8 where text is due.
    #[error("the {layer} {part} is not properly encoded")]
    Encoding {
        /// Which serialization.
        layer: Layer,
        /// Which part.
        part: &'static str,
    },
    /// A part does not have the one length its algorithm gives it (RFC 7518, 4.4 and 5.3).
    #[error("the {layer} {part} has {bytes} bytes, not {expected}")]
    PartLength {
        /// Which serialization.
        layer: Layer,
        /// Which part.
        part: &'static str,
        /// Length found.
        bytes: usize,
        /// Length required.
        expected: usize,
    },
    /// The header is not a JSON object.
    #[error("the {layer} header is not a JSON object")]
    Header {
        /// Which header.
        layer: Layer,
    },
    /// The header carries a parameter that is not accepted, such as `zip`, `crit`, `jku`, `jwk`, `x5u`.
    #[error("the {layer} header parameter `{name}` is refused")]
    HeaderParameter {
        /// Which header.
        layer: Layer,
        /// The parameter.
        name: String,
    },
    /// A header parameter that is required is absent, or not of its type.
    #[error("the {layer} header lacks a proper `{name}`")]
    HeaderLacks {
        /// Which header.
        layer: Layer,
        /// The parameter.
        name: &'static str,
    },
    /// `alg` or `enc` names an algorithm that is not accepted.
    #[error("the {layer} header has `{name}` `{found}`; accepted: `{accepted}`")]
    Algorithm {
        /// Which header.
        layer: Layer,
        /// `alg` or `enc`.
        name: &'static str,
        /// What it says.
        found: String,
        /// What is accepted.
        accepted: String,
    },
    /// The license is sealed to another recipient key (`kid`).
    #[error("the license is sealed to the recipient key `{found}`, not to ours")]
    OtherRecipient {
        /// The key it is sealed to.
        found: String,
    },
    /// The content could not be decrypted with the recipient's key: the wrong key, or a changed token.
    #[error("the license could not be decrypted with the recipient's key")]
    Decrypt,
    /// `x5c` holds no certificate, or more than [`MAX_CERTIFICATES`](crate::MAX_CERTIFICATES).
    #[error("x5c holds {certificates} certificates, 1 to {limit} are accepted")]
    ChainLength {
        /// Certificates found.
        certificates: usize,
        /// The bound.
        limit: usize,
    },
    /// A certificate of `x5c` cannot be read.
    #[error("certificate {position} of x5c: {problem}")]
    Certificate {
        /// Position in `x5c`.
        position: usize,
        /// What is wrong with it.
        problem: CertificateError,
    },
    /// The signature is not the signer's, or the signer's key is not one for its algorithm.
    #[error("the signature does not match the signer's key")]
    Signature,
    /// The license is signed with a key that this build does not pin.
    #[error("the license is signed with the key `{found}`, which this build does not know")]
    UnknownKey {
        /// Its `kid`.
        found: String,
    },
    /// There is no valid path to a configured root at the given time, or something on it is revoked.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The signer is an authority, or its key usage lacks digitalSignature.
    #[error("the signer's certificate is not one for signing documents")]
    NotASigner,
    /// The signer lacks a required extended key usage.
    #[error("the signer's certificate lacks the extended key usage `{purpose}`")]
    Purpose {
        /// What is required.
        purpose: ObjectIdentifier,
    },
    /// The path is not valid for a required policy.
    #[error("certificate {position} lacks the policy `{policy}`")]
    Policy {
        /// Position in the path of the first certificate that does not assert it.
        position: usize,
        /// What is required.
        policy: ObjectIdentifier,
    },
    /// A partner signed for a product that is not its own.
    #[error("the signer's authority is a partner, which may not sign for `{product}`")]
    ForeignProduct {
        /// A product, or an allow rule.
        product: String,
    },
    /// The claims are signed by a trusted signer, yet are not a license.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

impl EnvelopeError {
    /// The step of semantics 3.3 that refused.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::TokenTooLarge { .. } | Self::ChainLength { .. } | Self::Path(PathError::TooMuchWork) => {
                Stage::Bounds
            }
            Self::Parts { .. } | Self::Encoding { .. } | Self::PartLength { .. } => Stage::Format,
            Self::Header { .. }
            | Self::HeaderParameter { .. }
            | Self::HeaderLacks { .. }
            | Self::Algorithm { .. } => Stage::Header,
            Self::OtherRecipient { .. } | Self::Decrypt => Stage::Decrypt,
            Self::Signature | Self::UnknownKey { .. } => Stage::Signature,
            Self::Path(
                PathError::Revoked { .. } | PathError::NoList { .. } | PathError::StaleList { .. },
            ) => Stage::Revocation,
            Self::Purpose { .. }
            | Self::Policy { .. }
            | Self::ForeignProduct { .. }
            | Self::Path(PathError::NoPolicy) => Stage::Policy,
            Self::Certificate { .. } | Self::Path(_) | Self::NotASigner => Stage::Chain,
            Self::Claims(ClaimsError::Party { .. }) => Stage::Parties,
            Self::Claims(_) => Stage::Claims,
        }
    }

    /// Whether a certificate was revoked, as opposed to it not being certain that none was.
    pub const fn is_revoked(&self) -> bool {
        matches!(self, Self::Path(PathError::Revoked { .. }))
    }
}

/// A step of opening a license, as operators meet it in messages and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Sizes.
    Bounds,
    /// The compact serializations.
    Format,
    /// The headers of JWE and JWS.
    Header,
    /// The recipient's key.
    Decrypt,
    /// The signer's signature.
    Signature,
    /// The path to a configured root.
    Chain,
    /// Extended key usage, certificate policies, and what a partner may sign for.
    Policy,
    /// Certificate revocation lists.
    Revocation,
    /// The claims.
    Claims,
    /// The parties that the claims name.
    Parties,
}

impl Stage {
    /// The code: `bounds`, `format`, `header`, `decrypt`, `signature`, `chain`, `policy`, `revocation`, `claims`,
    /// `parties`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bounds => "bounds",
            Self::Format => "format",
            Self::Header => "header",
            Self::Decrypt => "decrypt",
            Self::Signature => "signature",
            Self::Chain => "chain",
            Self::Policy => "policy",
            Self::Revocation => "revocation",
            Self::Claims => "claims",
            Self::Parties => "parties",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of the two nested serializations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The outer one, encrypted.
    Jwe,
    /// The inner one, signed.
    Jws,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwe => "JWE",
            Self::Jws => "JWS",
        })
    }
}

/// A text from outside, such as a claim, fit for a message: at most 40 characters, escaped.
pub fn excerpt(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// The same of a path of members, which is longer than one name: its beginning and, where it is cut, its end.
pub(crate) fn excerpt_of_path(path: &str) -> String {
    const END: usize = 40;
    let count = path.chars().count();
    if count <= 3 * END {
        return path.chars().flat_map(char::escape_debug).collect();
    }
    let end: String = path.chars().skip(count - END).collect();
    format!("{}…{}", excerpt(path), excerpt(&end))
}
