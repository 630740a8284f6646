//! The onboarding policy that is there until another is chosen (semantics 7.3): a server whose assembly names
//! `BootstrapOnly`, called over HTTP, on both databases.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use chancery_acceptance::{answer, code, nobody};
use http_api::{
    Api, Authenticate, BoxFuture, Connections, Credential, DenialStatus, Measure, Openings, Ready,
    ResolveTenant, ResolvedTenant, Standing, Unavailable,
};
use kernel::{Ambient, Authenticated, Bus, CommandId, Cx, Line, Modules, Principal, TenantId};
use reqwest::{Method, StatusCode};
use sdk::prelude::{Migration, Permission};
use serde_json::{Value, json};
use tenancy::{
    BootstrapOnly, ONBOARDING, ONBOARDING_READ, ONBOARDING_WRITE, ROOT_TENANTS, SUBTENANTS, Settings,
    TENANT_DEPTH, TENANTS_READ, TENANTS_WRITE, TOTAL_TENANTS, Tenancy, TenantCount,
};
use testkit::Testkit;
use uuid::Uuid;

const TENANTS: &str = "/api/platform/admin/v1/tenants";
const APPLICATION: TenantId = TenantId(Uuid::from_u128(1));
const PREPARED: &[Migration] = &[
    tenancy::MIGRATIONS[0],
    Migration {
        version: 99_991_231_000_000,
        name: "the application tenant of the test",
        sql: "INSERT INTO tenancy_tenant VALUES ('00000000-0000-0000-0000-000000000001', 'platform', 'organization',
                  'Platform', NULL, NULL, 0, 'ACTIVE', 1, 0, 0, 0, 'system', 0, 'system', NULL);",
    },
];

/// Knows one operator, who may do everything, and what else an adapter stands on.
struct House(Ambient);

impl Authenticate for House {
    fn authenticate<'a>(
        &'a self,
        credential: Credential<'a>,
    ) -> BoxFuture<'a, Result<Option<Principal>, Unavailable>> {
        let permissions = [TENANTS_READ, TENANTS_WRITE, ONBOARDING_READ, ONBOARDING_WRITE];
        let known = matches!(credential, Credential::Bearer("operator")).then(|| Authenticated {
            id: "operator:test".to_owned(),
            home: Some(APPLICATION),
            permissions: permissions.map(Permission::as_str).into_iter().collect::<BTreeSet<_>>(),
            aal: 1,
            authenticated_at: self.0.now(),
            session: None,
        });
        Box::pin(async { Ok(known.map(|known| Principal::Authenticated(Arc::new(known)))) })
    }

    fn csrf_token(&self, _: &str) -> String {
        String::new()
    }
}

impl ResolveTenant for House {
    fn by_slug<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }

    fn by_id(&self, id: TenantId) -> BoxFuture<'_, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async move { Ok(Some(ResolvedTenant { id, standing: Standing::Active })) })
    }

    fn by_host<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }
}

impl Openings for House {
    fn concern(&self, _: CommandId) -> bool {
        false
    }

    fn are_open(&self) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(async { Ok(false) })
    }
}

