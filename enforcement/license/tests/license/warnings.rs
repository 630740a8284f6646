//! The ladder: what operators are warned of, and how often.

use chancery_license::{LicenseProjection, Memory, Notice, RunningLicense, WarningCode};
use descriptors::grant::LicenseStatus;
use envelope::Claims;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast::Receiver;

use crate::support::{Site, claims, days, now, renewed};

async fn start(site: &Site) -> RunningLicense {
    RunningLicense::start(site.sources.clone(), Memory::none(), now()).await
}

fn warned(notices: &mut Receiver<Notice>) -> Vec<(WarningCode, i64)> {
    std::iter::from_fn(|| notices.try_recv().ok())
        .filter_map(|notice| match notice {
            Notice::Warned { warning, .. } => Some((warning.code, warning.days_left.unwrap())),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn each_step_of_the_ladder_is_announced_once() {
    let claims = Claims { expires_at: now() + days(120), grace_days: 5, ..claims() };
    let site = Site::licensed(&claims);
    let license = start(&site).await;
    let mut notices = license.notices();
    let mut announced = Vec::new();
    for half in 0..=250 {
        license.tick(now() + SignedDuration::from_hours(12 * half)).await;
        announced.extend(warned(&mut notices));
    }
    let expiry = [90, 60, 30, 14, 7, 1].map(|left| (WarningCode::LicenseExpires, left));
    let grace = [(WarningCode::GraceEnds, 5), (WarningCode::GraceEnds, 1)];
    assert_eq!(announced, [&expiry[..], &grace[..]].concat());
}

#[tokio::test]
async fn the_ladder_is_the_operators() {
    let mut site = Site::licensed(&claims());
    site.sources.runtime.warning_days = vec![3, 20];
    let license = start(&site).await;
    let mut notices = license.notices();
    let mut announced = Vec::new();
    for day in 0..30 {
        license.tick(now() + days(day)).await;
        announced.extend(warned(&mut notices));
    }
    assert_eq!(announced, [(WarningCode::LicenseExpires, 20), (WarningCode::LicenseExpires, 3)]);
}

#[tokio::test]
async fn a_renewed_license_climbs_the_ladder_anew() {
    let site = Site::licensed(&claims());
    let license = start(&site).await;
    let mut notices = license.notices();
    license.tick(now() + days(23)).await;
    assert_eq!(warned(&mut notices), [(WarningCode::LicenseExpires, 7)]);
    let renewal = Claims { expires_at: now() + days(30), ..renewed("L-2", now() + days(23)) };
    site.write("license", &site.sealed(&renewal));
    license.tick(now() + days(23)).await;
    assert_eq!(warned(&mut notices), [(WarningCode::LicenseExpires, 7)]);
}

#[tokio::test]
async fn recovery_a_list_that_is_due_and_a_signer_that_ends_early_are_warned_of() {
    let mut site = Site::licensed(&claims());
    site.sources.trust.crl_bundle = Some(site.write("lists.pem", &site.vendor.list(&[], now() + days(6))));
    let license = start(&site).await;
    let codes = |at: Timestamp| {
        license.snapshot().warnings(at).into_iter().map(|warning| warning.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(now()), [WarningCode::LicenseExpires, WarningCode::RevocationListDue]);
    site.make_unreadable("license");
    license.tick(now()).await;
    assert_eq!(codes(now()), [WarningCode::RecoveryEnds, WarningCode::RevocationListDue]);
}

#[tokio::test]
async fn a_change_of_status_is_told_with_both() {
    let site = Site::licensed(&claims());
    let license = start(&site).await;
    let mut notices = license.notices();
    site.write("license", "garbage");
    license.tick(now()).await;
    let told = std::iter::from_fn(|| notices.try_recv().ok()).find_map(|notice| match notice {
        Notice::Changed { from, to, detail, .. } => Some((from, to, detail.unwrap())),
        _ => None,
    });
    let (from, to, detail) = told.unwrap();
    assert_eq!((from, to), (LicenseStatus::Active, LicenseStatus::Invalid));
    assert!(detail.starts_with("format: "), "{detail}");
}

#[tokio::test]
async fn warnings_are_shown_with_the_license_and_say_when() {
    let site = Site::licensed(&Claims { grace_days: 10, ..claims() });
    let license = start(&site).await;
    let at = claims().expires_at + days(8);
    license.tick(at).await;
    let shown = LicenseProjection::of(&license.snapshot(), at);
    assert!(shown.grace_mode && !shown.recovery_mode);
    assert_eq!((shown.days_to_expiry, shown.grace_until), (Some(0), Some(claims().expires_at + days(10))));
    let messages: Vec<_> = shown.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(messages, ["the license has expired; its grace ends at 2026-07-11T00:00:00Z, in 2 days"]);
    let text = serde_json::to_string(&shown).unwrap();
    assert_eq!(serde_json::from_str::<LicenseProjection>(&text).unwrap(), shown);
}
