//! Whom this deployment believes: a bundle of roots, and what their chains must assert (RFC 5280, section 6).

use std::{fmt, iter};

use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509, X509Ref, X509StoreContext, X509VerifyResult,
        store::{X509Store, X509StoreBuilder},
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};

use crate::{
    certificate::{Certificate, CertificateError},
    error::EnvelopeError,
    jws::Signed,
    oid,
    verified::Authority,
};

/// The roots, and what a signer and its intermediates must assert. Nothing else is trusted: not the system's store, and
/// no intermediate for its own sake.
pub struct Trust {
    roots: Vec<Certificate>,
    purposes: Vec<ObjectIdentifier>,
    policies: Vec<ObjectIdentifier>,
}

/// Why a bundle is not one to trust. Certificates count from zero.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not PEM, or with a broken certificate in it.
    #[error("the root bundle is not a list of PEM certificates")]
    Pem,
    /// No certificate at all.
    #[error("the root bundle holds no certificate")]
    Empty,
    /// A certificate cannot be read.
    #[error("certificate {position} of the root bundle: {problem}")]
    Certificate {
        /// Position in the bundle.
        position: usize,
        /// What is wrong with it.
        problem: CertificateError,
    },
    /// A certificate is not a self-signed authority. Intermediates travel in the token.
    #[error("certificate {position} of the root bundle is not a self-signed authority")]
    NotARoot {
        /// Position in the bundle.
        position: usize,
    },
}

/// A payload signed by someone we believe.
pub(crate) struct Trusted {
    pub(crate) payload: Vec<u8>,
    pub(crate) signer_fingerprint: String,
    pub(crate) chain_expires_at: Timestamp,
    pub(crate) authority: Authority,
}