impl Ready for House {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

impl Measure for House {
    fn text(&self) -> Result<String, fmt::Error> {
        Ok(String::new())
    }
}

/// Serves until the test ends, and answers where.
async fn serve(bus: Bus, ambient: Ambient) -> String {
    let house = Arc::new(House(ambient.clone()));
    let api = Api {
        bus,
        ambient,
        authenticator: Arc::clone(&house) as _,
        proxies: Vec::new(),
        tenants: Arc::clone(&house) as _,
        openings: Arc::clone(&house) as _,
        production: true,
        denial_status: DenialStatus::default(),
        limits: http_api::Limits { max_body_bytes: 1 << 20, request_timeout: Duration::from_secs(30) },
        ready: Arc::clone(&house) as _,
        metrics: house,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Connections {
        most: 100,
        idle: Duration::from_secs(30),
        patience: Duration::from_secs(30),
        tls: None,
        ambient: Ambient::system(),
    };
    let routes = http_api::routes(api).unwrap();
    tokio::spawn(http_api::serve(listener, routes, connections, std::future::pending(), Duration::ZERO));
    url
}

kit::on_both_engines! {
    async fn until_a_policy_is_chosen_only_the_process_itself_registers(url: &str) {
        let line = Line::default();
        let testkit = {
            let line = line.clone();
            let mount = move |store: &store::Store| {
                let settings = Settings { line: line.clone(), ..Settings::none() };
                Modules::none().mount(Tenancy::new(store.clone(), APPLICATION, settings))
            };
            Testkit::new(PREPARED, mount)
        };
        let testkit = testkit
            .in_database(url)
            .guarded(ONBOARDING, BootstrapOnly)
            .counting(ROOT_TENANTS, TenantCount::Root)
            .counting(TOTAL_TENANTS, TenantCount::Total)
            .counting(TENANT_DEPTH, TenantCount::Depth)
            .licensed("chancery")
            .featuring(SUBTENANTS)
            .limiting(ROOT_TENANTS, 100)
            .limiting(TOTAL_TENANTS, 100)
            .limiting(TENANT_DEPTH, 10);
        let (bus, ambient) = (testkit.bus().await, testkit.cx().ambient().clone());
        line.connect(&bus);
        let url = serve(bus.clone(), ambient.clone()).await;
        let operator = |method: Method, path: &str| nobody(&url, method, path).bearer_auth("operator");
        let itself = async |slug: &str, parent: Option<&Value>, source: &str| {
            let cx = Cx::new(ambient.clone(), Principal::System).with_tenant(APPLICATION);
            let wanted = json!({ "slug": slug, "parentTenantId": parent, "source": source });
            bus.dispatch_json(cx, "tenancy.tenants.register", wanted).await
        };

        let first = itself("first", None, "BOOTSTRAP").await.unwrap()["tenantId"].clone();
        let beneath = format!("{TENANTS}/{}/children", first.as_str().unwrap());
        let everything = json!({
            "rootTenantCreationEnabled": true, "adminInviteEnabled": true, "selfSignupEnabled": true,
            "subtenantSignupEnabled": true, "requireApprovalForSelfSignup": false,
        });
        // Switches are those of another policy.
        for switched in [false, true] {
            if switched {
                let switching = operator(Method::PUT, "/api/platform/admin/v1/application/onboarding");
                assert_eq!(answer(switching.json(&everything)).await.0, StatusCode::OK);
            }
            for path in [TENANTS, &beneath] {
                let body = json!({ "slug": "acme" });
                let refused = answer(operator(Method::POST, path).json(&body)).await;
                assert_eq!(code(&refused), (403, "onboarding_refused"), "{path}");
                let stranger = answer(nobody(&url, Method::POST, path).json(&body)).await;
                assert_eq!(code(&stranger), (401, "authentication_required"), "{path}");
            }
            for parent in [None, Some(&first)] {
                for source in ["SELF_SIGNUP", "OPERATOR"] {
                    let refused = itself("acme", parent, source).await.unwrap_err();
                    assert_eq!(refused.code(), "onboarding_refused", "{source} {parent:?}");
                }
            }
        }
        // Nobody outside can say that they are the process.
        let said = json!({ "slug": "acme", "source": "BOOTSTRAP" });
        let refused = answer(operator(Method::POST, TENANTS).json(&said)).await;
        assert_eq!(code(&refused), (400, "invalid_input"));
        let register = operator(Method::POST, "/api/commands/tenancy.tenants.register").json(&said);
        assert_eq!(code(&answer(register).await), (404, "unknown_command"));

        itself("branch", Some(&first), "BOOTSTRAP").await.unwrap();
        let (_, page) = answer(operator(Method::GET, TENANTS)).await;
        let slugs: Vec<_> = page["tenants"].as_array().unwrap().iter().map(|it| &it["slug"]).collect();
        assert_eq!(slugs, ["branch", "first"]);
    }
}
