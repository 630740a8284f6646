use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, date};
use jiff::fmt::temporal::SpanParser;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// How long a metered window lasts: a positive ISO-8601 period such as `P1M`, `P7D` or `PT1H`.
#[derive(Debug, Clone, Copy)]
pub struct Period(Span);

/// A window of a metered quota: usage is counted from `start` (inclusive) to `end` (exclusive) and then starts at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant outside; when the quota resets.
    pub end: Timestamp,
}

/// Why a period is none, or has no window at an instant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeriodError {
    /// The text is not an ISO-8601 period.
    #[error("`{text}` is not an ISO-8601 period such as `P1M` or `PT1H`")]
    Malformed {
        /// What was given.
        text: String,
    },
    /// The period is zero or negative: its windows would not move forward.
    #[error("the period `{text}` is not longer than zero")]
    NotPositive {
        /// What was given.
        text: String,
    },
    /// A window around the instant would begin or end outside the years -9999 to 9999.
    #[error("there is no such window on the calendar")]
    OutOfRange(#[from] jiff::Error),
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let span = SpanParser::new()
            .parse_span(text)
            .map_err(|_| PeriodError::Malformed { text: text.to_owned() })?;
        Self::try_from(span)
    }
}

impl TryFrom<Span> for Period {
    type Error = PeriodError;

    fn try_from(span: Span) -> Result<Self, PeriodError> {
        if span.is_positive() {
            Ok(Self(span))
        } else {
            Err(PeriodError::NotPositive { text: span.to_string() })
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the windows of every period begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Windows {
    /// At the instant from which the license is valid, in UTC.
    OfLicense,
    /// Where the calendar of this time zone begins a year, a month, a week (on Monday), a day or an hour.
    OfCalendar(TimeZone),
}

impl Windows {
    /// The window that contains `now`.
    pub fn at(&self, period: Period, license: Timestamp, now: Timestamp) -> Result<Window, PeriodError> {
        match self {
            Self::OfLicense => period.window_at(license, now),
            Self::OfCalendar(zone) => period.calendar_window_at(zone, now),
        }
    }
}

impl Period {
    /// The window that contains `now`, among those that follow each other before and after `anchor`, in UTC.
    ///
    /// Every edge is `anchor + k × period`, counted from the anchor: from 31 January by months, windows begin on
    /// 28 February and again on 31 March.
    pub fn window_at(self, anchor: Timestamp, now: Timestamp) -> Result<Window, PeriodError> {
        self.window(&anchor.to_zoned(TimeZone::UTC), now)
    }

    /// The window that contains `now`, among those that the calendar of a time zone gives: from midnight to midnight for
    /// `P1D`, also where that is 23 or 25 hours. Hours and less are of the clock that never steps.
    pub fn calendar_window_at(self, zone: &TimeZone, now: Timestamp) -> Result<Window, PeriodError> {
        /// A year, a month, a day and an hour begin here.
        const NEW_YEAR: Date = date(1970, 1, 1);
        /// A week begins here.
        const MONDAY: Date = date(1970, 1, 5);
        let weekly = self.0.get_weeks() != 0 && self.0.get_months() == 0 && self.0.get_years() == 0;
        let anchor = if weekly { MONDAY } else { NEW_YEAR };
        self.window(&anchor.to_zoned(zone.clone())?, now)
    }

    fn window(self, anchor: &Zoned, now: Timestamp) -> Result<Window, PeriodError> {
        let mut k = self.periods_between(anchor.timestamp(), now);
        while self.edge(anchor, k)? > now {
            k -= 1;
        }
        while self.edge(anchor, k + 1)? <= now {
            k += 1;
        }
        Ok(Window { start: self.edge(anchor, k)?, end: self.edge(anchor, k + 1)? })
    }

    fn edge(self, anchor: &Zoned, k: i64) -> Result<Timestamp, PeriodError> {
        Ok(anchor.checked_add(self.0.checked_mul(k)?)?.timestamp())
    }

    /// How many periods fit between the two, give or take one for the unequal lengths of months and years.
    fn periods_between(self, anchor: Timestamp, now: Timestamp) -> i64 {
        let elapsed = now.duration_since(anchor).as_nanos();
        // Out of i64 is out of the calendar, which `edge` reports.
        i64::try_from(elapsed.div_euclid(self.mean_nanoseconds())).unwrap_or(i64::MAX)
    }

    fn mean_nanoseconds(self) -> i128 {
        /// A month of the Gregorian calendar, averaged over its cycle of 400 years.
        const SECONDS_PER_MONTH: i64 = 2_629_746;
        let span = self.0;
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let hours = days * 24 + i64::from(span.get_hours());
        let seconds =
            months * SECONDS_PER_MONTH + hours * 3600 + span.get_minutes() * 60 + span.get_seconds();
        let milliseconds = i128::from(seconds) * 1000 + i128::from(span.get_milliseconds());
        let microseconds = milliseconds * 1000 + i128::from(span.get_microseconds());
        microseconds * 1000 + i128::from(span.get_nanoseconds())
    }
}
