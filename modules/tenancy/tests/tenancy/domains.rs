//! Domains, and who proves them to whom. The name server is a real one: a socket that speaks DNS.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use chancery_tenancy::{
    CUSTOM_DOMAINS, Challenge, Dns, DomainKind, SUBTENANTS, Tenant, TenantDomain,
    domains::{
        add::AddDomain, list::ListDomains, prefer::PreferDomain, remove::RemoveDomain, verify::VerifyDomain,
    },
    tenants::delete::DeleteTenant,
};
use testkit::{Reason, reason};
use tokio::net::UdpSocket;

use crate::support::{Deployment, child, code, deployment};

/// Answers for TXT records, and says of any other name that there is none.
#[derive(Clone, Default)]
struct NameServer(Arc<Mutex<HashMap<String, Vec<String>>>>);

impl NameServer {
    async fn start(&self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let records = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let answer = answer(&query[..length], &records.lock().unwrap());
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        address
    }

    fn holds(&self, challenge: &Challenge, value: &str) {
        self.0.lock().unwrap().entry(challenge.name.clone()).or_default().push(value.to_owned());
    }
}

/// RFC 1035, sections 4.1 and 3.3.14.
fn answer(query: &[u8], records: &HashMap<String, Vec<String>>) -> Vec<u8> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let texts = records.get(&labels.join(".")).map_or(&[][..], Vec::as_slice);
    let no_such_name = u8::from(texts.is_empty()) * 3;
    let mut answer =
        [&query[..2], &[0x81, 0x80 | no_such_name, 0, 1, 0, u8::try_from(texts.len()).unwrap(), 0, 0, 0, 0]]
            .concat();
    answer.extend(question);
    for text in texts {
        // In two pieces, as long texts are.
        let (one, two) = text.split_at(text.len() / 2);
        let length = u8::try_from(text.len() + 2).unwrap();
        answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, length]);
        for piece in [one, two] {
            answer.push(u8::try_from(piece.len()).unwrap());
            answer.extend(piece.as_bytes());
        }
    }
    answer
}

async fn with_domains(server: &NameServer) -> Deployment {
    let address = server.start().await;
    deployment(move |settings| {
        settings.platform_domain = Some("tenants.example".parse().unwrap());
        settings.custom_domains = true;
        settings.own_hosts = vec!["console.example".to_owned()];
        settings.txt = Arc::new(Dns::asking(vec![address]));
    })
    .with(|testkit| testkit.featuring(CUSTOM_DOMAINS).featuring(SUBTENANTS))
    .start()
    .await
}

fn add(tenant: &Tenant, domain: &str) -> AddDomain {
    AddDomain { tenant_id: tenant.id, domain: domain.parse().unwrap() }
}

fn verify(tenant: &Tenant, domain: &str) -> VerifyDomain {
    VerifyDomain { tenant_id: tenant.id, domain: domain.parse().unwrap() }
}

fn prefer(tenant: &Tenant, domain: &str) -> PreferDomain {
    PreferDomain { tenant_id: tenant.id, domain: domain.parse().unwrap() }
}

fn remove(tenant: &Tenant, domain: &str) -> RemoveDomain {
    RemoveDomain { tenant_id: tenant.id, domain: domain.parse().unwrap() }
}

async fn domains(it: &Deployment, tenant: &Tenant) -> Vec<TenantDomain> {
    it.testkit.run(ListDomains { tenant_id: tenant.id }).await.unwrap().domains
}

async fn at(it: &Deployment, host: &str) -> Option<String> {
    it.tenancy().by_host(host).await.unwrap().map(|tenant| tenant.slug.to_string())
}

