//! `chancery`: the server and the operators' tool.

mod commands;
mod metrics;
mod notices;
mod quickstart;
mod serve;
mod wire;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use cli::{Cli, Command, ConfigFile, print};
use config::{Config, ConfigError, LogFormat, Origin};
use kernel::Ambient;
use license::RunningLicense;
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
        Command::Coverage(args) => commands::coverage::run(&args),
        Command::Matrix(args) => commands::matrix::run(&args).map(|()| true),
        Command::Explain(args) => commands::explain::run(&args).await.map(|()| true),
        Command::Quota(args) => commands::quota::run(&args).await,
        Command::License(command) => commands::license::run(command).await,
        Command::Config(command) => commands::config::run(&command),
        Command::Doctor(args) => commands::doctor::run(&args).await,
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

/// What is logged. A filter that is none is a mistake in the configuration.
fn log_filter(config: &Config) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&config.log.filter).map_err(|error| ConfigError::Refused {
        origin: Origin::Key("log.filter".to_owned()),
        message: format!("`{}` is not a filter: {error}", config.log.filter),
    })
}

fn log(config: &Config) -> anyhow::Result<()> {
    let filter = log_filter(config)?;
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
        wire::start_license(&config, &store, &ambient).await?
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
