//! How the server is reached.

use std::io;

use cli::client;
use config::Config;
use tokio::net::TcpListener;

use super::{Finding, Found, Trouble};
use crate::trial;

pub(super) fn public_url(config: &Config) -> Finding<()> {
    let Some(url) = &config.server.public_url else {
        let detail =
            "`server.public-url` is not stated, so a license that is bound to base domains is refused";
        return Ok(if config.deployment.shape.is_production() {
            Found::but(detail)
        } else {
            Found::that(detail)
        });
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        let mend = "set `server.public-url` to something like `https://platform.example.com`";
        return Err(Trouble::new(format!("`{url}` is no address of a server"), mend));
    }
    Ok(Found::that(url.as_str()))
}

pub(super) async fn listen(config: &Config) -> Finding<()> {
    let address = config.server.listen;
    match TcpListener::bind(address).await {
        Ok(_) => Ok(Found::that(format!("{address} is free"))),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if client::is_served(address).await {
                return Ok(Found::that(format!("a server answers at {address}")));
            }
            let what = format!("{address} is taken by another program");
            Err(Trouble::new(what, "stop that program, or set `server.listen` to another address"))
        }
        Err(error) => {
            let what = format!("failed to listen on {address}: {error}");
            Err(Trouble::new(
                what,
                "set `server.listen` to an address of this machine that may be listened on",
            ))
        }
    }
}

pub(super) fn production(config: &Config) -> Found<()> {
    let cautions = trial::cautions(config);
    if !cautions.is_empty() {
        return Found::but(cautions.join("; "));
    }
    if !config.deployment.shape.is_production() {
        return Found::that("`deployment.shape` does not say `environment = \"production\"`");
    }
    Found::that("commands are enforced")
}
