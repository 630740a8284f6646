//! `/console/signup/confirm`: whoever asked for a tenant shows that the address is theirs, by the link they were sent. Its
//! token is behind the `#`, as on the page of activations.

use askama::Template;
use serde::Deserialize;
use serde_json::json;

use crate::{
    form::OpenForm,
    html::{Page, page_with},
    pages::activate::token,
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "pages/signup.html")]
struct Confirm {
    shell: Shell,
    problem: Option<Problem>,
    outcome: Option<Outcome>,
}

/// `signup.requests.confirm`
#[derive(Deserialize)]
struct Outcome {
    status: String,
}

impl Outcome {
    fn text(&self) -> &'static str {
        match self.status.as_str() {
            "PENDING_APPROVAL" => "Your address is confirmed. Somebody looks at your request now.",
            "REGISTERED" => {
                "Your address is confirmed, and your tenant is registered. A mail tells you how to sign in to it."
            }
            _ => "Your address is confirmed. Your tenant is being registered.",
        }
    }
}

pub(crate) async fn show(visitor: Visitor) -> Page {
    written(&visitor, None, None)
}

fn written(visitor: &Visitor, outcome: Option<Outcome>, problem: Option<Problem>) -> Page {
    let shell = Shell::of(visitor, "Confirm your address", Nav::None);
    let page = Confirm { shell, problem, outcome };
    page_with(page.problem.as_ref(), &page)
}

/// `POST /console/signup/confirm`: the token works once, so there is nothing to load again.
pub(crate) async fn confirm(OpenForm { visitor, fields }: OpenForm) -> Page {
    let input = json!({ "plainVerificationToken": token(&fields) });
    match visitor.call("signup.requests.confirm", input).await {
        Ok(outcome) => written(&visitor, Some(outcome), None),
        Err(problem) => written(&visitor, None, Some(problem)),
    }
}
