use std::sync::Arc;

use sdk::prelude::BoxFuture;

use crate::{Confidential, Signup, SignupError};

/// Tells people from programs. There is no default: without one every request is refused (semantics 7.5).
pub trait VerifyChallenge: Send + Sync + 'static {
    /// Vouches for whoever brings this proof.
    fn verify<'a>(&'a self, proof: &'a str) -> BoxFuture<'a, Result<(), ChallengeError>>;
}

/// Why nobody vouches. Either way the request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// The proof is none.
    #[error("the proof is not accepted")]
    Rejected,
    /// The proof could not be checked. Whoever makes this has logged why.
    #[error("the proof cannot be checked at the moment")]
    Unavailable,
}

impl Signup {
    pub(crate) async fn challenge(&self, proof: Option<&Confidential>) -> Result<(), SignupError> {
        let verifier: &Arc<dyn VerifyChallenge> =
            self.verifier.as_ref().ok_or(SignupError::ChallengeRejected)?;
        let proof = proof.map(Confidential::expose).filter(|proof| (1..=4096).contains(&proof.len()));
        let proof = proof.ok_or(SignupError::ChallengeRejected)?;
        verifier.verify(proof).await.map_err(|error| match error {
            ChallengeError::Rejected => SignupError::ChallengeRejected,
            ChallengeError::Unavailable => SignupError::ChallengeUnavailable,
        })
    }
}
