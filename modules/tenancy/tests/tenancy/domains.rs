//! Domains, and who proves them to whom. The name server is a real one: a socket that speaks DNS.

use std::sync::Arc;

use chancery_tenancy::{
    CUSTOM_DOMAINS, Dns, DomainKind, SUBTENANTS, Tenant, TenantDomain,
    domains::{
        add::AddDomain, list::ListDomains, prefer::PreferDomain, remove::RemoveDomain, verify::VerifyDomain,
    },
    tenants::delete::DeleteTenant,
};
use kit::NameServer;
use testkit::{Reason, reason};
use tokio::net::UdpSocket;

use crate::support::{Deployment, child, code, deployment};

async fn with_domains(server: &NameServer) -> Deployment {
    let address = server.start();
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
    server.holds(&challenge.name, "v=spf1 -all");
    server.holds(&challenge.name, &challenge.value[..challenge.value.len() - 1]);
    assert_eq!(
        code(it.testkit.run(verify(&acme, "portal.acme.example")).await.unwrap_err()),
        "challenge_not_met"
    );
    server.holds(&challenge.name, &challenge.value);
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
    server.holds(&of_acme.name, &of_acme.value);
    let fault = it.testkit.run(verify(&globex, "shared.example")).await.unwrap_err();
    assert_eq!(code(fault), "challenge_not_met");
    it.testkit.run(verify(&acme, "shared.example")).await.unwrap();

    server.holds(&of_globex.name, &of_globex.value);
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
    server.holds(&challenge.name, &challenge.value);
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
