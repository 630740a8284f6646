//! `chancery license`

mod diff;
mod inspect;
mod install;
mod request;
mod simulate;
mod status;

use std::{fs::File, io::Read, path::Path};

use anyhow::Context;
use cli::{License, print};
use config::Config;
use descriptors::catalog::Catalog;
use envelope::armor::{Label, MAX_ARMORED_BYTES, dearmor_as};
use jiff::Timestamp;
use license::{LicenseProjection, RunningLicense, Sources, State};
use secrecy::SecretString;

use crate::wire;

/// Carries it out. `false` means that what was asked for is not so.
pub(crate) async fn run(command: License) -> anyhow::Result<bool> {
    match command {
        License::Status(args) => status::run(&args).await,
        License::Request(args) => request::run(*args).await,
        License::Inspect(args) => inspect::run(&args),
        License::Install(args) => install::run(&args).await,
        License::Diff(args) => diff::run(&args),
        License::Simulate(args) => simulate::run(&args).await,
    }
}

/// The license that a file would be under this configuration: a vendor's, or else one for development.
pub(crate) fn candidate(config: &Config, file: &Path, now: Timestamp) -> anyhow::Result<RunningLicense> {
    candidate_of(wire::license_sources(config, catalog(config)?.as_ref())?, file, now)
}

fn candidate_of(configured: Sources, file: &Path, now: Timestamp) -> anyhow::Result<RunningLicense> {
    let development = configured.development.clone();
    let alone = Sources { path: None, token: None, development: None, ..configured };
    let sold = RunningLicense::read(Sources { token: Some(token(file)?), ..alone.clone() }, now);
    let is_for_development =
        matches!(sold.snapshot().state(), State::Invalid(state) if state.refusal().stage == "source");
    if is_for_development && development.is_some() {
        return Ok(RunningLicense::read(Sources { development: Some(file.to_owned()), ..alone }, now));
    }
    Ok(sold)
}

fn catalog(config: &Config) -> anyhow::Result<std::sync::Arc<Catalog>> {
    Ok(wire::inventory(Some(config))?.1)
}

/// The token in a license file, in compact or armored form.
fn token(file: &Path) -> anyhow::Result<SecretString> {
    let text = text(file)?;
    let sealed = dearmor_as(Label::License, &text);
    let token = sealed.or_else(|error| dearmor_as(Label::LicenseKey, &text).map_err(|_| error));
    Ok(token.with_context(|| format!("`{}` is not a license", file.display()))?.into_owned().into())
}

/// The text of a license file, whatever it holds; not more of it than a license may have.
fn text(file: &Path) -> anyhow::Result<String> {
    let read = || {
        let mut text = String::new();
        let longest = u64::try_from(MAX_ARMORED_BYTES).unwrap_or(u64::MAX);
        File::open(file)?.take(longest + 1).read_to_string(&mut text).map(|_| text)
    };
    read().with_context(|| format!("failed to read `{}`", file.display()))
}

/// Prints a license's state; `false` when it is not one that licenses anything.
fn show(projection: &LicenseProjection, json: bool) -> anyhow::Result<bool> {
    if json {
        print::json(projection)?;
    } else {
        print::text(&print::license(projection))?;
    }
    Ok(projection.status.is_usable())
}
