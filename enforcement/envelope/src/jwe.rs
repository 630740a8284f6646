//! The outer layer: a compact JWE to this deployment's recipient key (RFC 7516).

use serde::Serialize;

use crate::{
    error::{EnvelopeError, Layer, excerpt},
    header::{Header, decode},
    recipient::Recipient,
};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 256 * 1024;

pub(crate) const KEY_MANAGEMENT: &str = "ECDH-ES+A256KW";
pub(crate) const CONTENT_ENCRYPTION: &str = "A256GCM";

/// The content of a JWE whose authentication tag was right.
pub(crate) struct Decrypted(pub(crate) Vec<u8>);

/// What a token shows without any key. It proves nothing: only [`open`](crate::open) does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outline {
    /// Key management algorithm of the JWE.
    pub alg: String,
    /// Content encryption algorithm of the JWE.
    pub enc: String,
    /// Key id of the recipient, where the token names it.
    pub recipient_key_id: Option<String>,
    /// Length of the token, in bytes.
    pub token_bytes: usize,
    /// Length of the encrypted content, in bytes.
    pub content_bytes: usize,
}

/// Reads what needs no key. Surrounding white space is ignored, as by [`open`](crate::open).
pub fn outline(token: &str) -> Result<Outline, EnvelopeError> {
    let sealed = Sealed::parse(token)?;
    Ok(Outline {
        alg: KEY_MANAGEMENT.to_owned(),
        enc: CONTENT_ENCRYPTION.to_owned(),
        recipient_key_id: sealed.key_id()?.map(str::to_owned),
        token_bytes: sealed.token.len(),
        content_bytes: sealed.content_bytes,
    })
}

/// A token fit to be shown to josekit, which by itself would inflate without bound (`zip`), accept truncated tags and
/// panic on a short encrypted key.
pub(crate) struct Sealed<'t> {
    token: &'t str,
    header: Header,
    content_bytes: usize,
}

impl<'t> Sealed<'t> {
    pub(crate) fn parse(token: &'t str) -> Result<Self, EnvelopeError> {
        let token = token.trim();
        if token.len() > MAX_TOKEN_BYTES {
            return Err(EnvelopeError::TokenTooLarge { bytes: token.len(), limit: MAX_TOKEN_BYTES });
        }
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, encrypted_key, iv, content, tag] = parts.as_slice() else {
            return Err(EnvelopeError::Parts { layer: Layer::Jwe, parts: parts.len(), expected: 5 });
        };

        let header = Header::parse(Layer::Jwe, header, &["alg", "enc", "kid", "epk"])?;
        header.algorithm("alg", KEY_MANAGEMENT)?;
        header.algorithm("enc", CONTENT_ENCRYPTION)?;

        // A256KW wraps a 32-byte key to 40 bytes; A256GCM has a 96-bit IV and a 128-bit tag (RFC 7518, 4.4 and 5.3).
        exactly(40, "encrypted key", encrypted_key)?;
        exactly(12, "initialization vector", iv)?;
        exactly(16, "authentication tag", tag)?;
        let content_bytes = decode(Layer::Jwe, "content", content)?.len();

        Ok(Self { token, header, content_bytes })
    }

    pub(crate) fn decrypt(self, recipient: &Recipient) -> Result<Decrypted, EnvelopeError> {
        if let Some(found) = self.key_id()?.filter(|found| *found != recipient.key_id()) {
            return Err(EnvelopeError::OtherRecipient { found: excerpt(found) });
        }
        let (content, _header) = josekit::jwe::deserialize_compact(self.token, recipient.decrypter())
            .map_err(|_| EnvelopeError::Decrypt)?;
        Ok(Decrypted(content))
    }

    fn key_id(&self) -> Result<Option<&str>, EnvelopeError> {
        self.header.text("kid")
    }
}

fn exactly(expected: usize, part: &'static str, encoded: &str) -> Result<(), EnvelopeError> {
    match decode(Layer::Jwe, part, encoded)?.len() {
        bytes if bytes == expected => Ok(()),
        bytes => Err(EnvelopeError::PartLength { layer: Layer::Jwe, part, bytes, expected }),
    }
}
