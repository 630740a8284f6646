//! Operators over HTTP, on both engines: cookies, forged requests, and every way of being somebody else.

use chancery_acceptance::{Fresh, MailServer, PASSWORD, Quickstart, answer, change, code, complete, text_of};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Cause, Options, Store, sqlx};

async fn set_up(database: Database, more: &str) -> (Fresh, Value) {
    let fresh = Fresh::over(database, more);
    fresh.set_up(PASSWORD).await;
    let admin = fresh.sign_in("admin@example.com", PASSWORD).await;
    (fresh, admin)
}

/// An operator with a password, invited by the administrator.
async fn operator(fresh: &Fresh, admin: &Value, wanted: Value) -> Value {
    let inviting = fresh.in_session(admin, Method::POST, "/api/identity/v1/operators");
    chancery_acceptance::operator(fresh.url(), inviting, wanted).await
}

/// Tenants that were registered when there was a license.
async fn tenants_are_there(fresh: &Fresh, ids: [&str; 2]) {
    let store = Store::open(fresh.database(), Options::default()).await.unwrap();
    let mut work = store.begin().await.unwrap();
    for id in ids {
        sqlx::query(
            "INSERT INTO tenancy_tenant (id, slug, tenant_type, name, depth, status, system, children, descendants,
                                         created_at, created_by, updated_at, updated_by)
             VALUES ($1, $2, 'organization', 'A tenant', 1, 'ACTIVE', 0, 0, 0, 0, 'a test', 0, 'a test')",
        )
        .bind(id)
        .bind(format!("t{}", &id[id.len() - 1..]))
        .execute(&mut *work)
        .await
        .unwrap();
    }
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;
}

