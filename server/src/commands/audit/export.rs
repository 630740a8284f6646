//! `chancery audit export`

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
};

use anyhow::Context;
use cli::{AuditExport, client};

pub(super) async fn run(args: &AuditExport) -> anyhow::Result<bool> {
    let mut out = open(args)?;
    let events = if let Some(config) = &args.part.config {
        let range = super::range(&args.part)?;
        let (log, store) = super::look_at_log(config).await?;
        let exported = log.export(&range, &mut out).await;
        store.close().await;
        exported?
    } else {
        let credentials = args.part.credentials.as_deref().context("name a server or a configuration")?;
        let server = client::Server::of(credentials)?;
        let input = args.part.input().into();
        let Some(answer) = server.call("platform.audit.export", &input).await? else { return Ok(false) };
        let answer: platform::audit::export::AuditExport = serde_json::from_value(answer)?;
        out.write_all(answer.export.as_bytes())?;
        answer.events
    };
    out.flush().context("failed to write the export")?;
    eprintln!("exported {events} events");
    Ok(true)
}

/// Events may be nobody else's business, so the file is its owner's.
fn open(args: &AuditExport) -> anyhow::Result<Box<dyn Write + Send>> {
    let Some(path) = &args.out else { return Ok(Box::new(io::stdout())) };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.with_context(|| format!("failed to write `{}`", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}
