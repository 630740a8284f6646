//! From a request to a call and back.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{self, Method as HttpMethod, StatusCode, Uri, header::CONTENT_TYPE, request::Parts},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, get},
};
use descriptors::route::{HttpRoute, Method};
use futures_util::{FutureExt as _, future::Either};
use kernel::{Category, Cx};
use serde_json::{Value, json};
use tower::Service as _;

use crate::{
    Api, RouterError, caller,
    edge::{Arrival, around, edge},
    exposure::{self, ALIVE, COMMAND, COMMANDS, Exposed, METRICS, OPENAPI, READY},
    failure::Failure,
    fields::Fields,
    input::{self, Gathered, Incoming, Queried},
    inventory, openapi,
    serve::Arriving,
};

/// What the routes work with.
pub(crate) struct Mounted {
    pub(crate) api: Api,
    pub(crate) commands: BTreeMap<&'static str, Exposed>,
    /// Where those are that are there only for a while.
    passing_paths: BTreeSet<&'static str>,
    documents: Documents,
}

pub(crate) type Answer = Result<Json<Value>, Failure>;
pub(crate) type Path = Result<RawPathParams, RawPathParamsRejection>;

/// Everything the adapter answers, and what was put beside it.
#[derive(Clone)]
pub struct Routes {
    mounted: Arc<Mounted>,
    router: Router,
}

impl Routes {
    /// Also answers what this router does.
    #[must_use]
    pub fn beside(self, pages: Router) -> Self {
        Self { router: self.router.merge(pages), ..self }
    }

