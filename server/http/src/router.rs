//! From a request to a call and back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{Method as HttpMethod, StatusCode, Uri, header::CONTENT_TYPE, request::Parts},
    middleware::from_fn_with_state,
    response::IntoResponse,
    routing::{MethodFilter, MethodRouter, get},
};
use descriptors::route::{HttpRoute, Method};
use kernel::{Category, CommandId, Cx};
use serde_json::{Value, json};

use crate::{
    Api, RouterError, caller,
    edge::{Arrival, edge},
    exposure::{self, ALIVE, COMMAND, COMMANDS, Exposed, METRICS, OPENAPI, READY},
    failure::Failure,
    fields::Fields,
    input::{self, Gathered, Queried},
    inventory, openapi,
};

/// What the routes work with.
pub(crate) struct Mounted {
    pub(crate) api: Api,
    pub(crate) commands: BTreeMap<&'static str, Exposed>,
    /// Those that are there only for a while.
    passing: BTreeSet<&'static str>,
    /// Where those are.
    passing_paths: BTreeSet<&'static str>,
}

pub(crate) type Answer = Result<Json<Value>, Failure>;
pub(crate) type Path = Result<RawPathParams, RawPathParamsRejection>;

/// Everything the adapter answers. Fails when the routes of the commands do not fit together.
pub fn router(api: Api) -> Result<Router, RouterError> {
    let commands = exposure::exposed(api.bus.registry(), api.production);
    let routes = exposure::routes(commands.values())?;
    let lasting: BTreeMap<_, _> =
        commands.iter().map(|(id, it)| (*id, *it)).filter(|(_, it)| !api.openings.concern(it.id())).collect();
    let document = Documents {
        while_open: Bytes::from(openapi::document(&commands, &routes).to_string()),
        lasting: Bytes::from(openapi::document(&lasting, &exposure::routes(lasting.values())?).to_string()),
    };
    let passing = commands.values().filter(|command| api.openings.concern(command.id()));
    let (passing, passing_paths) = passing
        .map(|command| (command.id().as_str(), command.routes().map(|route| route.path())))
        .fold((BTreeSet::new(), BTreeSet::new()), |(mut ids, mut paths), (id, routes)| {
            ids.insert(id);
            paths.extend(routes);
            (ids, paths)
        });
    let mounted = Arc::new(Mounted { api, commands, passing, passing_paths });

    let mut all = Router::new()
        .route(COMMANDS, get(inventory::list))
        .route(COMMAND, get(inventory::show).post(command))
        .route(OPENAPI, get(async move |State(mounted): State<Arc<Mounted>>| document.answer(mounted).await))
        .route(ALIVE, get(async || Json(json!({ "status": "ok" }))))
        .route(READY, get(ready))
        .route(METRICS, get(metrics));
    for (path, methods) in routes {
        let served = methods.into_values().fold(MethodRouter::new(), |served, (command, route)| {
            let fields = Fields::of(&command.contract.input());
            let endpoint = Arc::new(Endpoint { command: command.id(), route, fields });
            let handler = async move |State(mounted): State<Arc<Mounted>>, path: Path, request: Request| {
                endpoint.answer(&mounted, path, request).await
            };
            served.on(filter(route.method()), handler)
        });
        all = all.route(&path, served);
    }
    Ok(all
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(Arc::clone(&mounted), edge))
        .with_state(mounted))
}

/// What is mounted, while an opening is open and after.
#[derive(Clone)]
struct Documents {
    while_open: Bytes,
    lasting: Bytes,
}

impl Documents {
    async fn answer(self, mounted: Arc<Mounted>) -> Result<impl IntoResponse, Failure> {
        let document = if mounted.api.openings.are_open().await? { self.while_open } else { self.lasting };
        Ok(([(CONTENT_TYPE, "application/json")], document))
    }
}

impl Mounted {
    pub(crate) async fn command(&self, path: Path) -> Result<&Exposed, Failure> {
        let path = well_formed(path)?;
        let id = path.iter().next().map_or("", |(_, id)| id);
        let command = self.commands.get(id).ok_or_else(|| Failure::unknown_command(id))?;
        if self.is_there(command.id()).await? { Ok(command) } else { Err(Failure::unknown_command(id)) }
    }

