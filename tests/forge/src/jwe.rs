//! Compact JWE (RFC 7516) with `ECDH-ES+A256KW` or `RSA-OAEP-256`, and `A256GCM`.

use openssl::{
    aes::{AesKey, wrap_key},
    bn::{BigNum, BigNumContext},
    derive::Deriver,
    encrypt::Encrypter,
    hash::MessageDigest,
    pkey::Id,
    rsa::Padding,
    sha::sha256,
    symm::{Cipher, encrypt_aead},
};
use serde_json::{Value, json};

use crate::{
    base64url,
    key::{Key, Kind},
};

/// A token in the making: what is sealed, to whom, and how. Each part can be made wrong before it is assembled.
pub struct Jwe {
    /// The protected header.
    pub header: Value,
    /// The header as it is written, where a `Value` cannot say it.
    pub header_text: Option<String>,
    /// The content encryption key.
    pub content_key: Vec<u8>,
    /// The initialization vector.
    pub iv: Vec<u8>,
    /// How much of the authentication tag is kept.
    pub tag_bytes: usize,
    /// The content encryption key as it is sent.
    pub encrypted_key: Vec<u8>,
}

impl Jwe {
    /// To this key, by its name if it has one.
    pub fn to(recipient: &Key, key_id: Option<&str>) -> Self {
        let mut content_key = vec![0; 32];
        openssl::rand::rand_bytes(&mut content_key).expect("randomness");
        Self::with_content_key(recipient, key_id, content_key)
    }

    /// The same with a content encryption key of choice. What is wrapped is this key, of whatever length.
    pub fn with_content_key(recipient: &Key, key_id: Option<&str>, content_key: Vec<u8>) -> Self {
        let mut header = json!({ "alg": "ECDH-ES+A256KW", "enc": "A256GCM" });
        if let Some(key_id) = key_id {
            header["kid"] = json!(key_id);
        }
        let encrypted_key = if recipient.native().id() == Id::RSA {
            header["alg"] = json!("RSA-OAEP-256");
            oaep(recipient, &content_key)
        } else {
            let kind = if recipient.native().id() == Id::X25519 { Kind::X25519 } else { Kind::P256 };
            let ephemeral = Key::new(kind);
            header["epk"] = public_jwk(&ephemeral);
            let mut deriver = Deriver::new(ephemeral.native()).expect("a deriver");
            deriver.set_peer(recipient.native()).expect("a key of the same kind");
            wrap(&deriver.derive_to_vec().expect("a shared secret"), &content_key)
        };
        let mut iv = vec![0; 12];
        openssl::rand::rand_bytes(&mut iv).expect("randomness");
        Self { header, header_text: None, content_key, iv, tag_bytes: 16, encrypted_key }
    }

    /// As if the agreed secret of an X25519 exchange were all zero, which a point of low order makes it.
    pub fn with_zero_secret(key_id: &str, low_order_point: [u8; 32]) -> Self {
        let content_key = vec![7; 32];
        let epk = json!({ "kty": "OKP", "crv": "X25519", "x": base64url(low_order_point) });
        Self {
            header: json!({ "alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": key_id, "epk": epk }),
            header_text: None,
            encrypted_key: wrap(&[0; 32], &content_key),
            content_key,
            iv: vec![1; 12],
            tag_bytes: 16,
        }
    }

    /// Encrypts the content and puts the parts together.
    pub fn seal(&self, content: impl AsRef<[u8]>) -> String {
        let header = self.header_text.clone().unwrap_or_else(|| self.header.to_string());
        let header = base64url(header);
        let cipher = match self.content_key.len() {
            16 => Cipher::aes_128_gcm(),
            24 => Cipher::aes_192_gcm(),
            _ => Cipher::aes_256_gcm(),
        };
        let mut tag = [0; 16];
        let iv = if self.iv.is_empty() { [0; 12].as_slice() } else { &self.iv };
        let encrypted =
            encrypt_aead(cipher, &self.content_key, Some(iv), header.as_bytes(), content.as_ref(), &mut tag)
                .expect("encrypted content");
        [
            header,
            base64url(&self.encrypted_key),
            base64url(&self.iv),
            base64url(encrypted),
            base64url(&tag[..self.tag_bytes]),
        ]
        .join(".")
    }
}

/// Seals content to a key without anything wrong.
pub fn seal(content: impl AsRef<[u8]>, recipient: &Key, key_id: &str) -> String {
    Jwe::to(recipient, Some(key_id)).seal(content)
}

/// The public half of an EC key on P-256 or of an X25519 key, as a JWK.
pub fn public_jwk(key: &Key) -> Value {
    if key.native().id() == Id::X25519 {
        let x = key.native().raw_public_key().expect("a raw key");
        return json!({ "kty": "OKP", "crv": "X25519", "x": base64url(x) });
    }
    let key = key.native().ec_key().expect("an EC key");
    let (mut x, mut y) = (BigNum::new().expect("a number"), BigNum::new().expect("a number"));
    let mut context = BigNumContext::new().expect("a context");
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).expect("coordinates");
    let padded = |number: &BigNum| base64url(number.to_vec_padded(32).expect("32 bytes"));
    json!({ "kty": "EC", "crv": "P-256", "x": padded(&x), "y": padded(&y) })
}

fn oaep(recipient: &Key, content_key: &[u8]) -> Vec<u8> {
    let digest = MessageDigest::sha256();
    let mut encrypter = Encrypter::new(recipient.native()).expect("an encrypter");
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP).expect("OAEP");
    encrypter.set_rsa_oaep_md(digest).expect("SHA-256");
    encrypter.set_rsa_mgf1_md(digest).expect("MGF1 with SHA-256");
    let mut sealed = vec![0; encrypter.encrypt_len(content_key).expect("a length")];
    let length = encrypter.encrypt(content_key, &mut sealed).expect("an encrypted key");
    sealed.truncate(length);
    sealed
}

/// Concat KDF (RFC 7518, 4.6.2) over an agreed secret, then AES key wrap (RFC 3394).
fn wrap(secret: &[u8], content_key: &[u8]) -> Vec<u8> {
    let algorithm = b"ECDH-ES+A256KW";
    let length = u32::try_from(algorithm.len()).expect("a short name").to_be_bytes();
    let round = 1_u32.to_be_bytes();
    let no_parties = [0; 8];
    let bits = 256_u32.to_be_bytes();
    let key = sha256(&[&round, secret, &length, algorithm, &no_parties, &bits].concat());
    let key = AesKey::new_encrypt(&key).expect("a wrapping key");
    let mut wrapped = vec![0; content_key.len() + 8];
    wrap_key(&key, None, &mut wrapped, content_key).expect("a wrapped key");
    wrapped
}
