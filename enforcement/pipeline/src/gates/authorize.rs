use std::sync::Arc;

use descriptors::access::{Access, Audience};
use kernel::{BoxProblem, Category, Contract, Cx, Dispatch, Fault, Principal, Refusal, Registry};

use super::{Answer, pass};
use crate::{
    calls::{Authorized, Begun},
    refusal::AuthFailure,
};

/// Who may run it. The anonymous learn nothing below this line: they get one answer, licensed or not.
pub(crate) struct Authorize<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) inner: S,
}

impl<S: Dispatch<Authorized>> Dispatch<Begun> for Authorize<S> {
    fn dispatch(&self, call: Begun) -> impl Future<Output = Answer> + Send {
        pass(self.admit(call), |call| self.inner.dispatch(call))
    }
}

impl<S> Authorize<S> {
    fn admit(&self, Begun { invocation, .. }: Begun) -> Result<Authorized, Fault<BoxProblem>> {
        let entry = self.registry.entry(invocation.command);
        if !matches!(invocation.cx.principal(), Principal::System) {
            let access = entry.contract().and_then(Contract::facet::<Access>);
            match access.map(|access| (access, access.audience())) {
                // A command that does not say who may run it is for nobody outside.
                None | Some((_, Audience::Internal)) => {
                    return Err(Fault::Unknown(entry.id().as_str().to_owned()));
                }
                Some((_, Audience::Public)) => {}
                Some((access, audience)) => authorize(&invocation.cx, access, audience)?,
            }
        }
        Ok(Authorized(invocation))
    }
}

fn authorize(cx: &Cx, access: &Access, audience: Audience) -> Result<(), Refusal> {
    let Principal::Authenticated(who) = cx.principal() else {
        return Err(AuthFailure::refuse("authentication_required", Category::Unauthorized, "sign in first"));
    };
    if let Audience::Permission(permission) = audience
        && !who.permissions.contains(permission.as_str())
    {
        let message = format!("this needs the permission `{}`", permission.as_str());
        return Err(AuthFailure::refuse("permission_required", Category::Forbidden, message));
    }
    // RFC 9470: the caller is known, but has to show more.
    let stale = access.max_age().is_some_and(|age| {
        who.authenticated_at.checked_add(age).is_ok_and(|fresh_until| fresh_until < cx.now())
    });
    if who.aal < access.aal().get() || stale {
        let message = format!("this needs a fresh authentication of assurance level {}", access.aal().get());
        return Err(AuthFailure::refuse("insufficient_user_authentication", Category::Unauthorized, message));
    }
    Ok(())
}
