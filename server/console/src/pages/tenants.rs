//! `/console/tenants`: the tree, and one tenant with what belongs to it.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, RawQuery};
use futures_util::future::{join3, join4};
use http_api::TENANTS_ACT;
use kernel::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answers::{Effective, Quota, Tenant},
    form::{Fields, Form},
    html::{Page, When, page_with},
    pages::{done, home, license::file, part},
    pictures::Meters,
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

/// How many tenants fit on a page.
const LISTED: u32 = 100;

/// `tenancy.tenants.list`
#[derive(Deserialize)]
pub(crate) struct TenantPage {
    pub(crate) tenants: Vec<Tenant>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "pages/tenants.html")]
struct Tenants {
    shell: Shell,
    fields: Fields,
    problem: Option<Problem>,
    tenants: Result<TenantPage, Problem>,
    /// The quotas that a new tenant counts against.
    caps: Vec<Quota>,
}

pub(crate) async fn list(operator: Operator, RawQuery(query): RawQuery) -> Page {
    written(&operator, Fields::of_query(query.as_deref()), None).await
}

async fn written(operator: &Operator, fields: Fields, problem: Option<Problem>) -> Page {
    let mut wanted = fields.input(&["status", "after"]);
    if let Some(slug) = fields.filled("find") {
        wanted.insert("slug".to_owned(), slug.into());
    }
    wanted.insert("limit".to_owned(), LISTED.into());
    let is_whole = ["find", "status", "after"].iter().all(|name| fields.text(name).is_empty());
    let (tenants, own, quotas) = join3(
        operator.call::<TenantPage>("tenancy.tenants.list", Value::Object(wanted)),
        async { if is_whole { own(operator).await } else { None } },
        home::quotas(operator, None),
    )
    .await;
    let tenants = tenants.map(|page| {
        let tenants = as_tree(own.into_iter().chain(page.tenants).collect());
        TenantPage { tenants, ..page }
    });
    // The meters are help beside the form; without them it still stands.
    let caps = quotas.unwrap_or_default().into_iter().filter(|quota| quota.quota_key.starts_with("tenants."));
    let caps = caps.collect();
    let shell = Shell::of(operator, "Tenants", Nav::Tenants);
    page_with(problem.as_ref(), &Tenants { shell, fields, problem: problem.clone(), tenants, caps })
}

/// The tenant of whoever belongs to a customer's. Their list is of those beneath it.
async fn own(operator: &Operator) -> Option<Tenant> {
    let home = operator.who()?.home.filter(|_| !operator.holds(TENANTS_ACT))?;
    get(operator, &home.to_string()).await.ok()
}

/// Each tenant before those beneath it. One whose parent is on another page stands where its name puts it.
fn as_tree(tenants: Vec<Tenant>) -> Vec<Tenant> {
    let here: BTreeSet<TenantId> = tenants.iter().map(|tenant| tenant.tenant_id).collect();
    let mut beneath: BTreeMap<Option<TenantId>, Vec<Tenant>> = BTreeMap::new();
    for tenant in tenants {
        beneath
            .entry(tenant.parent_tenant_id.filter(|parent| here.contains(parent)))
            .or_default()
            .push(tenant);
    }
    let mut open: Vec<Tenant> = beneath.remove(&None).unwrap_or_default();
    open.reverse();
    let mut tree = Vec::new();
    while let Some(tenant) = open.pop() {
        open.extend(beneath.remove(&Some(tenant.tenant_id)).unwrap_or_default().into_iter().rev());
        tree.push(tenant);
    }
    tree
}

