//! What the sources hold, and whether it is meant for this deployment: without any memory.

use std::fs::{self, File};

use chancery_license::{LicenseProjection, Refusal, Snapshot, SourceKind, TrustSettings};
use descriptors::grant::{Ceiling, CeilingUnavailable, LicenseStatus};
use envelope::{Claims, armor::MAX_ARMORED_BYTES, claims::Binding};
use jiff::SignedDuration;

use crate::support::{Site, claims, days, key_license, now, pinned};

fn source(snapshot: &Snapshot) -> Option<SourceKind> {
    snapshot.held().map(chancery_license::Held::source)
}

#[test]
fn a_vendors_license_under_the_configured_path_is_active() {
    let snapshot = Site::licensed(&claims()).read().snapshot();
    assert_eq!(snapshot.status(), LicenseStatus::Active);
    assert_eq!(snapshot.license_id(), Some("L-1"));
    assert_eq!(source(&snapshot), Some(SourceKind::Path));
}

#[test]
fn a_development_license_under_its_own_path_is_active() {
    let snapshot = Site::in_development().read().snapshot();
    assert_eq!(snapshot.status(), LicenseStatus::Active);
    assert_eq!(source(&snapshot), Some(SourceKind::Development));
}

#[test]
fn without_a_source_the_license_is_missing() {
    assert_eq!(Site::new().status(), LicenseStatus::Missing);
}

#[test]
fn a_configured_path_is_not_passed_over_for_a_good_development_license() {
    let mut site = Site::in_development();
    assert_eq!(site.status(), LicenseStatus::Active);
    site.sources.path = Some(site.folder.path().join("license"));
    assert_eq!(site.status(), LicenseStatus::Missing);
    site.write("license", "garbage");
    assert_eq!(site.status(), LicenseStatus::Invalid);
}

#[test]
fn what_is_not_the_vendors_license_is_refused_at_the_stage_that_found_out() {
    let site = Site::licensed(&claims());
    let good = site.sealed(&claims());
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let changed = if parts[3].starts_with('A') { "B" } else { "A" };
    parts[3].replace_range(..1, changed);
    let tampered = parts.join(".");
    let elsewhere = Site::new();
    let for_another = site.vendor.signer.seal(&claims(), &elsewhere.recipient.public()).unwrap();
    let by_a_stranger = elsewhere.vendor.signer.seal(&claims(), &site.recipient.public()).unwrap();
    for (token, stage) in [
        ("garbage", "format"),
        (&*tampered, "decrypt"),
        (&*for_another, "decrypt"),
        (&*by_a_stranger, "chain"),
    ] {
        site.write("license", token);
        assert_eq!(site.refusal().stage, stage, "{token}");
    }
    site.write("license", &format!("\n{good}\n"));
    assert_eq!(site.status(), LicenseStatus::Active);
}

#[test]
fn without_roots_or_a_recipient_key_every_license_is_refused() {
    let mut site = Site::licensed(&claims());
    site.write("roots.pem", "");
    assert_eq!(site.refusal().stage, "trust");
    site.sources.trust = TrustSettings::standard(None);
    let refusal = site.refusal();
    assert_eq!(refusal.stage, "trust");
    assert!(refusal.detail.contains("`license.trust.root-ca-bundle-path`"), "{}", refusal.detail);

    let mut site = Site::licensed(&claims());
    site.sources.recipient = None;
    assert_eq!(site.refusal().stage, "recipient");
}

#[test]
fn a_license_bound_to_another_installation_is_refused() {
    let mut site = Site::licensed(&claims());
    site.sources.site.installation = "site-2".to_owned();
    assert_eq!(site.refusal().stage, "binding");
}

#[test]
fn a_license_bound_to_no_installation_is_good_for_any() {
    let mut claims = claims();
    claims.binding.installation_id = None;
    assert_eq!(Site::licensed(&claims).status(), LicenseStatus::Active);
}

#[test]
fn a_license_bound_to_base_domains_is_good_beneath_them_only() {
    let bound = |domains: &[&str]| {
        let base_domains = domains.iter().map(|&domain| domain.to_owned()).collect();
        Claims { binding: Binding { installation_id: None, base_domains }, ..claims() }
    };
    for (host, good) in [
        (Some("example.com"), true),
        (Some("platform.Example.com"), true),
        (Some("example.org"), true),
        (Some("badexample.com"), false),
        (Some("example.com.evil.net"), false),
        (None, false),
    ] {
        let mut site = Site::licensed(&bound(&["example.com", "example.org"]));
        site.sources.site.public_host = host.map(str::to_owned);
        let expected = if good { LicenseStatus::Active } else { LicenseStatus::Invalid };
        assert_eq!(site.status(), expected, "{host:?}");
        if !good {
            assert_eq!(site.refusal().stage, "binding");
        }
    }
}

