//! `/console/sign-in` and `/console/sign-out`: a session begins and ends.

use askama::Template;
use axum::{
    extract::RawQuery,
    http::header::SET_COOKIE,
    response::{IntoResponse, Redirect, Response},
};
use http_api::{ended_session_cookie, session_cookie};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    form::{Fields, Form, OpenForm},
    html::{Page, page_with},
    pages::{done, setup, theme::own},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "pages/sign-in.html")]
struct SignIn {
    shell: Shell,
    problem: Option<Problem>,
    name: String,
    next: String,
    /// The name and password are right, and a code is asked for besides.
    wants_code: bool,
}

/// What a command answers that begins a session, or a new one in place of the present.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedIn {
    session_token: SecretString,
    expires_at: Timestamp,
    #[serde(default)]
    second_factor_required: bool,
}

impl SignedIn {
    /// Hands the session to the browser.
    pub(crate) fn with(&self, visitor: &Visitor, response: impl IntoResponse) -> Response {
        let lifetime = self.expires_at.duration_since(visitor.now());
        let lifetime = lifetime.try_into().unwrap_or_default();
        let cookie = session_cookie(self.session_token.expose_secret(), lifetime);
        ([(SET_COOKIE, cookie)], response).into_response()
    }
}

/// While nobody has set the platform up, the wizard comes first.
pub(crate) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Page {
    if setup::is_open(&visitor).await {
        return Ok(Redirect::to("/console/setup").into_response());
    }
    written(&visitor, &Fields::of_query(query.as_deref()), None)
}

fn written(visitor: &Visitor, fields: &Fields, problem: Option<Problem>) -> Page {
    let wants_code = problem.as_ref().is_some_and(|problem| problem.code() == "second_factor_required")
        || !fields.exact("code").is_empty();
    let page = SignIn {
        shell: Shell::of(visitor, "Sign in", Nav::None),
        name: fields.text("name").to_owned(),
        next: own(fields.text("next")).to_owned(),
        problem,
        wants_code,
    };
    page_with(page.problem.as_ref(), &page)
}

/// `POST /console/sign-in`
pub(crate) async fn enter(OpenForm { visitor, fields }: OpenForm) -> Page {
    let code: String = fields.text("code").chars().filter(|c| !c.is_whitespace()).collect();
    let mut input = json!({ "name": fields.text("name"), "password": fields.exact("password") });
    if !code.is_empty() {
        input["code"] = code.into();
    }
    match visitor.call::<SignedIn>("identity.sessions.create", input).await {
        Ok(session) => {
            let next =
                if session.second_factor_required { "/console/account" } else { own(fields.text("next")) };
            Ok(session.with(&visitor, Redirect::to(next)))
        }
        Err(problem) => written(&visitor, &fields, Some(problem)),
    }
}

/// `POST /console/sign-out`: the session ends on the server too.
pub(crate) async fn leave(Form { operator, .. }: Form) -> Page {
    operator.call::<Value>("identity.sessions.delete", json!({})).await?;
    Ok(([(SET_COOKIE, ended_session_cookie())], done("/console/sign-in", "signed-out")).into_response())
}
