//! Swapping the license under load.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use chancery_license::{Memory, RunningLicense};
use descriptors::grant::{Ceiling, ProductGrant};
use envelope::Claims;
use jiff::SignedDuration;

use crate::support::{Site, claims, now, renewed};

const SWAPS: u64 = 1000;
const READERS: usize = 4;

/// A license whose grant says which one it is.
fn numbered(number: u64) -> Claims {
    let mut claims = renewed(&format!("L-{number}"), now());
    claims.grant.products.clear();
    claims
        .grant
        .products
        .insert(format!("product-{number}"), ProductGrant { edition: "pro".to_owned(), modules: None });
    claims
}

/// A call that takes its time, over one snapshot.
async fn call(license: &RunningLicense) -> u64 {
    let snapshot = license.snapshot();
    let id = snapshot.license_id().expect("no call goes without a license").to_owned();
    let number = id.strip_prefix("L-").unwrap();
    for _ in 0..3 {
        assert_eq!(snapshot.license_id(), Some(&*id));
        let Ceiling::Granted(grant) = snapshot.ceiling() else { panic!("no call fails") };
        assert!(grant.products.contains_key(&format!("product-{number}")), "a grant belongs to its license");
        tokio::task::yield_now().await;
    }
    number.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_swaps_under_load_no_call_sees_two_licenses_and_none_fails() {
    let mut site = Site::new();
    site.sources.path = Some(site.write("license", &site.sealed(&numbered(0))));
    let license = RunningLicense::start(site.sources.clone(), Memory::none(), now()).await;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (license, stop, calls) = (license.clone(), Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut latest = 0;
                while !stop.load(Ordering::Relaxed) {
                    let seen = call(&license).await;
                    assert!(seen >= latest, "a later call never sees an earlier license");
                    latest = seen;
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=SWAPS {
        site.write("license", &site.sealed(&numbered(number)));
        license.tick(now() + SignedDuration::from_secs(i64::try_from(number).unwrap())).await;
        assert_eq!(license.snapshot().license_id(), Some(&*format!("L-{number}")));
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(calls.load(Ordering::Relaxed) > SWAPS, "there was load");
}

#[tokio::test]
async fn a_license_that_is_overwritten_in_place_is_seen_by_the_second_tick_at_the_latest() {
    let site = Site::licensed(&claims());
    let license = RunningLicense::start(site.sources.clone(), Memory::none(), now()).await;
    for number in 0..200 {
        let token = site.sealed(&numbered(number));
        std::fs::write(site.path("license"), token).unwrap();
        license.tick(now()).await;
        license.tick(now()).await;
        assert_eq!(license.snapshot().license_id(), Some(&*format!("L-{number}")));
    }
}
