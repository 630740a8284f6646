//! Configuration and database.

use cli::ConfigFile;
use config::Config;
use license::Sources;
use store::{Engine, Store, StoreError};

use super::{Finding, Found, Trouble};
use crate::{Program, trial, wire};

pub(super) fn configuration(file: &ConfigFile) -> Finding<(Config, Sources)> {
    let mend = "set the named key right; `chancery config check` repeats this, `chancery config schema` lists \
                the keys";
    let config = crate::load(file).map_err(|error| Trouble::new(format!("{error:#}"), mend))?;
    crate::log_filter(&config).map_err(|error| Trouble::new(error.to_string(), mend))?;
    config.catalog().map_err(|error| Trouble::new(error.to_string(), mend))?;
    let sources =
        wire::inventory(Some(&config)).and_then(|(_, catalog)| wire::license_sources(&config, &catalog));
    let damaged = "this program is damaged: take a sound build of it";
    let sources = sources.map_err(|error| Trouble::new(format!("{error:#}"), damaged))?;
    let place = file
        .config
        .as_ref()
        .map_or_else(|| "the environment alone".to_owned(), |path| format!("`{}`", path.display()));
    let detail = format!("{place}, deployment `{}`", config.deployment.id);
    Ok(Found::new((config, sources), detail))
}

pub(super) fn secrets(config: &Config) -> Finding<()> {
    let mend = "put the secret where its key says, readable for this program, or name another place: `file:`, `env:` or \
                `k8s:`";
    let count = config.try_secrets().map_err(|error| Trouble::new(error.to_string(), mend))?;
    Ok(Found::that(if count == 0 { "none is named".to_owned() } else { format!("{count} can be read") }))
}

pub(super) fn parts(config: &Config) -> Finding<()> {
    let mend = "set the named key right; `chancery config check` repeats this";
    trial::put_together(config).map_err(|error| Trouble::new(format!("{error:#}"), mend))?;
    Ok(Found::that("what is configured fits together"))
}

pub(super) async fn database(config: &Config) -> Finding<Store> {
    match wire::look_at_store(config).await {
        Ok(store) => {
            let engine = match store.engine() {
                Engine::Sqlite => "SQLite file",
                Engine::Postgres => "PostgreSQL",
            };
            Ok(Found::new(store, format!("{engine} answers")))
        }
        Err(error) => Err(Trouble::new(
            format!("{error:#}"),
            "set `database.url` right, or start the database; `chancery migrate` makes a new one",
        )),
    }
}

pub(super) async fn schema(program: &Program, store: &Store) -> Finding<()> {
    match store.pending(&program.migrations()).await {
        Ok(pending) if pending.is_empty() => Ok(Found::that("up to date")),
        Ok(pending) => {
            let what = format!("{} migrations are outstanding", pending.len());
            Err(Trouble::new(what, "run `chancery migrate`"))
        }
        Err(error @ (StoreError::SchemaNewer { .. } | StoreError::MigrationChanged { .. })) => {
            Err(Trouble::new(error.to_string(), "run the program that migrated it, or a later one"))
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            Err(Trouble::new(
                format!("{error:#}"),
                "see whether the database answers and `database.url` may write",
            ))
        }
    }
}