#[tokio::test]
async fn a_tenant_comes_with_a_subdomain_of_the_platform() {
    let it = with_domains(&NameServer::default()).await;
    let acme = it.root("acme").await;
    let branch = it.testkit.run(child(&acme, "branch")).await.unwrap();
    let [subdomain] = domains(&it, &acme).await.try_into().unwrap();
    assert_eq!(
        (subdomain.domain.as_str(), subdomain.kind),
        ("acme.tenants.example", DomainKind::PlatformSubdomain)
    );
    assert!(subdomain.is_primary && subdomain.verified_at.is_some() && subdomain.challenge.is_none());
    assert_eq!(at(&it, "acme.tenants.example").await.as_deref(), Some("acme"));
    assert_eq!(at(&it, "branch.tenants.example").await, Some(branch.slug.to_string()));
    for host in
        ["a.acme.tenants.example", "platform.tenants.example", "nobody.tenants.example", "tenants.example"]
    {
        assert_eq!(at(&it, host).await, None, "{host}");
    }
    let fault = it.testkit.run(remove(&acme, "acme.tenants.example")).await.unwrap_err();
    assert_eq!(code(fault), "subdomain_stays");
}

#[tokio::test]
async fn a_domain_counts_once_its_record_holds_the_challenge() {
    let server = NameServer::default();
    let it = with_domains(&server).await;
    let acme = it.root("acme").await;
    let added = it.testkit.run(add(&acme, "Portal.ACME.example")).await.unwrap();
    assert_eq!((added.domain.as_str(), added.verified_at), ("portal.acme.example", None));
    let challenge = added.challenge.unwrap();
    assert_eq!(challenge.name, "_chancery-challenge.portal.acme.example");
    assert_eq!(at(&it, "portal.acme.example").await, None);

    assert_eq!(
        code(it.testkit.run(verify(&acme, "portal.acme.example")).await.unwrap_err()),
        "challenge_not_met"
    );
    server.holds(&challenge, "v=spf1 -all");
    server.holds(&challenge, &challenge.value[..challenge.value.len() - 1]);
    assert_eq!(
        code(it.testkit.run(verify(&acme, "portal.acme.example")).await.unwrap_err()),
        "challenge_not_met"
    );
    server.holds(&challenge, &challenge.value);
    let verified = it.testkit.run(verify(&acme, "portal.acme.example")).await.unwrap();
    assert_eq!((verified.verified_at, verified.challenge), (Some(it.testkit.now()), None));
    assert_eq!(at(&it, "Portal.Acme.Example").await.as_deref(), Some("acme"));
    it.testkit.run(verify(&acme, "portal.acme.example")).await.unwrap();
}

#[tokio::test]
async fn a_domain_is_one_tenants_and_nobody_verifies_with_anothers_challenge() {
    let server = NameServer::default();
    let it = with_domains(&server).await;
    let (acme, globex) = (it.root("acme").await, it.root("globex").await);
    let of_acme = it.testkit.run(add(&acme, "shared.example")).await.unwrap().challenge.unwrap();
    let of_globex = it.testkit.run(add(&globex, "shared.example")).await.unwrap().challenge.unwrap();
    assert_ne!(of_acme.value, of_globex.value);
    server.holds(&of_acme, &of_acme.value);
    let fault = it.testkit.run(verify(&globex, "shared.example")).await.unwrap_err();
    assert_eq!(code(fault), "challenge_not_met");
    it.testkit.run(verify(&acme, "shared.example")).await.unwrap();

    server.holds(&of_globex, &of_globex.value);
    assert_eq!(code(it.testkit.run(verify(&globex, "shared.example")).await.unwrap_err()), "domain_taken");
    assert_eq!(at(&it, "shared.example").await.as_deref(), Some("acme"));
    it.testkit.run(DeleteTenant { tenant_id: acme.id }).await.unwrap();
    assert_eq!(at(&it, "shared.example").await, None);
    it.testkit.run(verify(&globex, "shared.example")).await.unwrap();
    assert_eq!(at(&it, "shared.example").await.as_deref(), Some("globex"));
}

