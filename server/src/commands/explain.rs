//! `chancery explain`

use anyhow::Context;
use cli::{Explain, print};
use config::Config;
use descriptors::denial::Reason;
use jiff::Timestamp;
use kernel::{Ambient, TenantId};
use license::RunningLicense;
use pipeline::{Deciding, ExplanationView};
use store::Store;
use tenancy::Slug;

use super::license::candidate;
use crate::wire;

/// Prints the page on a reason, or how a command is decided.
pub(crate) async fn run(args: &Explain) -> anyhow::Result<()> {
    if let Ok(reason) = args.subject.parse::<Reason>() {
        print::text(reason.page())?;
        return Ok(());
    }
    let view = if let Some(config) = crate::load_if_named(&args.config)? {
        configured(args, &config, Ambient::system().now()).await?
    } else {
        anyhow::ensure!(args.tenant.is_none(), "a tenant is known to a database: name a configuration");
        eprintln!("note: no configuration is named, so this is explained without a license");
        let deciding = wire::deciding(None, &RunningLicense::unenforced())?;
        explain(&deciding, &args.subject, None)?
    };
    let view = if args.redacted { view.redacted() } else { view };
    if args.json {
        print::json(&view)?;
    } else {
        print::text(&print::explanation(&view))?;
    }
    Ok(())
}

/// As the server of this configuration would decide.
async fn configured(args: &Explain, config: &Config, now: Timestamp) -> anyhow::Result<ExplanationView> {
    let store = wire::look_at_store(config).await;
    let license = if let Some(file) = &args.license {
        candidate(config, file, now)?
    } else {
        let sources = wire::license_sources(config, &wire::inventory(Some(config))?.1)?;
        wire::look_at_license(sources, store.as_ref(), now).await
    };
    let deciding = wire::deciding(Some(config), &license)?;
    wire::look_at_entitlements(&deciding, store.as_ref(), now).await;
    let tenant = match &args.tenant {
        None => None,
        Some(slug) => Some(tenant(slug, store.as_ref()).await?),
    };
    if let Ok(store) = store {
        store.close().await;
    }
    explain(&deciding, &args.subject, tenant)
}

async fn tenant(slug: &str, store: Result<&Store, &anyhow::Error>) -> anyhow::Result<TenantId> {
    let store = store.map_err(|error| anyhow::anyhow!("failed to look up tenant `{slug}`: {error:#}"))?;
    let parsed: Slug = slug.parse()?;
    let found = tenancy::customer_tenant(store, &parsed).await?.map(|tenant| tenant.id);
    found.with_context(|| format!("there is no tenant `{slug}`"))
}

fn explain(deciding: &Deciding, command: &str, tenant: Option<TenantId>) -> anyhow::Result<ExplanationView> {
    let index = deciding.registry().find(command).with_context(|| {
        format!(
            "`{command}` is neither a command of this program nor a denial reason; `chancery coverage` lists the commands"
        )
    })?;
    Ok(deciding.explain_for(index, tenant))
}
