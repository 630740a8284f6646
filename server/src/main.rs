//! `chancery`: the server and the operators' tool.

mod quickstart;
mod serve;
mod wire;

use std::{
    io::{self, IsTerminal},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use cli::{Cli, Command, ConfigFile, Format, License, print};
use config::{Config, ConfigError, LogFormat};
use descriptors::{
    coverage::{CoveragePolicy, GapMode},
    denial::Reason,
    descriptor::DeploymentShape,
};
use envelope::{LicenseRequest, Recipient};
use jiff::Timestamp;
use kernel::Ambient;
use license::{LicenseProjection, RunningLicense, Sources, State};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// The configuration is wrong (`EX_CONFIG` of sysexits).
const EX_CONFIG: u8 = 78;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            let of_configuration = error.is::<ConfigError>() || error.is::<pipeline::ColumnError>();
            if of_configuration { ExitCode::from(EX_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

/// Carries out a command. `false` means that what was asked for is not so.
async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Quickstart(args) => quickstart::run(&args).await.map(|()| true),
        Command::Serve(args) => serve(&args).await.map(|()| true),
        Command::Coverage(args) => coverage(&args),
        Command::Explain(args) => explain(&args),
        Command::License(License::Status { config, json }) => license_status(&config, json),
        Command::License(License::Request { config }) => license_request(&config),
        Command::License(License::Inspect { file, config, json }) => inspect(&file, &config, json),
        Command::Invoke(args) => cli::client::invoke(args).await,
        Command::Migrate(args) => migrate(&args).await.map(|()| true),
    }
}

/// The variables of the environment. What they may say is the configuration's business.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn load(file: &ConfigFile) -> anyhow::Result<Config> {
    Ok(Config::load(file.config.as_deref(), environment())?)
}

/// The configuration, where one is named.
fn load_if_named(file: &ConfigFile) -> anyhow::Result<Option<Config>> {
    file.config.as_ref().map(|_| load(file)).transpose()
}

fn log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log.filter)
        .with_context(|| format!("`log.filter` is not a filter: `{}`", config.log.filter))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match config.log.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}

async fn serve(args: &cli::Serve) -> anyhow::Result<()> {
    let config = load(&args.config)?;
    log(&config)?;
    let ambient = Ambient::system();
    let store = wire::open_store(&config).await?;
    up_to_date(&config, &store).await?;
    let license = if args.dev {
        RunningLicense::unenforced()
    } else {
        wire::start_license(&config, &store, &ambient).await
    };
    let assembly = wire::assemble(&config, store, license, ambient).await?;
    let listener = listen(&config).await?;
    let address = listener.local_addr()?;
    serve::serve(assembly, &config, listener, || tracing::info!(%address, "serving")).await
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.server.listen;
    TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))
}

/// Applies outstanding migrations, where that is allowed.
async fn up_to_date(config: &Config, store: &store::Store) -> anyhow::Result<()> {
    let migrations = wire::migrations();
    if config.database.migrate {
        for applied in store.migrate(&migrations).await? {
            tracing::info!(version = applied.version, name = applied.name, "migrated");
        }
        return Ok(());
    }
    let pending = store.pending(&migrations).await?.len();
    anyhow::ensure!(pending == 0, "{pending} migrations are outstanding; run `chancery migrate` first");
    Ok(())
}

fn coverage(args: &cli::Coverage) -> anyhow::Result<bool> {
    let policy = load_if_named(&args.config)?.map_or_else(bare_policy, |config| config.coverage_policy());
    let (registry, catalog) = wire::inventory()?;
    let report = pipeline::coverage(&registry, &catalog, &policy);
    match args.format {
        Format::Table => print::text(&print::coverage(&report))?,
        Format::Json => print::json(&report)?,
    }
    let failing: Vec<_> =
        report.findings.iter().filter(|finding| args.fail_on.contains(&finding.kind)).collect();
    for finding in &failing {
        eprintln!("error: {} {}: {}", finding.kind, finding.subject, finding.message);
    }
    Ok(failing.is_empty())
}

/// The policy of a deployment that configures none: warn, and nothing excepted.
fn bare_policy() -> CoveragePolicy {
    CoveragePolicy { gaps: GapMode::Warn, ..CoveragePolicy::strict() }
}

