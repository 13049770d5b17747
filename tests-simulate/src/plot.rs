//! Plot: draws lines over an hour as an SVG that is readable on light and on dark pages. Reads nothing.

use std::fmt::Write;

/// One line.
#[derive(Debug)]
pub struct Line {
    /// For the legend.
    pub name: &'static str,
    /// Of the line.
    pub color: &'static str,
    /// Whether it is drawn with dashes.
    pub dashed: bool,
    /// By second.
    pub values: Vec<f64>,
}

const LEFT: f64 = 62.0;
const TOP: f64 = 66.0;
const WIDE: f64 = 670.0;
const HIGH: f64 = 220.0;

/// Draws them. `unit`: what the vertical axis counts. `marks`: seconds with a word.
#[must_use]
pub fn svg(title: &str, unit: &str, lines: &[Line], marks: &[(u32, &str)]) -> String {
    let seconds = lines
        .iter()
        .map(|line| line.values.len())
        .max()
        .unwrap_or(1);
    let highest = lines
        .iter()
        .flat_map(|line| &line.values)
        .fold(1.0, |a: f64, b| a.max(*b));
    let (step, top) = scale(highest);
    let x = |second: f64| LEFT + second / seconds as f64 * WIDE;
    let y = |value: f64| TOP + HIGH - value / top * HIGH;
    let mut svg = String::from(concat!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 340" font-family="system-ui, sans-serif" font-size="13">"#,
        "\n<style>text{fill:#222}.g{stroke:#ccc}.m{stroke:#888}.bg{fill:#fff}",
        "@media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#444}.bg{fill:#161b22}}</style>\n",
        r#"<rect class="bg" width="760" height="340" rx="6"/>"#,
        "\n"
    ));
    let mut add = |text: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = svg.write_fmt(format_args!("{text}\n"));
    };
    add(format_args!(
        r#"<text x="{LEFT}" y="22" font-size="15" font-weight="600">{title}</text>"#
    ));
    let mut at = LEFT;
    for line in lines {
        let dash = if line.dashed {
            r#" stroke-dasharray="6 4""#
        } else {
            ""
        };
        add(format_args!(
            r#"<path d="M{at} 42h24" stroke="{}" stroke-width="2.5"{dash}/><text x="{}" y="46">{}</text>"#,
            line.color,
            at + 30.0,
            line.name
        ));
        at += 56.0 + 7.0 * line.name.len() as f64;
    }
    let mut value = 0.0;
    while value <= top + step / 2.0 {
        let at = y(value);
        add(format_args!(
            r#"<path class="g" d="M{LEFT} {at:.1}h{WIDE}"/><text x="{}" y="{:.1}" text-anchor="end">{value:.0}</text>"#,
            LEFT - 8.0,
            at + 4.0
        ));
        value += step;
    }
    for minute in (0..=seconds / 60).step_by(10) {
        let at = x(minute as f64 * 60.0);
        add(format_args!(
            r#"<text x="{at:.1}" y="{}" text-anchor="middle">{minute}</text>"#,
            TOP + HIGH + 18.0
        ));
    }
    add(format_args!(
        r#"<text x="{}" y="{}" text-anchor="middle">minutes</text>"#,
        LEFT + WIDE / 2.0,
        TOP + HIGH + 38.0
    ));
    add(format_args!(
        r#"<text transform="translate(16 {}) rotate(-90)" text-anchor="middle">{unit}</text>"#,
        TOP + HIGH / 2.0
    ));
    for (second, word) in marks {
        let at = x(f64::from(*second));
        add(format_args!(
            r#"<path class="m" d="M{at:.1} {TOP}v{HIGH}" stroke-dasharray="2 3"/><text x="{:.1}" y="{}">{word}</text>"#,
            at + 5.0,
            TOP + 12.0
        ));
    }
    for line in lines {
        let dash = if line.dashed {
            r#" stroke-dasharray="6 4""#
        } else {
            ""
        };
        let points: Vec<String> = (line.values.iter().enumerate())
            .step_by(10)
            .map(|(second, value)| format!("{:.1},{:.1}", x(second as f64), y(*value)))
            .collect();
        add(format_args!(
            r#"<polyline fill="none" stroke="{}" stroke-width="2"{dash} points="{}"/>"#,
            line.color,
            points.join(" ")
        ));
    }
    svg + "</svg>\n"
}

/// The step of the axis, and its end: round numbers.
fn scale(highest: f64) -> (f64, f64) {
    let rough = highest / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough)
        .max(1.0);
    (step, (highest / step).ceil() * step)
}
