//! Who may add to the tree.

use chancery_tenancy::{
    OnboardingToggles, ROOT_TENANTS, SUBTENANTS, Source, TenancyError,
    onboarding::{show::ShowOnboarding, update::UpdateOnboarding},
    tenants::register::RegisterTenant,
};
use sdk::kernel::{Fault, TenantId};
use serde_json::json;
use testkit::{Reason, reason};

use crate::support::{bootstrapping_only, child, code, create, deployment};

fn register(slug: &str, parent_tenant_id: Option<TenantId>, source: Source) -> RegisterTenant {
    RegisterTenant { tenant_id: None, slug: slug.parse().unwrap(), name: None, parent_tenant_id, source }
}

fn refused(fault: &Fault<TenancyError>) -> Option<&str> {
    match fault {
        Fault::Refused(refusal) | Fault::Failed(TenancyError::Refused(refusal)) => Some(refusal.code),
        _ => None,
    }
}

#[tokio::test]
async fn the_policy_is_changed_in_part_and_shown_whole() {
    let it = deployment(|_| {}).start().await;
    let shipped = it.testkit.run(ShowOnboarding {}).await.unwrap();
    let OnboardingToggles { root_tenant_creation_enabled, self_signup_enabled, updated_at, .. } = shipped;
    assert_eq!((root_tenant_creation_enabled, self_signup_enabled, updated_at), (true, false, None));

    let changed = it.decide(UpdateOnboarding { self_signup_enabled: Some(true), ..Default::default() }).await;
    assert_eq!(
        changed,
        OnboardingToggles { self_signup_enabled: true, updated_at: Some(it.testkit.now()), ..shipped }
    );
    assert_eq!(it.testkit.run(ShowOnboarding {}).await.unwrap(), changed);
    assert_eq!(it.decide(UpdateOnboarding::default()).await, changed);

    let elsewhere = it.by(Some(it.root("acme").await.id));
    let fault = it.testkit.run_in(elsewhere.clone(), UpdateOnboarding::default()).await.unwrap_err();
    assert_eq!(code(fault), "operators_only");
    assert_eq!(code(it.testkit.run_in(elsewhere, ShowOnboarding {}).await.unwrap_err()), "operators_only");
}

#[tokio::test]
async fn a_switch_decides_for_every_source() {
    let it = deployment(|_| {}).with(|testkit| testkit.featuring(SUBTENANTS)).start().await;
    let acme = it.root("acme").await;
    let itself = |wanted| it.testkit.run_in(it.by_itself(), wanted);

    it.decide(UpdateOnboarding { root_tenant_creation_enabled: Some(false), ..Default::default() }).await;
    assert_eq!(refused(&it.testkit.run(create("one")).await.unwrap_err()), Some("onboarding_refused"));
    it.testkit.run(child(&acme, "by-operator")).await.unwrap();
    itself(register("bootstrap", None, Source::Bootstrap)).await.unwrap();
    for parent in [None, Some(acme.id)] {
        let fault = itself(register("signup", parent, Source::SelfSignup)).await.unwrap_err();
        assert_eq!(refused(&fault), Some("onboarding_refused"));
    }

    it.decide(UpdateOnboarding { self_signup_enabled: Some(true), ..Default::default() }).await;
    itself(register("signup", None, Source::SelfSignup)).await.unwrap();
    let fault = itself(register("beneath", Some(acme.id), Source::SelfSignup)).await.unwrap_err();
    assert_eq!(refused(&fault), Some("onboarding_refused"));

    let by_admin = || it.testkit.run_in(it.by(Some(acme.id)), child(&acme, "by-admin"));
    assert_eq!(refused(&by_admin().await.unwrap_err()), Some("onboarding_refused"));
    it.decide(UpdateOnboarding { subtenant_signup_enabled: Some(true), ..Default::default() }).await;
    assert_eq!(
        itself(register("beneath", Some(acme.id), Source::SelfSignup)).await.unwrap().parent,
        Some(acme.id)
    );
    let branch = by_admin().await.unwrap();
    let beneath_another = it.testkit.run_in(it.by(Some(acme.id)), child(&branch, "twig")).await;
    assert_eq!(refused(&beneath_another.unwrap_err()), Some("onboarding_refused"), "only directly beneath");
}

