//! Registrations that other modules have a part in.

use std::sync::atomic::Ordering;

use chancery_tenancy::{
    ROOT_TENANTS, TenancyError, TenantStatus,
    lifecycle::update::{SettableStatus, UpdateStatus},
    registrations::{reconcile::Reconcile, show::ShowRegistration},
    tenants::{delete::DeleteTenant, list::ListTenants},
};
use jiff::SignedDuration;
use sdk::kernel::{CorrelationId, Cx};
use serde_json::{Value, json};
use testkit::{Reason, reason};

use crate::support::{Deployment, STEP, code, create, deployment, failed};

const ALL: Reconcile = Reconcile { log_id: None, tenant_id: None };

async fn with_owners() -> Deployment {
    deployment(|settings| {
        settings.platform_domain = Some("tenants.example".parse().unwrap());
        settings.steps = vec![STEP];
    })
    .with(|testkit| testkit.limiting(ROOT_TENANTS, 1))
    .start()
    .await
}

fn request(it: &Deployment, correlation: &str) -> Cx {
    it.testkit.cx().with_correlation(CorrelationId::parse(correlation).unwrap())
}

async fn told(it: &Deployment, correlation: &str) -> Value {
    let correlation_id = correlation.to_owned().try_into().unwrap();
    serde_json::to_value(it.testkit.run(ShowRegistration { correlation_id }).await.unwrap()).unwrap()
}

fn steps(told: &Value) -> Vec<(&str, bool, bool)> {
    let steps = told["steps"].as_array().unwrap().iter();
    steps
        .map(|it| {
            (it["step"]["id"].as_str().unwrap(), !it["completedAt"].is_null(), !it["undoneAt"].is_null())
        })
        .collect()
}

#[tokio::test]
async fn a_registration_is_a_log_of_steps() {
    let it = with_owners().await;
    let acme = it.testkit.run_in(request(&it, "r-1"), create("acme")).await.unwrap();
    assert_eq!(acme.status, TenantStatus::Active);
    assert_eq!(*it.owners.0.provided.lock().unwrap(), [acme.id]);
    let told = told(&it, "r-1").await;
    assert_eq!((&told["status"], &told["source"]), (&json!("COMPLETED"), &json!("OPERATOR")));
    assert_eq!(told["tenantId"], json!(acme.id));
    let done = |step| (step, true, false);
    assert_eq!(steps(&told), ["routing-inserted", "subdomain-added", "owner-provisioned"].map(done));
    assert_eq!(it.testkit.run(ALL).await.unwrap().total_scanned, 0);

    let unknown = ShowRegistration { correlation_id: "r-2".to_owned().try_into().unwrap() };
    assert_eq!(code(it.testkit.run(unknown).await.unwrap_err()), "unknown_registration");
    let elsewhere = ShowRegistration { correlation_id: "r-1".to_owned().try_into().unwrap() };
    let fault = it.testkit.run_in(it.by(Some(acme.id)), elsewhere).await.unwrap_err();
    assert_eq!(code(fault), "operators_only");
}

#[tokio::test]
async fn a_step_that_fails_undoes_what_was_done() {
    let it = with_owners().await;
    it.owners.0.refuses.store(true, Ordering::SeqCst);
    let error = failed(it.testkit.run_in(request(&it, "r-1"), create("acme")).await.unwrap_err());
    assert!(
        matches!(error, TenancyError::StepFailed { step: "owner-provisioned", code } if code == "unwilling")
    );
    assert_eq!(*it.owners.0.provided.lock().unwrap(), []);
    let told = told(&it, "r-1").await;
    assert_eq!((&told["status"], &told["lastError"]), (&json!("COMPENSATED"), &json!("unwilling")));
    let undone = [("routing-inserted", true), ("subdomain-added", true), ("owner-provisioned", false)];
    assert_eq!(steps(&told), undone.map(|(step, completed)| (step, completed, true)));
    assert_eq!(it.testkit.run(ListTenants::default()).await.unwrap().tenants, []);

    it.owners.0.refuses.store(false, Ordering::SeqCst);
    it.root("acme").await;
}