async fn nobody_is_somebody_else(database: Database) {
    let (fresh, admin) = set_up(database, "").await;
    let me = |session: &Value| fresh.in_session(session, Method::GET, "/api/identity/v1/operators/me");
    let (_, myself) = answer(me(&admin)).await;
    assert_eq!((&myself["id"], &myself["aal"]), (&json!("operator:admin@example.com"), &json!(1)));
    let application = myself["home"].clone();

    // A session of tenant A is not one of tenant B, however it is asked for.
    let (a, b) = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b");
    tenants_are_there(&fresh, [a, b]).await;
    let tenant = |name: &str, home: &str| json!({ "name": name, "role": "tenant-admin", "home": home });
    let in_a = operator(&fresh, &admin, tenant("anna", a)).await;
    operator(&fresh, &admin, tenant("berta", b)).await;
    let asked = fresh.in_session(&in_a, Method::GET, "/api/identity/v1/operators/berta");
    assert_eq!(code(&answer(asked).await), (404, "unknown_operator"));
    let asked = fresh.in_session(&in_a, Method::GET, "/api/identity/v1/operators/anna?tenant=b");
    assert_eq!(code(&answer(asked).await), (403, "permission_required"));
    for header in ["x-tenant-id", "x-tenant", "tenant", "x-principal-id", "x-forwarded-user"] {
        let (_, myself) = answer(me(&in_a).header(header, b)).await;
        assert_eq!((&myself["home"], &myself["id"]), (&json!(a), &json!("operator:anna")), "{header}");
        let asked =
            fresh.in_session(&in_a, Method::GET, "/api/identity/v1/operators/berta").header(header, b);
        assert_eq!(code(&answer(asked).await), (404, "unknown_operator"), "{header}");
    }
    for path in [
        "/api/platform/admin/v1/application/onboarding",
        "/api/audit/v1/events",
        "/api/platform/admin/v1/application/license",
    ] {
        let asked = fresh.in_session(&in_a, Method::GET, path);
        assert_eq!(code(&answer(asked).await), (403, "permission_required"), "{path}");
    }

    // Neither the actor nor the status is the caller's to name.
    let post = |body: Value| fresh.in_session(&admin, Method::POST, "/api/identity/v1/operators").json(&body);
    for (field, value) in [
        ("actor", json!("operator:anna")),
        ("status", json!("ACTIVE")),
        ("createdBy", json!("operator:anna")),
        ("passwordHash", json!("$argon2id$x")),
        ("system", json!(true)),
        ("id", json!(a)),
    ] {
        let mut wanted = json!({ "name": "mallory", "role": "platform-admin" });
        wanted[field] = value;
        assert_eq!(code(&answer(post(wanted)).await), (400, "invalid_input"), "{field}");
    }
    let own = fresh.in_session(&in_a, Method::POST, "/api/identity/v1/operators");
    let wanted = json!({ "name": "mallory", "role": "platform-admin", "home": application });
    assert_eq!(code(&answer(own.json(&wanted)).await), (400, "role_out_of_place"));
    let own = fresh.in_session(&in_a, Method::PATCH, "/api/identity/v1/operators/anna");
    let changed = answer(own.json(&json!({ "role": "platform-admin" }))).await;
    assert_eq!(code(&changed), (400, "role_out_of_place"));

    // A token is for one purpose, and for one time.
    let made = answer(
        fresh.in_session(&admin, Method::POST, "/api/identity/v1/tokens").json(&json!({ "name": "script" })),
    )
    .await;
    let script = made.1["token"].as_str().unwrap().to_owned();
    let with = |token: &str| fresh.request(Method::GET, "/api/identity/v1/operators/me").bearer_auth(token);
    assert_eq!(answer(with(&script)).await.1["id"], "operator:admin@example.com");
    let session = admin["sessionToken"].as_str().unwrap();
    assert_eq!(code(&answer(with(session)).await), (401, "invalid_token"));
    let swapped = json!({ "sessionToken": script, "csrfToken": admin["csrfToken"] });
    assert_eq!(code(&answer(me(&swapped)).await), (401, "authentication_required"));
    let action = answer(
        fresh.in_session(&admin, Method::POST, "/api/identity/v1/operators/anna/actions").json(&json!({})),
    )
    .await;
    let action = action.1["token"].as_str().unwrap().to_owned();
    assert_eq!(code(&answer(with(&action)).await), (401, "invalid_token"));
    let complete = |token: &str| {
        let body = json!({ "token": token, "password": "another long password" });
        fresh.send(Method::POST, "/api/account-actions/v1/complete", body)
    };
    assert_eq!(code(&complete(&script).await), (404, "unknown_token"));
    assert_eq!(code(&complete(session).await), (404, "unknown_token"));
    assert_eq!(complete(&action).await.0, StatusCode::OK);
    assert_eq!(code(&complete(&action).await), (404, "unknown_token"));
    assert_eq!(code(&answer(me(&in_a)).await), (401, "authentication_required"), "her sessions ended");

    // What the database holds opens nothing.
    let dump = everything(fresh.database()).await;
    for secret in [session, &script, &action, PASSWORD, admin["csrfToken"].as_str().unwrap()] {
        assert!(!dump.contains(secret), "a secret is in the database");
    }
}

