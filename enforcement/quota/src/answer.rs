use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::BoxFuture;

/// What a port answers with: a future that costs no allocation where the answer is there at once.
#[must_use = "an answer is there only when it is awaited"]
pub struct Answer<'a, T>(Way<'a, T>);

enum Way<'a, T> {
    Now(Ready<T>),
    Later(BoxFuture<'a, T>),
}

impl<'a, T> Answer<'a, T> {
    /// It is this.
    pub fn now(answer: T) -> Self {
        Self(Way::Now(ready(answer)))
    }

    /// It is what this will find.
    pub fn later(answer: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Way::Later(Box::pin(answer)))
    }

    /// What is still to be waited for.
    pub(crate) fn pending(self) -> Option<BoxFuture<'a, T>> {
        match self.0 {
            Way::Now(_) => None,
            Way::Later(answer) => Some(answer),
        }
    }
}

impl<T> Future for Answer<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Way::Now(answer) => Pin::new(answer).poll(cx),
            Way::Later(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for Answer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
