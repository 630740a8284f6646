//! `chancery quota`

use anyhow::Context;
use cli::{Quota, client::Server, print};
use platform::quotas::list::QuotaList;
use serde_json::json;

/// Prints how far quotas are used. `false` when the server did not tell.
pub(crate) async fn run(args: &Quota) -> anyhow::Result<bool> {
    let server = Server::of(&args.ask.credentials)?;
    let answer = server.call_for(args.tenant.as_deref(), "platform.quotas.list", &json!({})).await?;
    let Some(answer) = answer else { return Ok(false) };
    if args.ask.json {
        print::json(&answer)?;
        return Ok(true);
    }
    let list: QuotaList = serde_json::from_value(answer).context("failed to read the server's answer")?;
    print::text(&print::quotas(&list.quotas))?;
    Ok(true)
}
