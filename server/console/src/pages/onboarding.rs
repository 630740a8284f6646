//! `/console/onboarding`: which ways to a tenant are open, and why not.

use askama::Template;
use futures_util::future::join;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    form::Form,
    html::{Page, When, page_with},
    pages::done,
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

#[derive(Template)]
#[template(path = "pages/onboarding.html")]
struct Onboarding {
    shell: Shell,
    problem: Option<Problem>,
    toggles: Result<Toggles, Problem>,
    availability: Result<Availability, Problem>,
}

/// The five switches, by their field in the command.
const SWITCHES: [(&str, &str, &str); 5] = [
    ("rootTenantCreationEnabled", "Operators register tenants", "Off, only the setup and the signup do."),
    (
        "adminInviteEnabled",
        "Operators are invited by e-mail",
        "Needs e-mail to be configured. Otherwise links are handed on.",
    ),
    (
        "selfSignupEnabled",
        "Anybody may ask for a tenant",
        "Needs the feature, e-mail and a challenge verifier.",
    ),
    ("subtenantSignupEnabled", "Tenants may be asked for beneath tenants", "Needs the features of both."),
    (
        "requireApprovalForSelfSignup",
        "Somebody must approve what was asked for",
        "Off, a confirmed address suffices.",
    ),
];

/// `tenancy.onboarding.show`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Toggles {
    updated_at: Option<When>,
    #[serde(flatten)]
    switches: Map<String, Value>,
}

struct Switch {
    field: &'static str,
    name: &'static str,
    hint: &'static str,
    on: bool,
}

impl Toggles {
    fn lines(&self) -> Vec<Switch> {
        let on = |field: &str| self.switches.get(field).and_then(Value::as_bool).unwrap_or(false);
        SWITCHES.map(|(field, name, hint)| Switch { field, name, hint, on: on(field) }).into()
    }
}

/// `platform.onboarding.availability`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Availability {
    application_tenant: Way,
    root_tenant_creation: Way,
    admin_invite: Way,
    self_signup: Way,
    subtenants: Way,
    email: Email,
}

#[derive(Deserialize)]
struct Way {
    enabled: bool,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    configured: bool,
    healthy: bool,
}

impl Way {
    /// The reason in words: where it lies, and what.
    fn text(&self) -> String {
        let Some(reason) = &self.reason else { return String::new() };
        let (place, what) = reason.split_once('_').unwrap_or(("", reason));
        let what = what.replace('_', " ");
        match place {
            "license" => format!("The license: {what}."),
            "config" => format!("The configuration or a switch: {what}."),
            "runtime" => format!("At the moment: {what}."),
            _ => reason.clone(),
        }
    }
}

impl Availability {
    fn ways(&self) -> [(&'static str, &Way); 5] {
        [
            ("The platform’s own tenant", &self.application_tenant),
            ("Registration by operators", &self.root_tenant_creation),
            ("Invitation by operators", &self.admin_invite),
            ("Signup by anybody", &self.self_signup),
            ("Tenants beneath tenants", &self.subtenants),
        ]
    }

    fn email_text(&self) -> &'static str {
        match (self.email.configured, self.email.healthy) {
            (false, _) => "not configured",
            (true, false) => "configured, but does not arrive",
            (true, true) => "arrives",
        }
    }
}

pub(crate) async fn show(operator: Operator) -> Page {
    written(&operator, None).await
}

async fn written(operator: &Operator, problem: Option<Problem>) -> Page {
    let (toggles, availability) = join(
        operator.call("tenancy.onboarding.show", json!({})),
        operator.call("platform.onboarding.availability", json!({})),
    )
    .await;
    let shell = Shell::of(operator, "Onboarding", Nav::Onboarding);
    page_with(problem.as_ref(), &Onboarding { shell, problem: problem.clone(), toggles, availability })
}

/// `POST /console/onboarding`
pub(crate) async fn change(Form { operator, fields }: Form) -> Page {
    let stated = SWITCHES.map(|(field, ..)| (field.to_owned(), fields.ticked(field).into()));
    let input = Value::Object(stated.into_iter().collect());
    match operator.call::<Value>("tenancy.onboarding.update", input).await {
        Ok(_) => Ok(done("/console/onboarding", "onboarding-set")),
        Err(problem) => written(&operator, Some(problem)).await,
    }
}
