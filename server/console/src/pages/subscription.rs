//! `/console/tenants/{id}/subscription`: what a tenant holds beyond what all inherit, with what that makes of it.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Path;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answers::{Held, Tenant},
    form::Form,
    html::{Page, When, page_with},
    pages::{
        done,
        license::CommandChange,
        tenants,
        terms::{self, Editor, Terms},
    },
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

#[derive(Template)]
#[template(path = "pages/subscription.html")]
struct SubscriptionPage {
    shell: Shell,
    problem: Option<Problem>,
    tenant: Tenant,
    /// `None` where there is none yet.
    subscription: Option<Subscription>,
    revision: i64,
    editor: Editor,
    preview: Option<Preview>,
}

/// `platform.subscriptions.list`
#[derive(Deserialize)]
struct Subscriptions {
    subscriptions: Vec<Subscription>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    revision: i64,
    status: String,
    not_after: Option<When>,
    terms: Terms,
    changed_at: When,
    changed_by: String,
    in_force: bool,
}

/// `platform.subscriptions.preview`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    before: Option<Held>,
    after: Option<Held>,
    commands: Vec<CommandChange>,
    unchanged_commands: usize,
    beyond_license: Vec<String>,
}

/// One thing that is held, before and after.
struct Line {
    key: String,
    before: String,
    after: String,
}

impl Line {
    fn differs(&self) -> bool {
        self.before != self.after
    }
}

impl Preview {
    fn lines(&self) -> Vec<Line> {
        let none = Held::default();
        let (before, after) = (self.before.as_ref().unwrap_or(&none), self.after.as_ref().unwrap_or(&none));
        let features: BTreeSet<&String> = before.features.keys().chain(after.features.keys()).collect();
        let quotas: BTreeSet<&String> = before.quotas.keys().chain(after.quotas.keys()).collect();
        let feature = |held: &Held, key: &str| match held.features.get(key) {
            None => "–".to_owned(),
            Some(Value::Bool(true)) => "on".to_owned(),
            Some(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        let quota = |held: &Held, key: &str| {
            held.quotas.get(key).map_or_else(|| "–".to_owned(), |limit| crate::html::grouped(*limit))
        };
        let features = features.into_iter().map(|key| Line {
            key: key.clone(),
            before: feature(before, key),
            after: feature(after, key),
        });
        let quotas = quotas.into_iter().map(|key| Line {
            key: key.clone(),
            before: quota(before, key),
            after: quota(after, key),
        });
        features.chain(quotas).collect()
    }
}

pub(crate) async fn show(operator: Operator, Path(id): Path<String>) -> Page {
    written(&operator, &id, None, None, None).await
}

async fn written(
    operator: &Operator,
    id: &str,
    entered: Option<(Terms, i64)>,
    preview: Option<Preview>,
    problem: Option<Problem>,
) -> Page {
    let tenant = tenants::get(operator, id).await?;
    // Asked for as a list: that there is none yet is no failure, and the audit shall not say so.
    let found: Subscriptions =
        operator.call("platform.subscriptions.list", json!({ "tenantId": id })).await?;
    let subscription = found.subscriptions.into_iter().next();
    let kept = subscription.as_ref().map(|it: &Subscription| (it.terms.clone(), it.revision));
    let (terms, revision) = entered.or(kept).unwrap_or_default();
    let editor = terms::editor(operator, &terms).await?;
    let shell = Shell::of(operator, format!("Subscription of {}", tenant.name), Nav::Tenants);
    page_with(
        problem.as_ref(),
        &SubscriptionPage {
            shell,
            problem: problem.clone(),
            tenant,
            subscription,
            revision,
            editor,
            preview,
        },
    )
}

/// `POST /console/tenants/{id}/subscription`: looks at what it would make, or makes it.
pub(crate) async fn change(Path(id): Path<String>, Form { operator, fields }: Form) -> Page {
    let revision = fields.text("revision").parse().unwrap_or(0);
    if fields.text("do") == "cancel" {
        let input = json!({ "tenantId": id, "revision": revision });
        return match operator.call::<Value>("platform.subscriptions.cancel", input).await {
            Ok(_) => Ok(done(&format!("/console/tenants/{id}"), "subscription-set")),
            Err(problem) => written(&operator, &id, None, None, Some(problem)).await,
        };
    }
    let wanted = match terms::entered(&fields) {
        Ok(wanted) => wanted,
        Err(problem) => return written(&operator, &id, None, None, Some(problem)).await,
    };
    let entered = serde_json::from_value(wanted.clone()).ok().map(|terms| (terms, revision));
    if fields.text("do") == "set" {
        let input = json!({ "tenantId": id, "revision": revision, "terms": wanted });
        return match operator.call::<Value>("platform.subscriptions.set", input).await {
            Ok(_) => Ok(done(&format!("/console/tenants/{id}"), "subscription-set")),
            Err(problem) => written(&operator, &id, entered, None, Some(problem)).await,
        };
    }
    let input = json!({ "tenantId": id, "terms": wanted });
    match operator.call("platform.subscriptions.preview", input).await {
        Ok(preview) => written(&operator, &id, entered, Some(preview), None).await,
        Err(problem) => written(&operator, &id, entered, None, Some(problem)).await,
    }
}
