//! `chancery license inspect`

use anyhow::Context;
use cli::{Inspect, print};
use kernel::Ambient;
use license::LicenseProjection;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{candidate, show, token};

pub(super) fn run(args: &Inspect) -> anyhow::Result<bool> {
    let Some(config) = crate::load_if_named(&args.config)? else { return outline(args) };
    let now = Ambient::system().now();
    let license = candidate(&config, &args.file, now)?;
    let projection = LicenseProjection::of(&license.snapshot(), now);
    let usable = show(&projection, args.json)?;
    if !usable {
        let why = projection.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        eprintln!("error: it would be {}{why}", projection.status.as_str());
    }
    Ok(usable)
}

/// What it shows without any key, which proves nothing.
fn outline(args: &Inspect) -> anyhow::Result<bool> {
    let token = token(&args.file)?;
    let token = token.expose_secret();
    if token.split('.').count() == 3 {
        let bytes = token.len();
        if args.json {
            print::json(&json!({ "format": "key", "tokenBytes": bytes }))?;
        } else {
            print::text(&format!(
                "license in key format, {bytes} bytes\n\nstate `--config FILE` to open it\n"
            ))?;
        }
        return Ok(true);
    }
    let outline = envelope::outline(token)
        .with_context(|| format!("`{}` is not a sealed license", args.file.display()))?;
    if args.json {
        print::json(&outline)?;
    } else {
        print::text(&format!(
            "sealed license, {} bytes\nalgorithms    {} {}\nrecipient     {}\n\nstate `--config FILE` to open it\n",
            outline.token_bytes,
            outline.alg,
            outline.enc,
            outline.recipient_key_id.as_deref().unwrap_or("not stated"),
        ))?;
    }
    Ok(true)
}
