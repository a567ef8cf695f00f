//! The demo's picture: accuracy per round as a line in an SVG, rounds that lost members marked.
//!
//! No fonts are needed to draw it: an SVG names a family and the viewer has one.

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, LabelAreaPosition, SeriesLabelPosition};
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{Circle, PathElement, Text};
use plotters::series::LineSeries;
use plotters::style::{BLACK, Color as _, IntoFont as _, RGBColor, WHITE};

const SIZE: (u32, u32) = (800, 420);
/// What is shown.
pub(super) const LINE: RGBColor = RGBColor(0x1f, 0x6f, 0xb2);
/// What stops it.
pub(super) const DROP: RGBColor = RGBColor(0xc0, 0x39, 0x2b);

/// One point of the line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoundPoint {
    /// The round; 0 is the model before training.
    pub(crate) round: u32,
    /// From 0 to 1.
    pub(crate) accuracy: f64,
    /// Names of the members that the round went on without.
    pub(crate) dropped: Vec<String>,
}

/// The picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the plot cannot be drawn: {0}")]
pub(crate) struct PlotError(String);

impl PlotError {
    pub(super) fn new(why: &impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// Draws `points`, in the order of their rounds, and gives the SVG text.
///
/// # Errors
/// [`PlotError`] when there are no points or the drawing fails.
pub(crate) fn accuracy(title: &str, points: &[RoundPoint]) -> Result<String, PlotError> {
    let Some(last) = points.iter().map(|point| point.round).max() else {
        return Err(PlotError::new(&"there are no rounds to show"));
    };
    let mut svg = String::new();
    draw(&mut svg, title, points, last.max(1)).map_err(|error| PlotError::new(&error))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    points: &[RoundPoint],
    last: u32,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 22))
        .margin(16)
        .set_label_area_size(LabelAreaPosition::Left, 52)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(0..last, 0.0..1.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("round")
        .y_desc("accuracy")
        .x_labels(usize::try_from(last)?.min(20) + 1)
        .y_label_formatter(&|accuracy| format!("{:.0} %", accuracy * 100.0))
        .draw()?;
    chart
        .draw_series(LineSeries::new(
            points.iter().map(|point| (point.round, point.accuracy)),
            LINE.stroke_width(2),
        ))?
        .label("accuracy of the shared model")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], LINE.stroke_width(2)));
    chart.draw_series(
        points
            .iter()
            .map(|point| Circle::new((point.round, point.accuracy), 3, LINE.filled())),
    )?;
    let lost: Vec<&RoundPoint> = points
        .iter()
        .filter(|point| !point.dropped.is_empty())
        .collect();
    if !lost.is_empty() {
        chart
            .draw_series(
                lost.iter().map(|point| {
                    Circle::new((point.round, point.accuracy), 8, DROP.stroke_width(2))
                }),
            )?
            .label("went on without a member")
            .legend(|(x, y)| Circle::new((x + 9, y), 6, DROP.stroke_width(2)));
        let font = ("sans-serif", 15).into_font().color(&DROP);
        chart.draw_series(lost.iter().map(|point| {
            let text = format!("without {}", point.dropped.join(", "));
            Text::new(
                text,
                (point.round, (point.accuracy - 0.06).max(0.04)),
                font.clone(),
            )
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{RoundPoint, accuracy};

    fn points() -> Vec<RoundPoint> {
        [(0, 0.1), (1, 0.5), (2, 0.8), (3, 0.9)]
            .map(|(round, accuracy)| RoundPoint {
                round,
                accuracy,
                dropped: if round == 2 {
                    vec!["node<3>".to_owned()]
                } else {
                    Vec::new()
                },
            })
            .to_vec()
    }

    /// Every tag is closed in order: what a browser needs to take a text for an SVG.
    fn is_well_formed(svg: &str) -> bool {
        let mut open: Vec<&str> = Vec::new();
        for tag in svg
            .split('<')
            .skip(1)
            .map(|rest| rest.split('>').next().unwrap_or_default())
        {
            let name = tag.split_whitespace().next().unwrap_or_default();
            match name.strip_prefix('/') {
                Some(name) if open.pop() != Some(name) => return false,
                Some(_) => {}
                None if tag.ends_with('/') || tag.starts_with(['?', '!']) => {}
                None => open.push(name),
            }
        }
        open.is_empty()
    }

    #[test]
    fn the_line_and_the_lost_member_are_in_the_picture() {
        let svg = accuracy("digits & friends", &points()).unwrap();
        assert!(svg.starts_with("<svg") && is_well_formed(&svg), "{svg}");
        assert!(
            svg.contains("without node&lt;3&gt;") && svg.contains("digits &amp; friends"),
            "{svg}"
        );
        assert_eq!(
            svg.matches("<circle").count(),
            4 + 1 + 1,
            "four points, one mark, one legend"
        );
    }

    #[test]
    fn without_losses_there_is_no_mark() {
        let mut points = points();
        points.iter_mut().for_each(|point| point.dropped.clear());
        let svg = accuracy("t", &points).unwrap();
        assert!(is_well_formed(&svg) && !svg.contains("without"), "{svg}");
    }

    #[test]
    fn nothing_to_show_is_an_error_and_one_point_is_not() {
        assert!(accuracy("t", &[]).is_err());
        assert!(is_well_formed(&accuracy("t", &points()[..1]).unwrap()));
    }
}