async fn a_tenant_that_is_suspended_or_gone_lets_nobody_in_until_it_is_back(database: Database) {
    let (fresh, admin) = set_up(database, "").await;
    let (a, nowhere) = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000c");
    let wanted = |home: &str| json!({ "name": "anna", "role": "tenant-admin", "home": home });
    let inviting =
        fresh.in_session(&admin, Method::POST, "/api/identity/v1/operators").json(&wanted(nowhere));
    assert_eq!(code(&answer(inviting).await), (404, "unknown_tenant"));

    tenants_are_there(&fresh, [a, "00000000-0000-4000-8000-00000000000b"]).await;
    let anna = operator(&fresh, &admin, wanted(a)).await;
    let making =
        fresh.in_session(&anna, Method::POST, "/api/identity/v1/tokens").json(&json!({ "name": "script" }));
    let script = answer(making).await.1["token"].as_str().unwrap().to_owned();
    let me = "/api/identity/v1/operators/me";
    let sign_in = || {
        let body = json!({ "name": "anna", "password": PASSWORD });
        fresh.send(Method::POST, "/api/identity/v1/sessions", body)
    };
    for (statement, refusal) in [
        ("UPDATE tenancy_tenant SET status = 'SUSPENDED' WHERE slug = 'ta'", "tenant_suspended"),
        ("UPDATE tenancy_tenant SET deleted_at = 1 WHERE slug = 'ta'", "tenant_gone"),
    ] {
        change(fresh.database(), statement).await;
        assert_eq!(code(&answer(fresh.in_session(&anna, Method::GET, me)).await), (403, refusal));
        let with = fresh.request(Method::GET, me).bearer_auth(&script);
        assert_eq!(code(&answer(with).await), (403, refusal));
        assert_eq!(code(&sign_in().await), (401, "invalid_credentials"), "{refusal}");
        change(
            fresh.database(),
            "UPDATE tenancy_tenant SET status = 'ACTIVE', deleted_at = NULL WHERE slug = 'ta'",
        )
        .await;
        assert_eq!(answer(fresh.in_session(&anna, Method::GET, me)).await.0, StatusCode::OK);
        assert_eq!(answer(fresh.request(Method::GET, me).bearer_auth(&script)).await.0, StatusCode::OK);
        assert_eq!(sign_in().await.0, StatusCode::OK);
    }
}

/// The columns of identity that hold hashes, as text.
async fn everything(database: &str) -> String {
    let store = Store::open(database, Options::default()).await.unwrap();
    let mut all = String::new();
    for query in [
        "SELECT name || coalesce(password_hash, '') FROM identity_operator",
        "SELECT id || token_hash FROM identity_session",
        "SELECT id || token_hash || name FROM identity_token",
        "SELECT id || token_hash FROM identity_action",
        "SELECT subject FROM identity_throttle",
        "SELECT metadata FROM audit_event",
    ] {
        let texts: Vec<String> = sqlx::query_scalar(query).fetch_all(store.reader()).await.unwrap();
        all += &texts.join("\n");
    }
    store.close().await;
    all
}

async fn a_forged_request_does_nothing(database: Database) {
    let (fresh, admin) = set_up(database, "").await;
    let cookie = format!("__Host-chancery-session={}", admin["sessionToken"].as_str().unwrap());
    let csrf = admin["csrfToken"].as_str().unwrap();
    let other = fresh.sign_in("admin@example.com", PASSWORD).await;
    let invite = |name: &str| {
        let wanted = json!({ "name": name, "role": "platform-auditor" });
        fresh.request(Method::POST, "/api/identity/v1/operators").header("cookie", &cookie).json(&wanted)
    };
    let refused = [
        invite("a"),
        invite("a").header("x-csrf-token", "0".repeat(64)),
        invite("a").header("x-csrf-token", other["csrfToken"].as_str().unwrap()),
        invite("a").header("x-csrf-token", csrf).header("origin", "https://elsewhere.example"),
        invite("a").header("x-csrf-token", csrf).header("sec-fetch-site", "cross-site"),
        fresh
            .request(Method::POST, "/api/commands/identity.operators.create")
            .header("cookie", &cookie)
            .json(&json!({ "name": "a", "role": "platform-auditor" })),
    ];
    for request in refused {
        assert_eq!(code(&answer(request).await), (403, "csrf_refused"));
    }
    let origin = fresh.url().to_owned();
    let good = invite("b").header("x-csrf-token", csrf).header("origin", origin);
    assert_eq!(answer(good.header("sec-fetch-site", "same-origin")).await.0, StatusCode::OK);
    let looking = fresh.request(Method::GET, "/api/identity/v1/operators").header("cookie", &cookie);
    let (_, page) = answer(looking).await;
    let names: Vec<_> = page["operators"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["admin@example.com", "b"]);
    // A bearer token wins over a cookie, and needs no such header.
    let made = fresh.in_session(&admin, Method::POST, "/api/identity/v1/tokens");
    let (_, made) = answer(made.json(&json!({ "name": "script" }))).await;
    let both = fresh.request(Method::DELETE, "/api/identity/v1/sessions/current").header("cookie", &cookie);
    let both = answer(both.bearer_auth(made["token"].as_str().unwrap())).await;
    assert_eq!(code(&both), (403, "session_required"));
    // The cookie of a session that ended is nobody's, so that its owner can sign in again.
    let out = fresh.in_session(&admin, Method::DELETE, "/api/identity/v1/sessions/current");
    assert_eq!(answer(out).await.0, StatusCode::OK);
    let again = fresh
        .request(Method::POST, "/api/identity/v1/sessions")
        .header("cookie", &cookie)
        .json(&json!({ "name": "admin@example.com", "password": PASSWORD }));
    assert_eq!(answer(again).await.0, StatusCode::OK);
}

