//! Colour, name and volume of every structure that was found, in as many columns as fit.

use crate::canvas::{Picture, Rect};
use crate::names::Group;
use crate::page::{FAINT, INK, QUIET, SOFT};
use crate::study::Study;
use crate::survey::Found;
use crate::text::{Anchor, Lettering};

/// One line of the legend.
#[derive(Debug, Clone, Copy)]
enum Line<'a> {
    Heading(Group),
    Entry(&'a Found),
    /// Space between groups.
    Gap,
}

/// The lines, set in columns.
#[derive(Debug)]
pub(crate) struct Legend<'a> {
    columns: Vec<Vec<Line<'a>>>,
    voxel_mm3: f64,
    line: f32,
    pub(crate) height: usize,
}

impl<'a> Legend<'a> {
    /// Sets the structures in columns for a sheet `width` pixels wide; `unit` is the sheet's scale.
    pub(crate) fn of(study: &'a Study<'_>, width: usize, unit: f32) -> Legend<'a> {
        let lines = lines(&study.found);
        let line = 25.0 * unit;
        let most = (width as f32 / (300.0 * unit)).floor().max(1.0) as usize;
        // A few structures stand side by side, many in columns as high as it takes.
        let columns =
            fold(&lines, lines.len().div_ceil(2).min(4).max(lines.len().div_ceil(8)).clamp(1, most));
        let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
        Legend { columns, voxel_mm3: study.voxel_mm3(), line, height: (rows as f32 * line).ceil() as usize }
    }

    /// Draws the columns into `rect`.
    pub(crate) fn draw(&self, picture: &mut Picture, rect: Rect, unit: f32) {
        let gutter = 26.0 * unit;
        let slots = self.columns.len().max(4) as f32;
        let width = ((rect.width as f32 + gutter) / slots) - gutter;
        for (n, column) in self.columns.iter().enumerate() {
            let x = rect.x as f32 + n as f32 * (width + gutter);
            for (row, line) in column.iter().enumerate() {
                let baseline = rect.y as f32 + row as f32 * self.line + 0.7 * self.line;
                match line {
                    Line::Gap => {}
                    Line::Heading(group) => {
                        let title = group.title().to_uppercase();
                        Lettering::semibold(12.5 * unit, SOFT).write(picture, &title, x, baseline);
                        let under = baseline + 6.0 * unit;
                        picture.bar([x, x + width], [under, under + unit.max(1.0)], FAINT, 1.0);
                    }
                    Line::Entry(found) => self.entry(picture, found, [x, baseline, width], unit),
                }
            }
        }
    }

    fn entry(&self, picture: &mut Picture, found: &Found, [x, baseline, width]: [f32; 3], unit: f32) {
        let side = (13.0 * unit).round().max(5.0) as usize;
        let top = (baseline - 0.37 * 15.5 * unit - side as f32 / 2.0).round().max(0.0) as usize;
        let swatch = Rect { x: x.round() as usize, y: top, width: side, height: side };
        picture.panel(swatch, 3.5 * unit, found.color, 1.0);
        let number = millilitres(found.voxels as f64 * self.voxel_mm3 / 1000.0);
        let volume = Lettering::regular(15.0 * unit, QUIET).at(Anchor::Right);
        volume.write(picture, &number, x + width, baseline);
        let start = x + side as f32 + 9.0 * unit;
        let room = width - (start - x) - volume.width(&number) - 8.0 * unit;
        let mut name = Lettering::regular(15.5 * unit, INK);
        // A long name is first set smaller, and only then cut.
        name.size *= (room / name.width(&found.name)).clamp(0.78, 1.0);
        name.write(picture, &name.fit(&found.name, room), start, baseline);
    }

    /// The names shown, in reading order.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<&str> {
        let lines = self.columns.iter().flatten();
        lines
            .filter_map(|line| if let Line::Entry(found) = line { Some(found.name.as_str()) } else { None })
            .collect()
    }
}

/// Structures by group, each group under its heading where there is more than one; within a group by value.
fn lines(found: &[Found]) -> Vec<Line<'_>> {
    let mut sorted: Vec<&Found> = found.iter().collect();
    sorted.sort_by_key(|found| (found.group, found.value));
    let headed = found.len() > 8 && sorted.first().map(|f| f.group) != sorted.last().map(|f| f.group);
    let mut lines = Vec::new();
    let mut group = None;
    for found in sorted {
        if headed && group != Some(found.group) {
            if group.is_some() {
                lines.push(Line::Gap);
            }
            lines.push(Line::Heading(found.group));
            group = Some(found.group);
        }
        lines.push(Line::Entry(found));
    }
    lines
}

/// Breaks lines into `count` columns of the least height: no column starts with a gap or ends with a heading.
fn fold<'a>(lines: &[Line<'a>], count: usize) -> Vec<Vec<Line<'a>>> {
    let mut height = lines.len().div_ceil(count).max(1);
    loop {
        let mut columns: Vec<Vec<Line<'a>>> = vec![Vec::new()];
        for (n, &line) in lines.iter().enumerate() {
            let lonely = matches!(line, Line::Heading(_)) && n + 1 < lines.len();
            if let Some(column) = columns.last() {
                let full =
                    column.len() >= height || lonely && column.len() + 2 > height && !column.is_empty();
                if full {
                    columns.push(Vec::new());
                }
            }
            let gap = matches!(line, Line::Gap);
            if let Some(column) = columns.last_mut().filter(|column| !gap || !column.is_empty()) {
                column.push(line);
            }
        }
        if columns.len() <= count {
            return columns;
        }
        height += 1;
    }
}

/// A volume with about three figures, and thin groups of three digits: `1 482 mL`, `18.3 mL`, `0.42 mL`.
pub(crate) fn millilitres(volume: f64) -> String {
    match volume {
        v if v < 9.995 => format!("{v:.2} mL"),
        v if v < 99.95 => format!("{v:.1} mL"),
        v => format!("{} mL", thousands(v.round() as u64)),
    }
}

/// A whole number with a space between groups of three digits.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_have_about_three_figures() {
        let cases = [
            (0.0, "0.00 mL"),
            (0.4178, "0.42 mL"),
            (9.999, "10.0 mL"),
            (182.4, "182 mL"),
            (1_234_567.0, "1 234 567 mL"),
        ];
        for (volume, wanted) in cases {
            assert_eq!(millilitres(volume), wanted);
        }
    }

    #[test]
    fn columns_are_even_and_headings_keep_their_first_entry() {
        let heading = Line::Heading(Group::Organs);
        let gap = Line::Gap;
        let lines = [heading, gap, gap, heading, gap, gap, gap];
        let columns = fold(&lines, 2);
        assert_eq!(columns.len(), 2);
        for column in &columns {
            assert!(
                !matches!(column.first(), Some(Line::Gap))
                    && !matches!(column.last(), Some(Line::Heading(_)))
            );
        }
    }
}
