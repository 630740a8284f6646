//! One file a page: what it asks, what it shows, and what its forms do.

mod account;
mod activate;
mod audit;
mod baseline;
mod commands;
mod coverage;
mod help;
mod home;
mod license;
mod onboarding;
mod setup;
mod sign_in;
mod signup;
mod signups;
mod subscription;
mod tenants;
mod terms;
mod theme;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

use crate::{House, assets, problem::Problem};

/// Every page and every form.
pub(crate) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/", get(async || Redirect::to("/console")))
        .route("/console", get(home::show))
        .route("/console/", get(async || Redirect::permanent("/console")))
        .route("/console/meters", get(home::meters))
        .route("/console/theme", post(theme::choose))
        .route("/console/assets/{name}", get(assets::show))
        .route("/console/setup", get(setup::show).post(setup::act))
        .route("/console/sign-in", get(sign_in::show).post(sign_in::enter))
        .route("/console/sign-out", post(sign_in::leave))
        .route("/console/activate", get(activate::show).post(activate::act))
        .route("/console/signup/confirm", get(signup::show).post(signup::confirm))
        .route("/console/license", get(license::show))
        .route("/console/license/candidate", post(license::candidate))
        .route("/console/license/install", post(license::install))
        .route("/console/license/uninstall", post(license::uninstall))
        .route("/console/license/request", post(license::request))
        .route("/console/commands", get(commands::list))
        .route("/console/commands/{id}", get(commands::show))
        .route("/console/coverage", get(coverage::show))
        .route("/console/tenants", get(tenants::list).post(tenants::create))
        .route("/console/tenants/{id}", get(tenants::show))
        .route("/console/tenants/{id}/status", post(tenants::status))
        .route("/console/tenants/{id}/delete", post(tenants::delete))
        .route("/console/tenants/{id}/domains", post(tenants::domains))
        .route("/console/tenants/{id}/export", post(tenants::export))
        .route("/console/tenants/{id}/subscription", get(subscription::show).post(subscription::change))
        .route("/console/baseline", get(baseline::show).post(baseline::change))
        .route("/console/signups", get(signups::list))
        .route("/console/signups/{id}", post(signups::decide))
        .route("/console/onboarding", get(onboarding::show).post(onboarding::change))
        .route("/console/audit", get(audit::list))
        .route("/console/audit/live", get(audit::live))
        .route("/console/audit/export", get(audit::export))
        .route("/console/audit/verify", get(audit::verify))
        .route("/console/account", get(account::show))
        .route("/console/account/password", post(account::password))
        .route("/console/account/factor", post(account::factor))
        .route("/console/account/sessions", post(account::sessions))
        .route("/console/account/tokens", post(account::tokens))
        .route("/console/account/operators", post(account::invite))
        .route("/console/account/operators/act", post(account::colleague))
        .route("/console/help/{reason}", get(help::show))
        .route("/console/{*path}", get(nothing).post(nothing))
}

async fn nothing(request: Request) -> Problem {
    Problem::not_found(format!("There is no page at {}.", request.uri().path()))
}

/// Where a form leads once it is done: to a page that may be loaded again.
pub(crate) fn done(path: &str, word: &str) -> Response {
    let mark = if path.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{path}{mark}done={word}")).into_response()
}

/// A text as part of an address.
pub(crate) fn part(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
