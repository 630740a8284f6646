//! `chancery audit verify`

use anyhow::Context;
use audit::{Seals, Verification};
use cli::{AuditVerify, client, print};

pub(super) async fn run(args: &AuditVerify) -> anyhow::Result<bool> {
    let found = if let Some(config) = &args.part.config {
        let range = super::range(&args.part)?;
        let (log, store) = super::look_at_log(config).await?;
        let found = log.verify(&range, &[]).await;
        store.close().await;
        found?
    } else {
        let credentials = args.part.credentials.as_deref().context("name a server or a configuration")?;
        let server = client::Server::of(credentials)?;
        let input = args.part.input().into();
        let Some(answer) = server.call("platform.audit.verify", &input).await? else { return Ok(false) };
        serde_json::from_value::<Verification>(answer)?
    };
    if args.json {
        print::json(&found)?;
    } else {
        print::text(&told(&found))?;
    }
    for broken in &found.broken {
        eprintln!("error: {broken}");
    }
    Ok(found.intact)
}

fn told(found: &Verification) -> String {
    let seals = match found.seals {
        Seals::Checked => "checked",
        Seals::Unchecked => "not checked: there is no key here",
    };
    format!(
        "intact        {intact}\nchains        {}\nevents        {}\ncheckpoints   {}\nseals         {seals}\nnot sealed    {}\n",
        found.scopes,
        found.events,
        found.checkpoints,
        found.unsealed,
        intact = if found.intact { "yes" } else { "NO" },
    )
}
