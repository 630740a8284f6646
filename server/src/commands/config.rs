//! `chancery config`

use cli::{ConfigCommand, ConfigFile, print};
use config::Config;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{trial, wire};

/// Carries it out.
pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<bool> {
    match command {
        ConfigCommand::Schema => print::json(&Config::json_schema())?,
        ConfigCommand::Check { config, json } => check(config, *json)?,
    }
    Ok(true)
}

/// What cannot be loaded ends with 78 before anything is said here.
fn check(file: &ConfigFile, json: bool) -> anyhow::Result<()> {
    let config = crate::load(file)?;
    crate::log_filter(&config)?;
    wire::license_sources(&config, &wire::inventory(Some(&config))?.1)?;
    trial::put_together(&config)?;
    let facts = facts(file, &config)?;
    if json {
        print::json(&facts)?;
    } else {
        for caution in trial::cautions(&config) {
            eprintln!("note: {caution}");
        }
        let facts = facts.as_object().into_iter().flatten().filter(|(_, value)| !value.is_array());
        let lines = facts.map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name:<22} {text}\n")
        });
        print::text(&lines.collect::<String>())?;
    }
    Ok(())
}

/// What the configuration comes to; nothing secret.
fn facts(file: &ConfigFile, config: &Config) -> anyhow::Result<Value> {
    let url = wire::database(config)?;
    let engine = url.expose_secret().split_once(':').map_or("unknown", |(scheme, _)| scheme);
    let license = &config.license;
    let source = match (&license.path, &license.token, &license.dev.path) {
        (Some(path), _, _) => format!("license.path: {}", path.display()),
        (None, Some(_), _) => "license.token".to_owned(),
        (None, None, Some(path)) if license.dev.enabled => format!("license.dev.path: {}", path.display()),
        _ => "none configured; one may be installed in the database".to_owned(),
    };
    let policy = config.coverage_policy();
    Ok(json!({
        "file": file.config.as_ref().map_or_else(|| "none: environment only".to_owned(), |path| path.display().to_string()),
        "deployment": config.deployment.id,
        "production": config.deployment.shape.is_production(),
        "database": engine,
        "listen": config.server.listen.to_string(),
        "publicUrl": config.server.public_url.as_ref().map_or("not stated", |url| url.as_str()),
        "licenseSource": source,
        "recipientKey": license.recipient.as_ref().map_or_else(
            || "not configured".to_owned(),
            |key| key.private_key_path.display().to_string(),
        ),
        "rootBundle": license.trust.root_ca_bundle_path.as_ref().map_or_else(
            || "not configured: every license is refused".to_owned(),
            |path| path.display().to_string(),
        ),
        "enforcement": policy.enforced,
        "missingDescriptorMode": policy.gaps,
        "cautions": trial::cautions(config),
    }))
}
