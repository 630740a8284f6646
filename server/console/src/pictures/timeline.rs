use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};
use jiff::{SignedDuration, Timestamp};

use crate::{
    answers::Event,
    html::{When, counted},
};

/// Columns of the picture.
const COLUMNS: usize = 24;
/// Height of the highest one.
const HIGH: f64 = 88.0;
/// How many codes have a colour of their own; the others share the last.
const COLOURS: usize = 5;

/// How often something was refused over the last day, hour by hour and by its code.
#[derive(Template)]
#[template(path = "pictures/timeline.html")]
pub(crate) struct Timeline {
    end: Timestamp,
    /// Codes by how often they came, with the number of each hour.
    series: Vec<Series>,
    total: usize,
}

struct Series {
    code: String,
    hours: [usize; COLUMNS],
    total: usize,
}

struct Block {
    series: usize,
    x: usize,
    y: String,
    height: String,
}

struct Hour {
    from: When,
    counts: Vec<usize>,
}

impl HtmlSafe for Timeline {}

impl Timeline {
    /// The span that it shows.
    pub(crate) const SPAN: SignedDuration = SignedDuration::from_hours(24);

    /// Of these events, up to `now`.
    pub(crate) fn of(events: &[Event], now: Timestamp) -> Self {
        let mut codes: BTreeMap<&str, [usize; COLUMNS]> = BTreeMap::new();
        for event in events {
            let age = now.duration_since(event.timestamp.0).as_secs().max(0) / 3600;
            let Some(column) = usize::try_from(age).ok().and_then(|age| (COLUMNS - 1).checked_sub(age))
            else {
                continue;
            };
            codes.entry(event.error_code.as_deref().unwrap_or(&event.name)).or_default()[column] += 1;
        }
        let mut series: Vec<Series> = codes
            .into_iter()
            .map(|(code, hours)| Series { code: code.to_owned(), hours, total: hours.iter().sum() })
            .collect();
        series.sort_by_key(|series| std::cmp::Reverse(series.total));
        if series.len() > COLOURS + 1 {
            let rest = series.split_off(COLOURS);
            let mut other = Series { code: "others".to_owned(), hours: [0; COLUMNS], total: 0 };
            for one in rest {
                other.total += one.total;
                for (sum, count) in other.hours.iter_mut().zip(one.hours) {
                    *sum += count;
                }
            }
            series.push(other);
        }
        let total = series.iter().map(|series| series.total).sum();
        Self { end: now, series, total }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn in_words(&self) -> String {
        let parts = self.series.iter().map(|series| format!("{} {}", series.total, series.code));
        let parts: Vec<_> = parts.collect();
        format!("{} in the last 24 hours: {}", counted(self.total, "refusal", "refusals"), parts.join(", "))
    }

    fn highest(&self) -> usize {
        (0..COLUMNS).map(|hour| self.series.iter().map(|one| one.hours[hour]).sum()).max().unwrap_or(0)
    }

    fn blocks(&self) -> Vec<Block> {
        let highest = self.highest().max(1);
        let mut blocks = Vec::new();
        for hour in 0..COLUMNS {
            let mut below = 0.0;
            for (number, series) in self.series.iter().enumerate().filter(|(_, one)| one.hours[hour] > 0) {
                #[expect(clippy::cast_precision_loss, reason = "a picture needs no more than 52 bits")]
                let height = series.hours[hour] as f64 / highest as f64 * HIGH;
                below += height;
                blocks.push(Block {
                    series: number,
                    x: hour * 20 + 2,
                    y: format!("{:.1}", 100.0 - below),
                    height: format!("{:.1}", (height - 1.0).max(1.0)),
                });
            }
        }
        blocks
    }

    /// Every sixth hour has its time beneath.
    fn marks(&self) -> Vec<(usize, String)> {
        (0..COLUMNS)
            .step_by(6)
            .map(|hour| {
                let back = SignedDuration::from_hours(i64::try_from(COLUMNS - hour).unwrap_or(0));
                let at = self.end.checked_sub(back).unwrap_or(self.end);
                (hour * 20 + 2, at.strftime("%H:%M").to_string())
            })
            .collect()
    }

    /// The hours in which something was refused, newest first.
    fn hours(&self) -> Vec<Hour> {
        (0..COLUMNS)
            .rev()
            .filter(|&hour| self.series.iter().any(|one| one.hours[hour] > 0))
            .map(|hour| {
                let back = SignedDuration::from_hours(i64::try_from(COLUMNS - hour).unwrap_or(0));
                Hour {
                    from: When(self.end.checked_sub(back).unwrap_or(self.end)),
                    counts: self.series.iter().map(|one| one.hours[hour]).collect(),
                }
            })
            .collect()
    }

    /// Whether a page explains this code.
    fn is_reason(code: &str) -> bool {
        code.parse::<descriptors::denial::Reason>().is_ok()
    }
}
