//! `chancery audit verify`

use anyhow::Context;
use audit::{Mark, Seals, Verification};
use cli::{AuditVerify, client, print};

pub(super) async fn run(args: &AuditVerify) -> anyhow::Result<bool> {
    let kept: Option<Mark> = args.checkpoint.as_deref().map(str::parse).transpose()?;
    let found = if let Some(config) = &args.part.config {
        let range = super::range(&args.part)?;
        let (log, store) = super::look_at_log(config).await?;
        let found = log.verify(&range, kept.map(|kept| kept.to_string()).as_slice()).await;
        store.close().await;
        found?
    } else {
        let credentials = args.part.credentials.as_deref().context("name a server or a configuration")?;
        let server = client::Server::of(credentials)?;
        let mut input = args.part.input();
        input.extend(kept.map(|kept| ("checkpoint".to_owned(), kept.to_string().into())));
        let Some(answer) = server.call("platform.audit.verify", &input.into()).await? else {
            return Ok(false);
        };
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
    let last = found.last_checkpoint.map_or_else(|| "none".to_owned(), |mark| mark.to_string());
    format!(
        "intact        {intact}\nchains        {}\nevents        {}\ncheckpoints   {}\nseals         {seals}\nnot sealed    {}\nlast          {last}\n",
        found.scopes,
        found.events,
        found.checkpoints,
        found.unsealed,
        intact = if found.intact { "yes" } else { "NO" },
    )
}
