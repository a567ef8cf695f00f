//! The demo's picture: accuracy and loss per round as two lines in an SVG, rounds that lost members marked in both.
//!
//! No fonts are needed to draw it: an SVG names a family and the viewer has one.

use std::ops::Range;

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, Text};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor, WHITE};

const SIZE: (u32, u32) = (860, 360);
/// What is shown.
pub(super) const LINE: RGBColor = RGBColor(0x1f, 0x6f, 0xb2);
/// What stops it.
pub(super) const DROP: RGBColor = RGBColor(0xc0, 0x39, 0x2b);
const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);
const TEXT: RGBColor = RGBColor(0x44, 0x4c, 0x56);
/// About so many lines of the grid stand beside each other.
const TICKS: u32 = 10;

/// One round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoundPoint {
    /// Its number, from 1.
    pub(crate) round: u32,
    /// Of the model with which it began, from 0 to 1.
    pub(crate) accuracy: f64,
    /// The same model's loss.
    pub(crate) loss: Option<f64>,
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
pub(crate) fn training(title: &str, points: &[RoundPoint]) -> Result<String, PlotError> {
    if points.is_empty() {
        return Err(PlotError::new(&"there are no rounds to show"));
    }
    let mut svg = String::new();
    draw(&mut svg, title, points).map_err(|error| PlotError::new(&error))?;
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, title: &str, points: &[RoundPoint]) -> Drawn {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    // The page's own background may be light or dark.
    area.fill(&WHITE)?;
    let font = ("sans-serif", 18).into_font().color(&TEXT);
    area.draw(&Text::new(title.to_owned(), (20, 16), font))?;
    let (_, below) = area.split_vertically(38);
    let loss: Vec<(f64, f64)> = points
        .iter()
        .filter_map(|p| Some((f64::from(p.round), p.loss?)))
        .collect();
    let accuracy = points.iter().map(|p| (f64::from(p.round), p.accuracy));
    let percent = |y: &f64| format!("{:.0} %", y * 100.0);
    let accuracy = Panel {
        what: "accuracy at the start of each round",
        line: accuracy.collect(),
        highest: 1.0,
        step: 0.2,
        label: &percent,
    };
    if loss.is_empty() {
        accuracy.draw(&below, points)?;
    } else {
        let (left, right) = below.split_horizontally(SIZE.0 / 2);
        accuracy.draw(&left, points)?;
        let most = loss.iter().map(|(_, y)| *y).fold(0.0, f64::max);
        let step = nice(most / 5.0);
        let plain = |y: &f64| format!("{}", (y * 1000.0).round() / 1000.0);
        let panel = Panel {
            what: "loss at the start of each round",
            highest: (most / step).ceil().max(1.0) * step,
            line: loss,
            step,
            label: &plain,
        };
        panel.draw(&right, points)?;
    }
    area.present()?;
    Ok(())
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `least`.
fn nice(least: f64) -> f64 {
    if !least.is_finite() || least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let all = [1.0, 2.0, 5.0, 10.0];
    let fits = all.into_iter().find(|m| m * power >= least * (1.0 - 1e-9));
    fits.unwrap_or(10.0) * power
}

/// An axis with these lines of the grid and no others.
struct Axis {
    range: RangedCoordf64,
    lines: Vec<f64>,
}

impl Axis {
    fn new(range: Range<f64>, lines: Vec<f64>) -> Self {
        let range = range.into();
        Self { range, lines }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.lines.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
}

/// One line with its axes.
struct Panel<'a> {
    what: &'a str,
    line: Vec<(f64, f64)>,
    highest: f64,
    /// Between two lines of the grid.
    step: f64,
    label: &'a dyn Fn(&f64) -> String,
}

impl Panel<'_> {
    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>, points: &[RoundPoint]) -> Drawn {
        let rounds = || points.iter().map(|p| p.round);
        let (first, last) = (rounds().min().unwrap_or(1), rounds().max().unwrap_or(1));
        let (from, to) = (f64::from(first) - 0.4, f64::from(last) + 0.4);
        let steps = nice(f64::from(last - first) / f64::from(TICKS)).max(1.0);
        let xs = rounds().map(f64::from).filter(|x| {
            let along = (x - f64::from(first)) / steps;
            (along - along.round()).abs() < 1e-9
        });
        let mut ys = Vec::new();
        while ys.len() <= 20 {
            let y = f64::from(u32::try_from(ys.len())?) * self.step;
            if y > self.highest + self.step / 2.0 {
                break;
            }
            ys.push(y);
        }
        let top = self.highest * 1.04;
        let mut chart = ChartBuilder::on(area)
            .margin_left(8)
            .margin_right(18)
            .margin_bottom(8)
            .margin_top(28)
            .set_label_area_size(LabelAreaPosition::Left, 50)
            .set_label_area_size(LabelAreaPosition::Bottom, 38)
            .build_cartesian_2d(Axis::new(from..to, xs.collect()), Axis::new(0.0..top, ys))?;
        let font = ("sans-serif", 13).into_font().color(&TEXT);
        chart
            .configure_mesh()
            .max_light_lines(0)
            .bold_line_style(GRID.stroke_width(1))
            .axis_style(TEXT.stroke_width(1))
            .label_style(font.clone())
            .x_desc("round")
            .x_label_formatter(&|x: &f64| format!("{x:.0}"))
            .y_label_formatter(self.label)
            .draw()?;
        area.draw(&Text::new(
            self.what.to_owned(),
            (58, 8),
            ("sans-serif", 14).into_font().color(&LINE),
        ))?;
        for lost in points.iter().filter(|point| !point.dropped.is_empty()) {
            let x = f64::from(lost.round);
            let line = [(x, 0.0), (x, top)];
            let style = DROP.stroke_width(1);
            chart.draw_series(DashedLineSeries::new(line, 5, 4, style))?;
            // On the side where there is more room.
            let (side, place) = match x * 2.0 > from + to {
                true => (HPos::Right, x - 0.12),
                false => (HPos::Left, x + 0.12),
            };
            let text = format!("round {}: without {}", lost.round, lost.dropped.join(", "));
            let font = ("sans-serif", 13).into_font().color(&DROP);
            let style = font.pos(Pos::new(side, VPos::Center));
            let height = self.highest * 0.5;
            chart.draw_series([Text::new(text, (place, height), style)])?;
        }
        let line = LineSeries::new(self.line.iter().copied(), LINE.stroke_width(2));
        chart.draw_series(line)?;
        let dots = self.line.iter().filter(|_| self.line.len() <= 60);
        chart.draw_series(dots.map(|point| Circle::new(*point, 3, LINE.filled())))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{RoundPoint, nice, training};

    fn points() -> Vec<RoundPoint> {
        [(1, 0.1), (2, 0.5), (3, 0.8), (4, 0.9)]
            .map(|(round, accuracy)| RoundPoint {
                round,
                accuracy,
                loss: Some(1.0 - accuracy),
                dropped: if round == 3 {
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
        let svg = training("digits & friends", &points()).unwrap();
        assert!(svg.starts_with("<svg") && is_well_formed(&svg), "{svg}");
        assert!(svg.contains("digits &amp; friends"), "{svg}");
        for both in [
            "round 3: without node&lt;3&gt;",
            "at the start of each round",
        ] {
            assert_eq!(svg.matches(both).count(), 2, "{both} in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 2 * 4);
    }

    #[test]
    fn axes_have_whole_rounds_and_round_numbers() {
        let svg = training("t", &points()).unwrap();
        let texts: Vec<&str> = svg
            .split("<text")
            .skip(1)
            .map(|t| {
                t.split('>')
                    .nth(1)
                    .unwrap()
                    .split('<')
                    .next()
                    .unwrap()
                    .trim()
            })
            .collect();
        for label in [
            "1", "2", "3", "4", "0 %", "20 %", "100 %", "0.2", "0.8", "1",
        ] {
            assert!(texts.contains(&label), "{label} is not in {texts:?}");
        }
        assert!(
            !texts.contains(&"0.5") && !texts.contains(&"120 %"),
            "{texts:?}"
        );
        for (least, step) in [
            (0.19, 0.2),
            (0.2, 0.2),
            (0.46, 0.5),
            (7.0, 10.0),
            (1.0, 1.0),
        ] {
            assert!((nice(least) - step).abs() < 1e-12, "{least}");
        }
    }

    #[test]
    fn many_rounds_have_few_ticks() {
        let many: Vec<RoundPoint> = (1..=1000)
            .map(|round| RoundPoint {
                round,
                ..points()[0].clone()
            })
            .collect();
        let svg = training("t", &many).unwrap();
        assert!(svg.matches("<text").count() < 60 && is_well_formed(&svg));
    }

    #[test]
    fn without_losses_there_is_no_mark() {
        let mut points = points();
        points.iter_mut().for_each(|point| point.dropped.clear());
        let svg = training("t", &points).unwrap();
        assert!(is_well_formed(&svg) && !svg.contains("without"), "{svg}");
    }

    #[test]
    fn nothing_to_show_is_an_error_and_one_point_is_not() {
        assert!(training("t", &[]).is_err());
        assert!(is_well_formed(&training("t", &points()[..1]).unwrap()));
    }
}
