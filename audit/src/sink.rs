use std::sync::{Arc, Mutex, PoisonError};

use store::StoreError;

use crate::Event;

/// Where events go.
pub trait Sink: Send + 'static {
    /// Keeps the events, all or none, durably. What failed is offered again, so an event that is already there is passed
    /// over.
    fn write(&mut self, events: &[Event]) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// Why a sink did not keep the events.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The database did not take them.
    #[error("the audit database failed")]
    Store(#[from] StoreError),
    /// Another kind of sink did not take them.
    #[error("the audit sink failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps events in memory, for as long as a clone of it lives.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    events: Arc<Mutex<Vec<Event>>>,
}

impl MemorySink {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything written so far, oldest first. [`Recorder::flush`](crate::Recorder::flush) first to see all that was
    /// recorded.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for MemorySink {
    async fn write(&mut self, events: &[Event]) -> Result<(), SinkError> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(events);
        Ok(())
    }
}
