use serde::Serialize;
use serde_json::Value;

use super::{CertificateSummary, CrlSummary, certificates, crls};
use crate::{
    armor::{ArmorError, dearmor},
    error::{EnvelopeError, Layer},
    header::decode,
    jwe::{Outline, outline},
    mint::AuthoringError,
    request::{LicenseRequest, REQUEST_TYPE, RequestError},
};

/// What a file of the license flow holds. Of these only the request proves anything: that its maker holds its key.
#[derive(Debug)]
pub enum Document {
    /// A license sealed to a deployment.
    SealedLicense(Outline),
    /// A license in key format.
    LicenseKey(KeyOutline),
    /// A deployment's request, whose signatures are its key's.
    LicenseRequest(Box<LicenseRequest>),
    /// Certificates in PEM.
    Certificates(Vec<CertificateSummary>),
    /// Revocation lists in PEM.
    Crls(Vec<CrlSummary>),
    /// A private key in PEM. Nothing of it is shown.
    PrivateKey {
        /// Whether it needs a passphrase.
        encrypted: bool,
    },
}

/// What a license in key format shows to everybody. Nobody has looked at its signature.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyOutline {
    /// The key it names.
    pub kid: String,
    /// What it says.
    pub claims: Value,
}

/// Why a file is none of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Neither PEM nor a token.
    #[error(transparent)]
    Armor(#[from] ArmorError),
    /// Certificates or lists that cannot be read.
    #[error(transparent)]
    Certificates(#[from] AuthoringError),
    /// A license that cannot be read.
    #[error(transparent)]
    License(#[from] EnvelopeError),
    /// A request that cannot be read, or is not signed with its own key.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl Document {
    /// Tells what a text is and reads it.
    pub fn read(text: &str) -> Result<Self, DocumentError> {
        const PEM: [(&str, bool); 4] = [
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----", true),
            ("-----BEGIN PRIVATE KEY-----", false),
            ("-----BEGIN EC PRIVATE KEY-----", false),
            ("-----BEGIN RSA PRIVATE KEY-----", false),
        ];
        if let Some((_, encrypted)) = PEM.into_iter().find(|(begin, _)| text.contains(begin)) {
            return Ok(Self::PrivateKey { encrypted });
        }
        if text.contains("-----BEGIN CERTIFICATE-----") {
            return Ok(Self::Certificates(certificates(text)?));
        }
        if text.contains("-----BEGIN X509 CRL-----") {
            return Ok(Self::Crls(crls(text)?));
        }
        let token = dearmor(text)?;
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, payload, _] = parts.as_slice() else {
            return Ok(Self::SealedLicense(outline(&token)?));
        };
        let json = |part, encoded| {
            let bytes = decode(Layer::Jws, part, encoded)?;
            serde_json::from_slice(&bytes).map_err(|_| EnvelopeError::Header { layer: Layer::Jws })
        };
        let header: Value = json("header", header)?;
        if header.get("typ").and_then(Value::as_str) == Some(REQUEST_TYPE) {
            return Ok(Self::LicenseRequest(Box::new(LicenseRequest::verify(&token)?)));
        }
        let kid = header.get("kid").and_then(Value::as_str);
        let kid = kid.ok_or(EnvelopeError::HeaderLacks { layer: Layer::Jws, name: "kid" })?;
        Ok(Self::LicenseKey(KeyOutline { kid: kid.to_owned(), claims: json("payload", payload)? }))
    }
}