fn explain(args: &cli::Explain) -> anyhow::Result<bool> {
    if let Ok(reason) = args.subject.parse::<Reason>() {
        print::text(reason.page())?;
        return Ok(true);
    }
    let config = load_if_named(&args.config)?;
    let license = match &config {
        None => {
            eprintln!("note: no configuration is named, so this is explained without a license");
            RunningLicense::unenforced()
        }
        Some(config) => {
            let now = Ambient::system().now();
            match &args.license {
                None => RunningLicense::read(config.license_sources(), now),
                Some(file) => candidate(config, file, now),
            }
        }
    };
    let deciding = match &config {
        None => wire::deciding(bare_policy(), DeploymentShape::stating([]), "unconfigured", &license)?,
        Some(config) => {
            let shape = config.deployment.shape.clone();
            wire::deciding(config.coverage_policy(), shape, &config.deployment.id, &license)?
        }
    };
    let command = deciding.registry().find(&args.subject).with_context(|| {
        format!("`{}` is neither a command of this program nor a denial reason; `chancery coverage` lists the commands", args.subject)
    })?;
    let view = deciding.explain(command);
    if args.json {
        print::json(&view)?;
    } else {
        print::text(&print::explanation(&view))?;
    }
    Ok(true)
}

/// The license that a file would be under this configuration: a vendor's, or else one for development.
fn candidate(config: &Config, file: &Path, now: Timestamp) -> RunningLicense {
    let configured = config.license_sources();
    let file = Some(file.to_owned());
    let sold = RunningLicense::read(Sources { path: file.clone(), ..configured.clone() }, now);
    let is_for_development =
        matches!(sold.snapshot().state(), State::Invalid(state) if state.refusal().stage == "source");
    if is_for_development && configured.development.is_some() {
        return RunningLicense::read(Sources { path: None, development: file, ..configured }, now);
    }
    sold
}

fn license_status(config: &ConfigFile, json: bool) -> anyhow::Result<bool> {
    let now = Ambient::system().now();
    let license = RunningLicense::read(load(config)?.license_sources(), now);
    show(&LicenseProjection::of(&license.snapshot(), now), json)
}

/// Prints the request for a license: the public half of the recipient key leaves, the private one stays.
fn license_request(config: &ConfigFile) -> anyhow::Result<bool> {
    let config = load(config)?;
    let key = config
        .license
        .recipient
        .context("`license.recipient` is not configured: a license is sealed to that key")?;
    let pem = std::fs::read_to_string(&key.private_key_path)
        .with_context(|| format!("failed to read `{}`", key.private_key_path.display()))?;
    let recipient = Recipient::from_pem(&key.key_id, &pem)?;
    print::json(&LicenseRequest { installation_id: config.deployment.id, recipient: recipient.public() })?;
    Ok(true)
}

fn inspect(file: &Path, config: &ConfigFile, json: bool) -> anyhow::Result<bool> {
    let token =
        std::fs::read_to_string(file).with_context(|| format!("failed to read `{}`", file.display()))?;
    let outline = envelope::outline(token.trim())
        .with_context(|| format!("`{}` is not a sealed license", file.display()))?;
    let Some(config) = load_if_named(config)? else {
        if json {
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
        return Ok(true);
    };
    let now = Ambient::system().now();
    let license = candidate(&config, file, now);
    show(&LicenseProjection::of(&license.snapshot(), now), json)
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

async fn migrate(args: &cli::Migrate) -> anyhow::Result<()> {
    let config = load(&args.config)?;
    let store = wire::open_store(&config).await?;
    let migrations = wire::migrations();
    let steps =
        if args.dry_run { store.pending(&migrations).await? } else { store.migrate(&migrations).await? };
    store.close().await;
    if args.json {
        let steps: Vec<_> = steps
            .iter()
            .map(|step| serde_json::json!({ "version": step.version, "name": step.name }))
            .collect();
        print::json(&serde_json::json!({ "applied": !args.dry_run, "migrations": steps }))?;
        return Ok(());
    }
    let verb = if args.dry_run { "would apply" } else { "applied" };
    let lines: String = steps.iter().map(|step| format!("{verb} {} {}\n", step.version, step.name)).collect();
    print::text(if lines.is_empty() { "the schema is up to date\n" } else { &lines })?;
    Ok(())
}