async fn attempts_count_together_on_all_replicas(database: Database) {
    let more = "[identity.throttle]\naccount-burst = 4\naccount-period = \"PT10M\"\n\n[server]\ntrusted-proxies = [\"127.0.0.1\"]";
    let (fresh, admin) = set_up(database, more).await;
    let replica = fresh.replica();
    let attempt = async |url: &str, name: &str, password: &str| {
        let body = json!({ "name": name, "password": password });
        let response = reqwest::Client::new()
            .post(format!("{url}/api/identity/v1/sessions"))
            .header("x-forwarded-for", "203.0.113.7")
            .json(&body)
            .send()
            .await
            .unwrap();
        let wait = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), wait, response.json::<Value>().await.unwrap()["error"].clone())
    };
    let mut told = Vec::new();
    for name in ["admin@example.com", "nobody"] {
        for url in [fresh.url(), &replica.url, fresh.url(), &replica.url] {
            let (status, _, mut error) = attempt(url, name, "wrong horse battery").await;
            assert_eq!(status, 401, "{error}");
            error["correlationId"] = Value::Null;
            told.push(error);
        }
        for url in [fresh.url(), &replica.url] {
            let (status, wait, error) = attempt(url, name, PASSWORD).await;
            assert_eq!((status, &error["code"]), (429, &json!("too_many_attempts")));
            let wait: u64 = wait.unwrap().parse().unwrap();
            assert!((500..=600).contains(&wait), "{wait}");
        }
    }
    assert!(told.iter().all(|error| *error == told[0]), "unknown and wrong have one answer: {told:?}");

    // Failures are audited, with the account where there is one, and with nothing that was typed.
    let events =
        fresh.in_session(&admin, Method::GET, "/api/audit/v1/events?commandId=identity.sessions.create");
    let (_, page) = answer(events).await;
    let events = page["events"].as_array().unwrap();
    let failures: Vec<_> = events.iter().filter(|event| event["result"] == "auth-failure").collect();
    assert_eq!(failures.len(), 8, "{page}");
    assert_eq!(failures[7]["metadata"]["account"], "operator:admin@example.com");
    assert_eq!(failures[0]["metadata"].get("account"), None);
    assert!(!page.to_string().contains("horse") && !page.to_string().contains("nobody"), "{page}");
    let success = events.iter().find(|event| event["result"] == "succeeded").unwrap();
    assert_eq!(success["actorId"], "operator:admin@example.com");
}

/// The code that an authenticator app shows (RFC 6238), by another library than the product's.
fn app(secret: &Value) -> String {
    let letters = secret.as_str().unwrap().chars();
    let fives = letters.map(|letter| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap());
    let bits: String = fives.map(|five| format!("{five:05b}")).collect();
    let key: Vec<u8> =
        (0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[8 * at..8 * at + 8], 2).unwrap()).collect();
    let key = openssl::pkey::PKey::hmac(&key).unwrap();
    let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha1(), &key).unwrap();
    let step = kernel::Ambient::system().now().as_second() / 30;
    let digest = signer.sign_oneshot_to_vec(&step.to_be_bytes()).unwrap();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

