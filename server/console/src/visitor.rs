//! Who looks at a page, and the calls made for them.

use std::{net::IpAddr, ops::Deref, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Uri, header::COOKIE, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use descriptors::access::Permission;
use http_api::TENANTS_ACT;
use jiff::Timestamp;
use kernel::{Authenticated, CorrelationId, Cx, Principal, TenantId};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{House, problem::Problem};

/// Somebody who looks at a page, signed in or not. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Visitor(Arc<Visit>);

pub(crate) struct Visit {
    pub(crate) house: Arc<House>,
    pub(crate) principal: Principal,
    /// What every form carries back: bound to the session, so another site cannot know it.
    pub(crate) csrf: String,
    pub(crate) theme: Theme,
    pub(crate) correlation: CorrelationId,
    pub(crate) deadline: Timestamp,
    /// The address they come from.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) uri: Uri,
}

/// Light or dark. Without a choice the system's own counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const COOKIE: &str = "chancery-theme";

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

impl Deref for Visitor {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.0
    }
}

impl Visitor {
    pub(crate) fn new(visit: Visit) -> Self {
        Self(Arc::new(visit))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.house.console.ambient.now()
    }

    /// Whether this program has a command.
    pub(crate) fn has(&self, command: &str) -> bool {
        self.house.console.bus.registry().find(command).is_some()
    }

    pub(crate) fn who(&self) -> Option<&Authenticated> {
        match &self.principal {
            Principal::Authenticated(who) => Some(who),
            Principal::Anonymous | Principal::System => None,
        }
    }

    pub(crate) fn holds(&self, permission: Permission) -> bool {
        self.who().is_some_and(|who| who.permissions.contains(permission.as_str()))
    }

    /// Runs a command as this visitor, on behalf of the tenant they belong to.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        command: &'static str,
        input: Value,
    ) -> Result<T, Problem> {
        let home = self.who().and_then(|who| who.home);
        self.call_for(home, command, input).await
    }

    /// Runs a command as this visitor, on behalf of a tenant: their own, or any other for whoever may act for others.
    pub(crate) async fn call_for<T: DeserializeOwned>(
        &self,
        tenant: Option<TenantId>,
        command: &'static str,
        input: Value,
    ) -> Result<T, Problem> {
        if !self.has(command) {
            return Err(Problem::absent(command));
        }
        let home = self.who().and_then(|who| who.home);
        if tenant.is_some() && tenant != home && !self.holds(TENANTS_ACT) {
            return Err(Problem::may_not_act(TENANTS_ACT));
        }
        let console = &self.house.console;
        let left = self.deadline.duration_since(self.now());
        let mut cx =
            Cx::correlated(console.ambient.clone(), self.principal.clone(), self.correlation.clone())
                .with_timeout(Duration::try_from(left).unwrap_or_default());
        if let Some(tenant) = tenant {
            cx = cx.with_tenant(tenant);
        }
        if let Some(peer) = self.peer {
            cx = cx.with_peer(peer);
        }
        let answer = console.bus.dispatch_json(cx, command, input).await;
        let answer = answer.map_err(|fault| Problem::of_fault(command, &fault, &self.correlation))?;
        serde_json::from_value(answer).map_err(|error| {
            tracing::error!(%error, command, "the console does not understand an answer");
            Problem::internal()
        })
    }

    /// Where they wanted to go, as the parameter of the sign-in page.
    fn sign_in(&self) -> Redirect {
        let wanted = self.uri.path_and_query().map_or("/console", |it| it.as_str());
        let wanted: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        Redirect::to(&format!("/console/sign-in?next={wanted}"))
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Somebody who is signed in. Whoever is not is sent to the sign-in page.
#[derive(Clone)]
pub(crate) struct Operator(Visitor);

impl Deref for Operator {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        match visitor.principal {
            Principal::Authenticated(_) => Ok(Self(visitor)),
            Principal::Anonymous | Principal::System => Err(visitor.sign_in().into_response()),
        }
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|line| line.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('=')))
}
