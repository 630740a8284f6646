//! Tenants through the real pipeline.

use std::sync::{Arc, Mutex};

use chancery_tenancy::{
    BootstrapOnly, EXPORTS, MIGRATIONS, ONBOARDING, OperatorOnboarding, SUBTENANTS, TENANTS_READ,
    TENANTS_WRITE, Tenancy, TenancyError,
    children::create::CreateChild,
    tenants::{create::CreateTenant, export::ExportTenants, get::GetTenant, list::ListTenants},
};
use sdk::kernel::{Fault, Modules, TenantId};
use testkit::{Reason, Testkit, reason};

fn tenancy() -> Testkit {
    let testkit = Testkit::new(MIGRATIONS, |store| Modules::none().mount(Tenancy::new(store.clone())));
    let application: TenantId = testkit.tenant();
    testkit
        .guarded(ONBOARDING, OperatorOnboarding { application })
        .permitted(TENANTS_READ)
        .permitted(TENANTS_WRITE)
}

fn create(slug: &str) -> CreateTenant {
    CreateTenant { slug: slug.parse().unwrap(), name: None }
}

fn child(parent: &str, slug: &str) -> CreateChild {
    CreateChild { parent: parent.parse().unwrap(), slug: slug.parse().unwrap(), name: None }
}

#[tokio::test]
async fn a_registered_tenant_is_found_and_listed() {
    let testkit = tenancy().licensed("chancery");
    let acme = testkit.run(create("acme")).await.unwrap();
    assert_eq!(testkit.run(GetTenant { slug: acme.slug.clone() }).await.unwrap(), acme);
    let page = testkit.run(ListTenants { after: None, limit: None }).await.unwrap();
    assert_eq!((page.tenants, page.next), (vec![acme], None));
}

#[tokio::test]
async fn pages_follow_each_other_by_slug_without_gap_or_repetition() {
    let testkit = tenancy().licensed("chancery");
    for slug in ["delta", "alpha", "charlie", "bravo", "echo"] {
        testkit.run(create(slug)).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = testkit.run(ListTenants { after, limit: Some(2) }).await.unwrap();
        seen.extend(page.tenants.into_iter().map(|tenant| tenant.slug.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["alpha", "bravo", "charlie", "delta", "echo"]);
}

#[tokio::test]
async fn a_slug_is_given_once() {
    let testkit = tenancy().licensed("chancery");
    testkit.run(create("acme")).await.unwrap();
    let fault = testkit.run(create("acme")).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed(TenancyError::SlugTaken(slug)) if slug.as_str() == "acme"));
}

#[tokio::test]
async fn two_that_race_for_a_slug_do_not_both_get_it() {
    let testkit = tenancy().licensed("chancery");
    let bus = testkit.bus().await;
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (bus, cx) = (bus.clone(), testkit.cx());
            tokio::spawn(async move { bus.dispatch(cx, create("acme")).await })
        })
        .collect();
    let mut winners = 0;
    for call in calls {
        winners += u32::from(call.await.unwrap().is_ok());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_tenant_beneath_another_needs_the_feature() {
    let without = tenancy().licensed("chancery");
    without.run(create("acme")).await.unwrap();
    assert_eq!(
        reason(&without.run(child("acme", "branch")).await.unwrap_err()),
        Some(Reason::CeilingExceeded)
    );

    let with = tenancy().licensed("chancery").featuring(SUBTENANTS);
    let acme = with.run(create("acme")).await.unwrap();
    assert_eq!(with.run(child("acme", "branch")).await.unwrap().parent, Some(acme.id));
    let fault = with.run(child("nobody", "twig")).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed(TenancyError::NoSuchTenant(slug)) if slug == "nobody"));
}

#[tokio::test]
async fn an_allow_rule_of_the_license_grants_a_single_command() {
    let testkit = tenancy().granting("chancery.tenancy.tenants.{create,get}");
    let acme = testkit.run(create("acme")).await.unwrap();
    testkit.run(GetTenant { slug: acme.slug }).await.unwrap();
    let fault = testkit.run(ListTenants { after: None, limit: None }).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::CeilingExceeded));
}

#[tokio::test]
async fn exports_run_out() {
    let testkit = tenancy().licensed("chancery").limiting(EXPORTS, 2);
    testkit.run(create("acme")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(testkit.run(ExportTenants {}).await.unwrap().tenants.len(), 1);
    }
    assert_eq!(reason(&testkit.run(ExportTenants {}).await.unwrap_err()), Some(Reason::QuotaExceeded));
}

#[tokio::test]
async fn a_refusal_by_the_onboarding_policy_tells_nothing_of_existing_tenants() {
    let testkit = tenancy().licensed("chancery");
    testkit.run(create("acme")).await.unwrap();
    let stranger = || {
        let cx = testkit.cx();
        let who = sdk::kernel::Authenticated {
            id: "operator:elsewhere".to_owned(),
            home: None,
            permissions: [TENANTS_WRITE.as_str()].into(),
            aal: 1,
            authenticated_at: cx.now(),
            session: None,
        };
        sdk::kernel::Cx::new(cx.ambient().clone(), sdk::kernel::Principal::Authenticated(who.into()))
            .with_tenant(testkit.tenant())
    };
    let taken = testkit.run_in(stranger(), create("acme")).await.unwrap_err();
    let free = testkit.run_in(stranger(), create("free")).await.unwrap_err();
    assert_eq!(taken.to_string(), free.to_string());
    assert_eq!(taken.refusal().unwrap().code, "onboarding_refused");
}

#[tokio::test]
async fn the_default_policy_accepts_only_what_the_process_itself_registers() {
    let testkit = Testkit::new(MIGRATIONS, |store| Modules::none().mount(Tenancy::new(store.clone())))
        .guarded(ONBOARDING, BootstrapOnly)
        .permitted(TENANTS_WRITE)
        .licensed("chancery");
    assert_eq!(testkit.run(create("acme")).await.unwrap_err().refusal().unwrap().code, "onboarding_refused");
    testkit.as_system().run(create("acme")).await.unwrap();
}

#[tokio::test]
async fn there_is_one_application_tenant_and_customers_do_not_see_it() {
    let mounted = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&mounted);
    let testkit = Testkit::new(MIGRATIONS, move |store| {
        let tenancy = Tenancy::new(store.clone());
        *seen.lock().unwrap() = Some(tenancy.clone());
        Modules::none().mount(tenancy)
    })
    .guarded(ONBOARDING, BootstrapOnly)
    .licensed("chancery")
    .as_system();
    assert_eq!(testkit.run(ListTenants { after: None, limit: None }).await.unwrap().tenants, []);
    let tenancy = mounted.lock().unwrap().clone().unwrap();
    let ambient = testkit.cx().ambient().clone();
    let first = tenancy.application_tenant(&ambient).await.unwrap();
    assert_eq!(tenancy.application_tenant(&ambient).await.unwrap(), first);
    assert_eq!(testkit.run(ListTenants { after: None, limit: None }).await.unwrap().tenants, []);
    let fault = testkit.run(GetTenant { slug: "platform".parse().unwrap() }).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed(TenancyError::NoSuchTenant(_))));
    let fault = testkit.run(create("platform")).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed(TenancyError::SlugTaken(_))));
}

testkit::every_command_is_described!(Tenancy);