    /// The call of a command by its id is the hot path, and does not go through the router: for one known prefix that costs
    /// more than it finds out.
    pub(crate) fn answer(
        &self,
        connected: SocketAddr,
        mut request: http::Request<Arriving>,
    ) -> impl Future<Output = Result<Response, Infallible>> {
        let id = request.uri().path().strip_prefix(COMMANDS).and_then(|rest| rest.strip_prefix('/'));
        let called = id.filter(|_| request.method() == HttpMethod::POST);
        if let Some(command) = called.and_then(|id| self.mounted.commands.get(id)) {
            let called = |arrival, request| {
                self.mounted.called(command, arrival, request).map(IntoResponse::into_response)
            };
            Either::Left(around(&self.mounted, Some(connected), request, called).map(Ok))
        } else {
            request.extensions_mut().insert(ConnectInfo(connected));
            Either::Right(self.router.clone().call(request.map(Body::new)))
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

/// The routes of the adapter. Fails when those of the commands do not fit together.
pub fn routes(api: Api) -> Result<Routes, RouterError> {
    let commands = exposure::exposed(&api);
    let placed = exposure::routes(commands.values())?;
    let passing = commands.values().filter(|command| command.is_passing);
    let passing_paths = passing.flat_map(Exposed::routes).map(|route| route.path()).collect();
    let mounted = Arc::new(Mounted { api, commands, passing_paths, documents: Documents::default() });

    let mut all = Router::new()
        .route(COMMANDS, get(inventory::list))
        .route(COMMAND, get(inventory::show).post(command))
        .route(OPENAPI, get(document))
        .route(ALIVE, get(async || Json(json!({ "status": "ok" }))))
        .route(READY, get(ready))
        .route(METRICS, get(metrics));
    for (path, methods) in placed {
        let served = methods.into_values().fold(MethodRouter::new(), |served, (command, route)| {
            let fields = Fields::of(&command.contract.input());
            let endpoint = Arc::new(Endpoint { command, route, fields });
            let handler = async move |State(mounted): State<Arc<Mounted>>, path: Path, request: Request| {
                endpoint.answer(&mounted, path, request).await
            };
            served.on(filter(route.method()), handler)
        });
        all = all.route(&path, served);
    }
    let router = all
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(Arc::clone(&mounted), edge))
        .with_state(Arc::clone(&mounted));
    Ok(Routes { mounted, router })
}

/// What is mounted, while an opening is open and after. Made when it is first asked for: most servers never are, and making it
/// takes more memory than all else there is at the start.
#[derive(Default)]
struct Documents {
    while_open: OnceLock<Bytes>,
    lasting: OnceLock<Bytes>,
}

impl Mounted {
    pub(crate) async fn command(&self, path: Path) -> Result<&Exposed, Failure> {
        let path = well_formed(path)?;
        let id = path.iter().next().map_or("", |(_, id)| id);
        let command = self.commands.get(id).ok_or_else(|| Failure::unknown_command(id))?;
        if self.is_there(command).await? { Ok(command) } else { Err(Failure::unknown_command(id)) }
    }

    /// `POST /api/commands/{id}`: the body is the input, as it is.
    fn called(
        &self,
        command: &Exposed,
        arrival: Arrival,
        request: http::Request<impl Incoming>,
    ) -> impl Future<Output = Answer> {
        let (parts, body) = request.into_parts();
        async move {
            if !self.is_there(command).await? {
                return Err(Failure::unknown_command(command.id().as_str()));
            }
            let queried = Queried::of(&parts.uri)?;
            queried.without_fields()?;
            let cx = caller::cx(&self.api, &arrival, &parts, queried.tenant.as_deref()).await?;
            let input = self.body(&arrival, &parts, body).await?;
            self.run(cx, command, input).await
        }
    }

    async fn is_there(&self, command: &Exposed) -> Result<bool, Failure> {
        Ok(!command.is_passing || self.api.openings.are_open().await?)
    }

    fn document(&self, while_open: bool) -> Bytes {
        let made = if while_open { &self.documents.while_open } else { &self.documents.lasting };
        let written = || {
            let shown = self.commands.iter().filter(|(_, it)| while_open || !it.is_passing);
            let shown = shown.map(|(id, it)| (*id, *it)).collect::<BTreeMap<_, _>>();
            let routes = exposure::routes(shown.values()).expect("routes that fit together, or some of them");
            openapi::document(&shown, &routes).to_string().into()
        };
        made.get_or_init(written).clone()
    }

    async fn run(&self, cx: Cx, command: &Exposed, input: Value) -> Answer {
        let correlation = cx.correlation().clone();
        let answer = self.api.bus.dispatch_json_at(cx, command.index, input).await;
        answer.map(Json).map_err(|fault| Failure::of_fault(&fault, self.api.denial_status, &correlation))
    }

    async fn body(&self, arrival: &Arrival, parts: &Parts, body: impl Incoming) -> Result<Value, Failure> {
        let left = || arrival.left(self.api.ambient.now());
        input::read(&parts.headers, body, self.api.limits.max_body_bytes, left).await
    }
}

/// The call of a command whose id is not written plainly, or is none.
async fn command(State(mounted): State<Arc<Mounted>>, path: Path, request: Request) -> Answer {
    let command = mounted.command(path).await?;
    mounted.called(command, arrival(&request), request).await
}

fn arrival(request: &Request) -> Arrival {
    request.extensions().get().cloned().expect("the edge stands around every route")
}

/// A route of a command.
struct Endpoint {
    command: Exposed,
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
        if !mounted.is_there(&self.command).await? {
            return Err(nothing_at(request.uri()));
        }
        let path = well_formed(path)?;
        let arrival = arrival(&request);
        let (parts, body) = request.into_parts();
        let queried = Queried::of(&parts.uri)?;
        let cx = caller::cx(&mounted.api, &arrival, &parts, queried.tenant.as_deref()).await?;
        let gathered = if self.route.method().has_body() {
            queried.without_fields()?;
            Gathered::body(mounted.body(&arrival, &parts, body).await?)?
        } else {
            Gathered::query(queried, &self.fields)
        };
        let input = gathered.path(self.route.parameters(), &path, &self.fields)?.into_value();
        let status = StatusCode::from_u16(self.route.status()).expect("a route states a status");
        Ok((status, mounted.run(cx, &self.command, input).await?))
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

async fn document(State(mounted): State<Arc<Mounted>>) -> Result<impl IntoResponse, Failure> {
    let document = mounted.document(mounted.api.openings.are_open().await?);
    Ok(([(CONTENT_TYPE, "application/json")], document))
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