    async fn is_there(&self, command: CommandId) -> Result<bool, Failure> {
        Ok(!self.is_passing(command) || self.api.openings.are_open().await?)
    }

    /// Whether it is one of an opening, and so not there for ever.
    pub(crate) fn is_passing(&self, command: CommandId) -> bool {
        self.passing.contains(command.as_str())
    }

    async fn run(&self, cx: Cx, command: CommandId, input: Value) -> Answer {
        let correlation = cx.correlation().clone();
        let answer = self.api.bus.dispatch_json(cx, command.as_str(), input).await;
        answer.map(Json).map_err(|fault| Failure::of_fault(&fault, self.api.denial_status, &correlation))
    }

    async fn body(&self, parts: &Parts, body: Body) -> Result<Value, Failure> {
        let arrival = parts.extensions.get::<Arrival>().expect("the edge stands around every route");
        let timeout = arrival.left(self.api.ambient.now());
        input::read(&parts.headers, body, self.api.limits.max_body_bytes, timeout).await
    }
}

/// `POST /api/commands/{id}`: the body is the input, as it is.
async fn command(State(mounted): State<Arc<Mounted>>, path: Path, request: Request) -> Answer {
    let command = mounted.command(path).await?.id();
    let (parts, body) = request.into_parts();
    let queried = Queried::of(&parts.uri)?;
    queried.without_fields()?;
    let cx = caller::cx(&mounted.api, &parts, queried.tenant.as_deref()).await?;
    let input = mounted.body(&parts, body).await?;
    mounted.run(cx, command, input).await
}

/// A route of a command.
struct Endpoint {
    command: CommandId,
    route: HttpRoute,
    fields: Fields,
}

impl Endpoint {
    async fn answer(
        &self,
        mounted: &Mounted,
        path: Path,
        request: Request,
    ) -> Result<(StatusCode, Json<Value>), Failure> {
        if !mounted.is_there(self.command).await? {
            return Err(nothing_at(request.uri()));
        }
        let path = well_formed(path)?;
        let (parts, body) = request.into_parts();
        let queried = Queried::of(&parts.uri)?;
        let cx = caller::cx(&mounted.api, &parts, queried.tenant.as_deref()).await?;
        let gathered = if self.route.method().has_body() {
            queried.without_fields()?;
            Gathered::body(mounted.body(&parts, body).await?)?
        } else {
            Gathered::query(queried, &self.fields)
        };
        let input = gathered.path(self.route.parameters(), &path, &self.fields)?.into_value();
        let status = StatusCode::from_u16(self.route.status()).expect("a route states a status");
        Ok((status, mounted.run(cx, self.command, input).await?))
    }
}

fn well_formed(path: Path) -> Result<RawPathParams, Failure> {
    path.map_err(|error| Failure::new("malformed_path", Category::Validation, error.body_text()))
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::GET => MethodFilter::GET,
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
    }
}

async fn ready(State(mounted): State<Arc<Mounted>>) -> Answer {
    match mounted.api.ready.ready().await {
        Ok(()) => Ok(Json(match mounted.api.ready.failing() {
            failing if failing.is_empty() => json!({ "status": "ok" }),
            failing => json!({ "status": "degraded", "failing": failing }),
        })),
        Err(reason) => Err(Failure::new("not_ready", Category::Unavailable, reason)),
    }
}

async fn metrics(State(mounted): State<Arc<Mounted>>) -> Result<impl IntoResponse, Failure> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match mounted.api.metrics.text() {
        Ok(text) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], text)),
        Err(_) => Err(Failure::new("internal", Category::Internal, "what is measured cannot be told")),
    }
}

async fn unknown_path(uri: Uri) -> impl IntoResponse {
    nothing_at(&uri)
}

fn nothing_at(uri: &Uri) -> Failure {
    Failure::new("unknown_path", Category::NotFound, format!("there is nothing at `{}`", uri.path()))
}

async fn unknown_method(
    State(mounted): State<Arc<Mounted>>,
    method: HttpMethod,
    uri: Uri,
) -> Result<(), Failure> {
    if mounted.passing_paths.contains(uri.path()) && !mounted.api.openings.are_open().await? {
        return Err(nothing_at(&uri));
    }
    let message = format!("`{}` does not take {method}", uri.path());
    Err(Failure::request(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
}