impl Trust {
    /// Reads a bundle of self-signed authorities (PEM). Signers must then carry [`oid::LICENSE_SIGNING_EKU`], signers and
    /// intermediates [`oid::LICENSE_SIGNING_POLICY`], until configured otherwise.
    pub fn from_pem(bundle: &str) -> Result<Self, TrustError> {
        let natives = X509::stack_from_pem(bundle.as_bytes()).map_err(|_| TrustError::Pem)?;
        if natives.is_empty() {
            return Err(TrustError::Empty);
        }
        let roots = natives
            .iter()
            .enumerate()
            .map(|(position, native)| match Certificate::from_native(native) {
                Ok(root) if root.is_authority && is_self_signed(native) => Ok(root),
                Ok(_) => Err(TrustError::NotARoot { position }),
                Err(problem) => Err(TrustError::Certificate { position, problem }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            roots,
            purposes: vec![oid::LICENSE_SIGNING_EKU],
            policies: vec![oid::LICENSE_SIGNING_POLICY],
        })
    }

    /// Replaces the extended key usages a signer must carry, all of them. An empty list turns the check off
    /// (`license.trust.license-signing-eku`, semantics 3.4).
    #[must_use]
    pub fn requiring_eku(self, purposes: Vec<ObjectIdentifier>) -> Self {
        Self { purposes, ..self }
    }

    /// Replaces the policies that the signer and every intermediate must carry, all of them. An empty list turns the
    /// check off (`license.trust.required-policy-oids`, semantics 3.4).
    #[must_use]
    pub fn requiring_policies(self, policies: Vec<ObjectIdentifier>) -> Self {
        Self { policies, ..self }
    }

    /// The path first, then what its certificates assert.
    pub(crate) fn accept(&self, signed: Signed, at: Timestamp) -> Result<Trusted, EnvelopeError> {
        let Signed { payload, signer, issuers } = signed;
        let root = self.root_of(&signer, &issuers, at)?;
        let intermediates = issuers.iter().filter(|issuer| issuer.native != root.native);

        self.check_signer(&signer)?;
        for (position, certificate) in iter::once(&signer).chain(intermediates).enumerate() {
            self.check_policies(position, certificate)?;
        }

        let expiries = iter::once(root).chain(&issuers).map(|certificate| certificate.expires_at);
        Ok(Trusted {
            payload,
            chain_expires_at: expiries.fold(signer.expires_at, Timestamp::min),
            signer_fingerprint: signer.fingerprint,
            authority: if root.policies.contains(&oid::DEVELOPMENT_POLICY) {
                Authority::Development
            } else {
                Authority::Vendor
            },
        })
    }

    /// The root to which OpenSSL finds a valid path, which must be the presented one.
    fn root_of(
        &self,
        signer: &Certificate,
        issuers: &[Certificate],
        at: Timestamp,
    ) -> Result<&Certificate, EnvelopeError> {
        let path = self.path(signer, issuers, at)?;
        let (root, below) = path.split_last().ok_or(EnvelopeError::PathOrder)?;
        let presented: Vec<&X509> =
            iter::once(signer).chain(issuers).map(|certificate| &certificate.native).collect();
        let in_order = presented.iter().copied().eq(below) || presented.iter().copied().eq(&path);
        self.roots.iter().find(|known| in_order && known.native == *root).ok_or(EnvelopeError::PathOrder)
    }

    /// The path in OpenSSL's judgement, signer first, root last: signatures, names, validity, basicConstraints,
    /// keyUsage, path lengths, critical extensions.
    fn path(
        &self,
        signer: &Certificate,
        issuers: &[Certificate],
        at: Timestamp,
    ) -> Result<Vec<X509>, EnvelopeError> {
        let refused = |_: ErrorStack| EnvelopeError::Path { position: 0, reason: "openssl failed" };
        let store = self.store(at).map_err(refused)?;
        let mut untrusted = Stack::new().map_err(refused)?;
        for issuer in issuers {
            untrusted.push(issuer.native.clone()).map_err(refused)?;
        }
        X509StoreContext::new()
            .map_err(refused)?
            .init(&store, &signer.native, &untrusted, |context| {
                if context.verify_cert()? && context.error() == X509VerifyResult::OK {
                    let path = context.chain().into_iter().flatten();
                    Ok(Ok(path.map(ToOwned::to_owned).collect()))
                } else {
                    let (position, reason) = (context.error_depth(), context.error().error_string());
                    Ok(Err(EnvelopeError::Path { position, reason }))
                }
            })
            .map_err(refused)?
    }

    fn store(&self, at: Timestamp) -> Result<X509Store, ErrorStack> {
        let mut rules = X509VerifyParam::new()?;
        // Without POLICY_CHECK OpenSSL would pass over policyConstraints, even critical ones. With it, a chain that
        // demands an explicit policy is refused, because the binding cannot state which policies are acceptable.
        rules.set_flags(X509VerifyFlags::X509_STRICT | X509VerifyFlags::POLICY_CHECK)?;
        rules.set_time(at.as_second());
        // 112 bits: no SHA-1, no RSA below 2048 bits.
        rules.set_auth_level(2);

        let mut store = X509StoreBuilder::new()?;
        store.set_param(&rules)?;
        for root in &self.roots {
            store.add_cert(root.native.clone())?;
        }
        Ok(store.build())
    }

    fn check_signer(&self, signer: &Certificate) -> Result<(), EnvelopeError> {
        if signer.is_authority || !signer.signs_documents {
            return Err(EnvelopeError::NotASigner);
        }
        let carried = signer.purposes.as_deref().unwrap_or_default();
        match self.purposes.iter().find(|purpose| !carried.contains(purpose)) {
            Some(&purpose) => Err(EnvelopeError::Purpose { purpose }),
            None => Ok(()),
        }
    }

    fn check_policies(&self, position: usize, certificate: &Certificate) -> Result<(), EnvelopeError> {
        if certificate.maps_policies {
            return Err(EnvelopeError::PolicyMappings { position });
        }
        match self.policies.iter().find(|policy| !certificate.policies.contains(policy)) {
            Some(&policy) => Err(EnvelopeError::Policy { position, policy }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots: Vec<&str> = self.roots.iter().map(|root| root.fingerprint.as_str()).collect();
        f.debug_struct("Trust")
            .field("roots", &roots)
            .field("purposes", &self.purposes)
            .field("policies", &self.policies)
            .finish()
    }
}

fn is_self_signed(certificate: &X509Ref) -> bool {
    certificate.issued(certificate) == X509VerifyResult::OK
        && certificate.public_key().and_then(|key| certificate.verify(&key)).unwrap_or(false)
}
