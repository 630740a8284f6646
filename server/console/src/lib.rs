//! The operators' console: pages beneath `/console` that show what the kernel knows, and forms that call commands.
//!
//! A page is a file of `pages/`: what it asks the bus for, what it shows, and the template beside it in `templates/`. Every
//! call passes the column with the signed-in principal, so access, license, quota and audit apply as they do to anyone.
//!
//! **Invariant: the console decides nothing.** It reads no table, knows no license, and holds no right of its own.
//!
//! **Invariant: everything that changes state is a form.** It works without script, and is answered by a redirect. Script
//! refreshes, and nothing else.
//!
//! **Invariant: nothing is loaded from elsewhere.** Style and script are in the program; the content security policy allows
//! no other source, and nothing inline.

mod answers;
mod assets;
mod edge;
mod form;
mod html;
mod pages;
mod pictures;
mod problem;
mod shell;
mod upload;
mod visitor;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use http_api::{Authenticate, Openings};
use kernel::{Ambient, Bus};

use crate::upload::Candidates;

/// What the console stands on. Nothing here has a default.
pub struct Console {
    /// Where calls go.
    pub bus: Bus,
    /// Time and randomness.
    pub ambient: Ambient,
    /// Who tells sessions apart.
    pub authenticator: Arc<dyn Authenticate>,
    /// Who knows whether the first setup is still to be done.
    pub openings: Arc<dyn Openings>,
    /// The proxies before this server, whose word on where a request comes from is believed.
    pub proxies: Vec<IpAddr>,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// The largest form.
    pub max_body_bytes: usize,
}

pub(crate) struct House {
    console: Console,
    candidates: Candidates,
}

/// The pages, to be merged with what else is served. They are all beneath `/console`, but for `/`, which leads there.
pub fn router(console: Console) -> Router {
    let house = Arc::new(House { console, candidates: Candidates::none() });
    pages::routes().layer(from_fn_with_state(Arc::clone(&house), edge::edge)).with_state(house)
}
