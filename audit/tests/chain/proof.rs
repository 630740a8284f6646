//! The chain: what its tables refuse, and what is found out when they were made not to.

use std::time::Duration;

use chancery_audit::{AuditError, AuditLog, Defect, Range, Scope, Seals};
use jiff::{SignedDuration, Timestamp};
use store::Engine;
use store::sqlx::{self, AssertSqlSafe};

use crate::common::{Key, NOON, attack, broken, defects, disarm, event, fill, found, log, open, write};

kit::on_both_engines! {
    async fn every_scope_has_a_chain_of_its_own_and_all_of_them_verify(url: &str) {
        let store = open(url).await;
        fill(&store, &[None, Some("acme"), Some("globex"), Some("platform")], 30).await;
        let verified = log(&store).verify(&Range::default(), &[]).await.unwrap();
        assert!(verified.intact, "{:?}", verified.broken);
        assert_eq!((verified.scopes, verified.events, verified.unsealed), (4, 120, 120));
        let scope = Some(Scope::Tenant("acme".to_owned()));
        let page = log(&store).query(&chancery_audit::Filter { scope, ..Default::default() }, None, 1000).await;
        let places: Vec<_> = page.unwrap().events.iter().map(|entry| entry.sequence).collect();
        assert_eq!(places, (1..=30).rev().collect::<Vec<_>>());
    }

    async fn an_empty_log_is_intact(url: &str) {
        let store = open(url).await;
        let verified = log(&store).verify(&Range::default(), &[]).await.unwrap();
        assert_eq!((verified.intact, verified.scopes, verified.events), (true, 0, 0));
        assert!(log(&store).checkpoint(NOON).await.unwrap().is_empty());
    }

    async fn a_chain_longer_than_a_page_verifies_whole_and_in_part(url: &str) {
        let store = open(url).await;
        for hundred in 0..21 {
            let events: Vec<_> = (1..=100).map(|n| event(None, hundred * 100 + n)).collect();
            write(&store, &events).await;
        }
        let range = |from, to| Range { scope: Some(Scope::Platform), from, to };
        for (from, to, events) in [
            (None, None, 2100),
            (Some(1), Some(1000), 1000),
            (Some(1001), None, 1100),
            (Some(50), Some(50), 1),
            (Some(2100), Some(9000), 1),
        ] {
            let verified = log(&store).verify(&range(from, to), &[]).await.unwrap();
            assert_eq!((verified.intact, verified.events), (true, events), "{from:?} {to:?}");
        }
        disarm(&store).await;
        attack(&store, &["UPDATE audit_event SET actor = 'eve' WHERE sequence = 1500"]).await;
        for (from, to, intact) in [(None, None, false), (None, Some(1499), true), (Some(1501), None, true), (Some(1400), Some(1600), false)] {
            let verified = log(&store).verify(&range(from, to), &[]).await.unwrap();
            assert_eq!(verified.intact, intact, "{from:?} {to:?}");
        }
    }

    async fn the_tables_refuse_to_forget(url: &str) {
        let store = open(url).await;
        fill(&store, &[None], 3).await;
        log(&store).checkpoint(NOON).await.unwrap();
        let mut attempts = vec![
            "UPDATE audit_event SET actor = 'eve' WHERE sequence = 2",
            "DELETE FROM audit_event WHERE sequence = 2",
            "DELETE FROM audit_event",
            "UPDATE audit_checkpoint SET note = ''",
            "DELETE FROM audit_checkpoint",
            "INSERT INTO audit_pruned (scope, sequence, note) VALUES ('platform', 2, 'no checkpoint stands there')",
        ];
        attempts.extend(match store.engine() {
            Engine::Postgres => ["TRUNCATE audit_event", "TRUNCATE audit_checkpoint"],
            Engine::Sqlite => [
                "INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event",
                "INSERT OR REPLACE INTO audit_checkpoint SELECT number, '' FROM audit_checkpoint",
            ],
        });
        for attempt in attempts {
            let mut work = store.begin().await.unwrap();
            let refused = sqlx::raw_sql(AssertSqlSafe(attempt)).execute(&mut *work).await.unwrap_err().to_string();
            assert!(refused.contains("append-only") || refused.contains("only sealed"), "{attempt}: {refused}");
        }
        assert!(log(&store).verify(&Range::default(), &[]).await.unwrap().intact);
    }

    async fn a_change_of_any_column_is_found_and_named(url: &str) {
        let changes = [
            "id = 'x' || id", "name = 'x'", "time = time + 1", "actor = 'eve'", "command = NULL", "command = ''",
            "module = 'health'", "result = 'succeeded'", "error_code = NULL", "duration = duration + 1", "duration = NULL",
            "correlation_id = NULL", "trace_id = NULL", "span_id = ''", "metadata = '{}'", "metadata = metadata || ' '",
            "hash = replace(hash, 'a', 'b')", "hash = ''", "command = 'tenancy.tenants.creat', module = 'etenancy'",
        ];
        let names: Vec<_> = (10..10 + changes.len()).map(|n| format!("t{n}")).collect();
        let tenants: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
        let store = open(url).await;
        fill(&store, &tenants, 9).await;
        disarm(&store).await;
        let attacks: Vec<_> = names.iter().zip(changes).map(|(name, change)| {
            format!("UPDATE audit_event SET {change} WHERE scope = 'tenant:{name}' AND sequence = 5")
        }).collect();
        attack(&store, &attacks).await;
        let expected: Vec<_> = names.iter().map(|name| broken(name, 5, Defect::Changed)).collect();
        assert_eq!(defects(&log(&store)).await, expected);
    }

    async fn whatever_is_done_to_the_rows_the_first_bad_link_is_named(url: &str) {
        // What is done to a chain of nine, the last two of them newer than the checkpoint, and where that shows.
        let of = |tenant: &str| format!("WHERE scope = 'tenant:{tenant}' AND sequence");
        let copy = |tenant: &str, from: i64, to: i64| format!(
            "INSERT INTO audit_event SELECT 'copy-' || id, scope, {to}, hash, name, time, actor, command, module, result,
             error_code, duration, correlation_id, trace_id, span_id, metadata FROM audit_event {} = {from}", of(tenant)
        );
        let renumber = |tenant: &str, from: i64, to: i64| {
            format!("UPDATE audit_event SET sequence = {to} {} = {from}", of(tenant))
        };
        let set_back = |tenant: &str, to: i64| format!(
            "UPDATE audit_head SET sequence = {to}, hash = (SELECT hash FROM audit_event {} = {to})
             WHERE scope = 'tenant:{tenant}'", of(tenant)
        );
        let cases: Vec<(&str, Vec<String>, u64, Defect)> = vec![
            ("a-first-deleted", vec![format!("DELETE FROM audit_event {} = 1", of("a-first-deleted"))], 1, Defect::Missing),
            ("b-middle-deleted", vec![format!("DELETE FROM audit_event {} = 5", of("b-middle-deleted"))], 5, Defect::Missing),
            ("c-last-deleted", vec![format!("DELETE FROM audit_event {} = 9", of("c-last-deleted"))], 9, Defect::Missing),
            ("d-gap-closed", vec![
                format!("DELETE FROM audit_event {} = 5", of("d-gap-closed")),
                renumber("d-gap-closed", 6, 5), renumber("d-gap-closed", 7, 6), renumber("d-gap-closed", 8, 7),
                renumber("d-gap-closed", 9, 8), set_back("d-gap-closed", 8),
            ], 5, Defect::Changed),
            ("e-inserted-at-the-end", vec![copy("e-inserted-at-the-end", 9, 10)], 10, Defect::Inserted),
            ("f-inserted-in-front", vec![copy("f-inserted-in-front", 1, 0)], 0, Defect::Inserted),
            ("g-inserted-between", vec![
                renumber("g-inserted-between", 9, 10), renumber("g-inserted-between", 8, 9),
                renumber("g-inserted-between", 7, 8), copy("g-inserted-between", 6, 7), set_back("g-inserted-between", 10),
            ], 7, Defect::Changed),
            ("h-reordered", vec![
                renumber("h-reordered", 4, 0), renumber("h-reordered", 5, 4), renumber("h-reordered", 0, 5),
            ], 4, Defect::Changed),
            ("i-cut-off", vec![
                format!("DELETE FROM audit_event {} > 6", of("i-cut-off")), set_back("i-cut-off", 6),
            ], 7, Defect::Missing),
            ("j-gone-altogether", vec![
                "DELETE FROM audit_event WHERE scope = 'tenant:j-gone-altogether'".to_owned(),
                "DELETE FROM audit_head WHERE scope = 'tenant:j-gone-altogether'".to_owned(),
            ], 1, Defect::Missing),
            ("k-head-deleted", vec!["DELETE FROM audit_head WHERE scope = 'tenant:k-head-deleted'".to_owned()], 1, Defect::Head),
            ("l-head-changed", vec![
                format!("UPDATE audit_head SET hash = '{}' WHERE scope = 'tenant:l-head-changed'", "0".repeat(64)),
            ], 9, Defect::Head),
            ("m-pruned-by-hand", vec![
                "INSERT INTO audit_pruned SELECT scope, sequence, '{\"scope\":\"tenant:m-pruned-by-hand\",\"sequence\":7,\"hash\":\"'
                 || hash || '\",\"time\":\"2030-01-01T00:00:00Z\"}' FROM audit_event WHERE scope = 'tenant:m-pruned-by-hand'
                 AND sequence = 7".to_owned(),
                format!("DELETE FROM audit_event {} <= 7", of("m-pruned-by-hand")),
            ], 8, Defect::Pruned),
            ("n-moved-away", vec![
                "UPDATE audit_event SET scope = 'platform', sequence = 1 WHERE scope = 'tenant:n-moved-away' AND sequence = 3".to_owned(),
            ], 3, Defect::Missing),
        ];
        let tenants: Vec<_> = cases.iter().map(|(tenant, ..)| Some(*tenant)).collect();
        let store = open(url).await;
        let events: Vec<_> = tenants.iter().flat_map(|tenant| (1..=9).map(|n| event(*tenant, n))).collect();
        let (sealed, later): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| event.time < NOON + SignedDuration::from_secs(8));
        write(&store, &sealed).await;
        log(&store).checkpoint(NOON).await.unwrap();
        write(&store, &later).await;
        assert!(log(&store).verify(&Range::default(), &[]).await.unwrap().intact);

        disarm(&store).await;
        for (_, statements, ..) in &cases {
            attack(&store, statements).await;
        }
        let mut expected = vec![("platform".to_owned(), 1, Defect::Head)];
        expected.extend(cases.iter().map(|(tenant, _, sequence, defect)| broken(tenant, *sequence, *defect)));
        assert_eq!(defects(&log(&store)).await, expected);
        for (tenant, _, sequence, defect) in cases {
            for (from, to) in [(None, None), (None, Some(sequence)), (Some(sequence), None), (Some(sequence), Some(sequence))] {
                let range = Range { scope: Some(Scope::Tenant(tenant.to_owned())), from, to };
                let verified = log(&store).verify(&range, &[]).await.unwrap();
                assert_eq!(found(verified.broken), [broken(tenant, sequence, defect)], "{from:?} {to:?}");
            }
        }
    }

    async fn a_chain_written_anew_is_not_the_one_that_was_sealed(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        for n in 1..=9 {
            write(&store, &[event(None, n)]).await;
            if n % 3 == 0 {
                log.checkpoint(NOON).await.unwrap();
            }
        }
        disarm(&store).await;
        attack(&store, &[
            "DELETE FROM audit_event WHERE sequence > 4",
            "UPDATE audit_head SET sequence = 4, hash = (SELECT hash FROM audit_event WHERE sequence = 4)",
        ]).await;
        // Ours goes on and seals what it finds.
        let others: Vec<_> = (15..=22).map(|n| event(None, n)).collect();
        write(&store, &others).await;
        log.checkpoint(NOON).await.unwrap();
        let rewritten = [("platform".to_owned(), 4, Defect::Rewritten)];
        assert_eq!(defects(&log).await, rewritten, "the last that agrees is 3");
        let range = |to| Range { scope: Some(Scope::Platform), from: None, to: Some(to) };
        assert_eq!(found(log.verify(&range(5), &[]).await.unwrap().broken), rewritten, "also short of a checkpoint");
        assert!(log.verify(&range(3), &[]).await.unwrap().intact);
        let refused = log.export(&range(5), &mut Vec::new()).await.unwrap_err();
        assert!(matches!(refused, AuditError::Broken(_)), "and it gets no seal as an export: {refused}");
        assert_eq!(log.export(&range(3), &mut Vec::new()).await.unwrap(), 3);
    }

    async fn checkpoints_cannot_be_changed_forged_or_left_out(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        for n in 1..=5 {
            write(&store, &[event(None, n)]).await;
            assert_eq!(log.checkpoint(NOON).await.unwrap().len(), 1);
        }
        assert!(log.checkpoint(NOON).await.unwrap().is_empty(), "nothing happened since");
        let verified = log.verify(&Range::default(), &[]).await.unwrap();
        assert_eq!((verified.intact, verified.checkpoints, verified.unsealed), (true, 5, 0));
        let others = AuditLog::new(store.clone()).sealed_by(Key("another"));
        assert_eq!(others.verify(&Range::default(), &[]).await.unwrap().broken.len(), 5);
        let keyless = AuditLog::new(store.clone()).verify(&Range::default(), &[]).await.unwrap();
        assert_eq!((keyless.intact, keyless.seals), (true, Seals::Unchecked));
        assert!(matches!(AuditLog::new(store.clone()).prune(&Scope::Platform, Timestamp::MAX, NOON).await, Err(AuditError::NoSeal)));

        disarm(&store).await;
        attack(&store, &[
            "DELETE FROM audit_checkpoint WHERE number = 2",
            "UPDATE audit_checkpoint SET note = replace(note, '\"sequence\":4', '\"sequence\":3') WHERE number = 4",
        ]).await;
        let broken = log.verify(&Range::default(), &[]).await.unwrap().broken;
        // The fifth note names the fourth as it was.
        let expected = [(2, Defect::Missing), (4, Defect::Changed), (5, Defect::Changed)];
        assert_eq!(found(broken), expected.map(|(number, defect)| (String::new(), number, defect)));
    }

    async fn a_log_that_seals_regularly_leaves_little_unsealed(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        let sealing = tokio::spawn(log.clone().seal_every(Duration::from_millis(1), || NOON));
        fill(&store, &[None, Some("acme")], 5).await;
        while log.verify(&Range::default(), &[]).await.unwrap().unsealed > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fill(&store, &[Some("globex")], 5).await;
        while log.verify(&Range::default(), &[]).await.unwrap().unsealed > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sealing.abort();
        assert!(log.verify(&Range::default(), &[]).await.unwrap().intact);
    }

    async fn processes_that_seal_at_once_make_one_line_of_checkpoints(url: &str) {
        let store = open(url).await;
        let sealers: Vec<_> = (0..4).map(|_| tokio::spawn({
            let url = url.to_owned();
            async move {
                let log = log(&open(&url).await);
                for _ in 0..20 {
                    log.checkpoint(NOON).await.unwrap();
                }
            }
        })).collect();
        for n in 1..=30 {
            write(&store, &[event(None, n), event(Some("acme"), n)]).await;
        }
        for sealer in sealers {
            sealer.await.unwrap();
        }
        log(&store).checkpoint(NOON).await.unwrap();
        let verified = log(&store).verify(&Range::default(), &[]).await.unwrap();
        assert!(verified.intact, "{:?}", verified.broken);
        assert_eq!(verified.unsealed, 0);
    }

    async fn a_checkpoint_kept_elsewhere_betrays_what_was_cut_off_with_its_checkpoint(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None], 5).await;
        log.checkpoint(NOON).await.unwrap();
        write(&store, &[event(None, 6), event(None, 7)]).await;
        let kept = log.checkpoint(NOON).await.unwrap();
        assert!(log.verify(&Range::default(), &kept).await.unwrap().intact);
        disarm(&store).await;
        attack(&store, &[
            "DELETE FROM audit_event WHERE sequence > 5",
            "UPDATE audit_head SET sequence = 5, hash = (SELECT hash FROM audit_event WHERE sequence = 5)",
            "DELETE FROM audit_checkpoint WHERE number = 2",
            "DELETE FROM audit_sealed WHERE checkpoint = 2",
        ]).await;
        assert_eq!(defects(&log).await, [], "the database alone cannot tell");
        let broken = log.verify(&Range::default(), &kept).await.unwrap().broken;
        let expected = [(String::new(), 2, Defect::Missing), ("platform".to_owned(), 6, Defect::Missing)];
        assert_eq!(found(broken), expected);
        let forged = log.verify(&Range::default(), &["forged".to_owned()]).await.unwrap();
        assert_eq!(found(forged.broken), [(String::new(), 0, Defect::Changed)]);
    }

    async fn what_is_pruned_leaves_the_rest_proved(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None, Some("acme")], 10).await;
        let scope = Scope::Tenant("acme".to_owned());
        let at = |n| NOON + SignedDuration::from_secs(n);
        assert_eq!(log.prune(&scope, Timestamp::MAX, NOON).await.unwrap(), None, "nothing is sealed yet");
        log.checkpoint(NOON).await.unwrap();
        write(&store, &(11..=20).map(|n| event(Some("acme"), n)).collect::<Vec<_>>()).await;
        assert_eq!(log.prune(&scope, at(5), NOON).await.unwrap(), None, "the sealed part ends after that");

        let pruned = log.prune(&scope, at(15), NOON).await.unwrap().unwrap();
        assert_eq!((pruned.events, pruned.sequence), (10, 10), "up to the checkpoint, no further");
        let verified = log.verify(&Range::default(), &[]).await.unwrap();
        assert!(verified.intact, "{:?}", verified.broken);
        assert_eq!(verified.events, 20);
        log.checkpoint(NOON).await.unwrap();
        assert_eq!(log.prune(&scope, Timestamp::MAX, NOON).await.unwrap().unwrap().events, 10);
        assert!(log.verify(&Range::default(), &[]).await.unwrap().intact, "also when nothing is left");
        write(&store, &[event(Some("acme"), 21)]).await;
        let verified = log.verify(&Range { scope: Some(scope), ..Range::default() }, &[]).await.unwrap();
        assert_eq!((verified.intact, verified.events), (true, 1), "and the chain goes on");
    }

    async fn what_does_not_verify_is_not_pruned(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None], 10).await;
        log.checkpoint(NOON).await.unwrap();
        disarm(&store).await;
        attack(&store, &["UPDATE audit_event SET actor = 'eve' WHERE sequence = 3"]).await;
        let refused = log.prune(&Scope::Platform, Timestamp::MAX, NOON).await.unwrap_err();
        let AuditError::Broken(broken) = refused else { panic!("{refused}") };
        assert_eq!((broken.sequence, broken.defect), (3, Defect::Changed));
        assert_eq!(
            broken.to_string(),
            format!("`platform`, event 3 ({}): not what was recorded here", event(None, 3).id)
        );
    }
}
