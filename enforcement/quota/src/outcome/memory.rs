use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Claim, ClaimGuard, ClaimRequest, Lifetimes, OutcomeError, OutcomeStore};
use crate::BoxFuture;
use crate::key::{deadline, digest};

/// Outcomes of one process, forgotten when it ends.
#[derive(Debug, Clone, Default)]
pub struct MemoryOutcomes {
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug, Default)]
struct Ledger {
    entries: HashMap<String, Entry>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    fingerprint: String,
    outcome: Option<String>,
    expires_at: i64,
}

impl MemoryOutcomes {
    /// Nothing has run yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutcomeStore for MemoryOutcomes {
    fn claim<'a>(
        &'a self,
        request: ClaimRequest<'a>,
        lifetimes: Lifetimes,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Claim, OutcomeError>> {
        let key = request.digest();
        let fingerprint = digest(&[request.fingerprint]);
        let mut ledger = self.ledger();
        ledger.entries.retain(|_, entry| entry.expires_at > now.as_microsecond());
        let claim = match ledger.entries.get(&key) {
            Some(entry) if entry.fingerprint != fingerprint => Claim::Mismatch,
            Some(Entry { outcome: Some(outcome), .. }) => Claim::stored(outcome.clone()),
            Some(Entry { outcome: None, .. }) => Claim::InFlight,
            None => {
                let ticket = ledger.next_ticket;
                ledger.next_ticket += 1;
                let expires_at = deadline(now, lifetimes.pending);
                ledger.entries.insert(key.clone(), Entry { ticket, fingerprint, outcome: None, expires_at });
                let outcomes = self.clone();
                let stored_until = deadline(now, lifetimes.stored);
                Claim::New(ClaimGuard::new(async move |outcome| {
                    outcomes.ledger().settle(&key, ticket, outcome, stored_until)
                }))
            }
        };
        Box::pin(async move { Ok(claim) })
    }
}

impl Ledger {
    fn settle(
        &mut self,
        key: &str,
        ticket: u64,
        outcome: Option<String>,
        stored_until: i64,
    ) -> Result<(), OutcomeError> {
        let ours = self.entries.get_mut(key).filter(|entry| entry.ticket == ticket);
        match (ours, outcome) {
            (Some(entry), Some(outcome)) => {
                entry.outcome = Some(outcome);
                entry.expires_at = stored_until;
                Ok(())
            }
            (None, Some(_)) => Err(OutcomeError::Expired),
            (Some(_), None) => {
                self.entries.remove(key);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }
}
