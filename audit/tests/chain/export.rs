//! Exports, which prove themselves on a machine without the database, and following what is written.

use std::io::{self, Write};

use chancery_audit::{AuditError, AuditLog, ExportError, Position, Range, Scope, Seals, verify_export};
use store::Store;

use crate::common::{Key, attack, event, fill, log, open, write};

async fn exported(store: &Store, range: &Range) -> String {
    let mut lines = Vec::new();
    log(store).export(range, &mut lines).await.unwrap();
    String::from_utf8(lines).unwrap()
}

fn check(export: &str) -> Result<u64, ExportError> {
    verify_export(export.as_bytes(), Some(Key("ours"))).map(|verified| verified.events)
}

/// The export with its total made to fit again, as someone without the key could.
fn closed_again(lines: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let events = lines.iter().filter(|line| line.starts_with("{\"entry\"")).count();
    let sha256 = hex::encode(Sha256::digest(&body));
    format!("{body}{{\"end\":{{\"events\":{events},\"sha256\":\"{sha256}\",\"seal\":null}}}}\n")
}

struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

kit::on_both_engines! {
    async fn an_export_proves_itself_elsewhere(url: &str) {
        let store = open(url).await;
        fill(&store, &[None, Some("acme")], 10).await;
        let export = exported(&store, &Range::default()).await;
        store.close().await;
        let verified = verify_export(export.as_bytes(), Some(Key("ours"))).unwrap();
        assert_eq!((verified.events, verified.seals), (20, Seals::Checked));
        let ends: Vec<_> = verified.chains.iter().map(|chain| (chain.scope.as_str(), chain.from, chain.to)).collect();
        assert_eq!(ends, [("platform", 1, 10), ("tenant:acme", 1, 10)]);
        assert_eq!(verify_export(export.as_bytes(), None::<Key>).unwrap().seals, Seals::Unchecked);
        assert!(matches!(verify_export(export.as_bytes(), Some(Key("other"))), Err(ExportError::Seal)));
    }

    async fn a_part_of_a_chain_is_exported_with_what_it_is_linked_to(url: &str) {
        let store = open(url).await;
        fill(&store, &[None, Some("acme")], 10).await;
        let scope = Some(Scope::Tenant("acme".to_owned()));
        let export = exported(&store, &Range { scope, from: Some(4), to: Some(7) }).await;
        let verified = verify_export(export.as_bytes(), Some(Key("ours"))).unwrap();
        let ends: Vec<_> = verified.chains.iter().map(|chain| (chain.scope.as_str(), chain.from, chain.to)).collect();
        assert_eq!(ends, [("tenant:acme", 4, 7)]);
        let nothing = exported(&store, &Range { scope: Some(Scope::Tenant("globex".to_owned())), ..Range::default() }).await;
        assert_eq!(check(&nothing).unwrap(), 0);
    }

    async fn no_line_of_an_export_can_be_changed_dropped_moved_or_added(url: &str) {
        let store = open(url).await;
        fill(&store, &[None, Some("acme")], 4).await;
        let export = exported(&store, &Range::default()).await;
        let lines: Vec<_> = export.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(check(&export).unwrap(), 8);
        for line in 0..lines.len() {
            let without: String =
                lines.iter().enumerate().filter(|(n, _)| *n != line).map(|(_, line)| format!("{line}\n")).collect();
            assert!(check(&without).is_err(), "without line {}", line + 1);
            let twice: String = (0..=line).chain(line..lines.len()).map(|n| format!("{}\n", lines[n])).collect();
            assert!(check(&twice).is_err(), "line {} twice", line + 1);
            if line > 0 {
                let mut moved = lines.clone();
                moved.swap(line - 1, line);
                assert!(check(&(moved.join("\n") + "\n")).is_err(), "line {} moved", line + 1);
            }
        }
        for at in (0..export.len()).step_by(7).filter(|at| export.is_char_boundary(*at)) {
            assert!(check(&export[..at]).is_err(), "cut at {at}");
            let other = if export[at..].starts_with('7') { "8" } else { "7" };
            let changed = format!("{}{other}{}", &export[..at], &export[at + 1..]);
            assert!(check(&changed).is_err(), "changed at {at}");
        }
        let changed = lines[5].replace("\"ada\"", "\"eve\"");
        let refitted = closed_again(&[&lines[..5], &[changed.as_str()], &lines[6..11]].concat());
        let found = verify_export(refitted.as_bytes(), None::<Key>).unwrap_err();
        assert!(matches!(found, ExportError::Link { line: 6, sequence: 4, .. }), "{found}");
        let gap = closed_again(&[&lines[..3], &lines[4..11]].concat());
        let found = verify_export(gap.as_bytes(), None::<Key>).unwrap_err();
        assert_eq!(found.to_string(), "line 4, `platform`, event 3: does not follow from the line before");
        let twice = lines[3].replacen("{\"sequence\":", "{\"sequence\":9,\"sequence\":", 1);
        let hidden = closed_again(&[&lines[..3], &[twice.as_str()], &lines[4..11]].concat());
        assert!(matches!(verify_export(hidden.as_bytes(), None::<Key>), Err(ExportError::Malformed { line: 4 })));
        let cut = closed_again(&lines[..8]);
        assert_eq!(verify_export(cut.as_bytes(), None::<Key>).unwrap().events, 5, "a tail that was cut off shows only");
        assert!(matches!(check(&cut), Err(ExportError::Seal)), "in the seal");
        for no_export in ["", "\n", "{}", "{\"format\":\"chancery-audit-export/2\"}\n"] {
            assert!(matches!(check(no_export), Err(ExportError::Format)), "{no_export}");
        }
    }

    async fn what_is_broken_is_not_exported_as_whole(url: &str) {
        let store = open(url).await;
        fill(&store, &[None], 4).await;
        attack(&store, &["UPDATE audit_head SET sequence = 3 WHERE scope = 'platform'"]).await;
        let refused = log(&store).export(&Range::default(), &mut Vec::new()).await.unwrap_err();
        assert!(matches!(refused, AuditError::Broken(_)), "{refused}");
        let refused = log(&store).export(&Range::default(), &mut Full).await.unwrap_err();
        assert!(matches!(refused, AuditError::Broken(_)), "{refused}");
        attack(&store, &["UPDATE audit_head SET sequence = 4 WHERE scope = 'platform'"]).await;
        let refused = log(&store).export(&Range::default(), &mut Full).await.unwrap_err();
        assert!(matches!(refused, AuditError::Write(_)), "{refused}");
    }

    async fn a_follower_sees_everything_once_and_each_chain_in_order(url: &str) {
        let store = open(url).await;
        let log = AuditLog::new(store.clone());
        fill(&store, &[None, Some("acme")], 5).await;
        let mut position = log.end_of_log().await.unwrap();
        assert!(log.tail(&mut position, 100).await.unwrap().is_empty());
        let mut from_the_start = Position::default();
        let mut seen = Vec::new();
        for n in 6..=20 {
            let events = [event(None, n), event(Some("acme"), n), event(Some("globex"), n)];
            write(&store, &events).await;
            seen.extend(log.tail(&mut from_the_start, 4).await.unwrap());
            let news = log.tail(&mut position, 100).await.unwrap();
            assert_eq!(news.len(), 3);
        }
        let kept = serde_json::to_string(&from_the_start).unwrap();
        let mut again = serde_json::from_str(&kept).unwrap();
        loop {
            let news = log.tail(&mut again, 4).await.unwrap();
            if news.is_empty() {
                break;
            }
            seen.extend(news);
        }
        assert_eq!(seen.len(), 20 + 20 + 15);
        for tenant in [None, Some("acme"), Some("globex")] {
            let chain = seen.iter().filter(|entry| entry.event.tenant.as_deref() == tenant);
            let places: Vec<_> = chain.map(|entry| entry.sequence).collect();
            assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>());
        }
    }
}
