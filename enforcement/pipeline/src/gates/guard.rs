use std::sync::Arc;

use kernel::{BoxProblem, Dispatch, Fault, Guard, Registry};

use super::{Answer, pass};
use crate::calls::{Admitted, Decoded};

/// The module's own policy, before anything is read from the database for the call, quota counts included.
pub(crate) struct GuardGate<S> {
    pub(crate) registry: Arc<Registry>,
    /// Per command: the policy it names.
    pub(crate) guards: Arc<[Option<Arc<dyn Guard>>]>,
    pub(crate) inner: S,
}

impl<S: Dispatch<Admitted>> Dispatch<Decoded> for GuardGate<S> {
    fn dispatch(&self, call: Decoded) -> impl Future<Output = Answer> + Send {
        pass(self.admit(call), |call| self.inner.dispatch(call))
    }
}

impl<S> GuardGate<S> {
    fn admit(&self, Decoded(call): Decoded) -> Result<Admitted, Fault<BoxProblem>> {
        let invocation = &call.invocation;
        if let Some(guard) = &self.guards[invocation.command.get()] {
            let id = self.registry.entry(invocation.command).id();
            guard.admit(&invocation.cx, id, &invocation.input)?;
        }
        Ok(Admitted(call))
    }
}
