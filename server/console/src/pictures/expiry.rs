use askama::{Template, filters::HtmlSafe};

/// The days at which operators are warned, farthest first (semantics 3.11).
const RUNGS: [i64; 6] = [90, 60, 30, 14, 7, 1];
/// From the first rung to the end, in the picture's own units.
const FROM: f64 = 14.0;
const STEP: f64 = 50.0;

/// Where a license stands on the ladder of warnings.
#[derive(Template)]
#[template(path = "pictures/expiry.html")]
pub(crate) struct Expiry {
    days: i64,
}

struct Rung {
    days: i64,
    x: f64,
    reached: bool,
}

impl HtmlSafe for Expiry {}

impl Expiry {
    pub(crate) const fn in_days(days: i64) -> Self {
        Self { days }
    }

    fn rungs(&self) -> Vec<Rung> {
        let rungs = RUNGS.iter().chain([&0]).enumerate();
        rungs.map(|(at, &days)| Rung { days, x: place(at, 0.0), reached: self.days <= days }).collect()
    }

    fn tone(&self) -> &'static str {
        match self.days {
            ..=7 => "bad",
            8..=30 => "warn",
            _ => "good",
        }
    }

    /// Where the present day is. What is farther than the first rung stands on it.
    fn x(&self) -> String {
        let days = self.days.clamp(0, RUNGS[0]);
        let ends: Vec<i64> = RUNGS.iter().copied().chain([0]).collect();
        let at = ends.windows(2).position(|pair| days > pair[1]).unwrap_or(ends.len() - 2);
        #[expect(clippy::cast_precision_loss, reason = "at most ninety days")]
        let into = (ends[at] - days) as f64 / (ends[at] - ends[at + 1]) as f64;
        format!("{:.1}", place(at, into))
    }

    /// The label must not leave the picture.
    fn anchor(&self) -> &'static str {
        match self.days {
            ..=2 => "end",
            75.. => "start",
            _ => "middle",
        }
    }

    fn label_x(&self) -> String {
        match self.anchor() {
            "end" => "320".to_owned(),
            "start" => "4".to_owned(),
            _ => self.x(),
        }
    }

    fn left(&self) -> String {
        match self.days {
            ..=0 => "past its end".to_owned(),
            1 => "1 day left".to_owned(),
            days => format!("{days} days left"),
        }
    }
}

fn place(at: usize, into: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "one of seven places")]
    let at = at as f64;
    FROM + (at + into) * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_day_stands_between_its_rungs() {
        assert_eq!(Expiry::in_days(400).x(), "14.0");
        assert_eq!(Expiry::in_days(90).x(), "14.0");
        assert_eq!(Expiry::in_days(75).x(), "39.0");
        assert_eq!(Expiry::in_days(1).x(), "264.0");
        assert_eq!(Expiry::in_days(0).x(), "314.0");
        assert_eq!(Expiry::in_days(-3).x(), "314.0");
    }
}
