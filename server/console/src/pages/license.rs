//! `/console/license`: what is held, what is used of it, and another license before it is installed.

use askama::Template;
use axum::{
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::future::{join, join4};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answers::{Effective, Features, KnownFeature, License},
    form::Form,
    html::{Page, Said, grouped, page_with},
    pages::{done, home},
    pictures::{Expiry, Meters},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

const HERE: &str = "/console/license";

#[derive(Template)]
#[template(path = "pages/license.html")]
struct LicensePage {
    shell: Shell,
    problem: Option<Problem>,
    license: Result<License, Problem>,
    meters: Result<Meters, Problem>,
    features: Result<Vec<Feature>, Problem>,
    request: Result<RequestState, Problem>,
    candidate: Option<Candidate>,
}

/// A feature of this build, and whether the license holds it.
struct Feature {
    known: KnownFeature,
    licensed: bool,
}

/// `platform.license-request.show`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestState {
    installation_id: String,
    pub(crate) key_configured: bool,
    key_present: bool,
    pub(crate) fingerprint: Option<String>,
    pub(crate) base_domains: Vec<String>,
}

/// Another license, looked at before it is installed.
struct Candidate {
    id: String,
    preview: Preview,
    simulation: Result<Simulation, Problem>,
}

/// `platform.license.preview`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    license: License,
    installable: bool,
    overwrite_impact: Vec<String>,
    warnings: Vec<String>,
}

/// `platform.license.simulate`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Simulation {
    pub(crate) commands: Vec<CommandChange>,
    pub(crate) unchanged_commands: usize,
    lost_features: Vec<LostFeature>,
    quotas: Vec<QuotaChange>,
}

/// A command that would be decided otherwise.
#[derive(Deserialize)]
pub(crate) struct CommandChange {
    pub(crate) command: String,
    pub(crate) before: Short,
    pub(crate) after: Short,
}

/// A decision, in short.
#[derive(Deserialize)]
pub(crate) struct Short {
    pub(crate) runs: bool,
    pub(crate) reason: Option<String>,
    because: String,
}

impl Short {
    pub(crate) fn because(&self) -> Said<'_> {
        Said(&self.because)
    }

    pub(crate) fn text(&self) -> &str {
        if self.runs { "runs" } else { self.reason.as_deref().unwrap_or("refused") }
    }
}

#[derive(Deserialize)]
struct LostFeature {
    feature: String,
    commands: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuotaChange {
    quota: String,
    limit_before: Option<u64>,
    limit_after: Option<u64>,
    used: Option<u64>,
    exceeded: bool,
}

impl QuotaChange {
    fn number(number: Option<&u64>) -> String {
        number.map_or_else(|| "–".to_owned(), |number| grouped(*number))
    }
}

pub(crate) async fn show(operator: Operator) -> Page {
    written(&operator, None, None).await
}

async fn written(operator: &Operator, candidate: Option<Candidate>, problem: Option<Problem>) -> Page {
    let (license, quotas, features, request) = join4(
        operator.call("platform.license.status", json!({})),
        home::quotas(operator, None),
        features(operator),
        operator.call("platform.license-request.show", json!({})),
    )
    .await;
    let shell = Shell::of(operator, "License", Nav::License);
    let meters = quotas.map(|quotas| Meters { quotas });
    page_with(
        problem.as_ref(),
        &LicensePage { shell, problem: problem.clone(), license, meters, features, request, candidate },
    )
}

/// Every feature of this build, with what the platform holds of them in the end.
async fn features(operator: &Operator) -> Result<Vec<Feature>, Problem> {
    let (known, held) = join(
        operator.call::<Features>("platform.features.list", json!({})),
        operator.call_for::<Effective>(None, "platform.entitlements.effective", json!({})),
    )
    .await;
    let held = held?.effective;
    let licensed = |key: &str| held.as_ref().is_none_or(|held| held.features.contains_key(key));
    let features = known?.features.into_iter();
    Ok(features.map(|known| Feature { licensed: licensed(&known.key), known }).collect())
}

/// `POST /console/license/candidate`: what would change. Nothing does, so the page comes at once.
pub(crate) async fn candidate(Form { operator, fields }: Form) -> Page {
    let text = fields.filled("text").or_else(|| fields.filled("file"));
    let Some(text) = text else {
        let problem = Problem::entered("license", "Choose the file of a license, or paste its text.");
        return written(&operator, None, Some(problem)).await;
    };
    let input = json!({ "license": text });
    let preview = match operator.call::<Preview>("platform.license.preview", input.clone()).await {
        Ok(preview) => preview,
        Err(problem) => return written(&operator, None, Some(problem)).await,
    };
    let simulation = operator.call("platform.license.simulate", input).await;
    let id = operator.house.console.ambient.uuid();
    operator.house.candidates.keep(id, operator.principal.actor(), text, operator.now());
    let candidate = Candidate { id: id.to_string(), preview, simulation };
    written(&operator, Some(candidate), None).await
}

/// `POST /console/license/install`
pub(crate) async fn install(Form { operator, fields }: Form) -> Page {
    let kept =
        operator.house.candidates.take(fields.text("candidate"), operator.principal.actor(), operator.now());
    let Some(license) = kept else {
        let problem = Problem::entered(
            "license",
            "The license that was previewed is no longer at hand. Choose it again; nothing was installed.",
        );
        return written(&operator, None, Some(problem)).await;
    };
    match operator.call::<Value>("platform.license.install", json!({ "license": license })).await {
        Ok(_) => Ok(done(HERE, "license-installed")),
        Err(problem) => written(&operator, None, Some(problem)).await,
    }
}

/// `POST /console/license/uninstall`
pub(crate) async fn uninstall(Form { operator, .. }: Form) -> Page {
    match operator.call::<Value>("platform.license.uninstall", json!({})).await {
        Ok(_) => Ok(done(HERE, "license-uninstalled")),
        Err(problem) => written(&operator, None, Some(problem)).await,
    }
}

/// `POST /console/license/request`: the signed request, as a file.
pub(crate) async fn request(Form { operator, fields }: Form) -> Page {
    #[derive(Deserialize)]
    struct Made {
        armored: String,
    }
    match operator.call::<Made>("platform.license-request.generate", wish(&fields)).await {
        Ok(made) => Ok(file("license-request.txt", made.armored)),
        Err(problem) => written(&operator, None, Some(problem)).await,
    }
}

/// The input of a request, from the fields of `parts/request.html`.
pub(crate) fn wish(fields: &crate::form::Fields) -> Value {
    let domains = fields.text("domains").split([' ', ',', '\n']).map(str::trim).filter(|it| !it.is_empty());
    let contact = json!({
        "email": fields.text("email"),
        "givenName": fields.text("given"),
        "familyName": fields.text("family"),
        "roles": ["TECHNICAL", "ADMINISTRATOR"],
    });
    json!({
        "organizationName": fields.text("organization"),
        "contacts": [contact],
        "baseDomains": domains.collect::<Vec<_>>(),
        "renew": fields.ticked("renew"),
    })
}

/// A text that the browser saves.
pub(crate) fn file(name: &str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)], text)
        .into_response()
}

impl LicensePage {
    fn expiry(days: &i64) -> Expiry {
        Expiry::in_days(*days)
    }

    fn said(text: &str) -> Said<'_> {
        Said(text)
    }

    /// Whether what was entered as a license is wrong.
    fn wrong(&self) -> Option<&str> {
        self.problem.as_ref().filter(|problem| problem.about("license")).map(Problem::message)
    }
}
