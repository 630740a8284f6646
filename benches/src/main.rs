//! Collects what the benches told, judges it, and writes it down.
//!
//! ```text
//! chancery-benches FIGURES FOLDER
//! ```
//!
//! Prints the table, and writes it to `FOLDER/benchmarks.md`, its rows to `FOLDER/benchmarks/benches.csv` and a plot beside
//! them. Ends with 1 when a goal is missed, and says which.

mod peers;
mod plot;
mod table;

use std::{fs, path::Path, process::ExitCode};

use chancery_benches::Figure;

/// What must have been measured: a run that lacks one of these proves nothing.
const GROUPS: [&str; 10] = [
    "decision, 2,000 commands",
    "quota, exactness",
    "quota, durable charges at 64 callers",
    "envelope",
    "column",
    "http",
    "start-up",
    "idle memory",
    "audit, chained by plain",
    "what auditing adds to a call's p50",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [figures, folder] = arguments.as_slice() else {
        eprintln!("usage: chancery-benches FIGURES FOLDER");
        return ExitCode::from(2);
    };
    let figures =
        match fs::read_to_string(figures).map_err(|error| error.to_string()).and_then(|text| read(&text)) {
            Ok(figures) => figures,
            Err(error) => {
                eprintln!("failed to read the figures: {error}");
                return ExitCode::from(2);
            }
        };
    let table = table::markdown(&figures);
    println!("{table}");
    let folder = Path::new(folder);
    let written = fs::write(folder.join("benchmarks.md"), table::page(&table, &peers::versions()))
        .and_then(|()| fs::write(folder.join("benchmarks/benches.csv"), table::csv(&figures)))
        .and_then(|()| fs::write(folder.join("benchmarks/benches.svg"), plot::svg(&figures)));
    if let Err(error) = written {
        eprintln!("failed to write the figures: {error}");
        return ExitCode::from(2);
    }
    let missed = missed(&figures, &GROUPS);
    for line in &missed {
        eprintln!("{line}");
    }
    ExitCode::from(u8::from(!missed.is_empty()))
}

fn read(text: &str) -> Result<Vec<Figure>, String> {
    let lines = text.lines().enumerate();
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))
        })
        .collect()
}

/// Each goal that was missed, and each group that was not measured.
fn missed(figures: &[Figure], groups: &[&str]) -> Vec<String> {
    let absent = groups.iter().filter(|group| figures.iter().all(|figure| figure.group != **group));
    let absent = absent.map(|group| format!("not measured: {group}"));
    let missed = figures.iter().filter_map(|figure| {
        let goal = figure.goal.filter(|goal| !goal.is_met_by(figure.value))?;
        let Figure { group, case, unit, value, .. } = figure;
        Some(format!("missed: {group}, {case}: {} {unit}, goal {}", table::number(*value), goal))
    });
    absent.chain(missed).collect()
}

#[cfg(test)]
mod tests {
    use chancery_benches::Goal;

    use super::*;

    fn figure(case: &str, value: f64, goal: Goal) -> Figure {
        Figure::new("decision", case, "ns", value).goal(goal)
    }

    #[test]
    fn a_goal_that_is_missed_is_named_and_one_that_is_met_is_not() {
        let figures = [
            figure("by id", 25.0, Goal::AtMost(25.0)),
            figure("by name", 80.0, Goal::AtMost(25.0)),
            figure("beside a peer", 250.0, Goal::AtLeast(300.0)),
            Figure::new("decision", "a peer", "ns", 9_999.0),
        ];
        assert_eq!(
            missed(&figures, &["decision"]),
            [
                "missed: decision, by name: 80.0 ns, goal at most 25",
                "missed: decision, beside a peer: 250 ns, goal at least 300",
            ]
        );
    }

    #[test]
    fn what_is_no_number_reaches_no_goal() {
        for goal in [Goal::AtMost(1.0), Goal::AtLeast(1.0)] {
            assert_eq!(missed(&[figure("by id", f64::NAN, goal)], &[]).len(), 1);
        }
    }

    #[test]
    fn a_group_that_was_not_measured_is_named() {
        assert_eq!(missed(&[], &["decision", "http"]), ["not measured: decision", "not measured: http"]);
    }

    #[test]
    fn figures_are_read_as_they_were_told() {
        let told = figure("by id", 12.5, Goal::AtMost(25.0));
        let line = serde_json::to_string(&told).unwrap();
        assert_eq!(read(&format!("{line}\n{line}\n")), Ok(vec![told.clone(), told]));
        assert!(read("{}").unwrap_err().starts_with("line 1: "));
    }

    #[test]
    fn the_middle_half_is_told_beside_the_median() {
        let figure = Figure::median("http", "bare", "per second", &[5.0, 1.0, 2.0, 4.0, 3.0]);
        assert_eq!((figure.value, figure.spread), (3.0, Some([2.0, 4.0])));
        assert!(Figure::median("http", "bare", "per second", &[]).value.is_nan());
    }
}
