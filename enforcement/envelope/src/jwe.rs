//! The outer layer: a compact JWE to this deployment's recipient key (RFC 7516).

use serde::Serialize;

use crate::{
    error::{EnvelopeError, Layer, excerpt},
    header::{Header, decode},
    recipient::{KeyManagement, Recipient},
};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 256 * 1024;

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
        alg: sealed.management.name().to_owned(),
        enc: CONTENT_ENCRYPTION.to_owned(),
        recipient_key_id: sealed.key_id()?.map(str::to_owned),
        token_bytes: sealed.token.len(),
        content_bytes: sealed.content_bytes,
    })
}

/// Refuses what is too long to be looked at.
pub(crate) fn bounded(token: &str) -> Result<(), EnvelopeError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(EnvelopeError::TokenTooLarge { bytes: token.len(), limit: MAX_TOKEN_BYTES });
    }
    Ok(())
}

/// A token fit to be shown to josekit, which by itself would inflate without bound (`zip`), accept truncated tags and
/// panic on a short encrypted key.
pub(crate) struct Sealed<'t> {
    token: &'t str,
    header: Header,
    management: KeyManagement,
    encrypted_key_bytes: usize,
    content_bytes: usize,
}

impl<'t> Sealed<'t> {
    pub(crate) fn parse(token: &'t str) -> Result<Self, EnvelopeError> {
        let token = token.trim();
        bounded(token)?;
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, encrypted_key, iv, content, tag] = parts.as_slice() else {
            return Err(EnvelopeError::Parts { layer: Layer::Jwe, parts: parts.len(), expected: 5 });
        };

        let header = Header::parse(Layer::Jwe, header, &["alg", "enc", "kid", "epk", "typ", "cty"])?;
        let management =
            header.one_of("alg", &KeyManagement::ALL.map(|algorithm| (algorithm.name(), algorithm)))?;
        header.one_of("enc", &[(CONTENT_ENCRYPTION, ())])?;
        header.text("typ")?;
        header.text("cty")?;

        // A256KW wraps a 32-byte key to 40 bytes; A256GCM has a 96-bit IV and a 128-bit tag (RFC 7518, 4.4 and 5.3).
        // What RSA encrypts is as long as its modulus, which the recipient knows.
        let encrypted_key_bytes = decode(Layer::Jwe, "encrypted key", encrypted_key)?.len();
        if management == KeyManagement::EcdhEsA256Kw {
            exactly(40, "encrypted key", encrypted_key_bytes)?;
        }
        exactly(12, "initialization vector", decode(Layer::Jwe, "initialization vector", iv)?.len())?;
        exactly(16, "authentication tag", decode(Layer::Jwe, "authentication tag", tag)?.len())?;
        let content_bytes = decode(Layer::Jwe, "content", content)?.len();

        Ok(Self { token, header, management, encrypted_key_bytes, content_bytes })
    }

    pub(crate) fn decrypt(self, recipient: &Recipient) -> Result<Decrypted, EnvelopeError> {
        if let Some(found) = self.key_id()?.filter(|found| *found != recipient.key_id()) {
            return Err(EnvelopeError::OtherRecipient { found: excerpt(found) });
        }
        let ours = recipient.key_management();
        if self.management != ours {
            return Err(EnvelopeError::Algorithm {
                layer: Layer::Jwe,
                name: "alg",
                found: self.management.name().to_owned(),
                accepted: ours.name().to_owned(),
            });
        }
        exactly(recipient.encrypted_key_bytes(), "encrypted key", self.encrypted_key_bytes)?;
        let (content, _header) = josekit::jwe::deserialize_compact(self.token, recipient.decrypter())
            .map_err(|_| EnvelopeError::Decrypt)?;
        Ok(Decrypted(content))
    }

    fn key_id(&self) -> Result<Option<&str>, EnvelopeError> {
        self.header.text("kid")
    }
}

fn exactly(expected: usize, part: &'static str, bytes: usize) -> Result<(), EnvelopeError> {
    if bytes == expected {
        Ok(())
    } else {
        Err(EnvelopeError::PartLength { layer: Layer::Jwe, part, bytes, expected })
    }
}