async fn an_administrator_needs_a_second_factor_where_it_is_required(database: Database) {
    let more =
        "[identity]\nrequire-second-factor = true\n[identity.password]\nmemory-kib = 64\niterations = 1";
    let mut fresh = Fresh::over(database, more);
    // Asking for a license makes the key that the secrets of second factors are encrypted under.
    let wish = json!({ "organizationName": "Acme", "baseDomains": ["acme.example"], "contacts": [
        { "email": "a@acme.example", "givenName": "A", "familyName": "B", "roles": ["TECHNICAL"] }] });
    let asked = fresh.send(Method::POST, "/api/platform/setup/v1/license-request/generate", wish).await;
    assert_eq!(asked.0, StatusCode::OK, "{}", asked.1);
    fresh.set_up(PASSWORD).await;
    let session = fresh.sign_in("admin@example.com", PASSWORD).await;
    assert_eq!(session["secondFactorRequired"], true);
    let list = |session: &Value| fresh.in_session(session, Method::GET, "/api/identity/v1/operators");
    assert_eq!(code(&answer(list(&session)).await), (403, "permission_required"));

    let enroll = fresh.in_session(&session, Method::POST, "/api/identity/v1/totp").json(&json!({}));
    let (status, enrolled) = answer(enroll).await;
    assert_eq!(status, StatusCode::OK, "{enrolled}");
    let kept = text_of(fresh.database(), "SELECT totp_pending FROM identity_operator").await;
    assert!(kept.starts_with("sealed:"), "{kept}");
    let confirm = fresh.in_session(&session, Method::POST, "/api/identity/v1/totp/confirm");
    let (status, confirmed) = answer(confirm.json(&json!({ "code": app(&enrolled["secret"]) }))).await;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    assert_eq!(answer(list(&confirmed)).await.0, StatusCode::OK);
    assert_eq!(code(&answer(list(&session)).await), (401, "authentication_required"), "it was rotated");

    // A dearer hash is made when its owner signs in.
    fresh.configure("iterations = 1", "iterations = 2");
    fresh.start();
    let attempt = |code: Option<&Value>| {
        let body = json!({ "name": "admin@example.com", "password": PASSWORD, "code": code });
        fresh.send(Method::POST, "/api/identity/v1/sessions", body)
    };
    assert_eq!(code(&attempt(None).await), (401, "second_factor_required"));
    let recovery = &enrolled["recoveryCodes"][0];
    assert_eq!(attempt(Some(recovery)).await.0, StatusCode::OK);
    assert_eq!(code(&attempt(Some(recovery)).await), (401, "invalid_credentials"), "it was used");
    let hash = text_of(fresh.database(), "SELECT password_hash FROM identity_operator").await;
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{hash}");
}

/// What a deployment still holds of what lets somebody in.
async fn kept(fresh: &Fresh) -> [usize; 4] {
    let rows = chancery_acceptance::everything(fresh.database()).await;
    ["identity_session", "identity_token", "identity_action", "identity_throttle"]
        .map(|table| rows.iter().filter(|(of, _)| of == table).count())
}

