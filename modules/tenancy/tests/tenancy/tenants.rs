//! The tree, and who sees what of it.

use chancery_tenancy::{
    EXPORTS, ROOT_TENANTS, SUBTENANTS, TENANT_DEPTH, TOTAL_TENANTS, TenancyError, TenantStatus,
    children::list::ListChildren,
    lifecycle::update::{SettableStatus, UpdateStatus},
    tenants::{delete::DeleteTenant, export::ExportTenants, get::GetTenant, list::ListTenants},
};
use jiff::SignedDuration;
use sdk::kernel::Fault;
use serde_json::json;
use testkit::{Reason, reason};

use crate::support::{APPLICATION, child, code, create, deployment, failed};

#[tokio::test]
async fn a_registered_tenant_is_found_and_listed() {
    let it = deployment(|_| {}).start().await;
    let acme = it.root("acme").await;
    assert_eq!((acme.depth, acme.status, acme.system), (1, TenantStatus::Active, false));
    assert_eq!((acme.name.as_str(), acme.tenant_type.as_str()), ("acme", "organization"));
    assert_eq!((acme.created_by.as_str(), acme.updated_by.as_str()), ("operator:test", "operator:test"));
    assert_eq!(it.testkit.run(GetTenant { tenant_id: acme.id }).await.unwrap(), acme);
    let page = it.testkit.run(ListTenants::default()).await.unwrap();
    assert_eq!((page.tenants, page.next), (vec![acme], None));
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition_in_every_order() {
    let it = deployment(|_| {}).start().await;
    for slug in ["delta", "alpha", "charlie", "bravo", "echo"] {
        it.root(slug).await;
        it.testkit.pass(SignedDuration::from_secs(1));
    }
    let by_slug = ["alpha", "bravo", "charlie", "delta", "echo"];
    let by_age = ["delta", "alpha", "charlie", "bravo", "echo"];
    for (sort, ordered) in [("slug", by_slug), ("createdAt", by_age)] {
        for direction in ["asc", "desc"] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let asked = json!({ "limit": 2, "sort": sort, "direction": direction, "after": after });
                let page =
                    it.testkit.run(serde_json::from_value::<ListTenants>(asked).unwrap()).await.unwrap();
                seen.extend(page.tenants.into_iter().map(|tenant| tenant.slug.to_string()));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            if direction == "desc" {
                seen.reverse();
            }
            assert_eq!(seen, ordered, "{sort} {direction}");
        }
    }
    for (sort, after) in [("slug", "No"), ("createdAt", "1"), ("createdAt", "x_y"), ("createdAt", "1_\0")] {
        let asked = serde_json::from_value(json!({ "sort": sort, "after": after })).unwrap();
        let fault = it.testkit.run::<ListTenants>(asked).await.unwrap_err();
        assert_eq!(code(fault), "malformed_cursor", "{sort} {after}");
    }
}

#[tokio::test]
async fn lists_are_narrowed_by_slug_status_and_parent() {
    let it = deployment(|_| {}).with(|testkit| testkit.featuring(SUBTENANTS)).start().await;
    let (acme, globex) = (it.root("acme").await, it.root("globex").await);
    it.testkit.run(child(&acme, "branch")).await.unwrap();
    it.testkit.run(UpdateStatus { tenant_id: globex.id, status: SettableStatus::Suspended }).await.unwrap();
    for (asked, found) in [
        (json!({ "slug": "acme" }), vec!["acme"]),
        (json!({ "slug": "nobody" }), vec![]),
        (json!({ "slug": "platform" }), vec![]),
        (json!({ "status": "SUSPENDED" }), vec!["globex"]),
        (json!({ "status": "ACTIVE" }), vec!["acme", "branch"]),
        (json!({ "parentTenantId": acme.id }), vec!["branch"]),
        (json!({ "parentTenantId": acme.id, "status": "SUSPENDED" }), vec![]),
    ] {
        let page =
            it.testkit.run(serde_json::from_value::<ListTenants>(asked.clone()).unwrap()).await.unwrap();
        let slugs: Vec<_> = page.tenants.iter().map(|tenant| tenant.slug.as_str()).collect();
        assert_eq!(slugs, found, "{asked}");
    }
}

