//! Attacks on every table of the log, by whoever owns the database and has read how it is verified.

use chancery_audit::{AuditError, Defect, Range, Scope};
use jiff::Timestamp;
use store::{Engine, Store};

use crate::common::{NOON, attack, broken, defects, disarm, event, fill, found, log, open, write};

/// A log with five events of the platform, each under a checkpoint of its own.
async fn sealed_five_times(url: &str) -> Store {
    let store = open(url).await;
    for n in 1..=5 {
        write(&store, &[event(None, n)]).await;
        assert_eq!(log(&store).checkpoint(NOON).await.unwrap().len(), 1);
    }
    disarm(&store).await;
    store
}

async fn is_not_exported(store: &Store) {
    let refused = log(store).export(&Range::default(), &mut Vec::new()).await.unwrap_err();
    assert!(matches!(refused, AuditError::Broken(_)), "{refused}");
}

fn checkpoint(number: u64, defect: Defect) -> (String, u64, Defect) {
    (String::new(), number, defect)
}

/// A copy of an event of a tenant at another place, under another id.
fn copy(tenant: &str, from: i64, to: &str, id: &str) -> String {
    format!(
        "INSERT INTO audit_event SELECT {id}, scope, {to}, hash, name, time, actor, command, module, result, error_code,
         duration, correlation_id, trace_id, span_id, metadata FROM audit_event WHERE scope = 'tenant:{tenant}'
         AND sequence = {from}"
    )
}