/// `POST /console/tenants`: a tenant at the root, or beneath another.
pub(crate) async fn create(Form { operator, fields }: Form) -> Page {
    let mut input = fields.input(&["slug", "name", "description"]);
    let parent = fields.filled("parent").map(str::to_owned);
    let command = match &parent {
        None => "tenancy.tenants.create",
        Some(parent) => {
            input.insert("tenantId".to_owned(), parent.as_str().into());
            "tenancy.children.create"
        }
    };
    match (operator.call::<Tenant>(command, Value::Object(input)).await, parent) {
        (Ok(tenant), _) => Ok(done(&format!("/console/tenants/{}", tenant.tenant_id), "tenant-created")),
        (Err(problem), None) => written(&operator, fields, Some(problem)).await,
        (Err(problem), Some(parent)) => detail(&operator, &parent, fields, Some(problem)).await,
    }
}

/// The tenant with this slug.
pub(crate) async fn by_slug(operator: &Operator, slug: &str) -> Result<Tenant, Problem> {
    let page: TenantPage = operator.call("tenancy.tenants.list", json!({ "slug": slug })).await?;
    page.tenants.into_iter().next().ok_or_else(|| Problem::not_found(format!("There is no tenant {slug}.")))
}

#[derive(Template)]
#[template(path = "pages/tenant.html")]
struct TenantDetail {
    shell: Shell,
    fields: Fields,
    problem: Option<Problem>,
    tenant: Tenant,
    ancestors: Vec<Tenant>,
    children: Result<TenantPage, Problem>,
    domains: Result<Domains, Problem>,
    meters: Result<Meters, Problem>,
    effective: Result<Effective, Problem>,
}

/// `tenancy.domains.list`
#[derive(Deserialize)]
struct Domains {
    domains: Vec<Domain>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    domain: String,
    kind: String,
    is_primary: bool,
    verified_at: Option<When>,
    challenge: Option<Challenge>,
}

#[derive(Deserialize)]
struct Challenge {
    name: String,
    value: String,
}

impl Domain {
    /// Whether it is the tenant's own, rather than one beneath the platform's.
    fn is_custom(&self) -> bool {
        self.kind == "CUSTOM_DOMAIN"
    }
}

/// No tree is deeper than this.
const DEEPEST: usize = 16;

pub(crate) async fn show(operator: Operator, Path(id): Path<String>) -> Page {
    detail(&operator, &id, Fields::default(), None).await
}

async fn detail(operator: &Operator, id: &str, fields: Fields, problem: Option<Problem>) -> Page {
    let tenant = get(operator, id).await?;
    let asked = json!({ "tenantId": id });
    let (children, domains, quotas, effective) = join4(
        operator.call("tenancy.children.list", json!({ "tenantId": id, "limit": LISTED })),
        operator.call("tenancy.domains.list", asked.clone()),
        home::quotas(operator, Some(tenant.tenant_id)),
        operator.call("platform.entitlements.effective", asked),
    )
    .await;
    let ancestors = ancestors(operator, &tenant).await;
    let detail = TenantDetail {
        shell: Shell::of(operator, tenant.name.clone(), Nav::Tenants),
        fields,
        problem: problem.clone(),
        tenant,
        ancestors,
        children,
        domains,
        meters: quotas.map(|quotas| Meters { quotas }),
        effective,
    };
    page_with(problem.as_ref(), &detail)
}

pub(crate) async fn get(operator: &Operator, id: &str) -> Result<Tenant, Problem> {
    operator.call("tenancy.tenants.get", json!({ "tenantId": id })).await
}

/// Those it stands beneath, from the root on. Where one may not be seen, the way ends.
async fn ancestors(operator: &Operator, tenant: &Tenant) -> Vec<Tenant> {
    let (mut above, mut next) = (Vec::new(), tenant.parent_tenant_id);
    while let Some(id) = next.filter(|_| above.len() < DEEPEST) {
        let Ok(tenant) = get(operator, &id.to_string()).await else { break };
        next = tenant.parent_tenant_id;
        above.push(tenant);
    }
    above.reverse();
    above
}

impl TenantDetail {
    fn is_active(&self) -> bool {
        self.tenant.status == "ACTIVE"
    }

    /// What was entered, after something was wrong with it.
    fn value(&self, name: &str) -> &str {
        self.fields.text(name)
    }
}

