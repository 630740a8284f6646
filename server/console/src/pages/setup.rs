//! `/console/setup`: the first run, while the gate is open. Whoever stops goes on later where they were.

use askama::Template;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answers::License,
    form::{Fields, OpenForm},
    html::{Page, When, page_with},
    pages::license::{RequestState, file, wish},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Visitor,
};

const HERE: &str = "/console/setup";

#[derive(Template)]
#[template(path = "pages/setup.html")]
struct SetupPage {
    shell: Shell,
    problem: Option<Problem>,
    fields: Fields,
    step: Step,
    status: Status,
    request: Option<Result<RequestState, Problem>>,
    /// The request that was made last.
    requested: bool,
    candidate: Option<Candidate>,
    invited: Option<Invited>,
}

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Request,
    Import,
    Administrator,
}

impl Step {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Request, "Ask for a license"),
        (Self::Import, "Import it"),
        (Self::Administrator, "First administrator"),
    ];

    /// The step to go on with, as it is kept; by name where one was chosen.
    fn of(chosen: &str, kept: u32) -> Self {
        let number = match chosen {
            "request" => 1,
            "import" => 2,
            "administrator" => 3,
            _ => kept,
        };
        match number {
            0 | 1 => Self::Request,
            2 => Self::Import,
            _ => Self::Administrator,
        }
    }

    const fn number(self) -> u32 {
        self as u32 + 1
    }
}

/// `setup.status.show`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    first_tenant_config_missing_keys: Vec<String>,
    license_configured: bool,
    administrator_activation: Option<Standing>,
}

/// How far the invited administrator has come.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    status: String,
    delivery_state: String,
    expires_at: When,
}

impl Standing {
    /// Whether somebody may be invited now.
    fn is_over(&self) -> bool {
        self.status == "EXPIRED" || self.delivery_state == "DELIVERY_FAILED"
    }
}

/// `setup.onboarding.show`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Onboarding {
    resume_step: u32,
    license_request: Option<String>,
}

/// A license that was looked at, and can be installed.
struct Candidate {
    id: String,
    preview: Preview,
}

/// `setup.license.preview`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    license: License,
    installable: bool,
    warnings: Vec<String>,
}

/// `setup.platform.bootstrap`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invited {
    operator_email: String,
    activation: Activation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Activation {
    /// Where it was not mailed.
    manual_activation_link: Option<String>,
    expires_at: When,
}

impl Activation {
    /// The part of the link that this server answers, with the token behind its `#`.
    fn path(link: &str) -> &str {
        link.find("/console/").map_or(link, |at| &link[at..])
    }
}

/// Whether the platform is still to be set up. Where that cannot be said now, it is not.
pub(crate) async fn is_open(visitor: &Visitor) -> bool {
    visitor.house.console.openings.are_open().await.unwrap_or(false)
}

pub(crate) async fn show(visitor: Visitor) -> Page {
    let fields = Fields::of_query(visitor.uri.query());
    written(&visitor, fields, None, None, None).await
}

async fn written(
    visitor: &Visitor,
    fields: Fields,
    candidate: Option<Candidate>,
    invited: Option<Invited>,
    problem: Option<Problem>,
) -> Page {
    if !is_open(visitor).await {
        return Ok(Redirect::to("/console/sign-in").into_response());
    }
    let status: Status = visitor.call("setup.status.show", json!({})).await?;
    let kept: Onboarding = visitor.call("setup.onboarding.show", json!({})).await?;
    let step = Step::of(fields.text("step"), kept.resume_step);
    let request = match step {
        Step::Request => Some(visitor.call("setup.license-request.show", json!({})).await),
        Step::Import | Step::Administrator => None,
    };
    let page = SetupPage {
        shell: Shell::of(visitor, "Set up", Nav::None),
        problem: problem.clone(),
        fields,
        step,
        status,
        request,
        requested: kept.license_request.is_some(),
        candidate,
        invited,
    };
    page_with(problem.as_ref(), &page)
}

