//! What `/metrics` shows, as OTLP: it is read off that text, so the two never differ.

use std::collections::BTreeMap;

use super::proto::{CUMULATIVE, Data, Gauge, Histogram, HistogramPoint, KeyValue, Metric, NumberPoint, Sum};

/// When it was measured, and since when counts are counted.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) started: u64,
    pub(super) now: u64,
}

/// Every metric of a text of `OpenMetrics`. A kind that is not used here is left out.
pub(super) fn read(text: &str, times: Times) -> Vec<Metric> {
    let mut families = Vec::<Family<'_>>::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), help) => {
                families.push(Family { name, help: help.unwrap_or_default(), kind: "", samples: Vec::new() })
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                if let Some(family) = families.last_mut().filter(|family| family.name == name) {
                    family.kind = kind;
                }
            }
            (Some("#"), ..) => {}
            _ => {
                if let (Some(family), Some(sample)) = (families.last_mut(), Sample::read(line)) {
                    family.samples.push(sample);
                }
            }
        }
    }
    families.into_iter().filter_map(|family| family.metric(times)).collect()
}

struct Family<'t> {
    name: &'t str,
    help: &'t str,
    kind: &'t str,
    samples: Vec<Sample<'t>>,
}

struct Sample<'t> {
    name: &'t str,
    labels: Vec<(&'t str, String)>,
    value: f64,
}

impl<'t> Sample<'t> {
    /// `name{label="value",…} number`
    fn read(line: &'t str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        Some(Self { name, labels, value: rest.split_whitespace().next()?.parse().ok()? })
    }
}

fn labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.push((name, value));
        rest = &quoted[end + 1..];
    }
}

impl Family<'_> {
    fn metric(self, times: Times) -> Option<Metric> {
        let Self { name, help, kind, samples } = self;
        let data = match kind {
            "gauge" | "info" => Data::Gauge(Gauge { points: numbers(samples, times) }),
            "counter" => Data::Sum(Sum {
                points: numbers(samples, times),
                temporality: CUMULATIVE,
                is_monotonic: true,
            }),
            "histogram" => Data::Histogram(Histogram {
                points: histograms(name, samples, times),
                temporality: CUMULATIVE,
            }),
            _ => return None,
        };
        Some(Metric { name: name.to_owned(), description: help.to_owned(), data: Some(data) })
    }
}

fn numbers(samples: Vec<Sample<'_>>, times: Times) -> Vec<NumberPoint> {
    let point = |sample: Sample<'_>| NumberPoint {
        start_time_unix_nano: times.started,
        time_unix_nano: times.now,
        as_double: Some(sample.value),
        attributes: attributes(&sample.labels),
    };
    samples.into_iter().map(point).collect()
}

/// One point for each set of labels. The text counts a bucket with all below it, OTLP by itself.
fn histograms(name: &str, samples: Vec<Sample<'_>>, times: Times) -> Vec<HistogramPoint> {
    let mut points = BTreeMap::<Vec<(&str, String)>, HistogramPoint>::new();
    for mut sample in samples {
        let bound =
            sample.labels.iter().position(|(label, _)| *label == "le").map(|at| sample.labels.remove(at));
        let point = points.entry(sample.labels.clone()).or_insert_with(|| HistogramPoint {
            start_time_unix_nano: times.started,
            time_unix_nano: times.now,
            attributes: attributes(&sample.labels),
            ..HistogramPoint::default()
        });
        match sample.name.strip_prefix(name) {
            Some("_sum") => point.sum = Some(sample.value),
            Some("_count") => point.count = whole(sample.value),
            Some("_bucket") => {
                let below: u64 = point.bucket_counts.iter().sum();
                point.bucket_counts.push(whole(sample.value).saturating_sub(below));
                let bound = bound.and_then(|(_, bound)| bound.parse::<f64>().ok());
                point.explicit_bounds.extend(bound.filter(|bound| bound.is_finite()));
            }
            _ => {}
        }
    }
    points.into_values().collect()
}

fn attributes(labels: &[(&str, String)]) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| KeyValue::text(name, &**value)).collect()
}

/// A count, which the text writes as any number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole, and casts of floats saturate"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP process_open_fds Files.
# TYPE process_open_fds gauge
process_open_fds 12
# HELP chancery_denials Refused.
# TYPE chancery_denials counter
chancery_denials_total{reason=\"A \\\"B\\\", C\"} 3
# HELP chancery_seconds How long.
# TYPE chancery_seconds histogram
chancery_seconds_sum{command=\"a.b\",outcome=\"denied\"} 1.5
chancery_seconds_count{command=\"a.b\",outcome=\"denied\"} 6
chancery_seconds_bucket{le=\"0.1\",command=\"a.b\",outcome=\"denied\"} 1
chancery_seconds_bucket{le=\"1.0\",command=\"a.b\",outcome=\"denied\"} 4
chancery_seconds_bucket{le=\"+Inf\",command=\"a.b\",outcome=\"denied\"} 6
# EOF
";

    #[test]
    fn the_text_and_what_is_sent_say_the_same() {
        let metrics = read(TEXT, Times { started: 1, now: 2 });
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["process_open_fds", "chancery_denials", "chancery_seconds"]);
        let Some(Data::Sum(denials)) = &metrics[1].data else { panic!("a counter is a sum") };
        assert_eq!(denials.points[0].as_double, Some(3.0));
        assert_eq!(denials.points[0].attributes, [KeyValue::text("reason", "A \"B\", C")]);
        let Some(Data::Histogram(seconds)) = &metrics[2].data else { panic!("a histogram is one") };
        let point = &seconds.points[0];
        assert_eq!((point.count, point.sum), (6, Some(1.5)));
        assert_eq!((&*point.bucket_counts, &*point.explicit_bounds), (&[1, 3, 2][..], &[0.1, 1.0][..]));
        assert_eq!(point.attributes.len(), 2);
    }
}
