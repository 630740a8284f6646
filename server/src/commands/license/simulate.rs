//! `chancery license simulate`

use std::collections::BTreeMap;

use anyhow::Context;
use cli::{Simulate, print};
use descriptors::catalog::Catalog;
use jiff::Timestamp;
use kernel::Ambient;
use license::Snapshot;
use quota::SqlQuota;
use store::Store;

use super::{candidate_of, catalog};
use crate::wire;

pub(super) async fn run(args: &Simulate) -> anyhow::Result<bool> {
    let config = crate::load(&args.config)?;
    let ambient = Ambient::system();
    let now = ambient.now();
    let catalog = catalog(&config)?;
    let sources = wire::license_sources(&config, &catalog)?;
    let candidate = candidate_of(sources.clone(), &args.file, now)?.snapshot();
    let store = wire::look_at_store(&config).await;
    let license = wire::look_at_license(sources, store.as_ref(), now).await;
    let present = license.snapshot();
    let recorded = match &store {
        Ok(store) => recorded(&catalog, store, &present, &ambient, now).await,
        Err(_) => BTreeMap::new(),
    };
    let deciding = wire::deciding(Some(&config), &license)?;
    wire::look_at_entitlements(&deciding, store.as_ref(), now).await;
    if let Ok(store) = store {
        store.close().await;
    }
    let simulation = deciding.simulate(&present, &candidate, &recorded);
    if !candidate.status().is_usable() {
        let why = candidate.state().detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        eprintln!("note: it would be {}{why}", candidate.status().as_str());
    }
    if args.json {
        print::json(&simulation)?;
    } else {
        print::text(&print::simulation(&simulation))?;
    }
    Ok(!args.exit_code || !simulation.takes_away())
}

async fn recorded(
    catalog: &Catalog,
    store: &Store,
    present: &Snapshot,
    ambient: &Ambient,
    now: Timestamp,
) -> BTreeMap<String, u64> {
    let quotas = SqlQuota::new(store.clone(), ambient.uuid());
    let recorded = pipeline::recorded_usage(catalog, &quotas, present.anchor(), now)
        .await
        .context("failed to read what is used of the quotas");
    recorded.unwrap_or_else(|error| {
        eprintln!("note: what is used of the quotas is not seen: {error:#}");
        BTreeMap::new()
    })
}
