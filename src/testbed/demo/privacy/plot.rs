//! The picture: what each round has cost against the budget, and the coefficients with noise and without.

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color as _, IntoFont as _, RGBColor, WHITE};

use super::comparison::Charged;
use super::report::Report;
use crate::testbed::demo::plot::{DROP, LINE, PlotError};

const SIZE: (u32, u32) = (960, 420);
const LEFT: u32 = 500;
const GREY: RGBColor = RGBColor(0x55, 0x5f, 0x6b);

type Panel<'p> = DrawingArea<SVGBackend<'p>, Shift>;
type Chart<'c, 'p> = ChartContext<'c, SVGBackend<'p>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws `report`, and gives the SVG text.
///
/// # Errors
/// [`PlotError`] when the drawing fails.
pub(super) fn picture(report: &Report) -> Result<String, PlotError> {
    let found = &report.comparison;
    let series = Coefficients {
        names: &found.names,
        pooled: &report.pooled.coefficients,
        controlled: &found.controlled,
        private: &found.private,
    };
    drawn(&found.charged, report.budget, &series)
}

/// Coefficients of the same names, three times.
struct Coefficients<'c> {
    names: &'c [String],
    pooled: &'c [f64],
    controlled: &'c [f64],
    private: &'c [f64],
}

fn drawn(charged: &[Charged], budget: f64, series: &Coefficients<'_>) -> Result<String, PlotError> {
    let mut svg = String::new();
    let draw = |svg| -> Drawn {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        // The page's own background may be light or dark.
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(LEFT);
        spent(&left, charged, budget)?;
        coefficients(&right, series)?;
        area.present()?;
        Ok(())
    };
    draw(&mut svg).map_err(|error| PlotError::new(&error))?;
    Ok(svg)
}

fn spent(area: &Panel<'_>, charged: &[Charged], budget: f64) -> Drawn {
    let last = charged.last().map_or(0, |c| c.round);
    let end = f64::from(last) + 1.6;
    let mut chart = ChartBuilder::on(area)
        .caption("What a hospital's patients have cost", ("sans-serif", 20))
        .margin(14)
        .set_label_area_size(LabelAreaPosition::Left, 52)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(0.4..end, 0.0..budget * 1.45)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("round of the task under noise")
        .y_desc("epsilon")
        .x_labels(usize::try_from(last)?.min(20) + 1)
        .x_label_formatter(&|x| match x.fract() == 0.0 && *x <= f64::from(last) {
            true => format!("{x}"),
            false => String::new(),
        })
        .y_label_formatter(&|epsilon| format!("{epsilon:.2}"))
        .draw()?;
    let bars = |first: bool| charged.iter().filter(move |c| (c.run == 1) == first);
    for (first, strength, label) in [(true, 0.9, "first run"), (false, 0.5, "again")] {
        let style = LINE.mix(strength).filled();
        chart
            .draw_series(bars(first).map(|c| {
                let at = f64::from(c.round);
                Rectangle::new([(at - 0.36, 0.0), (at + 0.36, c.epsilon)], style)
            }))?
            .label(label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], style));
    }
    chart
        .draw_series([PathElement::new(
            [(0.4, budget), (end, budget)],
            DROP.stroke_width(2),
        )])?
        .label(format!("budget {budget}"))
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], DROP.stroke_width(2)));
    refused(&mut chart, f64::from(last) + 1.0, end, budget)?;
    legend(&mut chart)
}