async fn what_is_over_lets_nobody_in_and_is_forgotten(database: Database) {
    let (mut fresh, admin) = set_up(database, "").await;
    let post = |path: &str| fresh.in_session(&admin, Method::POST, &format!("/api/identity/v1/{path}"));
    let mut given = Vec::new();
    for name in ["fresh", "old"] {
        let (_, made) = answer(post("tokens").json(&json!({ "name": name }))).await;
        let wanted = json!({ "name": name, "role": "platform-auditor", "deliveryMethod": "MANUAL" });
        let (_, invited) = answer(post("operators").json(&wanted)).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        given.push((text(&made["token"]), text(&invited["activation"]["token"])));
    }
    let second = fresh.sign_in("admin@example.com", PASSWORD).await;
    let wrong = json!({ "name": "nobody", "password": PASSWORD });
    assert_eq!(fresh.send(Method::POST, "/api/identity/v1/sessions", wrong).await.0, 401);
    assert_eq!(kept(&fresh).await, [2, 2, 2, 2], "of attempts, the account's and the address's");

    for statement in [
        "UPDATE identity_session SET expires_at = 1
         WHERE authenticated_at = (SELECT max(authenticated_at) FROM identity_session)",
        "UPDATE identity_token SET expires_at = 1 WHERE name = 'old'",
        "UPDATE identity_action SET expires_at = 1
         WHERE operator = (SELECT id FROM identity_operator WHERE name = 'old')",
    ] {
        change(fresh.database(), statement).await;
    }
    let me = "/api/identity/v1/operators/me";
    let is_in = async |fresh: &Fresh, session: &Value| {
        answer(fresh.in_session(session, Method::GET, me)).await.0 == StatusCode::OK
    };
    let bears = async |fresh: &Fresh, token: &str| {
        answer(fresh.request(Method::GET, me).bearer_auth(token)).await.0 == StatusCode::OK
    };
    let completes = async |fresh: &Fresh, token: &str| {
        chancery_acceptance::complete(fresh.url(), token, PASSWORD).await.0 == StatusCode::OK
    };
    let ((token, action), (old_token, old_action)) = (&given[0], &given[1]);
    assert!(!is_in(&fresh, &second).await, "before anybody has looked after it");
    assert!(!bears(&fresh, old_token).await && !completes(&fresh, old_action).await);

    change(fresh.database(), "UPDATE identity_throttle SET free_at = 1").await;
    fresh.start();
    for _ in 0..100 {
        if kept(&fresh).await == [1, 1, 1, 0] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(kept(&fresh).await, [1, 1, 1, 0]);
    assert!(is_in(&fresh, &admin).await && bears(&fresh, token).await && completes(&fresh, action).await);

    // A session also ends when nobody has used it for half an hour.
    change(fresh.database(), "UPDATE identity_session SET seen_at = seen_at - 1800000000").await;
    assert!(!is_in(&fresh, &admin).await && bears(&fresh, token).await);
}

async fn while_administrators_invite_nobody_by_mail_nothing_is_left_of_an_invitation(database: Database) {
    let mail = MailServer::start();
    let mut it = Quickstart::over(database);
    it.stop();
    it.configure("[server]", "[server]\npublic-url = \"https://platform.example.com\"");
    let settings = format!(
        "[mail]\nfrom = \"no-reply@platform.example.com\"\n[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\n\
         security = \"none\"\n\n[log]",
        mail.port()
    );
    it.configure("[log]", &settings);
    it.start();
    let replica = it.replica();
    let (home, operators) = (it.tenant("demo").await, "/api/identity/v1/operators");
    let wanted = |name: &str, method: Value| {
        let address = format!("{name}@example.com");
        json!({ "name": name, "email": address, "role": "tenant-admin", "home": home, "deliveryMethod": method })
    };
    let invite = |name, method| answer(it.request(Method::POST, operators).json(&wanted(name, method)));
    let decide = async |on: bool| {
        let path = "/api/platform/admin/v1/application/onboarding";
        let decided = it.request(Method::PUT, path).json(&json!({ "adminInviteEnabled": on }));
        assert_eq!(answer(decided).await.0, StatusCode::OK);
    };
    let mailed = || {
        let mail = mail.next();
        let text = mail["text"].as_str().unwrap();
        let (_, token) = text.split_once("/console/activate#").unwrap();
        (mail["to"][0].as_str().unwrap().to_owned(), token.split_whitespace().next().unwrap().to_owned())
    };
    let url = it.credentials()["url"].as_str().unwrap().to_owned();
    let left = async || {
        let rows = chancery_acceptance::everything(it.database()).await;
        ["identity_operator", "identity_action", "mail_outbox"]
            .map(|table| rows.iter().filter(|(of, _)| of == table).count())
    };
    assert_eq!(invite("bob", json!(null)).await.0, StatusCode::OK);
    let (to, bobs) = mailed();
    assert_eq!(to, "bob@example.com");

    decide(false).await;
    let closed = async || {
        let path = "/api/platform/admin/v1/application/onboarding/availability";
        let (_, ways) = answer(replica.request(Method::GET, path)).await;
        ways["adminInvite"]["reason"] == "config_disabled_admin_invite"
    };
    for _ in 0..100 {
        if closed().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let before = left().await;
    let refusal = (403, "config_disabled_admin_invite");
    assert_eq!(code(&invite("cyd", json!(null)).await), refusal);
    assert_eq!(code(&invite("cyd", json!("MAIL")).await), refusal);
    let there = replica.request(Method::POST, operators).json(&wanted("cyd", json!(null)));
    assert_eq!(code(&answer(there).await), refusal, "on another replica");
    let again = it.request(Method::POST, &format!("{operators}/bob/actions")).json(&json!({}));
    assert_eq!(code(&answer(again).await), refusal);
    assert_eq!(left().await, before, "no operator, no link, no mail");
    assert_eq!(complete(&url, &bobs, PASSWORD).await.0, StatusCode::OK, "the link he was sent is still good");
    let audited = |command: &str| {
        let path = format!("/api/audit/v1/events?commandId={command}");
        answer(it.request(Method::GET, &path))
    };
    for (command, times) in [("identity.operators.create", 3), ("identity.actions.create", 1)] {
        let (_, page) = audited(command).await;
        let events = page["events"].as_array().unwrap().iter();
        let refused = events.filter(|event| event["errorCode"] == refusal.1).count();
        assert_eq!(refused, times, "{page}");
    }

    let (status, by_hand) = invite("cyd", json!("MANUAL")).await;
    assert_eq!(status, StatusCode::OK, "{by_hand}");
    let token = by_hand["activation"]["token"].as_str().unwrap();
    assert_eq!(complete(&url, token, PASSWORD).await.0, StatusCode::OK);
    let reset = it.request(Method::POST, &format!("{operators}/cyd/actions")).json(&json!({}));
    assert_eq!(answer(reset).await.1["deliveryState"], "QUEUED", "another password is no invitation");
    assert_eq!(mailed().0, "cyd@example.com");

    decide(true).await;
    assert_eq!(invite("dan", json!(null)).await.1["activation"]["deliveryState"], "QUEUED");
    let (to, dans) = mailed();
    assert_eq!(to, "dan@example.com", "nobody was written to in between");
    assert_eq!(complete(&url, &dans, PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_does_not_starve_the_server() {
    let more = "[identity.password]\nmemory-kib = 65536\niterations = 8\nthreads = 1\nqueue = 1";
    let fresh = Fresh::over(Database::sqlite(), more);
    let attempts: Vec<_> = (0..12)
        .map(|at| {
            let body = json!({ "name": format!("name-{at}"), "password": PASSWORD });
            let request = fresh.request(Method::POST, "/api/identity/v1/sessions").json(&body);
            tokio::spawn(async move {
                let response = request.send().await.unwrap();
                (response.status().as_u16(), response.headers().contains_key("retry-after"))
            })
        })
        .collect();
    let quick = fresh.request(Method::GET, "/healthz").timeout(std::time::Duration::from_secs(5));
    assert_eq!(answer(quick).await.0, StatusCode::OK);
    let mut answers = Vec::new();
    for attempt in attempts {
        answers.push(attempt.await.unwrap());
    }
    assert!(answers.contains(&(503, true)) && answers.contains(&(401, false)), "{answers:?}");
    assert!(answers.iter().all(|answer| [(503, true), (401, false)].contains(answer)), "{answers:?}");
}

macro_rules! on_both_engines {
    ($($name:ident)+) => {$(
        mod $name {
            use super::Database;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name(Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                super::$name(Database::postgres().await).await;
            }
        }
    )+};
}

on_both_engines! {
    nobody_is_somebody_else
    a_tenant_that_is_suspended_or_gone_lets_nobody_in_until_it_is_back
    a_forged_request_does_nothing
    attempts_count_together_on_all_replicas
    an_administrator_needs_a_second_factor_where_it_is_required
    what_is_over_lets_nobody_in_and_is_forgotten
    while_administrators_invite_nobody_by_mail_nothing_is_left_of_an_invitation
}
