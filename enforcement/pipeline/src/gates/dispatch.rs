use kernel::{Dispatch, Door};

use super::Answer;
use crate::calls::Funded;

/// The handler: the only door, given up by the kernel when the column was built.
pub(crate) struct Dispatcher(pub(crate) Door);

impl Dispatch<Funded> for Dispatcher {
    fn dispatch(&self, Funded(invocation): Funded) -> impl Future<Output = Answer> + Send {
        self.0.dispatch(invocation)
    }
}