kit::on_both_engines! {
    async fn checkpoints_that_never_were_are_found_whatever_their_number(url: &str) {
        let store = sealed_five_times(url).await;
        attack(&store, &[
            "INSERT INTO audit_checkpoint (number, note) VALUES (0, 'x')",
            "INSERT INTO audit_checkpoint SELECT -2, note FROM audit_checkpoint WHERE number = 2",
            "INSERT INTO audit_checkpoint SELECT 6, note FROM audit_checkpoint WHERE number = 5",
            "INSERT INTO audit_checkpoint SELECT 9223372036854775807, note FROM audit_checkpoint WHERE number = 5",
        ]).await;
        let last = i64::MAX.unsigned_abs();
        assert_eq!(defects(&log(&store)).await, [
            checkpoint(0, Defect::Inserted), checkpoint(6, Defect::Changed),
            checkpoint(7, Defect::Missing), checkpoint(last, Defect::Changed),
        ]);
        write(&store, &[event(None, 6)]).await;
        let refused = log(&store).checkpoint(NOON).await.unwrap_err();
        assert!(matches!(refused, AuditError::Broken(_)), "there is no number left, and that is told: {refused}");
    }

    async fn checkpoints_that_changed_places_are_found(url: &str) {
        let store = sealed_five_times(url).await;
        attack(&store, &[
            "UPDATE audit_checkpoint SET number = 10 WHERE number = 2",
            "UPDATE audit_checkpoint SET number = 2 WHERE number = 3",
            "UPDATE audit_checkpoint SET number = 3 WHERE number = 10",
        ]).await;
        let expected = [2, 3, 4].map(|number| checkpoint(number, Defect::Changed));
        assert_eq!(defects(&log(&store)).await, expected, "the fourth names the one before it");
    }

    async fn the_last_checkpoint_taken_away_alone_is_missed(url: &str) {
        let store = sealed_five_times(url).await;
        attack(&store, &["DELETE FROM audit_checkpoint WHERE number = 5"]).await;
        let missing = [checkpoint(5, Defect::Missing)];
        assert_eq!(defects(&log(&store)).await, missing);
        let range = |to| Range { scope: Some(Scope::Platform), from: None, to: Some(to) };
        assert_eq!(found(log(&store).verify(&range(5), &[]).await.unwrap().broken), missing);
        assert!(log(&store).verify(&range(4), &[]).await.unwrap().intact, "what the others seal is still proved");
        attack(&store, &["DELETE FROM audit_checkpoint"]).await;
        assert_eq!(defects(&log(&store)).await, missing);
        is_not_exported(&store).await;
    }

    async fn what_only_claims_to_be_sealed_is_found(url: &str) {
        let store = sealed_five_times(url).await;
        write(&store, &[event(None, 6)]).await;
        // Nothing is sealed any more, and nothing is told.
        attack(&store, &["INSERT INTO audit_sealed VALUES ('platform', 6, 5)"]).await;
        assert!(log(&store).checkpoint(NOON).await.unwrap().is_empty());
        assert_eq!(defects(&log(&store)).await, [checkpoint(5, Defect::Changed)]);
        attack(&store, &["INSERT INTO audit_sealed VALUES ('platform', 7, 6)"]).await;
        assert_eq!(defects(&log(&store)).await, [checkpoint(6, Defect::Missing)]);
        // Whoever takes that away has done no harm.
        attack(&store, &["DELETE FROM audit_sealed"]).await;
        assert_eq!(defects(&log(&store)).await, []);
        assert_eq!(log(&store).checkpoint(NOON).await.unwrap().len(), 1);
        assert_eq!(log(&store).verify(&Range::default(), &[]).await.unwrap().unsealed, 0);
    }

    async fn a_head_that_says_there_is_nothing_is_found(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[Some("pruned"), Some("a-little-left")], 5).await;
        log.checkpoint(NOON).await.unwrap();
        for tenant in ["pruned", "a-little-left"] {
            log.prune(&Scope::Tenant(tenant.to_owned()), Timestamp::MAX, NOON).await.unwrap().unwrap();
        }
        write(&store, &[event(Some("a-little-left"), 6)]).await;
        let (nothing, other) = ("0".repeat(64), "a".repeat(64));
        attack(&store, &[
            format!("UPDATE audit_head SET sequence = 0, hash = '{nothing}'"),
            // The first event of whoever comes would be linked to it.
            format!("INSERT INTO audit_head VALUES ('tenant:to-come', 0, '{other}')"),
            "INSERT INTO audit_head VALUES ('tenant:negative', -1, 'x')".to_owned(),
        ]).await;
        assert_eq!(defects(&log).await, [
            broken("a-little-left", 1, Defect::Inserted), broken("negative", 1, Defect::Head),
            broken("pruned", 5, Defect::Head), broken("to-come", 0, Defect::Head),
        ]);
    }

    async fn events_that_hide_behind_the_others_are_found(url: &str) {
        let store = open(url).await;
        fill(&store, &[Some("a"), Some("b"), Some("c")], 3).await;
        // Each of them passes the triggers.
        attack(&store, &[
            copy("a", 2, "-9223372036854775807 - 1", "''"),
            copy("b", 2, "9223372036854775807", "'copy-b'"),
            copy("c", 2, "-1", "'copy-c'"),
        ]).await;
        assert_eq!(defects(&log(&store)).await, [
            broken("a", 0, Defect::Inserted), broken("b", 4, Defect::Inserted), broken("c", 0, Defect::Inserted),
        ]);
    }

    async fn two_chains_that_changed_places_are_found(url: &str) {
        let store = open(url).await;
        fill(&store, &[Some("a"), Some("b")], 3).await;
        disarm(&store).await;
        attack(&store, &["audit_event", "audit_head"].map(|table| {
            format!("UPDATE {table} SET scope = CASE scope WHEN 'tenant:a' THEN 'tenant:c' ELSE 'tenant:a' END")
        })).await;
        attack(&store, &["audit_event", "audit_head"].map(|table| {
            format!("UPDATE {table} SET scope = 'tenant:b' WHERE scope = 'tenant:c'")
        })).await;
        assert_eq!(defects(&log(&store)).await, [broken("a", 1, Defect::Changed), broken("b", 1, Defect::Changed)]);
    }

    async fn a_chain_of_nobody_is_found_and_one_that_is_gone_from_all_tables_but_one(url: &str) {
        let store = open(url).await;
        fill(&store, &[Some("a"), Some("b")], 3).await;
        log(&store).checkpoint(NOON).await.unwrap();
        disarm(&store).await;
        attack(&store, &[
            "INSERT INTO audit_head VALUES ('nobody', 0, '')",
            "DELETE FROM audit_event WHERE scope = 'tenant:b'",
            "DELETE FROM audit_head WHERE scope = 'tenant:b'",
            "DELETE FROM audit_checkpoint",
            "DELETE FROM audit_sealed WHERE scope = 'tenant:a'",
        ]).await;
        let nobody = ("nobody".to_owned(), 0, Defect::Inserted);
        assert_eq!(defects(&log(&store)).await, [nobody, checkpoint(1, Defect::Missing)]);
        is_not_exported(&store).await;
    }

    async fn the_mark_of_a_checkpoint_betrays_what_was_cut_off_with_it(url: &str) {
        let store = sealed_five_times(url).await;
        let log = log(&store);
        let kept = log.verify(&Range::default(), &[]).await.unwrap().last_checkpoint.unwrap();
        assert!(kept.to_string().starts_with("5:"), "{kept}");
        let against = async |kept: &str| found(log.verify(&Range::default(), &[kept.to_owned()]).await.unwrap().broken);
        let kept = kept.to_string();
        assert_eq!(against(&kept).await, []);
        write(&store, &[event(None, 6)]).await;
        log.checkpoint(NOON).await.unwrap();
        assert_eq!(against(&kept).await, [], "more came since");

        let cut_off = |at: u64| [
            format!("DELETE FROM audit_event WHERE sequence > {at}"),
            format!("UPDATE audit_head SET sequence = {at}, hash = (SELECT hash FROM audit_event WHERE sequence = {at})"),
            format!("DELETE FROM audit_checkpoint WHERE number > {at}"),
            format!("DELETE FROM audit_sealed WHERE checkpoint > {at}"),
        ];
        attack(&store, &cut_off(4)).await;
        assert_eq!(defects(&log).await, [], "the database alone cannot tell");
        assert_eq!(against(&kept).await, [checkpoint(5, Defect::Missing)]);
        // Others take its place.
        write(&store, &[event(None, 15)]).await;
        log.checkpoint(NOON).await.unwrap();
        assert_eq!(defects(&log).await, []);
        assert_eq!(against(&kept).await, [checkpoint(5, Defect::Changed)]);
        let tables = ["audit_event", "audit_head", "audit_checkpoint", "audit_sealed"];
        attack(&store, &tables.map(|table| format!("DELETE FROM {table}"))).await;
        assert_eq!(defects(&log).await, []);
        assert_eq!(against(&kept).await, [checkpoint(5, Defect::Missing)], "a log that was emptied");
        assert_eq!(against("5:x").await, [checkpoint(0, Defect::Changed)], "no mark proves nothing");
    }

    async fn no_note_of_pruning_serves_another_chain_or_place(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        let tenants = ["forgotten", "later", "other", "pruned"];
        fill(&store, &tenants.map(Some), 5).await;
        log.checkpoint(NOON).await.unwrap();
        for tenant in ["forgotten", "later", "pruned"] {
            log.prune(&Scope::Tenant(tenant.to_owned()), Timestamp::MAX, NOON).await.unwrap().unwrap();
        }
        fill(&store, &[Some("other")], 0).await;
        for tenant in tenants {
            write(&store, &(6..=8).map(|n| event(Some(tenant), n)).collect::<Vec<_>>()).await;
        }
        log.checkpoint(NOON).await.unwrap();
        assert_eq!(defects(&log).await, []);
        disarm(&store).await;
        attack(&store, &[
            "DELETE FROM audit_pruned WHERE scope = 'tenant:forgotten'",
            "INSERT INTO audit_pruned SELECT scope, 7, note FROM audit_pruned WHERE scope = 'tenant:later'",
            "DELETE FROM audit_event WHERE scope = 'tenant:later' AND sequence <= 7",
            "INSERT INTO audit_pruned SELECT 'tenant:other', sequence, note FROM audit_pruned WHERE scope = 'tenant:pruned'",
            "DELETE FROM audit_event WHERE scope = 'tenant:other' AND sequence <= 5",
        ]).await;
        assert_eq!(defects(&log).await, [
            broken("forgotten", 1, Defect::Missing), broken("later", 8, Defect::Pruned), broken("other", 6, Defect::Pruned),
        ]);
    }

    async fn what_cannot_be_read_is_named_and_hides_nothing_else(url: &str) {
        let store = sealed_five_times(url).await;
        let log = log(&store);
        fill(&store, &[Some("a"), Some("b"), Some("c"), Some("d"), Some("e")], 3).await;
        // Columns of PostgreSQL hold what they are for.
        if store.engine() == Engine::Postgres {
            return;
        }
        attack(&store, &[
            copy("a", 2, "'last'", "'copy'").as_str(),
            "UPDATE audit_head SET sequence = 'many' WHERE scope = 'tenant:b'",
            "UPDATE audit_event SET metadata = CAST(metadata AS BLOB) WHERE scope = 'tenant:c' AND sequence = 2",
            "INSERT INTO audit_pruned VALUES ('tenant:d', 'all', '')",
            "UPDATE audit_checkpoint SET note = CAST(note AS BLOB) WHERE number = 3",
            "INSERT INTO audit_checkpoint (number, note) VALUES ('last', '')",
            "INSERT INTO audit_sealed VALUES ('tenant:c', 'last', 5)",
            "INSERT INTO audit_sealed VALUES ('tenant:e', 2.5, 'last')",
            "INSERT INTO audit_head VALUES (NULL, 1, '')",
        ]).await;
        assert_eq!(defects(&log).await, [
            checkpoint(3, Defect::Changed), checkpoint(4, Defect::Changed), checkpoint(6, Defect::Inserted),
            (String::new(), 0, Defect::Inserted),
            broken("a", 4, Defect::Inserted), broken("b", 1, Defect::Head), broken("c", 2, Defect::Changed),
            broken("d", 1, Defect::Pruned), checkpoint(0, Defect::Changed),
        ]);
    }

    async fn a_second_event_in_one_place_is_found(url: &str) {
        let store = open(url).await;
        fill(&store, &[Some("a"), Some("b")], 3).await;
        match store.engine() {
            Engine::Postgres => {
                attack(&store, &["ALTER TABLE audit_event DROP CONSTRAINT audit_event_scope_sequence_key"]).await;
            }
            // It knows no way to drop a constraint but to make the table anew.
            Engine::Sqlite => attack(&store, &[
                "CREATE TABLE loose AS SELECT * FROM audit_event", "DROP TABLE audit_event",
                "ALTER TABLE loose RENAME TO audit_event",
            ]).await,
        }
        attack(&store, &[copy("a", 2, "2", "'zzz'"), copy("b", 2, "2", "'   '")]).await;
        let found = defects(&log(&store)).await;
        assert_eq!(found, [broken("a", 2, Defect::Inserted), broken("b", 2, Defect::Changed)]);
    }
}
