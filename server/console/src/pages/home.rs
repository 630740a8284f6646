//! `GET /console`: what needs attention first, and how the platform is.

use askama::Template;
use futures_util::future::join4;
use kernel::TenantId;
use serde::Deserialize;
use serde_json::json;

use crate::{
    answers::{Coverage, Events, License, Quota, Tone},
    html::{Page, counted, page},
    pictures::{Expiry, Meters, Share, Shares, Timeline},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

#[derive(Template)]
#[template(path = "pages/home.html")]
struct Home {
    shell: Shell,
    attention: Vec<Attention>,
    license: Result<License, Problem>,
    meters: Result<Meters, Problem>,
    denials: Result<Timeline, Problem>,
    coverage: Result<Coverage, Problem>,
}

/// Something that should be looked at.
struct Attention {
    tone: Tone,
    level: &'static str,
    text: String,
    path: &'static str,
    leads: &'static str,
}

pub(crate) async fn show(operator: Operator) -> Page {
    let since = operator.now().checked_sub(Timeline::SPAN).unwrap_or_default();
    let refused = json!({ "result": "policy-denied", "from": since.to_string(), "limit": 1000 });
    let (license, quotas, denials, coverage) = join4(
        operator.call::<License>("platform.license.status", json!({})),
        quotas(&operator, None),
        operator.call::<Events>("platform.audit.query", refused),
        operator.call::<Coverage>("platform.coverage.report", json!({})),
    )
    .await;
    let denials = denials.map(|page| Timeline::of(&page.events, operator.now()));
    let home = Home {
        attention: attention(&license, &quotas, &coverage),
        shell: Shell::of(&operator, "Home", Nav::Home),
        license,
        meters: quotas.map(|quotas| Meters { quotas }),
        denials,
        coverage,
    };
    page(&home)
}

/// `GET /console/meters`: the meters alone, fetched anew while somebody looks.
pub(crate) async fn meters(operator: Operator) -> Page {
    page(&Meters { quotas: quotas(&operator, None).await? })
}

/// The quotas of a tenant, or of the platform, those that are fullest first.
pub(crate) async fn quotas(operator: &Operator, tenant: Option<TenantId>) -> Result<Vec<Quota>, Problem> {
    #[derive(Deserialize)]
    struct Listed {
        quotas: Vec<Quota>,
    }
    let scope = if tenant.is_some() { "TENANT" } else { "PLATFORM" };
    let asked = json!({ "tenantId": tenant });
    let listed: Listed = operator.call_for(None, "platform.quotas.list", asked).await?;
    let mut quotas = listed.quotas;
    quotas.retain(|quota| quota.scope == scope);
    quotas.sort_by(|one, other| {
        other.share(true).total_cmp(&one.share(true)).then_with(|| one.quota_key.cmp(&other.quota_key))
    });
    Ok(quotas)
}

fn attention(
    license: &Result<License, Problem>,
    quotas: &Result<Vec<Quota>, Problem>,
    coverage: &Result<Coverage, Problem>,
) -> Vec<Attention> {
    let mut found = Vec::new();
    if let Ok(license) = license {
        if license.tone() != "good" {
            found.push(Attention {
                tone: license.tone(),
                level: if license.tone() == "bad" { "Act now" } else { "Soon" },
                text: format!("{} {}", license.meaning(), license.detail.as_deref().unwrap_or_default()),
                path: "/console/license",
                leads: "License",
            });
        }
        found.extend(license.warnings.iter().map(|warning| {
            let urgent = warning.days_left.is_some_and(|days| days <= 7);
            Attention {
                tone: if urgent { "bad" } else { "warn" },
                level: if urgent { "Act now" } else { "Soon" },
                text: warning.text(),
                path: "/console/license",
                leads: "License",
            }
        }));
    }
    if let Ok(quotas) = quotas {
        found.extend(quotas.iter().filter(|quota| quota.is_full()).map(|quota| Attention {
            tone: "bad",
            level: "Full",
            text: format!(
                "{}: {} of {} used. Commands that count against it are refused.",
                quota.quota_key,
                quota.used_text(),
                quota.limit_text()
            ),
            path: "/console/license",
            leads: "Quotas",
        }));
    }
    if let Ok(coverage) = coverage {
        let defects = coverage.count("defect");
        if defects > 0 {
            found.push(Attention {
                tone: "bad",
                level: "Mend",
                text: format!(
                    "{} with a defect in what licensing asks.",
                    counted(defects, "command", "commands")
                ),
                path: "/console/coverage",
                leads: "Coverage",
            });
        }
        let gaps = coverage.count("gap");
        if gaps > 0 && coverage.missing_descriptor_mode == "warn" {
            found.push(Attention {
                tone: "warn",
                level: "Look",
                text: format!(
                    "{} not covered by licensing; in warn mode what is not covered runs.",
                    counted(gaps, "command is", "commands are")
                ),
                path: "/console/coverage",
                leads: "Coverage",
            });
        }
    }
    found.sort_by_key(|item| item.tone != "bad");
    found
}

impl Home {
    fn expiry(days: &i64) -> Expiry {
        Expiry::in_days(*days)
    }

    fn shares(coverage: &Coverage) -> Shares {
        shares(coverage)
    }
}

pub(crate) fn shares(coverage: &Coverage) -> Shares {
    let share = |name, verdict, tone| Share { name, tone, count: coverage.count(verdict) };
    Shares {
        title: "Commands",
        shares: vec![
            share("covered", "covered", "good"),
            share("allowlisted", "allowlisted", "calm"),
            share("not covered", "gap", "warn"),
            share("defective", "defect", "bad"),
        ],
    }
}
