//! `chancery audit query`

use audit::Page;
use cli::{AuditQuery, client, print};

pub(super) async fn run(args: &AuditQuery) -> anyhow::Result<bool> {
    let server = client::Server::of(&args.ask.credentials)?;
    let mut input = args.filter.input();
    input.insert("limit".to_owned(), args.limit.into());
    if let Some(cursor) = &args.cursor {
        input.insert("cursor".to_owned(), cursor.clone().into());
    }
    let Some(answer) = server.call("platform.audit.query", &input.into()).await? else { return Ok(false) };
    if args.ask.json {
        print::json(&answer)?;
        return Ok(true);
    }
    let page: Page = serde_json::from_value(answer)?;
    print::text(&page.events.iter().map(|entry| super::line(&entry.event)).collect::<String>())?;
    if let Some(next) = page.next {
        eprintln!("there is more: --cursor {next}");
    }
    Ok(true)
}