/// Keeps how far it has come, and goes there.
async fn go_on(visitor: &Visitor, step: Step) -> Page {
    visitor.call::<Value>("setup.onboarding.save", json!({ "resumeStep": step.number() })).await?;
    Ok(Redirect::to(HERE).into_response())
}

/// `POST /console/setup`: one form a step.
pub(crate) async fn act(OpenForm { visitor, fields }: OpenForm) -> Page {
    match fields.text("do") {
        "request" => request(&visitor, fields).await,
        "preview" => preview(&visitor, fields).await,
        "install" => install(&visitor, fields).await,
        "invite" => invite(&visitor, fields).await,
        "to-request" => go_on(&visitor, Step::Request).await,
        "to-import" => go_on(&visitor, Step::Import).await,
        _ => go_on(&visitor, Step::Administrator).await,
    }
}

async fn request(visitor: &Visitor, fields: Fields) -> Page {
    #[derive(Deserialize)]
    struct Made {
        armored: String,
    }
    let mut wish = wish(&fields);
    if let Some(wish) = wish.as_object_mut() {
        // There is nothing yet that it could renew.
        wish.remove("renew");
    }
    match visitor.call::<Made>("setup.license-request.generate", wish).await {
        Ok(made) => Ok(file("license-request.txt", made.armored)),
        Err(problem) => written(visitor, fields, None, None, Some(problem)).await,
    }
}

async fn preview(visitor: &Visitor, fields: Fields) -> Page {
    let Some(text) = fields.filled("text").or_else(|| fields.filled("file")).map(str::to_owned) else {
        let problem = Problem::entered("license", "Choose the file of a license, or paste its text.");
        return written(visitor, fields, None, None, Some(problem)).await;
    };
    match visitor.call::<Preview>("setup.license.preview", json!({ "license": text })).await {
        Ok(preview) => {
            let id = visitor.house.console.ambient.uuid();
            visitor.house.candidates.keep(id, visitor.principal.actor(), &text, visitor.now());
            let candidate = Candidate { id: id.to_string(), preview };
            written(visitor, fields, Some(candidate), None, None).await
        }
        Err(problem) => written(visitor, fields, None, None, Some(problem)).await,
    }
}

async fn install(visitor: &Visitor, fields: Fields) -> Page {
    let actor = visitor.principal.actor();
    let kept = visitor.house.candidates.take(fields.text("candidate"), actor, visitor.now());
    let Some(license) = kept else {
        let problem = Problem::entered(
            "license",
            "The license is no longer at hand. Choose it again; nothing was installed.",
        );
        return written(visitor, fields, None, None, Some(problem)).await;
    };
    match visitor.call::<Value>("setup.license.import", json!({ "license": license })).await {
        Ok(_) => go_on(visitor, Step::Administrator).await,
        Err(problem) => written(visitor, fields, None, None, Some(problem)).await,
    }
}

async fn invite(visitor: &Visitor, fields: Fields) -> Page {
    let input = json!({
        "operatorEmail": fields.text("email"),
        "operatorDisplayName": fields.text("name"),
    });
    match visitor.call::<Invited>("setup.platform.bootstrap", input).await {
        Ok(invited) => written(visitor, fields, None, Some(invited), None).await,
        Err(problem) => written(visitor, fields, None, None, Some(problem)).await,
    }
}

impl SetupPage {
    fn value(&self, name: &str) -> &str {
        self.fields.text(name)
    }

    fn steps() -> [(Step, &'static str); 3] {
        Step::ALL
    }

    fn is_past(&self, step: &Step) -> bool {
        *step < self.step
    }

    fn is_at(&self, step: &Step) -> bool {
        *step == self.step
    }

    fn is_request(&self) -> bool {
        self.step == Step::Request
    }

    fn is_import(&self) -> bool {
        self.step == Step::Import
    }
}
