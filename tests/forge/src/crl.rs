//! Certificate revocation lists (RFC 5280, section 5).

use jiff::Timestamp;

use crate::{
    certificate::Entity,
    der::{self, bits, extension, integer, name, sequence, sequence_of, time},
    key::Key,
};

/// What a list says. Each part can be left out or made wrong.
#[derive(Clone)]
pub struct List {
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Option<Timestamp>,
    /// Serial numbers, big-endian, each with the extensions of its entry (DER).
    pub revoked: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Extensions of the list (DER).
    pub extensions: Vec<Vec<u8>>,
}

impl List {
    /// An empty list.
    pub fn new(this_update: Timestamp, next_update: Timestamp) -> Self {
        let number = extension("2.5.29.20", false, &integer(&[1]));
        Self { this_update, next_update: Some(next_update), revoked: Vec::new(), extensions: vec![number] }
    }

    /// Names a certificate.
    #[must_use]
    pub fn revoking(mut self, entity: &Entity) -> Self {
        self.revoked.push((entity.serial.clone(), Vec::new()));
        self
    }

    /// Adds an extension.
    #[must_use]
    pub fn with(mut self, id: &str, critical: bool, content: &[u8]) -> Self {
        self.extensions.push(extension(id, critical, content));
        self
    }

    /// The list by this issuer (DER).
    pub fn sign(&self, issuer: &Entity) -> Vec<u8> {
        self.sign_as(&issuer.name, &issuer.key)
    }

    /// The list under any name, by any key (DER).
    pub fn sign_as(&self, issuer: &str, key: &Key) -> Vec<u8> {
        let (_, algorithm) = key.sign_x509(&[]);
        let entries = self.revoked.iter().map(|(serial, extensions)| {
            let extensions = sequence_of(extensions.iter().cloned());
            let extensions: &[u8] = if extensions.len() == 2 { &[] } else { &extensions };
            sequence(&[&integer(serial), &time(self.this_update), extensions])
        });
        let entries = sequence_of(entries);
        let extensions = der::value(0xa0, &[&sequence_of(self.extensions.iter().cloned())]);
        let signed = sequence(&[
            &integer(&[1]),
            &algorithm,
            &name(issuer),
            &time(self.this_update),
            &self.next_update.map_or(Vec::new(), time),
            if self.revoked.is_empty() { &[] } else { &entries },
            if self.extensions.is_empty() { &[] } else { &extensions },
        ]);
        let (signature, _) = key.sign_x509(&signed);
        sequence(&[&signed, &algorithm, &bits(&signature)])
    }
}

/// A list as PEM.
pub fn pem(der: &[u8]) -> String {
    der::pem("X509 CRL", der)
}
