use std::sync::Arc;

use kernel::{BoxProblem, Dispatch, Fault, Registry};

use super::{Answer, pass};
use crate::calls::{Decoded, Entitled};

/// The input becomes the command's own type. After the license, so that its fields are not probed by those who may not
/// use it; before the guard, which reads them.
pub(crate) struct Decode<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) inner: S,
}

impl<S: Dispatch<Decoded>> Dispatch<Entitled> for Decode<S> {
    fn dispatch(&self, call: Entitled) -> impl Future<Output = Answer> + Send {
        pass(self.decode(call), |call| self.inner.dispatch(call))
    }
}

impl<S> Decode<S> {
    fn decode(&self, mut call: Entitled) -> Result<Decoded, Fault<BoxProblem>> {
        let entry = self.registry.entry(call.invocation.command);
        call.invocation.input = entry.decode(call.invocation.input)?;
        Ok(Decoded(call))
    }
}
