//! `/console/baseline`: what every tenant inherits.

use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    form::Form,
    html::{Page, When, page_with},
    pages::{
        done,
        terms::{self, Editor, Terms},
    },
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

#[derive(Template)]
#[template(path = "pages/baseline.html")]
struct BaselinePage {
    shell: Shell,
    problem: Option<Problem>,
    baseline: Baseline,
    revision: i64,
    editor: Editor,
}

/// `platform.baseline.show`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Baseline {
    revision: i64,
    /// Absent while the whole license is inherited.
    terms: Option<Terms>,
    changed_at: Option<When>,
    changed_by: Option<String>,
}

pub(crate) async fn show(operator: Operator) -> Page {
    written(&operator, None, None).await
}

async fn written(operator: &Operator, entered: Option<(Terms, i64)>, problem: Option<Problem>) -> Page {
    let baseline: Baseline = operator.call("platform.baseline.show", json!({})).await?;
    let kept = (baseline.terms.clone().unwrap_or_default(), baseline.revision);
    let (terms, revision) = entered.unwrap_or(kept);
    let editor = terms::editor(operator, &terms).await?;
    let shell = Shell::of(operator, "Baseline", Nav::Tenants);
    page_with(problem.as_ref(), &BaselinePage { shell, problem: problem.clone(), baseline, revision, editor })
}

/// `POST /console/baseline`
pub(crate) async fn change(Form { operator, fields }: Form) -> Page {
    let revision: i64 = fields.text("revision").parse().unwrap_or(0);
    let (command, input, entered) = if fields.text("do") == "clear" {
        ("platform.baseline.clear", json!({ "revision": revision }), None)
    } else {
        let wanted = match terms::entered(&fields) {
            Ok(wanted) => wanted,
            Err(problem) => return written(&operator, None, Some(problem)).await,
        };
        let entered = serde_json::from_value(wanted.clone()).ok().map(|terms| (terms, revision));
        ("platform.baseline.set", json!({ "revision": revision, "terms": wanted }), entered)
    };
    match operator.call::<Value>(command, input).await {
        Ok(_) => Ok(done("/console/baseline", "baseline-set")),
        Err(problem) => written(&operator, entered, Some(problem)).await,
    }
}