#[tokio::test]
async fn a_registration_that_dies_stays_in_flight_until_it_is_reconciled() {
    let it = with_owners().await;
    it.owners.0.hangs.store(true, Ordering::SeqCst);
    let cx = request(&it, "r-1").with_timeout(std::time::Duration::from_secs(20));
    let dying =
        tokio::time::timeout(std::time::Duration::from_millis(300), it.testkit.run_in(cx, create("acme")));
    assert!(dying.await.is_err(), "the caller is gone");

    let pending = it.testkit.run(ListTenants::default()).await.unwrap().tenants.remove(0);
    assert_eq!(pending.status, TenantStatus::PendingVerification);
    assert_eq!(told(&it, "r-1").await["status"], "IN_FLIGHT");
    let activate = UpdateStatus { tenant_id: pending.id, status: SettableStatus::Active };
    assert_eq!(code(it.testkit.run(activate).await.unwrap_err()), "tenant_not_registered");
    let delete = DeleteTenant { tenant_id: pending.id };
    assert_eq!(code(it.testkit.run(delete).await.unwrap_err()), "tenant_not_registered");
    assert_eq!(it.testkit.run(ALL).await.unwrap().total_scanned, 0, "its call might still be running");
    it.owners.0.hangs.store(false, Ordering::SeqCst);
    assert_eq!(reason(&it.testkit.run(create("globex")).await.unwrap_err()), Some(Reason::QuotaExceeded));

    it.testkit.pass(SignedDuration::from_mins(1));
    // By the server itself, as nobody has to ask.
    let ambient = it.testkit.cx().ambient().clone();
    let round = it.tenancy().look_after(&ambient).await.unwrap();
    assert_eq!((round.total_scanned, round.compensated, round.orphaned), (1, 1, 0));
    assert_eq!(*it.owners.0.provided.lock().unwrap(), []);
    assert_eq!(told(&it, "r-1").await["status"], "COMPENSATED");
    assert_eq!(it.testkit.run(ALL).await.unwrap().total_scanned, 0, "again, and nothing is left to do");
    it.root("acme").await;
}

#[tokio::test]
async fn what_cannot_be_undone_is_orphaned_and_undone_later() {
    let it = with_owners().await;
    it.owners.0.refuses.store(true, Ordering::SeqCst);
    it.owners.0.keeps.store(true, Ordering::SeqCst);
    it.testkit.run_in(request(&it, "r-1"), create("acme")).await.unwrap_err();
    assert_eq!(told(&it, "r-1").await["status"], "ORPHANED");
    let reconciled = it.testkit.run(ALL).await.unwrap();
    assert_eq!((reconciled.total_scanned, reconciled.compensated, reconciled.orphaned), (1, 0, 1));
    let failure = &reconciled.orphaned_failures[0];
    assert_eq!((failure.step.as_str(), failure.reason.as_str()), ("owner-provisioned", "unwilling"));

    it.owners.0.keeps.store(false, Ordering::SeqCst);
    let other = Reconcile { log_id: Some("another".to_owned().try_into().unwrap()), tenant_id: None };
    assert_eq!(it.testkit.run(other).await.unwrap().total_scanned, 0);
    let twice = Reconcile {
        log_id: Some(failure.log_id.clone().try_into().unwrap()),
        tenant_id: Some(failure.tenant_id),
    };
    assert_eq!(code(it.testkit.run(twice).await.unwrap_err()), "named_twice");
    let this = Reconcile { log_id: None, tenant_id: Some(failure.tenant_id) };
    assert_eq!(it.testkit.run(this).await.unwrap().compensated, 1);
    assert_eq!(told(&it, "r-1").await["status"], "COMPENSATED");
}
