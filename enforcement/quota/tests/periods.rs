//! Windows of a period.

use chancery_quota::{Period, PeriodError, Window};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(period: &str, anchor: &str, now: &str) -> (String, String) {
    let window = period.parse::<Period>().unwrap().window_at(at(anchor), at(now)).unwrap();
    (window.start.to_string(), window.end.to_string())
}

#[test]
fn windows_follow_each_other_from_the_anchor() {
    #[rustfmt::skip]
    let table = [
        // period   anchor                  now                       start                   end
        ("P1M",   "2026-01-15T12:00:00Z", "2026-01-15T12:00:00Z", "2026-01-15T12:00:00Z", "2026-02-15T12:00:00Z"),
        ("P1M",   "2026-01-15T12:00:00Z", "2026-02-15T11:59:59Z", "2026-01-15T12:00:00Z", "2026-02-15T12:00:00Z"),
        ("P1M",   "2026-01-15T12:00:00Z", "2026-02-15T12:00:00Z", "2026-02-15T12:00:00Z", "2026-03-15T12:00:00Z"),
        // Month ends are counted from the anchor, not from the previous window.
        ("P1M",   "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("P1M",   "2026-01-31T00:00:00Z", "2026-03-30T23:59:59Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("P1M",   "2026-01-31T00:00:00Z", "2026-04-30T00:00:00Z", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"),
        ("P1Y",   "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"),
        ("P1M",   "2020-01-31T00:00:00Z", "2419-12-31T00:00:00Z", "2419-12-31T00:00:00Z", "2420-01-31T00:00:00Z"),
        // Before the anchor.
        ("P1M",   "2026-03-31T00:00:00Z", "2026-03-30T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("PT1H",  "2026-01-01T00:30:00Z", "2026-01-01T00:29:59Z", "2025-12-31T23:30:00Z", "2026-01-01T00:30:00Z"),
        // Days and hours.
        ("P1D",   "2026-03-28T00:00:00Z", "2026-03-29T23:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"),
        ("P1W",   "2026-01-01T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-08T00:00:00Z", "2026-01-15T00:00:00Z"),
        ("PT15M", "2026-01-01T00:00:00Z", "2026-01-01T10:20:00Z", "2026-01-01T10:15:00Z", "2026-01-01T10:30:00Z"),
        ("P1M10D", "2026-01-31T00:00:00Z", "2026-03-10T00:00:00Z", "2026-03-10T00:00:00Z", "2026-04-20T00:00:00Z"),
    ];
    for (period, anchor, now, start, end) in table {
        let expected = (start.to_owned(), end.to_owned());
        assert_eq!(window(period, anchor, now), expected, "{period} from {anchor} at {now}");
    }
}

#[test]
fn only_positive_iso_periods_are_periods() {
    for text in ["", "P", "1 month", "month", "P1M ", "P1M-1D", "PT", "1M"] {
        assert!(matches!(text.parse::<Period>(), Err(PeriodError::Malformed { .. })), "{text}");
    }
    for text in ["P0D", "PT0S", "-P1M", "-PT1H"] {
        assert!(matches!(text.parse::<Period>(), Err(PeriodError::NotPositive { .. })), "{text}");
    }
    assert_eq!("p1m".parse::<Period>().unwrap().to_string(), "P1M");
}

#[test]
fn beyond_the_calendar_there_is_no_window() {
    let endless: Period = "P9000Y".parse().unwrap();
    let error = endless.window_at(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")).unwrap_err();
    assert!(matches!(error, PeriodError::OutOfRange(_)), "{error}");
}

fn instants() -> impl Strategy<Value = Timestamp> {
    // The years 1 to 8000, so that a window still fits around.
    (-62_000_000_000_i64..190_000_000_000, 0..1_000_000_000)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

fn periods() -> impl Strategy<Value = String> {
    prop_oneof![
        (1..40_u32).prop_map(|months| format!("P{months}M")),
        (1..10_u32).prop_map(|years| format!("P{years}Y")),
        (1..400_u32).prop_map(|days| format!("P{days}D")),
        (1..100_000_u32).prop_map(|seconds| format!("PT{seconds}S")),
        (1..13_u32, 1..40_u32, 1..30_u32)
            .prop_map(|(months, days, hours)| format!("P{months}M{days}DT{hours}H")),
    ]
}

proptest! {
    #[test]
    fn every_instant_is_in_exactly_one_window(period in periods(), anchor in instants(), now in instants()) {
        let period: Period = period.parse().unwrap();
        let Window { start, end } = period.window_at(anchor, now).unwrap();
        prop_assert!(start <= now && now < end);
        prop_assert_eq!(period.window_at(anchor, start).unwrap(), Window { start, end });
        let last = end - SignedDuration::from_nanos(1);
        prop_assert_eq!(period.window_at(anchor, last).unwrap(), Window { start, end });
        prop_assert_eq!(period.window_at(anchor, end).unwrap().start, end);
    }

    #[test]
    fn the_anchor_is_where_a_window_starts(period in periods(), anchor in instants()) {
        let period: Period = period.parse().unwrap();
        prop_assert_eq!(period.window_at(anchor, anchor).unwrap().start, anchor);
    }
}
