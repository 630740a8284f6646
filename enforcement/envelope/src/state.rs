//! Integrity of what a deployment keeps for itself between two runs.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    memcmp,
    pkey::{PKey, Private},
    rand::rand_bytes,
    sign::Signer,
    symm::{Cipher, decrypt_aead, encrypt_aead},
};
use zeroize::Zeroizing;

const NONCE: usize = 12;
const TAG: usize = 16;

/// A key that only this deployment has, for notes it writes to itself: HMAC-SHA256 (RFC 2104). Whoever changes a note
/// without the key is found out; whoever deletes one is not.
pub struct StateKey(PKey<Private>);

impl StateKey {
    /// Derives the key from a secret of the deployment. The secret cannot be told from it.
    ///
    /// # Panics
    ///
    /// When OpenSSL cannot compute HMAC-SHA256: nothing can be kept safely then.
    pub fn from_secret(secret: &[u8]) -> Self {
        let derived = PKey::hmac(secret)
            .and_then(|key| mac(&key, b"chancery runtime state, version 1"))
            .and_then(|derived| PKey::hmac(&derived));
        Self(derived.expect("OpenSSL computes HMAC-SHA256"))
    }

    /// A note with its proof: the content stays readable. `label` says what kind of note it is, so that none can take the
    /// place of another.
    ///
    /// # Panics
    ///
    /// As [`from_secret`](Self::from_secret).
    pub fn protect(&self, label: &str, content: &str) -> String {
        let proof = self.proof(label, content).expect("OpenSSL computes HMAC-SHA256");
        format!("{}.{content}", Base64UrlUnpadded::encode_string(&proof))
    }

    /// The content of a note, if it is one of this kind that was written with this key and not changed since.
    pub fn check<'n>(&self, label: &str, note: &'n str) -> Option<&'n str> {
        let (proof, content) = note.split_once('.')?;
        let proof = Base64UrlUnpadded::decode_vec(proof).ok()?;
        let expected = self.proof(label, content).ok()?;
        (proof.len() == expected.len() && memcmp::eq(&proof, &expected)).then_some(content)
    }

    /// The content, readable with this key only: AES-256-GCM under a key derived from this one. `label` says what it is, so
    /// that nothing else that was sealed can take its place.
    ///
    /// # Panics
    ///
    /// When OpenSSL has no randomness or no AES-GCM to give: nothing can be kept safely then.
    pub fn seal(&self, label: &str, content: &[u8]) -> String {
        let sealed = || -> Result<Vec<u8>, ErrorStack> {
            let (mut nonce, mut tag) = ([0; NONCE], [0; TAG]);
            rand_bytes(&mut nonce)?;
            let key = self.sealing_key()?;
            let cipher = Cipher::aes_256_gcm();
            let body = encrypt_aead(cipher, &key, Some(&nonce), label.as_bytes(), content, &mut tag)?;
            Ok([&nonce[..], &tag, &body].concat())
        };
        Base64UrlUnpadded::encode_string(&sealed().expect("OpenSSL computes AES-GCM"))
    }

    /// The content of what was sealed as this with this key, and not changed since.
    pub fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>> {
        let sealed = Base64UrlUnpadded::decode_vec(sealed).ok()?;
        let (nonce, rest) = sealed.split_at_checked(NONCE)?;
        let (tag, body) = rest.split_at_checked(TAG)?;
        let key = self.sealing_key().ok()?;
        decrypt_aead(Cipher::aes_256_gcm(), &key, Some(nonce), label.as_bytes(), body, tag).ok()
    }

    fn sealing_key(&self) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        mac(&self.0, b"chancery sealed secrets, version 1").map(Zeroizing::new)
    }

    fn proof(&self, label: &str, content: &str) -> Result<Vec<u8>, ErrorStack> {
        let length = u64::try_from(label.len()).unwrap_or(u64::MAX).to_be_bytes();
        mac(&self.0, &[&length, label.as_bytes(), content.as_bytes()].concat())
    }
}

fn mac(key: &PKey<Private>, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    Signer::new(MessageDigest::sha256(), key)?.sign_oneshot_to_vec(message)
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_read_with_its_key_under_its_label_and_not_otherwise() {
        let key = StateKey::from_secret(b"secret");
        let sealed = key.seal("code", b"content");
        assert_eq!(key.open("code", &sealed).as_deref(), Some(&b"content"[..]));
        assert_ne!(sealed, key.seal("code", b"content"), "a nonce is used once");
        assert_eq!(key.open("other", &sealed), None);
        assert_eq!(StateKey::from_secret(b"other").open("code", &sealed), None);
        let last = if sealed.ends_with('A') { "B" } else { "A" };
        for changed in
            [format!("{}{last}", &sealed[..sealed.len() - 1]), sealed[4..].to_owned(), String::new()]
        {
            assert_eq!(key.open("code", &changed), None, "{changed}");
        }
    }

    #[test]
    fn a_note_is_read_back_and_no_other_text_is() {
        let key = StateKey::from_secret(b"secret");
        let note = key.protect("last-seen", "2026-06-01T00:00:00Z");
        assert_eq!(key.check("last-seen", &note), Some("2026-06-01T00:00:00Z"));
        assert_eq!(key.check("last-good", &note), None);
        assert_eq!(StateKey::from_secret(b"other").check("last-seen", &note), None);
        for changed in [note.replace("2026", "2025"), note[1..].to_owned(), String::new(), ".".to_owned()] {
            assert_eq!(key.check("last-seen", &changed), None, "{changed}");
        }
    }
}
