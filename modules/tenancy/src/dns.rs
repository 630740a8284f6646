//! Who is asked for the TXT records that prove a domain.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RData,
};
use sdk::prelude::BoxFuture;

/// Nobody answered.
#[derive(Debug, thiserror::Error)]
#[error("the name servers did not answer")]
pub struct LookupFailed(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Looks TXT records up.
pub trait LookupTxt: Send + Sync + 'static {
    /// The texts of all records of this name; none, when there is none. Each is whole, however it was cut for its way.
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, LookupFailed>>;
}

/// Asks name servers. Nothing is remembered: who has just set a record is not told of its absence.
#[derive(Clone, Debug)]
pub struct Dns {
    servers: Vec<SocketAddr>,
}

impl Dns {
    /// Asks whom the system asks.
    pub const fn of_the_system() -> Self {
        Self { servers: Vec::new() }
    }

    /// Asks these; whom the system asks, when there are none.
    pub const fn asking(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    fn resolver(&self) -> Result<Resolver<TokioRuntimeProvider>, NetError> {
        let mut builder = if self.servers.is_empty() {
            Resolver::builder_tokio()?
        } else {
            let servers = self.servers.iter().map(|server| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                NameServerConfig::new(server.ip(), true, connections.into())
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.timeout = Duration::from_secs(3);
        options.attempts = 1;
        builder.build()
    }
}

impl LookupTxt for Dns {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, LookupFailed>> {
        Box::pin(async move {
            let failed = |error: NetError| LookupFailed(error.into());
            // The final dot: no search list of this machine applies.
            let found = self.resolver().map_err(failed)?.txt_lookup(format!("{name}.")).await;
            let found = match found {
                Ok(found) => found,
                Err(error) if error.is_no_records_found() || error.is_nx_domain() => return Ok(Vec::new()),
                Err(error) => return Err(failed(error)),
            };
            let texts = found.answers().iter().filter_map(|record| match &record.data {
                RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
                _ => None,
            });
            Ok(texts.collect())
        })
    }
}
