//! `/console/commands`: the inventory, and one command with everything that is known of it.

use askama::Template;
use axum::extract::{Path, RawQuery};
use descriptors::{
    access::{Access, Audience},
    route::HttpRoute,
};
use futures_util::future::{join, join3};
use jiff::SignedDuration;
use kernel::Contract;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answers::{Coverage, Covered, Event, Events, Quota},
    form::Fields,
    html::{Page, Said, page},
    pages::{home, part, tenants},
    pictures::{Ladder, Meters, Step},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

#[derive(Template)]
#[template(path = "pages/commands.html")]
struct Commands {
    shell: Shell,
    text: String,
    module: String,
    verdict: String,
    modules: Vec<String>,
    total: usize,
    /// How many there are like this, of which these are shown from here on.
    found: usize,
    from: usize,
    commands: Vec<Line>,
}

/// How many fit on a page: it is to be light.
const LISTED: usize = 50;

impl Commands {
    /// Where the next page begins, as the parameters of this one.
    fn next(&self) -> Option<String> {
        let next = self.from + self.commands.len();
        let (text, module, verdict) = (part(&self.text), part(&self.module), part(&self.verdict));
        (next < self.found).then(|| format!("text={text}&module={module}&verdict={verdict}&from={next}"))
    }
}

struct Line {
    covered: Covered,
    summary: &'static str,
}

pub(crate) async fn list(operator: Operator, RawQuery(query): RawQuery) -> Page {
    let fields = Fields::of_query(query.as_deref());
    let coverage: Coverage = operator.call("platform.coverage.report", json!({})).await?;
    let total = coverage.commands.len();
    let mut modules: Vec<String> = coverage.commands.iter().map(|command| command.module.clone()).collect();
    modules.dedup();
    let (text, module, verdict) = (fields.text("text"), fields.text("module"), fields.text("verdict"));
    let wanted = text.to_lowercase();
    let lines = coverage.commands.into_iter().map(|covered| {
        let summary = contract(&operator, &covered.id).map_or("", Contract::summary);
        Line { covered, summary }
    });
    let matches = |line: &Line| {
        let covered = &line.covered;
        let said = [covered.id.as_str(), line.summary]
            .into_iter()
            .chain(covered.features.iter().map(String::as_str));
        (module.is_empty() || covered.module == module)
            && (verdict.is_empty() || covered.verdict == verdict)
            && said
                .chain(covered.quotas.iter().map(String::as_str))
                .any(|it| it.to_lowercase().contains(&wanted))
    };
    let from = fields.text("from").parse().unwrap_or(0);
    let mut commands: Vec<Line> = lines.filter(matches).collect();
    let found = commands.len();
    commands.drain(..from.min(found));
    commands.truncate(LISTED);
    page(&Commands {
        shell: Shell::of(&operator, "Commands", Nav::Commands),
        found,
        from,
        commands,
        text: text.to_owned(),
        module: module.to_owned(),
        verdict: verdict.to_owned(),
        modules,
        total,
    })
}

fn contract<'o>(operator: &'o Operator, id: &str) -> Option<&'o Contract> {
    let registry = operator.house.console.bus.registry();
    registry.entry(registry.find(id)?).contract()
}

#[derive(Template)]
#[template(path = "pages/command.html")]
struct Command {
    shell: Shell,
    covered: Covered,
    summary: &'static str,
    routes: Vec<String>,
    access: String,
    input: String,
    output: String,
    tenant: String,
    explained: Result<Explained, Problem>,
    traffic: Result<Traffic, Problem>,
}

/// `platform.decisions.explain`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    verdict: String,
    exemption: Option<String>,
    reason: Option<String>,
    because: String,
    license_status: String,
    steps: Vec<Step>,
    remedies: Vec<Remedy>,
    quotas: Vec<String>,
}

impl Explanation {
    fn is_denied(&self) -> bool {
        self.verdict == "DENIED"
    }

    fn decided_by(&self) -> Said<'_> {
        Said(&self.because)
    }

    fn ladder(&self) -> Ladder {
        Ladder { steps: self.steps.clone(), denied: self.is_denied() }
    }
}

/// An explanation, with how full the quotas are that an allowed call is charged to.
struct Explained {
    explanation: Explanation,
    meters: Meters,
}

#[derive(Deserialize)]
struct Remedy {
    changes: Vec<Value>,
}

impl Remedy {
    /// The changes in words, as the command line says them.
    fn lines(&self) -> Vec<String> {
        self.changes.iter().map(change).collect()
    }
}

