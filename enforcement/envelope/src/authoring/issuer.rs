use std::ops::Range;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;

use super::{
    Curve, Intermediate, Partner, Revoked, Root, SignatureAlgorithm, Signer,
    authority::{IntermediateKind, PartnerKind, RootKind},
    certified::Kind as _,
    storage,
};
use crate::{
    certificate::Certificate,
    mint::{AuthoringError, Holder},
};

/// A stored authority of whichever kind its certificate says.
#[derive(Debug)]
pub enum Issuer {
    /// A root.
    Root(Root),
    /// A vendor's intermediate.
    Intermediate(Intermediate),
    /// A partner's authority.
    Partner(Partner),
}

/// The same call on whichever it is.
macro_rules! each {
    ($issuer:expr, $authority:ident => $call:expr) => {
        match $issuer {
            Issuer::Root($authority) => $call,
            Issuer::Intermediate($authority) => $call,
            Issuer::Partner($authority) => $call,
        }
    };
}

impl Issuer {
    /// Reads a stored authority, as [`Certified::from_pem`](super::Certified::from_pem).
    pub fn from_pem(chain: &str, key: &str, passphrase: &str) -> Result<Self, AuthoringError> {
        Self::stored(storage::from_pem(chain, key, passphrase)?)
    }

    pub(super) fn stored(holder: Holder) -> Result<Self, AuthoringError> {
        let certificate = Certificate::from_native(&holder.certificate)?;
        if RootKind::is(&certificate) {
            Root::stored(holder).map(Self::Root)
        } else if PartnerKind::is(&certificate) {
            Partner::stored(holder).map(Self::Partner)
        } else if IntermediateKind::is(&certificate) {
            Intermediate::stored(holder).map(Self::Intermediate)
        } else {
            Err(AuthoringError::Role { expected: "an authority" })
        }
    }

    /// Makes an intermediate. Only a root may.
    pub fn intermediate(
        &self,
        curve: Curve,
        name: &str,
        validity: Range<Timestamp>,
    ) -> Result<Intermediate, AuthoringError> {
        match self {
            Self::Root(root) => root.intermediate(curve, name, validity),
            Self::Intermediate(_) | Self::Partner(_) => Err(AuthoringError::Role { expected: "a root" }),
        }
    }

    /// Makes a partner's authority for these products. A partner may not.
    pub fn partner(
        &self,
        curve: Curve,
        name: &str,
        validity: Range<Timestamp>,
        products: &[ObjectIdentifier],
    ) -> Result<Partner, AuthoringError> {
        match self {
            Self::Root(root) => root.partner(curve, name, validity, products),
            Self::Intermediate(authority) => authority.partner(curve, name, validity, products),
            Self::Partner(_) => Err(AuthoringError::Role { expected: "a root or an intermediate" }),
        }
    }

    /// Makes a signer.
    pub fn signer(
        &self,
        algorithm: SignatureAlgorithm,
        name: &str,
        validity: Range<Timestamp>,
    ) -> Result<Signer, AuthoringError> {
        each!(self, authority => authority.signer_with(algorithm, name, validity))
    }

    /// The list of what it has revoked.
    pub fn crl(
        &self,
        revoked: &[Revoked],
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<String, AuthoringError> {
        each!(self, authority => authority.crl(revoked, number, this_update, next_update))
    }

    /// The certificate and those that lead to the root, without the root.
    pub fn chain_pem(&self) -> Result<String, AuthoringError> {
        each!(self, authority => authority.chain_pem())
    }

    /// The key, encrypted.
    pub fn key_pem(&self, passphrase: &str) -> Result<zeroize::Zeroizing<String>, AuthoringError> {
        each!(self, authority => authority.key_pem(passphrase))
    }

    /// As a PKCS#12 archive, encrypted.
    pub fn to_pkcs12(&self, passphrase: &str) -> Result<Vec<u8>, AuthoringError> {
        each!(self, authority => authority.to_pkcs12(passphrase))
    }
}
