//! How far a call has come. Each type is made by one gate only, from the one before it.

use std::sync::Arc;

use descriptors::descriptor::LicenseDescriptor;
use jiff::Timestamp;
use kernel::Invocation;
use resolver::Exemption;

use crate::world::World;

/// The call has begun, and has a deadline.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) invocation: Invocation,
    pub(crate) at: Timestamp,
}

/// The caller may run the command.
#[derive(Debug)]
pub(crate) struct Authorized(pub(crate) Invocation);

/// The command is described, or it is said why that is not needed.
#[derive(Debug)]
pub(crate) struct Covered {
    pub(crate) invocation: Invocation,
    pub(crate) descriptor: Result<&'static LicenseDescriptor, Exemption>,
}

/// The license permits the command, or it is said why it was not asked.
#[derive(Debug)]
pub(crate) struct Entitled {
    pub(crate) invocation: Invocation,
    /// What is still to be counted; none where the command counts nothing or is exempt.
    pub(crate) counted: Option<Counted>,
}

/// A licensed command that counts against quotas.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) descriptor: &'static LicenseDescriptor,
    /// The license, and what is handed on of it, as this call sees them from start to end.
    pub(crate) world: Arc<World>,
}

/// The input is the command's own type.
#[derive(Debug)]
pub(crate) struct Decoded(pub(crate) Entitled);

/// The module's own policy accepts the call.
#[derive(Debug)]
pub(crate) struct Admitted(pub(crate) Entitled);

/// The call is no repetition of one that was answered.
#[derive(Debug)]
pub(crate) struct Fresh(pub(crate) Entitled);

/// Its quotas are reserved.
#[derive(Debug)]
pub(crate) struct Funded(pub(crate) Invocation);
