use std::fmt;

use tokio::runtime::Handle;

use crate::BoxFuture;

type Settle<T, E> = Box<dyn FnOnce(T) -> BoxFuture<'static, Result<(), E>> + Send + Sync>;

/// Something to be settled exactly once, by value. Dropped instead, it is settled with `T::default()` in the
/// background; without a runtime to do that on, it is left to expire.
pub(crate) struct Obligation<T: Default, E: fmt::Display + 'static> {
    settle: Option<Settle<T, E>>,
}

impl<T: Default, E: fmt::Display> Obligation<T, E> {
    pub(crate) fn new<S, F>(settle: S) -> Self
    where
        S: FnOnce(T) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        Self { settle: Some(Box::new(move |how| Box::pin(settle(how)))) }
    }

    pub(crate) async fn settle(mut self, how: T) -> Result<(), E> {
        match self.settle.take() {
            Some(settle) => settle(how).await,
            None => Ok(()),
        }
    }
}

impl<T: Default, E: fmt::Display> Drop for Obligation<T, E> {
    fn drop(&mut self) {
        let Some(settle) = self.settle.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let settling = settle(T::default());
        runtime.spawn(async move {
            if let Err(error) = settling.await {
                tracing::warn!(%error, "a dropped hold is left to expire");
            }
        });
    }
}

impl<T: Default, E: fmt::Display> fmt::Debug for Obligation<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Obligation").finish_non_exhaustive()
    }
}