#[tokio::test]
async fn a_slug_is_given_once_and_stays_taken() {
    let it = deployment(|_| {}).start().await;
    let acme = it.root("acme").await;
    let fault = it.testkit.run(create("acme")).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed(TenancyError::SlugTaken(slug)) if slug.as_str() == "acme"));
    it.testkit.run(DeleteTenant { tenant_id: acme.id }).await.unwrap();
    assert_eq!(code(it.testkit.run(create("acme")).await.unwrap_err()), "slug_taken");
    assert_eq!(code(it.testkit.run(create("platform")).await.unwrap_err()), "slug_taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_race_for_a_slug_do_not_both_get_it() {
    let it = deployment(|_| {}).start().await;
    let bus = it.testkit.bus().await;
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (bus, cx) = (bus.clone(), it.testkit.cx());
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
    let without = deployment(|_| {}).start().await;
    let acme = without.root("acme").await;
    let fault = without.testkit.run(child(&acme, "branch")).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::CeilingExceeded));

    let with = deployment(|_| {}).with(|testkit| testkit.featuring(SUBTENANTS)).start().await;
    let acme = with.root("acme").await;
    let branch = with.testkit.run(child(&acme, "branch")).await.unwrap();
    assert_eq!((branch.parent, branch.depth), (Some(acme.id), 2));
    let beneath =
        with.testkit.run(ListChildren { tenant_id: acme.id, after: None, limit: None }).await.unwrap();
    assert_eq!(beneath.tenants, [branch]);
}

#[tokio::test]
async fn nothing_is_added_beneath_what_may_not_act_or_is_not_there_or_is_the_platforms_own() {
    let it = deployment(|_| {}).with(|testkit| testkit.featuring(SUBTENANTS)).start().await;
    let (acme, gone) = (it.root("acme").await, it.root("gone").await);
    it.testkit.run(UpdateStatus { tenant_id: acme.id, status: SettableStatus::Suspended }).await.unwrap();
    it.testkit.run(DeleteTenant { tenant_id: gone.id }).await.unwrap();
    assert_eq!(code(it.testkit.run(child(&acme, "branch")).await.unwrap_err()), "tenant_not_active");
    assert_eq!(code(it.testkit.run(child(&gone, "branch")).await.unwrap_err()), "unknown_tenant");
    let mut beneath_the_platform = child(&acme, "branch");
    beneath_the_platform.tenant_id = APPLICATION;
    assert_eq!(code(it.testkit.run(beneath_the_platform).await.unwrap_err()), "unknown_tenant");
    it.testkit.run(UpdateStatus { tenant_id: acme.id, status: SettableStatus::Active }).await.unwrap();
    it.testkit.run(child(&acme, "branch")).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_by_a_quota_is_admitted_once_something_is_deleted() {
    let narrow = |testkit: testkit::Testkit| {
        testkit
            .featuring(SUBTENANTS)
            .limiting(ROOT_TENANTS, 2)
            .limiting(TOTAL_TENANTS, 3)
            .limiting(TENANT_DEPTH, 2)
    };
    let it = deployment(|_| {}).with(narrow).start().await;
    let (acme, globex) = (it.root("acme").await, it.root("globex").await);
    let full = |fault: Fault<TenancyError>| assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    full(it.testkit.run(create("initech")).await.unwrap_err());

    let branch = it.testkit.run(child(&acme, "branch")).await.unwrap();
    full(it.testkit.run(child(&globex, "office")).await.unwrap_err());
    it.testkit.run(DeleteTenant { tenant_id: globex.id }).await.unwrap();
    full(it.testkit.run(child(&branch, "twig")).await.unwrap_err());
    it.testkit.run(child(&acme, "office")).await.unwrap();
    full(it.testkit.run(create("initech")).await.unwrap_err());
    it.testkit.run(DeleteTenant { tenant_id: branch.id }).await.unwrap();
    it.root("initech").await;
}

#[tokio::test]
async fn what_fails_leaves_its_place_to_others() {
    let it = deployment(|_| {}).with(|testkit| testkit.limiting(ROOT_TENANTS, 2)).start().await;
    it.root("acme").await;
    for _ in 0..3 {
        assert_eq!(code(it.testkit.run(create("acme")).await.unwrap_err()), "slug_taken");
    }
    it.root("globex").await;
}

#[tokio::test]
async fn a_tenant_that_others_stand_beneath_is_not_deleted() {
    let it = deployment(|_| {}).with(|testkit| testkit.featuring(SUBTENANTS)).start().await;
    let acme = it.root("acme").await;
    let branch = it.testkit.run(child(&acme, "branch")).await.unwrap();
    let delete = |tenant_id| it.testkit.run(DeleteTenant { tenant_id });
    assert_eq!(code(delete(acme.id).await.unwrap_err()), "tenant_has_children");
    let deleted = delete(branch.id).await.unwrap();
    assert_eq!(deleted.deleted_at, Some(it.testkit.now()));
    assert_eq!(code(delete(branch.id).await.unwrap_err()), "unknown_tenant");
    delete(acme.id).await.unwrap();
    assert_eq!(it.testkit.run(ListTenants::default()).await.unwrap().tenants, []);
    assert_eq!(code(it.testkit.run(GetTenant { tenant_id: acme.id }).await.unwrap_err()), "unknown_tenant");
}

#[tokio::test]
async fn a_deny_rule_of_the_license_takes_a_single_command_away() {
    let it =
        deployment(|_| {}).with(|testkit| testkit.denying("chancery.tenancy.tenants.list")).start().await;
    let acme = it.root("acme").await;
    it.testkit.run(GetTenant { tenant_id: acme.id }).await.unwrap();
    let fault = it.testkit.run(ListTenants::default()).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::CommandDenied));
}