/// The round that did not come, at `next` of `end`.
fn refused(chart: &mut Chart<'_, '_>, next: f64, end: f64, budget: f64) -> Drawn {
    let cross = |from: (f64, f64), to: (f64, f64)| {
        PathElement::new(
            [(next + from.0, from.1), (next + to.0, to.1)],
            DROP.stroke_width(2),
        )
    };
    let (low, high, half) = (budget * 0.96, budget * 1.04, end * 0.018);
    chart.draw_series([
        cross((-half, low), (half, high)),
        cross((-half, high), (half, low)),
    ])?;
    // Right-aligned, so that it stays in the picture however many rounds there are.
    let place = Pos::new(HPos::Right, VPos::Bottom);
    let style = ("sans-serif", 14).into_font().color(&DROP).pos(place);
    let at = (end - 0.1, budget * 1.07);
    chart.draw_series([Text::new("over_budget", at, style)])?;
    Ok(())
}

fn legend<'c, 'p: 'c>(chart: &mut Chart<'c, 'p>) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

fn coefficients(area: &Panel<'_>, series: &Coefficients<'_>) -> Drawn {
    let all = [series.pooled, series.controlled, series.private].concat();
    let low = all.iter().copied().fold(0.0, f64::min) - 0.35;
    let high = all.iter().copied().fold(0.0, f64::max) + 0.55;
    let place = |i: usize| f64::from(u32::try_from(i).unwrap_or(u32::MAX));
    let end = place(series.names.len()) - 0.5;
    let mut chart = ChartBuilder::on(area)
        .caption("Who comes back: log odds", ("sans-serif", 20))
        .margin(14)
        .set_label_area_size(LabelAreaPosition::Left, 46)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(-0.5..end, low..high)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;
    chart
        .draw_series(series.pooled.iter().enumerate().map(|(i, y)| {
            let at = place(i);
            PathElement::new([(at - 0.3, *y), (at + 0.3, *y)], GREY.stroke_width(3))
        }))?
        .label("all patients in one place")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], GREY.stroke_width(3)));
    chart
        .draw_series(
            series
                .controlled
                .iter()
                .enumerate()
                .map(|(i, y)| Circle::new((place(i) - 0.12, *y), 6, LINE.stroke_width(2))),
        )?
        .label("three nodes, without noise")
        .legend(|(x, y)| Circle::new((x + 9, y), 6, LINE.stroke_width(2)));
    chart
        .draw_series(
            series
                .private
                .iter()
                .enumerate()
                .map(|(i, y)| Circle::new((place(i) + 0.12, *y), 6, DROP.filled())),
        )?
        .label("three nodes, with noise")
        .legend(|(x, y)| Circle::new((x + 9, y), 6, DROP.filled()));
    let font = ("sans-serif", 15).into_font().color(&BLACK);
    chart.draw_series(
        series
            .names
            .iter()
            .enumerate()
            .map(|(i, name)| Text::new(name.clone(), (place(i) - 0.2, low + 0.14), font.clone())),
    )?;
    legend(&mut chart)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(rounds: u32) -> String {
        let charged: Vec<Charged> = (1..=rounds)
            .map(|round| Charged {
                run: 1 + round / 7,
                round,
                epsilon: f64::from(round) * 0.1,
            })
            .collect();
        let names = ["const".to_owned(), "age & <more>".to_owned()];
        let series = Coefficients {
            names: &names,
            pooled: &[-0.5, 0.25],
            controlled: &[-0.5, 0.25],
            private: &[-0.4, 0.3],
        };
        drawn(&charged, 1.25, &series).unwrap()
    }

    #[test]
    fn every_round_is_a_bar_and_every_coefficient_a_point() {
        let (few, more) = (svg(6), svg(9));
        assert!(few.starts_with("<svg") && few.trim_end().ends_with("</svg>"));
        let bars = |svg: &str| svg.matches("<rect").count();
        assert_eq!(bars(&more), bars(&few) + 3);
        assert_eq!(few.matches("<circle").count(), 4 + 2, "points and legend");
        for part in ["over_budget", "budget 1.25", "age &amp; &lt;more&gt;"] {
            assert!(few.contains(part), "{part} in {few}");
        }
    }

    #[test]
    fn nothing_charged_is_a_picture_too() {
        assert!(svg(0).contains("over_budget"));
    }
}