#[test]
fn a_license_is_refused_until_it_begins() {
    let mut claims = claims();
    claims.not_before = now() + days(1);
    let site = Site::licensed(&claims);
    let refusal = site.refusal();
    assert_eq!(refusal.stage, "claims");
    assert!(refusal.detail.contains("2026-06-02T00:00:00Z"), "{}", refusal.detail);

    let license = site.read();
    assert_eq!(license.next_edge(), Some(claims.not_before));
    license.refresh(claims.not_before);
    assert_eq!(license.snapshot().status(), LicenseStatus::Active);
}

#[test]
fn a_license_expires_at_the_instant_its_next_edge_names() {
    let site = Site::licensed(&claims());
    let license = site.read();
    let end = license.next_edge().unwrap();
    assert_eq!(end, now() + days(30));
    license.refresh(end - SignedDuration::from_micros(1));
    assert_eq!(license.snapshot().status(), LicenseStatus::Active);
    license.refresh(end);
    assert_eq!(license.snapshot().status(), LicenseStatus::Expired);
    assert_eq!(license.snapshot().license_id(), Some("L-1"));
    assert_eq!(license.next_edge(), None);
}

#[test]
fn a_renewed_file_counts_from_the_refresh_on_and_a_held_snapshot_keeps_the_old_license() {
    let site = Site::licensed(&claims());
    let license = site.read();
    let held = license.snapshot();
    let renewed = Claims { license_id: "L-2".to_owned(), expires_at: now() + days(60), ..claims() };
    site.write("license", &site.sealed(&renewed));
    assert_eq!(license.snapshot().license_id(), Some("L-1"));

    let later = now() + days(40);
    license.clone().refresh(later);
    let snapshot = license.snapshot();
    assert_eq!((snapshot.status(), snapshot.license_id()), (LicenseStatus::Active, Some("L-2")));
    assert_eq!((held.status(), held.license_id()), (LicenseStatus::Active, Some("L-1")));
}

#[test]
fn a_license_that_turns_bad_is_refused_from_the_refresh_on() {
    let site = Site::licensed(&claims());
    let license = site.read();
    site.write("license", "garbage");
    license.refresh(now());
    assert_eq!(license.snapshot().status(), LicenseStatus::Invalid);
    assert_eq!(license.snapshot().license_id(), None);
}

#[test]
fn a_development_license_is_accepted_from_no_other_path_and_never_in_production() {
    let mut site = Site::in_development();
    site.sources.site.production = true;
    let refusal = site.refusal();
    assert_eq!(refusal.stage, "source");
    assert!(refusal.detail.contains("`environment=production`"), "{}", refusal.detail);

    site.sources.site.production = false;
    site.sources.path = site.sources.development.take();
    let refusal = site.refusal();
    assert_eq!(refusal.stage, "source");
    assert!(refusal.detail.contains("`license.dev.path`"), "{}", refusal.detail);
}

#[test]
fn a_vendors_license_under_the_development_path_lasts_31_days_at_most_grace_included() {
    for (valid, grace, expected) in [
        (31, 0, LicenseStatus::Active),
        (30, 1, LicenseStatus::Active),
        (31, 1, LicenseStatus::Invalid),
        (32, 0, LicenseStatus::Invalid),
    ] {
        let claims = Claims { expires_at: now() + days(valid), grace_days: grace, ..claims() };
        let mut site = Site::licensed(&claims);
        assert_eq!(site.status(), LicenseStatus::Active);
        site.sources.development = site.sources.path.take();
        assert_eq!(site.status(), expected, "{valid} days and {grace} of grace");
    }
}

#[test]
fn a_file_beyond_the_bound_is_refused_unread() {
    let site = Site::licensed(&claims());
    let file = File::create(site.folder.path().join("license")).unwrap();
    // A hole of a tebibyte: there is no memory to read it into.
    file.set_len(1 << 40).unwrap();
    let refusal = site.refusal();
    assert_eq!(refusal.stage, "source");
    assert!(refusal.detail.contains(&format!("larger than {MAX_ARMORED_BYTES} bytes")), "{}", refusal.detail);
}

#[test]
fn days_to_expiry_round_up_and_end_at_zero() {
    let snapshot = Site::licensed(&claims()).read().snapshot();
    let end = now() + days(30);
    for (before_end, expected) in [
        (days(30), 30),
        (days(29) + SignedDuration::from_secs(1), 30),
        (days(29), 29),
        (SignedDuration::from_secs(1), 1),
        (SignedDuration::from_nanos(1), 1),
        (SignedDuration::ZERO, 0),
        (-days(5), 0),
    ] {
        let shown = LicenseProjection::of(&snapshot, end - before_end);
        assert_eq!(shown.days_to_expiry, Some(expected), "{before_end} before the end");
    }
}

#[test]
fn what_is_shown_of_a_license_are_ids_and_products_and_nothing_that_was_sealed() {
    let site = Site::licensed(&claims());
    let shown = serde_json::to_value(LicenseProjection::of(&site.read().snapshot(), now())).unwrap();
    for (name, expected) in [
        ("status", "ACTIVE"),
        ("licenseId", "L-1"),
        ("issuer", "vendor"),
        ("customerId", "acme"),
        ("installationId", "site-1"),
        ("expiresAt", "2026-07-01T00:00:00Z"),
    ] {
        assert_eq!(shown[name], expected);
    }
    assert_eq!(shown["productSummaries"], serde_json::json!([{ "product": "chancery", "edition": "pro" }]));
    assert_holds_nothing_sealed(&site, &shown.to_string());
}

