//! A server on a socket of its own, and a client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chancery_http::{
    Api, Authenticate, BoxFuture, Connections, Credential, DenialStatus, Limits, Measure, Openings, Ready,
    ResolveTenant, ResolvedTenant, Standing, TENANTS_ACT, Unavailable,
};
use kernel::{Ambient, Authenticated, Bus, CommandId, Commands, Modules, Principal, Registry, TenantId};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::demo::{Demo, Gate, NOTES_WRITE};

pub(crate) const HOME: TenantId = TenantId(uuid(1));
pub(crate) const ACME: TenantId = TenantId(uuid(2));
pub(crate) const SUSPENDED: TenantId = TenantId(uuid(3));
const DELETED: TenantId = TenantId(uuid(4));

const fn uuid(last: u8) -> uuid::Uuid {
    uuid::Uuid::from_u128(last as u128)
}

/// Everything an adapter stands on, with these commands beside the demo's.
pub(crate) fn api(commands: Commands, demo: Demo) -> Api {
    let registry = Arc::new(Registry::linked_and(commands).unwrap());
    let door = registry.open(Modules::none().mount(demo)).unwrap();
    Api {
        bus: Bus::new(registry, Gate(door)),
        ambient: Ambient::system(),
        authenticator: Arc::new(Tokens),
        proxies: Vec::new(),
        tenants: Arc::new(Slugs),
        openings: Arc::new(NoOpenings),
        production: false,
        denial_status: DenialStatus::ByReason,
        limits: Limits { max_body_bytes: 1024, request_timeout: Duration::from_secs(5) },
        ready: Arc::new(Always),
        metrics: Arc::new(One),
    }
}

struct Tokens;

impl Authenticate for Tokens {
    fn authenticate<'a>(
        &'a self,
        credential: Credential<'a>,
    ) -> BoxFuture<'a, Result<Option<Principal>, Unavailable>> {
        let Credential::Bearer(bearer) = credential else { return Box::pin(async { Ok(None) }) };
        let permissions: &[&'static str] = match bearer {
            "reader" | "of-idle" | "of-gone" | "of-none" => &[],
            "writer" => &[NOTES_WRITE.as_str()],
            "operator" => &[TENANTS_ACT.as_str()],
            "outage" => return Box::pin(async { Err(Unavailable) }),
            "bug" => return Box::pin(async { panic!("a bug") }),
            _ => return Box::pin(async { Ok(None) }),
        };
        let home = match bearer {
            "of-idle" => Some(SUSPENDED),
            "of-gone" => Some(DELETED),
            "of-none" => None,
            _ => Some(HOME),
        };
        let principal = Principal::Authenticated(Arc::new(Authenticated {
            id: bearer.to_owned(),
            home,
            permissions: permissions.iter().copied().collect(),
            aal: 1,
            authenticated_at: Ambient::system().now(),
            session: None,
        }));
        Box::pin(async { Ok(Some(principal)) })
    }

    fn csrf_token(&self, session: &str) -> String {
        session.to_owned()
    }
}

struct NoOpenings;

impl Openings for NoOpenings {
    fn concern(&self, _command: CommandId) -> bool {
        false
    }

    fn are_open(&self) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(async { Ok(false) })
    }
}

struct Slugs;

const TENANTS: [(&str, ResolvedTenant); 4] = [
    ("home", ResolvedTenant { id: HOME, standing: Standing::Active }),
    ("acme", ResolvedTenant { id: ACME, standing: Standing::Active }),
    ("idle", ResolvedTenant { id: SUSPENDED, standing: Standing::Suspended }),
    ("new", ResolvedTenant { id: TenantId(uuid(5)), standing: Standing::Pending }),
];

impl ResolveTenant for Slugs {
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        let found = TENANTS.into_iter().find(|(known, _)| *known == slug);
        Box::pin(async move { Ok(found.map(|(_, tenant)| tenant)) })
    }

    fn by_id(&self, id: TenantId) -> BoxFuture<'_, Result<Option<ResolvedTenant>, Unavailable>> {
        let found = TENANTS.into_iter().find(|(_, tenant)| tenant.id == id);
        Box::pin(async move { Ok(found.map(|(_, tenant)| tenant)) })
    }

    fn by_host<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async move {
            match host.strip_suffix(".tenants.test") {
                Some(slug) => self.by_slug(slug).await,
                None => Ok(None),
            }
        })
    }
}

struct One;

impl Measure for One {
    fn text(&self) -> Result<String, std::fmt::Error> {
        Ok("one 1\n# EOF\n".to_owned())
    }
}

struct Always;

impl Ready for Always {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

/// A server. It stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
    client: reqwest::Client,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::of(api(Commands::none(), Demo::default())).await
    }

    pub(crate) async fn of(api: Api) -> Self {
        Self::with_room_for(100, api).await
    }

    pub(crate) async fn with_room_for(most: u32, api: Api) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let connections = Connections {
            most,
            idle: Duration::from_secs(5),
            patience: Duration::from_secs(5),
            tls: None,
            ambient: api.ambient.clone(),
        };
        let routes = chancery_http::routes(api).unwrap();
        let shutdown = async { drop(stopped.await) };
        let grace = Duration::from_secs(2);
        let serving = tokio::spawn(chancery_http::serve(listener, routes, connections, shutdown, grace));
        Self { address, stop: Some(stop), serving, client: reqwest::Client::new() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).answer().await
    }

    /// Runs a command by id, as nobody.
    pub(crate) async fn call(&self, id: &str, input: Value) -> Answer {
        self.request("POST", &format!("/api/commands/{id}")).json(&input).answer().await
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> std::io::Result<()> {
        drop(self.stop.take());
        self.serving.await.unwrap()
    }
}

/// Sends a request and reads its answer.
pub(crate) trait Send {
    async fn answer(self) -> Answer;
}

impl Send for RequestBuilder {
    async fn answer(self) -> Answer {
        Answer::read(self.send().await.unwrap()).await
    }
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// The answer of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The error body, of exactly this form, with this status and code.
    #[track_caller]
    pub(crate) fn failed(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        let error = body["error"].as_object().unwrap_or_else(|| panic!("no error body: {body}"));
        let keys: Vec<_> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["code", "message", "category", "correlationId", "details"]);
        assert_eq!((self.status.as_u16(), error["code"].as_str()), (status, Some(code)), "{body}");
        assert_eq!(error["correlationId"].as_str(), self.header("x-correlation-id"));
        assert!(error["details"].is_object() && !error["message"].as_str().unwrap().is_empty(), "{body}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        body["error"].clone()
    }
}
