//! Reloading, and the edges of time.

use chancery_license::{Memory, RunningLicense, State};
use descriptors::grant::{Ceiling, LicenseStatus};
use envelope::Claims;
use jiff::SignedDuration;

use crate::{
    keeping::status,
    support::{Site, claims, days, now, renewed},
};

async fn start(site: &Site) -> RunningLicense {
    RunningLicense::start(site.sources.clone(), Memory::none(), now()).await
}

#[tokio::test]
async fn grace_lasts_as_signed_or_as_long_as_the_operator_lets_it() {
    for (signed, cap, expected) in
        [(10, None, 10), (10, Some(3), 3), (10, Some(30), 10), (10, Some(0), 0), (0, Some(30), 0)]
    {
        let claims = Claims { grace_days: signed, ..claims() };
        let mut site = Site::licensed(&claims);
        site.sources.runtime.grace_cap_days = cap;
        let license = start(&site).await;
        let (expires, ends) = (claims.expires_at, claims.expires_at + days(expected));
        license.tick(expires - SignedDuration::from_micros(1)).await;
        assert_eq!(status(&license), LicenseStatus::Active);
        license.tick(expires).await;
        if expected > 0 {
            let snapshot = license.snapshot();
            let State::Grace(state) = snapshot.state() else { panic!("{snapshot:?}") };
            assert_eq!(state.until(), ends);
            assert!(matches!(snapshot.ceiling(), Ceiling::Granted(_)));
            license.tick(ends - SignedDuration::from_micros(1)).await;
            assert_eq!(status(&license), LicenseStatus::Grace);
        }
        license.tick(ends).await;
        assert_eq!(status(&license), LicenseStatus::Expired, "{signed} days signed, cap {cap:?}");
    }
}

#[tokio::test]
async fn an_end_that_has_passed_stays_passed_within_the_tolerance_of_the_clock() {
    let site = Site::licensed(&claims());
    let license = start(&site).await;
    license.tick(claims().expires_at).await;
    assert_eq!(status(&license), LicenseStatus::Expired);
    license.tick(claims().expires_at - SignedDuration::from_mins(4)).await;
    assert_eq!(status(&license), LicenseStatus::Expired);
    site.write("license", &site.sealed(&claims()));
    license.tick(claims().expires_at - SignedDuration::from_mins(4)).await;
    assert_eq!(status(&license), LicenseStatus::Expired);
}

#[tokio::test]
async fn every_file_that_verification_rests_on_is_watched() {
    let mut site = Site::licensed(&claims());
    site.sources.trust.crl_bundle = Some(site.write("lists.pem", &site.vendor.list(&[], now() + days(100))));
    let license = start(&site).await;
    assert_eq!(status(&license), LicenseStatus::Active);
    for name in ["license", "key.pem", "roots.pem", "lists.pem"] {
        let good = std::fs::read_to_string(site.path(name)).unwrap();
        site.write(name, "garbage");
        license.tick(now()).await;
        assert_eq!(status(&license), LicenseStatus::Invalid, "{name}");
        site.write(name, &good);
        license.tick(now()).await;
        assert_eq!(status(&license), LicenseStatus::Active, "{name}");
    }
}

#[tokio::test]
async fn a_mounted_secret_that_is_swapped_by_its_link_is_seen() {
    use std::os::unix::fs::symlink;
    let mut site = Site::new();
    for (folder, id) in [("one", "L-1"), ("two", "L-2")] {
        std::fs::create_dir(site.path(folder)).unwrap();
        std::fs::write(site.path(folder).join("license"), site.sealed(&renewed(id, now()))).unwrap();
    }
    symlink(site.path("one"), site.path("data")).unwrap();
    site.sources.path = Some(site.path("data").join("license"));
    let license = start(&site).await;
    assert_eq!(license.snapshot().license_id(), Some("L-1"));
    symlink(site.path("two"), site.path("data.next")).unwrap();
    std::fs::rename(site.path("data.next"), site.path("data")).unwrap();
    license.tick(now()).await;
    assert_eq!(license.snapshot().license_id(), Some("L-2"));
}

#[tokio::test]
async fn a_license_is_opened_again_when_its_revocation_list_is_due() {
    let mut site = Site::licensed(&claims());
    site.sources.trust.crl_bundle = Some(site.write("lists.pem", &site.vendor.list(&[], now() + days(3))));
    let license = start(&site).await;
    let due = license.next_edge().unwrap();
    assert!(due <= now() + days(3) + SignedDuration::from_secs(1), "{due}");
    license.tick(due).await;
    assert_eq!(status(&license), LicenseStatus::Invalid);
    assert!(license.snapshot().state().detail().unwrap().starts_with("revocation: "));
    site.write("lists.pem", &site.vendor.list(&[], now() + days(30)));
    license.tick(due).await;
    assert_eq!(status(&license), LicenseStatus::Active);
}

#[tokio::test]
async fn nothing_is_published_while_nothing_changes() {
    let site = Site::licensed(&claims());
    let license = start(&site).await;
    license.tick(now()).await;
    let (snapshot, mut watch) = (license.snapshot(), license.subscribe());
    watch.borrow_and_update();
    for seconds in 1..20 {
        license.tick(now() + SignedDuration::from_secs(seconds)).await;
    }
    assert!(std::sync::Arc::ptr_eq(&snapshot, &license.snapshot()) && !watch.has_changed().unwrap());
}

#[tokio::test]
async fn a_license_of_32_days_is_refused_where_licenses_for_development_are() {
    let mut site = Site::new();
    for (valid_days, expected) in [(31, LicenseStatus::Active), (32, LicenseStatus::Invalid)] {
        let claims = Claims { expires_at: now() + days(valid_days), ..claims() };
        site.sources.development = Some(site.write("development", &site.sealed(&claims)));
        assert_eq!(status(&start(&site).await), expected, "{valid_days} days");
    }
}