#[test]
fn a_refused_license_shows_why_and_nothing_of_itself() {
    let mut site = Site::licensed(&claims());
    site.sources.site.installation = "site-2".to_owned();
    let shown = LicenseProjection::of(&site.read().snapshot(), now());
    assert_eq!(shown.status, LicenseStatus::Invalid);
    assert!(shown.detail.as_ref().unwrap().starts_with("binding: "), "{shown:?}");
    assert_eq!((&shown.license_id, shown.expires_at, shown.days_to_expiry), (&None, None, None));
    assert_holds_nothing_sealed(&site, &serde_json::to_string(&shown).unwrap());
}

#[test]
fn nothing_prints_what_was_sealed() {
    let site = Site::licensed(&claims());
    let license = site.read();
    let printed = format!("{:?} {:?} {license:?}", license.snapshot(), site.sources);
    assert!(printed.contains("L-1"), "{printed}");
    assert_holds_nothing_sealed(&site, &printed);
}

/// Neither the token, nor the key it was sealed to, nor the grant, nor a name of a party.
#[track_caller]
fn assert_holds_nothing_sealed(site: &Site, text: &str) {
    let read = |name: &str| fs::read_to_string(site.folder.path().join(name)).unwrap();
    let token = read("license");
    for part in token.split('.').filter(|part| part.len() > 16) {
        assert!(!text.contains(part), "{text}");
    }
    for secret in [&*read("key.pem"), "PRIVATE KEY", "tenancy.subtenants.v1", "grant", "by name"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_token_in_the_configuration_counts_where_no_path_is_configured() {
    let mut site = Site::new();
    site.sources.token = Some(format!("\n{}\n", site.sealed(&claims())).into());
    let snapshot = site.read().snapshot();
    assert_eq!((snapshot.status(), source(&snapshot)), (LicenseStatus::Active, Some(SourceKind::Token)));

    site.sources.path = Some(site.path("license"));
    assert_eq!(site.status(), LicenseStatus::Missing);
    site.write("license", "garbage");
    assert_eq!(site.status(), LicenseStatus::Invalid);
    assert!(!format!("{:?}", site.sources).contains(&site.sealed(&claims())[..20]));
}

#[test]
fn a_license_without_a_known_owner_is_refused_for_its_parties() {
    let mut site = Site::licensed(&claims());
    site.sources.site.owner = Some("acme".to_owned());
    assert_eq!(site.status(), LicenseStatus::Active);

    site.sources.site.owner = Some("globex".to_owned());
    assert_eq!(site.refusal().stage, Refusal::PARTIES);
    let snapshot = site.read().snapshot();
    assert!(matches!(snapshot.ceiling(), Ceiling::Unavailable(CeilingUnavailable::PartyUnresolved)));
}

#[test]
fn a_license_in_key_format_counts_where_its_key_is_pinned_and_the_shape_allows_it() {
    let (token, jwk) = key_license(&claims(), "2026");
    let mut site = Site::new();
    site.sources.path = Some(site.write("license", &token));
    site.sources.recipient = None;
    let refused = |site: &Site, words: &str| {
        let refusal = site.refusal();
        assert_eq!(refusal.stage, "format");
        assert!(refusal.detail.contains(words), "{}", refusal.detail);
    };
    refused(&site, "`packaging`");
    site.sources.site.sealed_only = false;
    refused(&site, "this build accepts no license in key format");
    site.sources.pinned = pinned("2025", &jwk);
    refused(&site, "`2026`");
    site.sources.pinned = pinned("2026", &jwk);
    assert_eq!(site.status(), LicenseStatus::Active);
    site.sources.site.installation = "site-2".to_owned();
    assert_eq!(site.refusal().stage, "binding");
}

#[test]
fn a_revoked_signer_takes_the_license_back_and_a_list_that_is_due_or_missing_refuses_it() {
    let mut site = Site::licensed(&claims());
    let list = |revoked: bool, until| {
        let revoked = if revoked { vec![&site.vendor.signer] } else { Vec::new() };
        site.vendor.list(&revoked, until)
    };
    let (good, revoking, stale) =
        (list(false, now() + days(1)), list(true, now() + days(1)), list(false, now() - days(1)));
    site.sources.trust.crl_bundle = Some(site.path("lists.pem"));
    assert_eq!(site.refusal().stage, "revocation");
    for (text, expected) in
        [(good, LicenseStatus::Active), (revoking, LicenseStatus::Revoked), (stale, LicenseStatus::Invalid)]
    {
        site.write("lists.pem", &text);
        assert_eq!(site.status(), expected);
    }
    site.write("lists.pem", "garbage");
    assert_eq!(site.refusal().stage, "revocation");
}