fn change(change: &Value) -> String {
    let text = |key: &str| match &change[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let within = |key: &str| match text(key).to_lowercase().as_str() {
        "license" => "the license".to_owned(),
        "baseline" => "the baseline".to_owned(),
        "additions" => "the tenant's subscription".to_owned(),
        other => other.to_owned(),
    };
    match text("change").as_str() {
        "installLicense" => "Install a license that is in force.".to_owned(),
        "edition" => format!("Hold edition {} of {}, or a larger one.", text("edition"), text("product")),
        "grantFeature" => format!("Grant feature {} in {}.", text("feature"), within("by")),
        "grantProduct" => {
            format!("Grant product {} with module {} in {}.", text("product"), text("module"), within("by"))
        }
        "allowCommand" => format!("Add the allow rule {} to {}.", text("key"), within("by")),
        "raiseQuota" => {
            format!("Raise quota {} in {} to {} or more.", text("quota"), within("by"), text("to"))
        }
        "removeDenyRule" => format!("Remove the deny rule {} from {}.", text("rule"), within("from")),
        "describe" => "Give the command a license descriptor, or allowlist it with a reason.".to_owned(),
        "mendDescriptor" => format!("Mend the descriptor: {}.", text("problem")),
        "declareFeature" => format!("List feature {} in the module's catalog.", text("feature")),
        _ => change.to_string(),
    }
}

struct Traffic {
    counts: Vec<(&'static str, &'static str, usize)>,
    events: Vec<Event>,
    more: bool,
}

/// How far back traffic is counted.
const TRAFFIC: SignedDuration = SignedDuration::from_hours(24);

impl Traffic {
    fn of(page: Events) -> Self {
        let results =
            [("succeeded", "good"), ("policy-denied", "warn"), ("auth-failure", "warn"), ("failed", "bad")];
        let count = |result: &str| page.events.iter().filter(|event| event.result == result).count();
        let counts = results.map(|(result, tone)| (result, tone, count(result)));
        let more = page.next.is_some();
        Self { counts: counts.into(), more, events: page.events.into_iter().take(8).collect() }
    }
}

pub(crate) async fn show(operator: Operator, Path(id): Path<String>, RawQuery(query): RawQuery) -> Page {
    let fields = Fields::of_query(query.as_deref());
    let tenant = fields.text("tenant");
    let since = operator.now().checked_sub(TRAFFIC).unwrap_or_default();
    let wanted = json!({ "commandId": id, "from": since.to_string(), "limit": 1000 });
    let (coverage, explained, traffic) = join3(
        operator.call::<Coverage>("platform.coverage.report", json!({})),
        explain(&operator, &id, tenant),
        operator.call::<Events>("platform.audit.query", wanted),
    )
    .await;
    let covered = coverage?.commands.into_iter().find(|command| command.id == id);
    let covered = covered.ok_or_else(|| Problem::not_found(format!("There is no command {id}.")))?;
    let contract = contract(&operator, &id).copied();
    let routes = contract.iter().flat_map(Contract::facets::<HttpRoute>);
    let pretty = |schema: Option<Value>| {
        schema.and_then(|schema| serde_json::to_string_pretty(&schema).ok()).unwrap_or_default()
    };
    page(&Command {
        shell: Shell::of(&operator, id, Nav::Commands),
        summary: contract.as_ref().map_or("", Contract::summary),
        routes: routes.map(|route| format!("{} {}", route.method().as_str(), route.path())).collect(),
        access: contract
            .as_ref()
            .and_then(Contract::facet::<Access>)
            .map_or_else(|| "nobody outside: it does not say who may run it".to_owned(), access),
        input: pretty(contract.map(|contract| contract.input().to_value())),
        output: pretty(contract.map(|contract| contract.output().to_value())),
        tenant: tenant.to_owned(),
        explained,
        traffic: traffic.map(Traffic::of),
        covered,
    })
}

/// For a tenant named by its slug, or for the platform itself.
async fn explain(operator: &Operator, id: &str, slug: &str) -> Result<Explained, Problem> {
    let tenant = if slug.is_empty() { None } else { Some(tenants::by_slug(operator, slug).await?.tenant_id) };
    let asked = json!({ "command": id, "tenantId": tenant });
    let (explanation, quotas) = join(
        operator.call_for::<Explanation>(None, "platform.decisions.explain", asked),
        home::quotas(operator, tenant),
    )
    .await;
    let explanation = explanation?;
    let charged = |quota: &Quota| explanation.quotas.contains(&quota.quota_key);
    // Without them the explanation still stands.
    let quotas = quotas.unwrap_or_default().into_iter().filter(charged).collect();
    Ok(Explained { explanation, meters: Meters { quotas } })
}

fn access(access: &Access) -> String {
    let who = match access.audience() {
        Audience::Public => "anyone".to_owned(),
        Audience::Authenticated => "anyone who is signed in".to_owned(),
        Audience::Permission(permission) => format!("whoever holds {}", permission.as_str()),
        Audience::Internal => "only the process itself".to_owned(),
    };
    let level = match access.aal().get() {
        1 => String::new(),
        level => format!(", with assurance level {level}"),
    };
    let age = access.max_age().map(|age| format!(", signed in at most {} s ago", age.as_secs()));
    format!("{who}{level}{}", age.unwrap_or_default())
}
