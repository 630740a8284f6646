//! `chancery audit verify-export`

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
};

use anyhow::Context;
use audit::{ExportVerification, Seals, verify_export};
use cli::{VerifyExport, print};

use crate::{sealing, wire};

pub(super) fn run(args: &VerifyExport) -> anyhow::Result<bool> {
    let export: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.file);
        Box::new(BufReader::new(file.with_context(|| format!("failed to read `{}`", args.file.display()))?))
    };
    let seal = match &args.config {
        None => None,
        Some(file) => {
            let config = super::load(file)?;
            let sources = wire::license_sources(&config, &wire::inventory(Some(&config))?.1)?;
            Some(sealing::seal(&sources).context("there is no recipient key to check the seal with")?)
        }
    };
    let found = verify_export(export, seal)?;
    if args.json {
        print::json(&found)?;
    } else {
        print::text(&told(&found))?;
    }
    Ok(true)
}

fn told(found: &ExportVerification) -> String {
    let seals = match found.seals {
        Seals::Checked => "checked: this deployment wrote it",
        Seals::Unchecked => "not checked: it is consistent in itself, and anyone may have made it",
    };
    let mut text = format!("events        {}\nseal          {seals}\n", found.events);
    for chain in &found.chains {
        text += &format!("chain         {} {}..{} {}\n", chain.scope, chain.from, chain.to, chain.hash);
    }
    text
}