#[tokio::test]
async fn exports_run_out() {
    let it = deployment(|_| {}).with(|testkit| testkit.limiting(EXPORTS, 2)).start().await;
    it.root("acme").await;
    for _ in 0..2 {
        assert_eq!(it.testkit.run(ExportTenants {}).await.unwrap().tenants.len(), 1);
    }
    assert_eq!(reason(&it.testkit.run(ExportTenants {}).await.unwrap_err()), Some(Reason::QuotaExceeded));
}

#[tokio::test]
async fn the_application_tenant_is_seen_and_touched_by_nobody() {
    let it = deployment(|_| {}).start().await;
    assert_eq!(it.testkit.run(ListTenants::default()).await.unwrap().tenants, []);
    let tenant_id = APPLICATION;
    assert_eq!(code(it.testkit.run(GetTenant { tenant_id }).await.unwrap_err()), "unknown_tenant");
    assert_eq!(code(it.testkit.run(DeleteTenant { tenant_id }).await.unwrap_err()), "unknown_tenant");
    let suspend = UpdateStatus { tenant_id, status: SettableStatus::Suspended };
    assert_eq!(code(it.testkit.run(suspend).await.unwrap_err()), "unknown_tenant");
    let tenancy = it.tenancy();
    assert_eq!(tenancy.by_slug(&"platform".parse().unwrap()).await.unwrap(), None);
    assert!(tenancy.by_id(APPLICATION).await.unwrap().unwrap().system);
}

#[tokio::test]
async fn who_is_no_operator_of_the_platform_sees_their_own_tenant_and_what_is_beneath_it() {
    let it =
        deployment(|_| {}).with(|testkit| testkit.featuring(SUBTENANTS).limiting(EXPORTS, 9)).start().await;
    let (acme, globex) = (it.root("acme").await, it.root("globex").await);
    let branch = it.testkit.run(child(&acme, "branch")).await.unwrap();
    let twig = it.testkit.run(child(&branch, "twig")).await.unwrap();
    let as_acme = || it.by(Some(acme.id));

    for seen in [&acme, &branch, &twig] {
        assert_eq!(&it.testkit.run_in(as_acme(), GetTenant { tenant_id: seen.id }).await.unwrap(), seen);
    }
    let hidden = it.testkit.run_in(as_acme(), GetTenant { tenant_id: globex.id }).await.unwrap_err();
    let absent =
        it.testkit.run_in(it.by(Some(branch.id)), GetTenant { tenant_id: acme.id }).await.unwrap_err();
    assert_eq!(hidden.to_string(), format!("there is no tenant `{}`", globex.id));
    assert_eq!((code(hidden), code(absent)), ("unknown_tenant", "unknown_tenant"));

    let listed = it.testkit.run_in(as_acme(), ListTenants::default()).await.unwrap();
    assert_eq!(listed.tenants, [branch]);
    let elsewhere = ListTenants { parent_tenant_id: Some(globex.id), ..ListTenants::default() };
    assert_eq!(code(it.testkit.run_in(as_acme(), elsewhere).await.unwrap_err()), "unknown_tenant");
    assert!(matches!(
        failed(it.testkit.run_in(it.by(None), ListTenants::default()).await.unwrap_err()),
        TenancyError::OperatorsOnly
    ));

    let own = UpdateStatus { tenant_id: acme.id, status: SettableStatus::Suspended };
    assert_eq!(code(it.testkit.run_in(as_acme(), own).await.unwrap_err()), "operators_only");
    let delete = DeleteTenant { tenant_id: twig.id };
    assert_eq!(code(it.testkit.run_in(as_acme(), delete).await.unwrap_err()), "operators_only");
    assert_eq!(code(it.testkit.run_in(as_acme(), ExportTenants {}).await.unwrap_err()), "operators_only");
}
