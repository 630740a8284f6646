use std::sync::Arc;

use kernel::{Dispatch, Registry};

use super::Answer;
use crate::calls::{Decoded, Entitled};

/// The input becomes the command's own type. After the license, so that its fields are not probed by those who may not
/// use it; before the guard, which reads them.
pub(crate) struct Decode<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) inner: S,
}

impl<S: Dispatch<Decoded>> Dispatch<Entitled> for Decode<S> {
    async fn dispatch(&self, mut call: Entitled) -> Answer {
        let entry = self.registry.entry(call.invocation.command);
        call.invocation.input = entry.decode(call.invocation.input)?;
        self.inner.dispatch(Decoded(call)).await
    }
}
