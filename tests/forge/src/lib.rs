//! Certificates, revocation lists and tokens made by hand, so that each can be wrong in one way. It shares no code with
//! the envelope: what both get wrong alike, neither would notice.
//!
//! A mistake of the caller panics: a test that cannot make its attack proves nothing.

pub mod certificate;
pub mod crl;
pub mod der;
pub mod jwe;
pub mod jws;
mod key;

use base64ct::{Base64UrlUnpadded, Encoding as _};

pub use key::{Key, Kind};

/// Unpadded base64url, as JOSE writes everything.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

/// The bytes of such a text.
pub fn from_base64url(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).expect("unpadded base64url")
}

/// A compact token with one dotted part replaced.
pub fn with_part(token: &str, index: usize, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[index] = base64url(change(from_base64url(&parts[index])));
    parts.join(".")
}
