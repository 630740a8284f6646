//! Figures as bars: a panel for each group, on a logarithmic scale of its own.

use chancery_benches::Figure;

use crate::table;

const LEFT: f64 = 380.0;
const WIDTH: f64 = 420.0;
const LINE: f64 = 20.0;

/// Figures of one group and one unit are one panel: others do not compare.
pub(crate) fn svg(figures: &[Figure]) -> String {
    let mut panels: Vec<(&str, &str, Vec<&Figure>)> = Vec::new();
    for figure in figures.iter().filter(|figure| figure.value > 0.0) {
        match panels.iter_mut().find(|(group, unit, _)| *group == figure.group && *unit == figure.unit) {
            Some((.., bars)) => bars.push(figure),
            None => panels.push((&figure.group, &figure.unit, vec![figure])),
        }
    }
    let (mut top, mut drawn) = (10.0, String::new());
    for (group, unit, bars) in panels {
        let sizes = || bars.iter().map(|bar| bar.value.log10());
        let (least, most) = (sizes().fold(f64::MAX, f64::min).floor(), sizes().fold(f64::MIN, f64::max));
        let scale = WIDTH / (most - least).max(0.1);
        drawn +=
            &format!("<text x=\"10\" y=\"{:.0}\" font-weight=\"bold\">{group}, {unit}</text>\n", top + 14.0);
        top += LINE;
        for bar in bars {
            let width = ((bar.value.log10() - least) * scale).max(2.0);
            let colour = match bar.goal {
                Some(goal) if !goal.is_met_by(bar.value) => "#cc6677",
                Some(_) => "#228833",
                None => "#4477aa",
            };
            drawn += &format!(
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{LEFT}\" y=\"{:.0}\" width=\"{width:.1}\" height=\"{:.0}\" fill=\"{colour}\"/>\n\
                 <text x=\"{:.0}\" y=\"{:.0}\">{}</text>\n",
                LEFT - 6.0,
                top + 14.0,
                bar.case.replace('&', "&amp;").replace('<', "&lt;"),
                top + 3.0,
                LINE - 5.0,
                LEFT + width + 6.0,
                top + 14.0,
                table::number(bar.value),
            );
            top += LINE;
        }
        top += LINE / 2.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{top:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{drawn}</svg>\n",
        LEFT + WIDTH + 110.0,
    )
}
