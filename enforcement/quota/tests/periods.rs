//! Windows of a period.

use chancery_quota::{Period, PeriodError, Window, Windows};
use jiff::{SignedDuration, Span, Timestamp, civil::date, tz::TimeZone};
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
fn calendar_windows_begin_where_the_calendar_does() {
    #[rustfmt::skip]
    let table = [
        // period  zone                 now                      start                   end
        ("P1M",  "UTC",              "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("P1Y",  "UTC",              "2024-02-29T12:00:00Z", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("P3M",  "UTC",              "2026-05-15T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        ("P1W",  "UTC",              "2026-01-11T23:59:59Z", "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"),
        ("PT1H", "UTC",              "2026-01-01T10:20:00Z", "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"),
        ("P1D",  "UTC",              "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z"),
        // A day of 23 hours, and one of 25.
        ("P1D",  "Europe/Berlin",    "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("P1D",  "America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        // Both hours that the clock shows as one.
        ("PT1H", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z"),
        ("PT1H", "America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"),
        // Midnight that does not exist: the day begins at one.
        ("P1D",  "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
        // A day that never was.
        ("P1D",  "Pacific/Apia",     "2011-12-31T00:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
    ];
    for (period, zone, now, start, end) in table {
        let windows = Windows::OfCalendar(TimeZone::get(zone).unwrap());
        let window = windows.at(period.parse().unwrap(), Timestamp::UNIX_EPOCH, at(now)).unwrap();
        assert_eq!(window, Window { start: at(start), end: at(end) }, "{period} in {zone} at {now}");
    }
}

/// Walks from the anchor one window after the other.
fn slowly(period: Span, zone: &TimeZone, anchor: Timestamp, now: Timestamp) -> Window {
    let anchor = anchor.to_zoned(zone.clone());
    let edge = |k: i64| anchor.checked_add(period.checked_mul(k).unwrap()).unwrap().timestamp();
    let mut k = 0;
    loop {
        let (start, end) = (edge(k), edge(k + 1));
        if now < start {
            k -= 1;
        } else if now >= end {
            k += 1;
        } else {
            return Window { start, end };
        }
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

    #[test]
    fn the_window_is_the_one_a_slow_walk_finds(
        period in prop_oneof![
            (1..6_u32).prop_map(|n| format!("P{n}M")),
            (1..30_u32).prop_map(|n| format!("P{n}D")),
            (1..3_u32).prop_map(|n| format!("P{n}Y")),
            (1..5_u32).prop_map(|n| format!("P{n}W")),
            (6..100_u32).prop_map(|n| format!("PT{n}H")),
            (1..3_u32, 1..9_u32, 1..30_u32).prop_map(|(m, d, h)| format!("P{m}M{d}DT{h}H")),
        ],
        anchor in 1_700_000_000..1_800_000_000_i64,
        distance in -60_000_000..60_000_000_i64,
    ) {
        let now = Timestamp::from_second(anchor + distance).unwrap();
        let anchor = Timestamp::from_second(anchor).unwrap();
        let span: Span = period.parse().unwrap();
        let period: Period = period.parse().unwrap();
        let expected = slowly(span, &TimeZone::UTC, anchor, now);
        prop_assert_eq!(Windows::OfLicense.at(period, anchor, now).unwrap(), expected);
    }

    #[test]
    fn calendar_windows_partition_time_in_every_zone(
        period in periods(),
        zone in prop::sample::select(vec!["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia"]),
        now in 0..4_000_000_000_i64,
        step in -1_000_000..1_000_000_i64,
    ) {
        let period: Period = period.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let at = |second| period.calendar_window_at(&zone, Timestamp::from_second(second).unwrap()).unwrap();
        let (window, other) = (at(now), at(now + step));
        prop_assert!(window.start.as_second() <= now && now < window.end.as_second() + 1);
        // A clock that steps finds the same window or one that does not overlap it.
        prop_assert!(window == other || window.end <= other.start || other.end <= window.start);
    }
}

proptest! {
    // Few, because the walk is long.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_calendar_window_is_the_one_a_slow_walk_finds(
        period in prop_oneof![
            (1..6_u32).prop_map(|n| format!("P{n}M")),
            (1..3_u32).prop_map(|n| format!("P{n}Y")),
            (1..5_u32).prop_map(|n| format!("P{n}W")),
            (5..30_u32).prop_map(|n| format!("P{n}D")),
            (100..1_000_u32).prop_map(|n| format!("PT{n}H")),
        ],
        zone in prop::sample::select(vec!["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]),
        // The years 1965 to 2028.
        now in -157_000_000..1_861_000_000_i64,
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let now = Timestamp::from_second(now).unwrap();
        // Weeks begin on a Monday, all else with a year.
        let first = if period.ends_with('W') { date(1970, 1, 5) } else { date(1970, 1, 1) };
        let anchor = first.to_zoned(zone.clone()).unwrap().timestamp();
        let expected = slowly(period.parse().unwrap(), &zone, anchor, now);
        let period: Period = period.parse().unwrap();
        prop_assert_eq!(period.calendar_window_at(&zone, now).unwrap(), expected);
    }
}