#[tokio::test]
async fn one_verified_domain_is_the_primary_one() {
    let server = NameServer::default();
    let it = with_domains(&server).await;
    let acme = it.root("acme").await;
    let challenge = it.testkit.run(add(&acme, "acme.example")).await.unwrap().challenge.unwrap();
    assert_eq!(code(it.testkit.run(prefer(&acme, "acme.example")).await.unwrap_err()), "domain_not_verified");
    server.holds(&challenge, &challenge.value);
    it.testkit.run(verify(&acme, "acme.example")).await.unwrap();
    it.testkit.run(prefer(&acme, "acme.example")).await.unwrap();
    it.testkit.run(prefer(&acme, "acme.example")).await.unwrap();
    let primary = |domains: Vec<TenantDomain>| {
        let primary = domains.into_iter().filter(|domain| domain.is_primary);
        primary.map(|domain| domain.domain.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(primary(domains(&it, &acme).await), ["acme.example"]);
    it.testkit.run(remove(&acme, "acme.example")).await.unwrap();
    assert_eq!(primary(domains(&it, &acme).await), ["acme.tenants.example"]);
    assert_eq!(at(&it, "acme.example").await, None);
    assert_eq!(code(it.testkit.run(remove(&acme, "acme.example")).await.unwrap_err()), "unknown_domain");
}

#[tokio::test]
async fn what_belongs_to_the_platform_is_no_tenants_domain() {
    let it = with_domains(&NameServer::default()).await;
    let acme = it.root("acme").await;
    for domain in ["tenants.example", "globex.tenants.example", "a.b.tenants.example", "console.example"] {
        assert_eq!(
            code(it.testkit.run(add(&acme, domain)).await.unwrap_err()),
            "domain_not_allowed",
            "{domain}"
        );
    }
    it.testkit.run(add(&acme, "mytenants.example")).await.unwrap();
    assert_eq!(code(it.testkit.run(add(&acme, "mytenants.example")).await.unwrap_err()), "domain_present");
}

#[tokio::test]
async fn a_domain_of_ones_own_needs_the_feature() {
    let it = deployment(|_| {}).start().await;
    let acme = it.root("acme").await;
    for fault in [
        it.testkit.run(add(&acme, "acme.example")).await.unwrap_err(),
        it.testkit.run(verify(&acme, "acme.example")).await.unwrap_err(),
    ] {
        assert_eq!(reason(&fault), Some(Reason::CeilingExceeded));
    }
    assert_eq!(domains(&it, &acme).await, [], "and without a platform domain there is no subdomain");
}

#[tokio::test]
async fn domains_are_for_those_who_may_know_of_the_tenant() {
    let it = with_domains(&NameServer::default()).await;
    let (acme, globex) = (it.root("acme").await, it.root("globex").await);
    let as_acme = || it.by(Some(acme.id));
    it.testkit.run_in(as_acme(), add(&acme, "acme.example")).await.unwrap();
    assert_eq!(
        code(it.testkit.run_in(as_acme(), add(&globex, "acme.example")).await.unwrap_err()),
        "unknown_tenant"
    );
    for fault in [
        it.testkit.run_in(as_acme(), verify(&globex, "globex.tenants.example")).await.unwrap_err(),
        it.testkit.run_in(as_acme(), prefer(&globex, "globex.tenants.example")).await.unwrap_err(),
        it.testkit.run_in(as_acme(), remove(&globex, "globex.tenants.example")).await.unwrap_err(),
    ] {
        assert_eq!(code(fault), "unknown_tenant");
    }
    let fault = it.testkit.run_in(as_acme(), ListDomains { tenant_id: globex.id }).await.unwrap_err();
    assert_eq!(code(fault), "unknown_tenant");
}

#[tokio::test]
async fn name_servers_that_do_not_answer_verify_nothing() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let it = deployment(move |settings| settings.txt = Arc::new(Dns::asking(vec![address])))
        .with(|testkit| testkit.featuring(CUSTOM_DOMAINS))
        .start()
        .await;
    let acme = it.root("acme").await;
    it.testkit.run(add(&acme, "acme.example")).await.unwrap();
    let fault = it.testkit.run(verify(&acme, "acme.example")).await.unwrap_err();
    assert_eq!(code(fault), "name_servers_unavailable");
}

#[tokio::test]
async fn a_request_that_says_nothing_of_itself_is_for_the_configured_tenant() {
    let it = deployment(|settings| settings.self_tenant = Some("acme".parse().unwrap())).start().await;
    assert_eq!(at(&it, "127.0.0.1").await, None, "which is not there yet");
    it.root("acme").await;
    for host in ["127.0.0.1", "localhost", "anything.example"] {
        assert_eq!(at(&it, host).await.as_deref(), Some("acme"), "{host}");
    }
}
