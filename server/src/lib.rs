//! The server and the operators' tool, whole: the standard modules, and those that a [`Program`] adds to them.
//!
//! The program `chancery` is `Program::standard().run()`. Whoever sells modules of their own builds a program of their own:
//!
//! ```text
//! fn main() -> std::process::ExitCode {
//!     chancery_server::Program::standard().with::<Library>().run()
//! }
//! ```

mod commands;
mod connections;
mod mail;
mod metrics;
mod notices;
mod program;
mod quickstart;
mod sealing;
mod serve;
mod settings;
mod signup;
mod sinks;
mod telemetry;
mod tenants;
mod trial;
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
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::telemetry::Telemetry;

/// The configuration is wrong (`EX_CONFIG` of sysexits).
const EX_CONFIG: u8 = 78;

pub use program::Program;

/// Carries out what the command line asks for.
async fn answer(program: &Program) -> ExitCode {
    let cli = Cli::parse();
    match run(program, cli.command).await {
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
async fn run(program: &Program, command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Quickstart(args) => quickstart::run(program, &args).await.map(|()| true),
        Command::Serve(args) => serve(program, &args).await.map(|()| true),
        Command::Coverage(args) => commands::coverage::run(&args),
        Command::Matrix(args) => commands::matrix::run(&args).map(|()| true),
        Command::Explain(args) => commands::explain::run(&args).await.map(|()| true),
        Command::Quota(args) => commands::quota::run(&args).await,
        Command::License(command) => commands::license::run(command).await,
        Command::Audit(command) => commands::audit::run(command).await,
        Command::Config(command) => commands::config::run(&command),
        Command::Completions { shell } => Ok(cli::completions(shell).map(|()| true)?),
        Command::Manual { folder } => cli::manual(&folder)
            .map(|()| true)
            .with_context(|| format!("failed to write manual pages into `{}`", folder.display())),
        Command::Doctor(args) => commands::doctor::run(program, &args).await,
        Command::Invoke(args) => cli::client::invoke(args).await,
        Command::Migrate(args) => migrate(program, &args).await.map(|()| true),
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

/// Begins to log, also to the collector, where one is configured.
fn log(config: &Config) -> anyhow::Result<Telemetry> {
    let telemetry = Telemetry::of(config)?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match config.log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(log_filter(config)?).with(lines).with(telemetry.log_layer()).init();
    Ok(telemetry)
}

async fn serve(program: &Program, args: &cli::Serve) -> anyhow::Result<()> {
    let config = load(&args.config)?;
    config.try_secrets()?;
    let telemetry = log(&config)?;
    let ambient = Ambient::system();
    let store = wire::open_store(&config).await?;
    up_to_date(program, &config, &store).await?;
    let license = if args.dev {
        RunningLicense::unenforced()
    } else {
        wire::start_license(&config, &store, &ambient).await?
    };
    let assembly = wire::assemble(program, &config, store, license, ambient, telemetry).await?;
    let listener = listen(&config).await?;
    let address = listener.local_addr()?;
    serve::serve(assembly, &config, listener, || tracing::info!(%address, "serving")).await
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.server.listen;
    TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))
}

/// Applies outstanding migrations, where that is allowed.
async fn up_to_date(program: &Program, config: &Config, store: &store::Store) -> anyhow::Result<()> {
    let migrations = program.migrations();
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

async fn migrate(program: &Program, args: &cli::Migrate) -> anyhow::Result<()> {
    let config = load(&args.config)?;
    let store = wire::open_store(&config).await?;
    let migrations = program.migrations();
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
