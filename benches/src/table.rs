//! Figures as tables: for people and for spreadsheets.

use chancery_benches::Figure;

/// What stands around the table on the page.
const PAGE: &str = "\
# Benchmarks

`benches/run` measures all of this in one run, and writes this page, [the rows](benchmarks/benches.csv) and [the
plot](benchmarks/benches.svg). It ends with an error that names every goal that was missed. `benches/run --bench NAME` measures
one and prints more of it.

What the figures say, and what they do not:

- **Answers are compared before speed.** The engines beside our decision must come to the same verdict on every command, or the
  bench stops; stores of quotas are counted against their limit first, and what they admit too much stands in the table.
- **The policy engines answer a wider question.** Cedar, Casbin and Rego take any policy over any attributes, at run time. Ours
  knows one kind of rule, which it has compiled to a byte for each command and tenant before anybody asks. Who needs policies
  needs such an engine; what is compared here is only the narrow question that each licensed call asks.
- **Redis and the limiters in memory charge at once**; ours reserves, runs the call, and commits or gives back. The bare
  handler over HTTP does none of what the column does: that is the comparison. The column's audit events are made and handed to a
  sink that keeps none; what keeping them costs is in [audit.md](audit.md).
- `jsonwebtoken` verifies one signature over the same claims. Opening a license decrypts, verifies a path of certificates with
  two revocation lists, and reads the claims.
- Spread is from where to where the middle half of the measurements lies. Clients, servers and databases share the cores.
- Start-up is from starting the process to the first 200 of `/readyz`; memory is what the kernel counts as resident ten seconds
  later, with the pages of the program that it shares with the disk's cache.

";

/// The whole page.
pub(crate) fn page(table: &str, versions: &str) -> String {
    format!("{PAGE}{versions}\n{table}\n![all of it as bars](benchmarks/benches.svg)\n")
}

/// A table of all groups, in the order in which they were told.
pub(crate) fn markdown(figures: &[Figure]) -> String {
    let mut text = String::new();
    for group in groups(figures) {
        text += &format!("## {group}\n\n| | | unit | spread | goal | |\n|---|--:|---|--:|--:|---|\n");
        for figure in figures.iter().filter(|figure| figure.group == group) {
            let spread = figure
                .spread
                .map_or_else(String::new, |[low, high]| format!("{} to {}", number(low), number(high)));
            let goal = figure.goal.map_or_else(String::new, |goal| goal.to_string());
            let (verdict, Figure { case, unit, value, .. }) = (figure.verdict(), figure);
            text += &format!("| {case} | {} | {unit} | {spread} | {goal} | {verdict} |\n", number(*value));
        }
        text.push('\n');
    }
    text
}

/// The rows, unrounded.
pub(crate) fn csv(figures: &[Figure]) -> String {
    let mut text = "group,case,unit,value,low,high,goal\n".to_owned();
    for Figure { group, case, unit, value, spread, goal } in figures {
        let [low, high] = spread.map_or_else(<[String; 2]>::default, |ends| ends.map(|end| end.to_string()));
        let goal = goal.map_or_else(String::new, |goal| goal.to_string());
        text +=
            &format!("\"{group}\",\"{}\",{unit},{value},{low},{high},{goal}\n", case.replace('"', "\"\""));
    }
    text
}

/// Each once, in the order in which they come.
pub(crate) fn groups(figures: &[Figure]) -> Vec<&str> {
    let mut groups = Vec::new();
    for figure in figures {
        if !groups.contains(&figure.group.as_str()) {
            groups.push(&figure.group);
        }
    }
    groups
}

/// With as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use chancery_benches::Goal;

    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        assert_eq!(
            [0.1234, 12.34, 1234.5, 1_234_567.0, 999.6].map(number),
            ["0.12", "12.3", "1,234", "1,234,567", "1,000"]
        );
        assert_eq!(number(-1234.0), "-1,234");
        assert_eq!(number(f64::NAN), "NaN");
    }

    #[test]
    fn a_table_says_of_each_goal_whether_it_was_met() {
        let told = |case, value| Figure::new("http", case, "x bare", value).goal(Goal::AtLeast(0.85));
        let table = markdown(&[told("licensed", 0.9), told("metered", 0.8)]);
        assert!(table.contains("| licensed | 0.90 | x bare |  | at least 0.85 | met |"), "{table}");
        assert!(table.contains("| metered | 0.80 | x bare |  | at least 0.85 | **missed** |"), "{table}");
    }

    #[test]
    fn rows_are_not_rounded() {
        let row = Figure { spread: Some([1.0, 2.5]), ..Figure::new("a, b", "c", "ns", 1.234_567) };
        assert_eq!(csv(&[row]).lines().nth(1), Some("\"a, b\",\"c\",ns,1.234567,1,2.5,"));
    }
}
