use std::sync::Arc;

use futures_util::future::Either;
use kernel::{
    BoxProblem, Category, CommandIndex, Dispatch, Fault, IdempotencyKey, Principal, Refusal, Registry,
};
use quota::{Claim, ClaimGuard, ClaimRequest, Lifetimes, OutcomeError, OutcomeStore};
use sha2::{Digest, Sha256};

use super::Answer;
use crate::calls::{Admitted, Entitled, Fresh};

/// The same key and body have the stored answer, and nothing is charged (semantics 5.5). A success is stored; a failure
/// changed nothing and charged nothing, so its repetition may run.
pub(crate) struct Idempotent<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) outcomes: Arc<dyn OutcomeStore>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) inner: Arc<S>,
}

impl<S: Dispatch<Fresh>> Dispatch<Admitted> for Idempotent<S> {
    fn dispatch(&self, Admitted(call): Admitted) -> impl Future<Output = Answer> + Send {
        match call.invocation.cx.idempotency_key().cloned() {
            None => Either::Left(self.inner.dispatch(Fresh(call))),
            Some(key) => Either::Right(self.once(call, key)),
        }
    }
}

impl<S: Dispatch<Fresh>> Idempotent<S> {
    async fn once(&self, call: Entitled, key: IdempotencyKey) -> Answer {
        let cx = &call.invocation.cx;
        if matches!(cx.principal(), Principal::Anonymous) {
            // Stored answers belong to a caller; the anonymous would share theirs.
            return Err(refuse(
                "idempotency_needs_a_caller",
                Category::Validation,
                "an idempotency key needs a caller who is known",
            ));
        }
        let command = call.invocation.command;
        let entry = self.registry.entry(command);
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
            Claim::Unkept => Err(refuse(
                "outcome_not_kept",
                Category::Conflict,
                "the call with this idempotency key was made; its outcome was too large to be kept",
            )),
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
                // In a task of its own: a caller with a key may go away and ask again, so the call it made goes on to
                // its end, and its answer waits.
                let (registry, inner) = (Arc::clone(&self.registry), Arc::clone(&self.inner));
                tokio::spawn(run(inner, registry, command, call, claim)).await.unwrap_or(Err(Fault::Panicked))
            }
        }
    }
}

async fn run<S: Dispatch<Fresh>>(
    inner: Arc<S>,
    registry: Arc<Registry>,
    command: CommandIndex,
    call: Entitled,
    claim: ClaimGuard,
) -> Answer {
    let answer = inner.dispatch(Fresh(call)).await;
    let stored = answer.as_ref().ok().map(|output| registry.entry(command).encode(output));
    let settled = match stored {
        Some(Ok(value)) => claim.complete(value.to_string()).await,
        Some(Err(fault)) => {
            tracing::error!(%fault, "failed to keep an outcome for its idempotency key");
            claim.abandon().await
        }
        None => claim.abandon().await,
    };
    // The call has happened; that its outcome could not be kept must not make it look undone.
    if let Err(error) = settled {
        tracing::error!(%error, "failed to keep an outcome for its idempotency key");
    }
    answer
}

fn refuse(code: &'static str, category: Category, message: &str) -> Fault<BoxProblem> {
    Refusal::new(code, category, message).into()
}

fn unavailable(error: &OutcomeError) -> Fault<BoxProblem> {
    tracing::error!(%error, "failed to ask for a stored outcome");
    refuse("unavailable", Category::Unavailable, "stored outcomes cannot be read at the moment")
}
