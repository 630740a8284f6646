//! `/console/signups`: who asks for a tenant, to be approved or rejected.

use askama::Template;
use axum::extract::{Path, RawQuery};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answers::words,
    form::{Fields, Form},
    html::{Page, When, page_with},
    pages::{done, part},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

const HERE: &str = "/console/signups";

#[derive(Template)]
#[template(path = "pages/signups.html")]
struct Signups {
    shell: Shell,
    problem: Option<Problem>,
    pending: Result<Pending, Problem>,
}

/// `signup.requests.list-pending`
#[derive(Deserialize)]
struct Pending {
    requests: Vec<Request>,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    id: String,
    email: String,
    slug: String,
    display_name: Option<String>,
    parent_tenant_id: Option<String>,
    status: String,
    created_at: When,
    expires_at: When,
}

impl Pending {
    fn after(&self) -> Option<String> {
        self.next.as_deref().map(part)
    }
}

impl Request {
    /// Whether its address is confirmed, so that it may be approved.
    fn awaits_approval(&self) -> bool {
        self.status == "PENDING_APPROVAL"
    }

    fn status_text(&self) -> String {
        words(&self.status)
    }
}

pub(crate) async fn list(operator: Operator, RawQuery(query): RawQuery) -> Page {
    written(&operator, &Fields::of_query(query.as_deref()), None).await
}

async fn written(operator: &Operator, fields: &Fields, problem: Option<Problem>) -> Page {
    let input = Value::Object(fields.input(&["after"]));
    let pending = operator.call("signup.requests.list-pending", input).await;
    let shell = Shell::of(operator, "Signups", Nav::Signups);
    page_with(problem.as_ref(), &Signups { shell, problem: problem.clone(), pending })
}

/// `POST /console/signups/{id}`
pub(crate) async fn decide(Path(id): Path<String>, Form { operator, fields }: Form) -> Page {
    let (command, input, word) = if fields.text("do") == "approve" {
        ("signup.requests.approve", json!({ "signupRequestId": id }), "signup-approved")
    } else {
        let input = json!({ "signupRequestId": id, "reason": fields.filled("reason") });
        ("signup.requests.reject", input, "signup-rejected")
    };
    match operator.call::<Value>(command, input).await {
        Ok(_) => Ok(done(HERE, word)),
        Err(problem) => written(&operator, &Fields::default(), Some(problem)).await,
    }
}
