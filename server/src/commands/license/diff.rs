//! `chancery license diff`

use anyhow::Context;
use cli::print;
use envelope::VerifiedLicense;
use jiff::Timestamp;
use kernel::Ambient;
use license::{Diff, Sources};
use secrecy::ExposeSecret;

use super::{catalog, token};
use crate::wire;

pub(super) fn run(args: &cli::Diff) -> anyhow::Result<bool> {
    let config = crate::load(&args.config)?;
    let catalog = catalog(&config)?;
    let sources = wire::license_sources(&config, &catalog)?;
    let now = Ambient::system().now();
    let (old, new) = (open(&sources, &args.old, now)?, open(&sources, &args.new, now)?);
    let diff = Diff::between(old.claims(), new.claims(), &catalog);
    if args.json {
        print::json(&diff)?;
    } else {
        print::text(&print::diff(&diff))?;
    }
    Ok(!args.exit_code || diff.is_empty())
}

fn open(sources: &Sources, file: &std::path::Path, now: Timestamp) -> anyhow::Result<VerifiedLicense> {
    let opened = sources.open(token(file)?.expose_secret(), now);
    opened
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))
        .with_context(|| format!("`{}` does not open", file.display()))
}
