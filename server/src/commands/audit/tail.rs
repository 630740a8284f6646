//! `chancery audit tail`

use audit::{Event, Outcome};
use cli::{AuditFilter, AuditTail, client, print};
use jiff::Timestamp;
use platform::audit::tail::Tail;
use serde_json::{Value, json};

/// How long the server is asked to wait for news.
const WAIT_SECONDS: u32 = 20;

pub(super) async fn run(args: &AuditTail) -> anyhow::Result<bool> {
    let server = client::Server::of(&args.ask.credentials)?;
    let wanted = Wanted::of(&args.filter)?;
    let mut after = if args.all { json!({}) } else { Value::Null };
    let mut left = args.count;
    loop {
        let input = json!({ "after": after, "waitSeconds": WAIT_SECONDS });
        let Some(answer) = server.call("platform.audit.tail", &input).await? else { return Ok(false) };
        if after.is_null() {
            eprintln!("waiting for events");
        }
        after = answer["next"].clone();
        let tail: Tail = serde_json::from_value(answer)?;
        for entry in tail.events.iter().filter(|entry| wanted.has(&entry.event)) {
            if left == Some(0) {
                return Ok(true);
            }
            let line =
                if args.ask.json { serde_json::to_string(entry)? + "\n" } else { super::line(&entry.event) };
            print::text(&line)?;
            left = left.map(|left| left - 1);
        }
        if left == Some(0) {
            return Ok(true);
        }
    }
}

/// The filter, read.
struct Wanted<'f> {
    filter: &'f AuditFilter,
    result: Option<Outcome>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl<'f> Wanted<'f> {
    fn of(filter: &'f AuditFilter) -> anyhow::Result<Self> {
        let time = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
        let result = filter.result.as_deref().map(str::parse).transpose()?;
        Ok(Self { filter, result, from: time(&filter.from)?, to: time(&filter.to)? })
    }

    fn has(&self, event: &Event) -> bool {
        let is = |wanted: &Option<String>, said: Option<&str>| wanted.is_none() || wanted.as_deref() == said;
        is(&self.filter.tenant, event.tenant.as_deref())
            && is(&self.filter.command, event.command.as_deref())
            && is(&self.filter.module, event.module())
            && is(&self.filter.actor, Some(&event.actor))
            && is(&self.filter.trace, event.trace_id.as_deref())
            && self.result.is_none_or(|result| result == event.result)
            && self.from.is_none_or(|from| from <= event.time)
            && self.to.is_none_or(|to| event.time <= to)
    }
}
