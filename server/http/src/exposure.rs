//! Which commands are exposed, and where.

use std::collections::{BTreeMap, btree_map::Entry};

use descriptors::{
    access::{Access, Audience},
    descriptor::{LicenseDescriptor, ProtectionMode},
    route::{HttpRoute, Method},
};
use kernel::{CommandId, CommandIndex, Contract, Principal};

use crate::Api;

/// Why the routes of a program do not fit together. Start-up stops with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// Two commands claim one route.
    #[error("`{first}` and `{second}` are both mounted at `{route}`")]
    Duplicate {
        /// The command whose id comes first.
        first: CommandId,
        /// The other; the same, if it names the route twice.
        second: CommandId,
        /// The route.
        route: HttpRoute,
    },
    /// A path is not made of plain segments and whole segments `{name}`.
    #[error("`{command}` is mounted at `{route}`: a parameter is a whole segment `{{name}}`")]
    Path {
        /// The command.
        command: CommandId,
        /// Its route.
        route: HttpRoute,
    },
    /// A path that this adapter answers itself.
    #[error("`{command}` is mounted at `{route}`, which is taken")]
    Reserved {
        /// The command.
        command: CommandId,
        /// Its route.
        route: HttpRoute,
    },
}

/// Paths that this adapter answers itself.
pub(crate) const COMMANDS: &str = "/api/commands";
pub(crate) const COMMAND: &str = "/api/commands/{id}";
pub(crate) const OPENAPI: &str = "/openapi.json";
pub(crate) const ALIVE: &str = "/healthz";
pub(crate) const READY: &str = "/readyz";
pub(crate) const METRICS: &str = "/metrics";

/// A command that is exposed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposed {
    pub(crate) index: CommandIndex,
    pub(crate) contract: Contract,
    pub(crate) access: Access,
    /// Whether it is one of an opening, and so not there for ever.
    pub(crate) is_passing: bool,
}

impl Exposed {
    fn of(index: CommandIndex, contract: &Contract, api: &Api) -> Option<Self> {
        let access = *contract.facet::<Access>()?;
        let mode = contract.facet::<LicenseDescriptor>().map(LicenseDescriptor::mode);
        let hidden = access.audience() == Audience::Internal
            || mode == Some(ProtectionMode::InternalSystem)
            || (mode == Some(ProtectionMode::DevelopmentOnly) && api.production);
        let is_passing = api.openings.concern(contract.id());
        (!hidden).then_some(Self { index, contract: *contract, access, is_passing })
    }

    pub(crate) fn id(&self) -> CommandId {
        self.contract.id()
    }

    pub(crate) fn routes(&self) -> impl Iterator<Item = HttpRoute> {
        self.contract.facets::<HttpRoute>().copied()
    }

    /// Whether the inventory shows it to this caller. How well the caller has shown who they are does not matter here:
    /// they can show more.
    pub(crate) fn is_visible_to(&self, principal: &Principal) -> bool {
        match (self.access.audience(), principal) {
            (Audience::Public, _)
            | (Audience::Authenticated, Principal::Authenticated(_))
            | (_, Principal::System) => true,
            (Audience::Permission(permission), Principal::Authenticated(who)) => {
                who.permissions.contains(permission.as_str())
            }
            _ => false,
        }
    }
}

/// The exposed commands by id.
pub(crate) fn exposed(api: &Api) -> BTreeMap<&'static str, Exposed> {
    let entries = api.bus.registry().entries();
    entries
        .filter_map(|(index, entry)| Exposed::of(index, entry.contract()?, api))
        .map(|command| (command.id().as_str(), command))
        .collect()
}

/// The routes of commands: by path, with its parameters named by their place, then by method. Paths that differ only in
/// the names of their parameters are one.
pub(crate) type Routes = BTreeMap<String, BTreeMap<Method, (Exposed, HttpRoute)>>;

pub(crate) fn routes<'e>(commands: impl Iterator<Item = &'e Exposed>) -> Result<Routes, RouterError> {
    let mut routes = Routes::new();
    for command in commands {
        for route in command.routes() {
            let path = by_place(route).ok_or(RouterError::Path { command: command.id(), route })?;
            if [COMMANDS, "/api/commands/{0}", OPENAPI, ALIVE, READY, METRICS].contains(&path.as_str()) {
                return Err(RouterError::Reserved { command: command.id(), route });
            }
            match routes.entry(path).or_default().entry(route.method()) {
                Entry::Vacant(free) => free.insert((*command, route)),
                Entry::Occupied(taken) => {
                    let first = taken.get().0.id();
                    return Err(RouterError::Duplicate { first, second: command.id(), route });
                }
            };
        }
    }
    Ok(routes)
}

fn by_place(route: HttpRoute) -> Option<String> {
    let mut places = 0..;
    let segments = route.path().split('/').map(|segment| {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if is_name(name) => places.next().map(|place| format!("{{{place}}}")),
            Some(_) => None,
            // What begins with a colon or a star was a parameter in older routers, and is refused by this one.
            None if segment.contains(['{', '}']) || segment.starts_with([':', '*']) => None,
            None => Some(segment.to_owned()),
        }
    });
    Some(segments.collect::<Option<Vec<_>>>()?.join("/"))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
