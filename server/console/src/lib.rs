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

#![expect(clippy::struct_field_names, reason = "what is read of an answer is called as the answer calls it")]
#![expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand everything over by reference")]

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

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{Router, middleware::from_fn_with_state};
use http_api::{Api, Authenticate, Limits, Openings};
use kernel::{Ambient, Bus};

use crate::upload::Candidates;

/// What the console stands on.
pub struct Console {
    bus: Bus,
    ambient: Ambient,
    authenticator: Arc<dyn Authenticate>,
    openings: Arc<dyn Openings>,
    proxies: Vec<IpAddr>,
    limits: Limits,
}

impl Console {
    /// On the same as the API that it is served beside.
    pub fn beside(api: &Api) -> Self {
        Self {
            bus: api.bus.clone(),
            ambient: api.ambient.clone(),
            authenticator: Arc::clone(&api.authenticator),
            openings: Arc::clone(&api.openings),
            proxies: api.proxies.clone(),
            limits: api.limits,
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
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
