//! Installing through the program, and replicas that share the database.

use chancery_license::{InstallError, Memory, RunningLicense, SourceKind, State};
use descriptors::grant::{LicenseStatus, ProductGrant};
use envelope::Claims;
use jiff::SignedDuration;
use store::{Cause, Store, sqlx};

use crate::{
    keeping::{Kept, status},
    support::{Site, claims, days, now, renewed},
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Each as two tests.
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($kept:ident: Kept) $body:block)+) => {$(
        $(#[$meta])*
        async fn $name($kept: Kept) $body

        mod $name {
            use crate::keeping::Kept;

            #[test]
            fn on_sqlite() {
                kit::run(async { super::$name(Kept::on_sqlite().await).await });
            }

            #[test]
            fn on_postgres() {
                kit::run(async { super::$name(Kept::on_postgres().await).await });
            }
        }
    )+};
}

fn id(license: &RunningLicense) -> Option<String> {
    license.snapshot().license_id().map(str::to_owned)
}

fn store(kept: &Kept) -> &Store {
    match kept {
        Kept::Database { store, .. } => store,
        Kept::Files { .. } => panic!("nothing is installed in files"),
    }
}

on_both_engines! {
    async fn an_installed_license_wins_over_every_configured_one(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        let token = site.sealed(&renewed("L-2", now()));
        let installed = license.install(&token, "ada", Cause::Upkeep, now()).await.unwrap();
        assert_eq!(installed.license.license_id.as_deref(), Some("L-2"));
        assert_eq!(installed.license.source, Some(SourceKind::Installed));
        assert_eq!(installed.previous_license_id.as_deref(), Some("L-1"));
        assert_eq!(id(&license).as_deref(), Some("L-2"));

        site.write("license", &site.sealed(&renewed("L-3", now())));
        license.tick(now() + HOUR).await;
        assert_eq!(id(&license).as_deref(), Some("L-2"));
    }

    async fn it_is_there_after_a_restart_and_on_every_replica_at_its_next_tick(kept: Kept) {
        let site = Site::licensed(&claims());
        let (one, other) = (kept.start(&site, now()).await, kept.start(&site, now()).await);
        let mut watch = other.subscribe();
        one.install(&site.sealed(&renewed("L-2", now())), "ada", Cause::Upkeep, now()).await.unwrap();
        assert_eq!(id(&other).as_deref(), Some("L-1"));
        other.tick(now()).await;
        assert_eq!(id(&other).as_deref(), Some("L-2"));
        assert!(watch.has_changed().unwrap());
        assert_eq!(watch.borrow_and_update().license_id(), Some("L-2"));
        assert_eq!(id(&kept.start(&site, now()).await).as_deref(), Some("L-2"));

        other.uninstall("ada", Cause::Upkeep, now()).await.unwrap();
        one.tick(now()).await;
        assert_eq!((id(&one).as_deref(), id(&other).as_deref()), (Some("L-1"), Some("L-1")));
        assert!(!one.uninstall("ada", Cause::Upkeep, now()).await.unwrap());
        one.install(&site.sealed(&renewed("L-3", now())), "ada", Cause::Upkeep, now()).await.unwrap();
        other.tick(now()).await;
        assert_eq!(id(&other).as_deref(), Some("L-3"));
    }

    async fn a_replica_that_dies_between_keeping_and_publishing_loses_nothing(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        let token = site.sealed(&renewed("L-2", now()));
        // Dropped at every point where it waits, until one attempt is through.
        for polls in 1.. {
            let mut install = Box::pin(license.install(&token, "ada", Cause::Upkeep, now()));
            let mut done = false;
            for _ in 0..polls {
                let waited = tokio::time::timeout(std::time::Duration::from_millis(1), &mut install).await;
                done = done || waited.is_ok();
                if done {
                    break;
                }
            }
            drop(install);
            let in_database: Option<i64> =
                sqlx::query_scalar("SELECT version FROM license_memory WHERE slot = 'installed'")
                    .fetch_optional(store(&kept).reader())
                    .await
                    .unwrap();
            let restarted = kept.start(&site, now()).await;
            if in_database.is_some() {
                assert_eq!(id(&restarted).as_deref(), Some("L-2"));
                license.tick(now()).await;
                assert_eq!(id(&license).as_deref(), Some("L-2"));
            }
            if done {
                break;
            }
        }
        assert_eq!(id(&license).as_deref(), Some("L-2"));
    }

    async fn of_operators_who_install_at_once_each_is_kept_or_told(kept: Kept) {
        let site = Site::licensed(&claims());
        let mut calls = Vec::new();
        for n in 0..6 {
            let license = kept.start(&site, now()).await;
            let token = site.sealed(&renewed(&format!("L-{n}"), now()));
            calls.push(tokio::spawn(async move { license.install(&token, "ada", Cause::Upkeep, now()).await }));
        }
        let mut installed = Vec::new();
        for call in calls {
            match call.await.unwrap() {
                Ok(done) => installed.push(done.license.license_id.unwrap()),
                Err(InstallError::Conflict) => {}
                Err(other) => panic!("{other}"),
            }
        }
        let count: i64 = sqlx::query_scalar("SELECT version FROM license_memory WHERE slot = 'installed'")
            .fetch_one(store(&kept).reader())
            .await
            .unwrap();
        assert_eq!(usize::try_from(count).unwrap(), installed.len());
        assert!(installed.contains(&id(&kept.start(&site, now()).await).unwrap()));
    }

    async fn what_is_not_usable_now_is_refused_and_nothing_is_kept(kept: Kept) {
        let mut site = Site::licensed(&claims());
        site.sources.site.owner = Some("acme".to_owned());
        let license = kept.start(&site, now()).await;
        let mut foreign = renewed("L-2", now());
        "globex".clone_into(&mut foreign.installation_owner.id);
        let mut elsewhere = renewed("L-2", now());
        elsewhere.binding.installation_id = Some("site-2".to_owned());
        let early = Claims { not_before: now() + days(1), ..renewed("L-2", now()) };
        let past = Claims {
            expires_at: now() - HOUR, not_before: now() - days(2), issued_at: now() - days(2), ..claims()
        };
        for (claims, expected, stage) in [
            (foreign, LicenseStatus::Invalid, Some("parties")),
            (elsewhere, LicenseStatus::Invalid, Some("binding")),
            (early, LicenseStatus::Invalid, Some("claims")),
            (past, LicenseStatus::Expired, None),
            (renewed("L-2", now() + HOUR), LicenseStatus::Blocked, None),
        ] {
            let token = site.sealed(&claims);
            let preview = license.preview(&token, now()).await;
            assert!(!preview.installable);
            assert_eq!(preview.license.status, expected);
            let error = license.install(&token, "ada", Cause::Upkeep, now()).await.unwrap_err();
            let InstallError::NotUsable { status, refusal, .. } = error else { panic!("{error}") };
            assert_eq!((status, refusal.map(|refusal| refusal.stage)), (expected, stage));
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM license_memory WHERE slot = 'installed'")
            .fetch_one(store(&kept).reader())
            .await
            .unwrap();
        assert_eq!((count, id(&license).as_deref()), (0, Some("L-1")));
    }

    async fn a_preview_says_what_would_be_replaced_and_lost_and_changes_nothing(kept: Kept) {
        let mut more = claims();
        more.grant.products.insert("extra".to_owned(), ProductGrant { edition: "pro".to_owned(), modules: None });
        let site = Site::licensed(&more);
        let license = kept.start(&site, now() + HOUR).await;
        let older = Claims {
            license_id: "L-0".to_owned(),
            issued_at: now() - HOUR,
            expires_at: now() + days(20),
            ..claims()
        };
        let preview = license.preview(&site.sealed(&older), now() + HOUR).await;
        assert!(preview.installable);
        assert_eq!(preview.license.license_id.as_deref(), Some("L-0"));
        let replaced = preview.replaces.unwrap();
        assert_eq!((replaced.license_id.as_str(), replaced.source), ("L-1", SourceKind::Path));
        for words in ["issued", "expires", "`extra`"] {
            assert!(preview.warnings.iter().any(|warning| warning.contains(words)), "{:?}", preview.warnings);
        }
        assert_eq!(id(&license).as_deref(), Some("L-1"));
    }

    async fn an_installed_license_that_somebody_edited_is_refused_and_never_passed_over(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        license.install(&site.sealed(&renewed("L-2", now())), "ada", Cause::Upkeep, now()).await.unwrap();
        kept.edit("installed", |text| text.replace("ada", "eve")).await;
        let license = kept.start(&site, now()).await;
        let snapshot = license.snapshot();
        let State::Invalid(state) = snapshot.state() else { panic!("{snapshot:?}") };
        assert_eq!(state.refusal().stage, "memory");

        license.install(&site.sealed(&renewed("L-3", now())), "ada", Cause::Upkeep, now()).await.unwrap();
        assert_eq!(id(&license).as_deref(), Some("L-3"));
    }

    async fn replicas_agree_on_the_latest_time_and_on_what_heals_it(kept: Kept) {
        let site = Site::licensed(&claims());
        let (one, other) = (kept.start(&site, now()).await, kept.start(&site, now()).await);
        one.tick(now() + days(3)).await;
        other.tick(now() + days(1)).await;
        assert_eq!(status(&other), LicenseStatus::Blocked);
        let early = kept.start(&site, now() + HOUR).await;
        early.remember(now() + HOUR).await;
        assert_eq!(status(&kept.start(&site, now() + days(1)).await), LicenseStatus::Blocked);

        let today = now() + days(1);
        let token = site.sealed(&renewed("L-2", today));
        let preview = other.preview(&token, today).await;
        assert!(preview.warnings.iter().any(|warning| warning.contains("clock")), "{:?}", preview.warnings);
        other.install(&token, "ada", Cause::Upkeep, today).await.unwrap();
        assert_eq!(status(&other), LicenseStatus::Active);
        // The one that ran ahead is set right too, and does not bring its time back.
        one.tick(today + HOUR).await;
        one.remember(today + HOUR).await;
        assert_eq!((status(&one), id(&one).as_deref()), (LicenseStatus::Active, Some("L-2")));
        other.tick(today + HOUR).await;
        assert_eq!(status(&other), LicenseStatus::Active);
        assert_eq!(status(&kept.start(&site, today + HOUR).await), LicenseStatus::Active);
    }

    async fn a_replica_that_runs_ahead_cannot_undo_a_healing_it_has_not_seen(kept: Kept) {
        let site = Site::licensed(&claims());
        let (ahead, other) = (kept.start(&site, now()).await, kept.start(&site, now()).await);
        ahead.tick(now() + days(3)).await;
        let today = now() + days(1);
        other.install(&site.sealed(&renewed("L-2", today)), "ada", Cause::Upkeep, today).await.unwrap();
        // It writes its own time down without having looked.
        ahead.remember(now() + days(3)).await;
        assert_eq!(status(&kept.start(&site, today).await), LicenseStatus::Active);
    }

    async fn a_database_that_does_not_answer_is_a_source_that_cannot_be_read(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        license.install(&site.sealed(&renewed("L-2", now())), "ada", Cause::Upkeep, now()).await.unwrap();
        let mut work = store(&kept).begin().await.unwrap();
        sqlx::query("ALTER TABLE license_memory RENAME TO hidden").execute(&mut *work).await.unwrap();
        work.commit(Cause::Upkeep).await.unwrap();

        license.tick(now() + HOUR).await;
        assert_eq!((status(&license), id(&license).as_deref()), (LicenseStatus::Recovery, Some("L-2")));
        assert_eq!(status(&kept.start(&site, now() + HOUR).await), LicenseStatus::Invalid);
        let error = license.install(&site.sealed(&renewed("L-3", now())), "ada", Cause::Upkeep, now() + HOUR).await.unwrap_err();
        assert!(matches!(error, InstallError::Unreachable), "{error}");

        let mut work = store(&kept).begin().await.unwrap();
        sqlx::query("ALTER TABLE hidden RENAME TO license_memory").execute(&mut *work).await.unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
        license.tick(now() + HOUR).await;
        assert_eq!((status(&license), id(&license).as_deref()), (LicenseStatus::Active, Some("L-2")));
    }
}

#[test]
fn nothing_is_installed_without_a_database() {
    kit::run(async {
        let site = Site::licensed(&claims());
        let token = site.sealed(&renewed("L-2", now()));
        let license = RunningLicense::start(site.sources.clone(), Memory::files(None, None), now()).await;
        let refused = license.install(&token, "ada", Cause::Upkeep, now()).await;
        assert!(matches!(refused, Err(InstallError::NoDatabase)), "{refused:?}");
        let refused = RunningLicense::unenforced().install(&token, "ada", Cause::Upkeep, now()).await;
        assert!(matches!(refused, Err(InstallError::Unenforced)), "{refused:?}");
    });
}