/// What a form on the page of a tenant calls, and what it says then.
async fn change(form: Form, id: &str, command: &'static str, input: Value, word: &str) -> Page {
    match form.operator.call::<Value>(command, input).await {
        Ok(_) => Ok(done(&format!("/console/tenants/{}", part(id)), word)),
        Err(problem) => detail(&form.operator, id, form.fields, Some(problem)).await,
    }
}

/// `POST /console/tenants/{id}/status`
pub(crate) async fn status(Path(id): Path<String>, form: Form) -> Page {
    let input = json!({ "tenantId": id, "status": form.fields.text("status") });
    change(form, &id, "tenancy.lifecycle.update", input, "tenant-changed").await
}

/// `POST /console/tenants/{id}/delete`
pub(crate) async fn delete(Path(id): Path<String>, form: Form) -> Page {
    match form.operator.call::<Value>("tenancy.tenants.delete", json!({ "tenantId": id })).await {
        Ok(_) => Ok(done("/console/tenants", "tenant-removed")),
        Err(problem) => detail(&form.operator, &id, form.fields, Some(problem)).await,
    }
}

/// `POST /console/tenants/{id}/domains`: add one, or do something to one.
pub(crate) async fn domains(Path(id): Path<String>, form: Form) -> Page {
    let input = json!({ "tenantId": id, "domain": form.fields.text("domain") });
    let (command, word) = match form.fields.text("do") {
        "verify" => ("tenancy.domains.verify", "domain-verified"),
        "prefer" => ("tenancy.domains.prefer", "domain-changed"),
        "remove" => ("tenancy.domains.remove", "domain-removed"),
        _ => ("tenancy.domains.add", "domain-added"),
    };
    change(form, &id, command, input, word).await
}

/// `POST /console/tenants/{id}/export`: the register, taken on behalf of the tenant and charged to it.
pub(crate) async fn export(Path(id): Path<String>, form: Form) -> Page {
    let tenant = get(&form.operator, &id).await?;
    let called = form.operator.call_for::<Value>(Some(tenant.tenant_id), "tenancy.tenants.export", json!({}));
    match called.await {
        Ok(register) => {
            let text = serde_json::to_string_pretty(&register).unwrap_or_default();
            Ok(file("tenants.json", text))
        }
        Err(problem) => detail(&form.operator, &id, form.fields, Some(problem)).await,
    }
}

impl Tenants {
    fn value(&self, name: &str) -> &str {
        self.fields.text(name)
    }

    fn wrong(&self, field: &str) -> Option<&str> {
        self.problem.as_ref().filter(|problem| problem.about(field)).map(Problem::message)
    }

    fn is_narrowed(&self) -> bool {
        !self.value("find").is_empty() || !self.value("status").is_empty()
    }

    /// How deep a row is indented; the picture has a few levels.
    fn level(tenant: &Tenant) -> u32 {
        tenant.depth.min(5)
    }

    fn next(page: &TenantPage) -> Option<String> {
        page.next.as_deref().map(part)
    }

    fn meters(&self) -> Meters {
        Meters { quotas: self.caps.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(id: u128, parent: Option<u128>) -> Tenant {
        let of = |id| TenantId(uuid::Uuid::from_u128(id));
        Tenant {
            tenant_id: of(id),
            slug: format!("t{id}"),
            name: String::new(),
            description: None,
            parent_tenant_id: parent.map(of),
            depth: 1,
            status: String::new(),
            created_at: When(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn each_tenant_stands_before_those_beneath_it() {
        let listed = vec![
            tenant(1, Some(3)),
            tenant(2, Some(1)),
            tenant(3, None),
            tenant(4, Some(3)),
            tenant(5, Some(99)),
        ];
        let tree: Vec<_> = as_tree(listed).into_iter().map(|tenant| tenant.slug).collect();
        assert_eq!(tree, ["t3", "t1", "t2", "t4", "t5"]);
    }
}