#[tokio::test]
async fn the_license_and_the_quotas_apply_to_what_signup_and_setup_register() {
    let it = deployment(|_| {}).with(|testkit| testkit.limiting(ROOT_TENANTS, 1)).start().await;
    let acme = it.testkit.run_in(it.by_itself(), register("acme", None, Source::Bootstrap)).await.unwrap();
    let fault =
        it.testkit.run_in(it.by_itself(), register("more", None, Source::Bootstrap)).await.unwrap_err();
    assert_eq!(refused(&fault), Some("quota_exceeded"));
    let beneath = register("beneath", Some(acme.id), Source::Bootstrap);
    let fault = it.testkit.run_in(it.by_itself(), beneath).await.unwrap_err();
    assert_eq!(refused(&fault), Some("feature_requires_paid_license"));
    assert_eq!(
        code(it.testkit.run_in(it.by_itself(), register("acme", None, Source::Bootstrap)).await.unwrap_err()),
        "quota_exceeded"
    );
}

#[tokio::test]
async fn what_is_registered_under_an_id_of_its_own_is_registered_once() {
    let it = deployment(|_| {}).with(|testkit| testkit.limiting(ROOT_TENANTS, 1)).start().await;
    let id = TenantId(it.testkit.cx().uuid());
    let wanted =
        |slug: &str| RegisterTenant { tenant_id: Some(id), ..register(slug, None, Source::Bootstrap) };
    let acme = it.testkit.run_in(it.by_itself(), wanted("acme")).await.unwrap();
    assert_eq!(acme.id, id);
    // The slug is taken and the quota used up, by itself.
    assert_eq!(it.testkit.run_in(it.by_itself(), wanted("acme")).await.unwrap(), acme);
    let other = RegisterTenant { tenant_id: None, ..wanted("acme") };
    let fault = it.testkit.run_in(it.by_itself(), other).await.unwrap_err();
    assert_eq!(refused(&fault), Some("quota_exceeded"));
}

#[tokio::test]
async fn no_body_says_on_whose_wish_and_nobody_outside_calls_for_the_signup() {
    let it = deployment(|_| {}).start().await;
    it.decide(UpdateOnboarding { root_tenant_creation_enabled: Some(false), ..Default::default() }).await;
    let body = json!({ "slug": "acme", "source": "BOOTSTRAP" });
    let fault = it.testkit.run_json("tenancy.tenants.create", body.clone()).await.unwrap_err();
    assert_eq!(fault.code(), "invalid_input");
    let fault = it.testkit.run_json("tenancy.tenants.register", body).await.unwrap_err();
    assert_eq!(fault.code(), "unknown_command");
    for field in ["status", "system", "tenantId", "id", "createdBy", "depth", "parentTenantId"] {
        let body = json!({ "slug": "acme", field: "x" });
        let fault = it.testkit.run_json("tenancy.tenants.create", body).await.unwrap_err();
        assert_eq!(fault.code(), "invalid_input", "{field}");
    }
}

#[tokio::test]
async fn a_refusal_by_the_onboarding_policy_tells_nothing_of_existing_tenants() {
    let it = deployment(|_| {}).start().await;
    it.root("acme").await;
    let stranger = || it.by(None);
    let taken = it.testkit.run_in(stranger(), create("acme")).await.unwrap_err();
    let free = it.testkit.run_in(stranger(), create("free")).await.unwrap_err();
    assert_eq!(taken.to_string(), free.to_string());
    assert_eq!((refused(&taken), refused(&free)), (Some("onboarding_refused"), Some("onboarding_refused")));
}

#[tokio::test]
async fn the_default_policy_accepts_only_what_the_process_itself_registers() {
    let it = bootstrapping_only().start().await;
    assert_eq!(refused(&it.testkit.run(create("acme")).await.unwrap_err()), Some("onboarding_refused"));
    let fault =
        it.testkit.run_in(it.by_itself(), register("acme", None, Source::SelfSignup)).await.unwrap_err();
    assert_eq!(refused(&fault), Some("onboarding_refused"));
    it.testkit.run_in(it.by_itself(), register("acme", None, Source::Bootstrap)).await.unwrap();
}

#[tokio::test]
async fn the_policy_comes_before_the_quotas() {
    let it = deployment(|_| {}).with(|testkit| testkit.limiting(ROOT_TENANTS, 0)).start().await;
    let fault = it.testkit.run_in(it.by(None), create("acme")).await.unwrap_err();
    assert_eq!(refused(&fault), Some("onboarding_refused"));
    assert_eq!(reason(&it.testkit.run(create("acme")).await.unwrap_err()), Some(Reason::QuotaExceeded));
}
