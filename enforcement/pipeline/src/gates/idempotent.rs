use std::sync::Arc;

use kernel::{Category, Dispatch, Fault, Refusal, Registry};
use quota::{Claim, ClaimRequest, Lifetimes, OutcomeError, OutcomeStore};
use sha2::{Digest, Sha256};

use super::Answer;
use crate::calls::{Admitted, Fresh};

/// The same key and body have the stored answer, and nothing is charged (semantics 5.5). A success is stored; a failure
/// changed nothing and charged nothing, so its repetition may run.
pub(crate) struct Idempotent<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) outcomes: Arc<dyn OutcomeStore>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) inner: S,
}

impl<S: Dispatch<Fresh>> Dispatch<Admitted> for Idempotent<S> {
    async fn dispatch(&self, Admitted(call): Admitted) -> Answer {
        let cx = &call.invocation.cx;
        let Some(key) = cx.idempotency_key() else { return self.inner.dispatch(Fresh(call)).await };
        let entry = self.registry.entry(call.invocation.command);
        let body = entry.encode_input(&call.invocation.input)?;
        let fingerprint = hex::encode(Sha256::digest(body.to_string()));
        let tenant = cx.tenant().map(|tenant| tenant.to_string());
        let request = ClaimRequest {
            tenant: tenant.as_deref(),
            command: entry.id().as_str(),
            caller: cx.principal().actor(),
            key: key.as_str(),
            fingerprint: &fingerprint,
        };
        match self
            .outcomes
            .claim(request, self.lifetimes, cx.now())
            .await
            .map_err(|error| unavailable(&error))?
        {
            Claim::Replay(stored) => {
                let value = serde_json::from_str(&stored).map_err(|error| {
                    tracing::error!(%error, "a stored outcome is not JSON");
                    refuse("outcome_unreadable", Category::Internal, "the stored outcome cannot be read")
                })?;
                entry.decode_output(value)
            }
            Claim::InFlight => Err(refuse(
                "idempotency_key_in_use",
                Category::Conflict,
                "a call with this idempotency key is still running",
            )),
            Claim::Mismatch => Err(refuse(
                "idempotency_key_reused",
                Category::Conflict,
                "this idempotency key was used with another body",
            )),
            Claim::New(claim) => {
                let answer = self.inner.dispatch(Fresh(call)).await;
                let settled = match &answer {
                    Ok(output) => claim.complete(entry.encode(output)?.to_string()).await,
                    Err(_) => claim.abandon().await,
                };
                // The call has happened; that its outcome could not be kept must not make it look undone.
                if let Err(error) = settled {
                    tracing::error!(%error, "failed to keep an outcome for its idempotency key");
                }
                answer
            }
        }
    }
}

fn refuse(code: &'static str, category: Category, message: &str) -> Fault<kernel::BoxProblem> {
    Refusal::new(code, category, message).into()
}

fn unavailable(error: &OutcomeError) -> Fault<kernel::BoxProblem> {
    tracing::error!(%error, "failed to ask for a stored outcome");
    refuse("unavailable", Category::Unavailable, "stored outcomes cannot be read at the moment")
}
