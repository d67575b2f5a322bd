//! The sheet: title, views from outside, cuts, legend; and the marks a reader expects on them.

use imaging::{Cancelled, Progress};

use crate::canvas::{Color, Picture, Rect};
use crate::cuts::{self, Cut};
use crate::legend::Legend;
use crate::marks::{apart, captioned, haloed, scale, shade_edges};
use crate::render::{self, Camera, Shape};
use crate::scene::Scene;
use crate::slice::{self, Plane, View};
use crate::study::Study;
use crate::text::{Anchor, Lettering};

/// The paper, and inks from loud to faint.
pub(crate) const PAPER: Color = [14, 17, 22];
pub(crate) const INK: Color = [230, 234, 239];
pub(crate) const SOFT: Color = [139, 150, 163];
pub(crate) const QUIET: Color = [165, 174, 185];
pub(crate) const FAINT: Color = [44, 51, 60];
const WARNING: Color = [240, 180, 76];

/// How sizes grow with the width of the sheet: everything is laid out for 1920 pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) width: usize,
    pub(crate) unit: f32,
}

/// A cut and the place it is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) plane: Plane,
    pub(crate) cut: Cut,
    /// The letter that finds the cut again on the coronal one.
    pub(crate) mark: Option<char>,
    pub(crate) rect: Rect,
}

/// What stands where.
#[derive(Debug)]
struct Plan {
    cells: Vec<Cell>,
    /// The views from outside: where, azimuth and elevation in degrees, and what they are called.
    shots: Vec<(Rect, [f64; 2], &'static str)>,
    bottom: usize,
}

impl Layout {
    pub(crate) fn pixels(&self, units: f32) -> usize {
        (units * self.unit).round().max(1.0) as usize
    }

    fn margin(&self) -> usize {
        self.pixels(44.0)
    }

    fn gap(&self) -> usize {
        self.pixels(12.0)
    }

    fn content(&self) -> usize {
        self.width - 2 * self.margin()
    }

    /// `count` rectangles side by side from `x` to `right`.
    fn row(&self, [x, right]: [usize; 2], y: usize, height: usize, count: usize) -> Vec<Rect> {
        let count = count.max(1);
        let width = (right - x).saturating_sub((count - 1) * self.gap()) / count;
        (0..count).map(|n| Rect { x: x + n * (width + self.gap()), y, width: width.max(1), height }).collect()
    }
}

/// The whole sheet, `width` pixels wide.
///
/// # Errors
///
/// [`Cancelled`] when asked to stop.
pub(crate) fn draw(
    study: &Study<'_>,
    title: &str,
    width: usize,
    progress: &Progress,
) -> Result<Picture, Cancelled> {
    let layout = Layout { width, unit: width as f32 / 1920.0 };
    let scene = Scene::of(study, progress)?;
    let top = layout.pixels(132.0);
    let plan = plan(study, layout, top, scene.is_some());
    let legend = Legend::of(study, layout.content(), layout.unit);
    let space = layout.pixels(34.0);
    let legend_height = if study.found.is_empty() { layout.pixels(90.0) } else { legend.height };
    let height = plan.bottom + space + legend_height + layout.pixels(40.0);
    let mut picture = Picture::filled(width, height, PAPER);
    heading(&mut picture, &facts(study), title, layout);
    for cell in &plan.cells {
        draw_cell(&mut picture, study, cell, layout, progress)?;
    }
    localise(&mut picture, study, &plan, layout);
    if let Some(scene) = &scene {
        draw_shots(&mut picture, study, scene, &plan, layout, progress)?;
    }
    let rect =
        Rect { x: layout.margin(), y: plan.bottom + space, width: layout.content(), height: legend_height };
    if study.found.is_empty() {
        let lettering = Lettering::semibold(26.0 * layout.unit, SOFT).at(Anchor::Middle);
        let middle = rect.y as f32 + 0.55 * rect.height as f32;
        lettering.write(&mut picture, "No structures found", width as f32 / 2.0, middle);
    } else {
        legend.draw(&mut picture, rect, layout.unit);
    }
    Ok(picture)
}

/// The sheet for an image without voxels: only its heading.
pub(crate) fn blank(title: &str, width: usize) -> Picture {
    let layout = Layout { width, unit: width as f32 / 1920.0 };
    let mut picture = Picture::filled(width, layout.pixels(150.0), PAPER);
    heading(&mut picture, "the image has no voxels", title, layout);
    picture
}

/// Title, what the image is, and the warning.
fn heading(picture: &mut Picture, facts: &str, title: &str, layout: Layout) {
    let (unit, left, right) = (layout.unit, layout.margin() as f32, (layout.width - layout.margin()) as f32);
    let warning = Lettering::semibold(14.0 * unit, WARNING);
    let words = "RESEARCH USE ONLY";
    let (width, height) = (warning.width(words) + 32.0 * unit, layout.pixels(34.0));
    let pill = Rect {
        x: (right - width).round().max(0.0) as usize,
        y: layout.pixels(46.0),
        width: width.round() as usize,
        height,
    };
    picture.outline(pill, height as f32 / 2.0, layout.pixels(1.4), WARNING);
    let baseline = pill.y as f32 + 0.5 * height as f32 + 0.36 * 14.0 * unit;
    warning.write(picture, words, pill.x as f32 + 16.0 * unit, baseline);
    let lettering = Lettering::semibold(34.0 * unit, INK);
    let name = lettering
        .fit(if title.is_empty() { "Segmentation" } else { title }, pill.x as f32 - left - 30.0 * unit);
    lettering.write(picture, &name, left, 72.0 * unit);
    Lettering::regular(17.0 * unit, SOFT).write(picture, facts, left, 104.0 * unit);
}

/// Size, spacing and number of structures.
fn facts(study: &Study<'_>) -> String {
    let [i, j, k] = study.grid.size;
    let structures = match study.found.len() {
        0 => "no structures".to_owned(),
        1 => "1 structure".to_owned(),
        n => format!("{n} structures"),
    };
    let spacing = if study.true_geometry {
        let [a, b, c] = study.grid.spacing().map(|step| format!("{step:.2}"));
        format!("{a} × {b} × {c} mm")
    } else {
        "geometry not usable, drawn with voxels of 1 mm".to_owned()
    };
    format!("{i} × {j} × {k} voxels  ·  {spacing}  ·  {structures}")
}

/// Decides which cuts are shown, and where everything stands.
fn plan(study: &Study<'_>, layout: Layout, top: usize, solid: bool) -> Plan {
    let worth = |plane: &&Plane| {
        let [across, down] = plane.extent(study.focus);
        (1.0 / 9.0..=9.0).contains(&(across / down))
    };
    let order = [Plane::Coronal, Plane::Axial, Plane::Sagittal];
    let main = order.iter().find(worth).copied().unwrap_or(Plane::Axial);
    let second = [Plane::Axial, Plane::Coronal, Plane::Sagittal].iter().find(worth).copied().unwrap_or(main);
    let aspect = |plane: Plane| {
        let [across, down] = plane.extent(study.focus);
        (across / down) as f32
    };
    // A flat part of the body leaves room for a second cut under the first.
    let flat = aspect(main) > 1.7 && worth(&&Plane::Sagittal) && main != Plane::Sagittal;
    let height = layout.pixels((620.0 / aspect(main)).clamp(if flat { 470.0 } else { 560.0 }, 860.0));
    let slice_width = (aspect(main) * height as f32).clamp(340.0 * layout.unit, 640.0 * layout.unit) as usize;
    let (left, right) = (layout.margin(), layout.width - layout.margin());
    let mut hero = layout.row([left, right], top, height, 2);
    let mut shots = Vec::new();
    if solid {
        let views = layout.row([left, right - slice_width - layout.gap()], top, height, 2);
        let kinds = [([0.0, 0.0], "Anterior"), ([38.0, 14.0], "Left anterior oblique")];
        shots = views.into_iter().zip(kinds).map(|(rect, (turn, name))| (rect, turn, name)).collect();
        hero = vec![Rect { x: right - slice_width, y: top, width: slice_width, height }];
        if flat {
            let half = (height - layout.gap()) / 2;
            let upper = Rect { height: half, ..hero[0] };
            hero = vec![upper, Rect { y: top + height - half, ..upper }];
        }
    }
    let planes = [main, Plane::Sagittal];
    let mut cells = Vec::new();
    for (rect, plane) in hero.into_iter().zip(planes).filter(|(_, plane)| *plane == main || worth(&plane)) {
        cells.extend(cuts::choose(study, plane, 1).into_iter().map(|cut| Cell {
            plane,
            cut,
            mark: None,
            rect,
        }));
    }
    let cuts = cuts::choose(study, second, 4);
    let below = top + height + layout.gap();
    let shown = if second == main && cuts.len() < 2 { 0 } else { cuts.len() };
    if shown == 0 {
        return Plan { cells, shots, bottom: top + height };
    }
    let width = layout.row([left, right], below, 1, shown)[0].width;
    let row_height = (width as f32 / aspect(second)).clamp(220.0 * layout.unit, 470.0 * layout.unit) as usize;
    for (n, (cut, rect)) in
        cuts.into_iter().zip(layout.row([left, right], below, row_height, shown)).enumerate()
    {
        let mark = (second == Plane::Axial && main == Plane::Coronal).then_some((b'A' + n as u8) as char);
        cells.push(Cell { plane: second, cut, mark, rect });
    }
    Plan { cells, shots, bottom: below + row_height }
}

/// The view of a cell, with a little room round what is shown.
fn view(study: &Study<'_>, cell: &Cell) -> View {
    let mut view = View::fitted(cell.plane, cell.cut.at, study.focus, [cell.rect.width, cell.rect.height]);
    view.pixel_mm *= 1.03;
    view
}

/// Draws a cut with its caption, letters and scale.
pub(crate) fn draw_cell(
    picture: &mut Picture,
    study: &Study<'_>,
    cell: &Cell,
    layout: Layout,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let view = view(study, cell);
    let mut tile = slice::paint(study, &view, f64::from(layout.unit), progress)?;
    let Rect { x, y, width, height } = cell.rect;
    shade_edges(&mut tile, layout.pixels(44.0));
    picture.paste(&tile, cell.rect, 9.0 * layout.unit);
    let ([across, down, _], grows) = cell.plane.axes();
    let letters = [
        (
            study.frame.letters(across, !grows[0]),
            [x as f32 + 18.0 * layout.unit, y as f32 + height as f32 / 2.0],
        ),
        (
            study.frame.letters(across, grows[0]),
            [cell.rect.right() as f32 - 18.0 * layout.unit, y as f32 + height as f32 / 2.0],
        ),
        (
            study.frame.letters(down, !grows[1]),
            [x as f32 + width as f32 / 2.0, y as f32 + 20.0 * layout.unit],
        ),
        (
            study.frame.letters(down, grows[1]),
            [x as f32 + width as f32 / 2.0, cell.rect.bottom() as f32 - 20.0 * layout.unit],
        ),
    ];
    let lettering = Lettering::semibold(17.0 * layout.unit, INK).at(Anchor::Middle);
    for (text, [cx, cy]) in letters {
        haloed(picture, lettering, &text, [cx, cy + 0.36 * lettering.size]);
    }
    let mark = cell.mark.map(|mark| format!("{mark}  ")).unwrap_or_default();
    let caption = format!("{mark}{}  {}/{}", cell.plane.title(), cell.cut.slice, cell.cut.of);
    captioned(picture, cell.rect, &caption, layout);
    scale(picture, cell.rect, view.pixel_mm, layout);
    let window = study.tone.window;
    let number = |value: f64| if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    let text = format!("W {}  L {}", number(window.width), number(window.center)).replace('-', "−");
    let small = Lettering::regular(13.0 * layout.unit, QUIET).at(Anchor::Right);
    let corner =
        [cell.rect.right() as f32 - 14.0 * layout.unit, cell.rect.bottom() as f32 - 14.0 * layout.unit];
    if cell.rect.width > layout.pixels(300.0) {
        haloed(picture, small, &text, corner);
    }
    Ok(())
}

/// Draws the views from outside, all to one scale.
fn draw_shots(
    picture: &mut Picture,
    study: &Study<'_>,
    scene: &Scene,
    plan: &Plan,
    layout: Layout,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let cameras: Vec<Camera> =
        plan.shots.iter().map(|(_, [azimuth, elevation], _)| Camera::new(*azimuth, *elevation)).collect();
    let room = layout.pixels(36.0) as f32;
    let mut pixel_mm = 1e-6f32;
    for ((rect, ..), camera) in plan.shots.iter().zip(&cameras) {
        let [right, up, _] = camera.bounds(scene);
        let inner = [rect.width, rect.height].map(|length| (length as f32 - 2.0 * room).max(1.0));
        pixel_mm = pixel_mm.max((right[1] - right[0]) / inner[0]).max((up[1] - up[0]) / inner[1]);
    }
    for ((rect, turn, name), camera) in plan.shots.iter().zip(&cameras) {
        let [right, up, _] = camera.bounds(scene);
        let middle = [(right[0] + right[1]) / 2.0, (up[0] + up[1]) / 2.0];
        let shape = Shape { width: rect.width, height: rect.height, pixel_mm, middle };
        let tile = render::render(scene, camera, shape, progress)?;
        picture.paste(&tile, *rect, 9.0 * layout.unit);
        captioned(picture, *rect, name, layout);
        scale(picture, *rect, f64::from(pixel_mm), layout);
        if *turn == [0.0, 0.0] {
            let lettering = Lettering::semibold(17.0 * layout.unit, INK).at(Anchor::Middle);
            let y = rect.y as f32 + rect.height as f32 / 2.0 + 0.36 * lettering.size;
            haloed(
                picture,
                lettering,
                &study.frame.letters(0, false),
                [rect.x as f32 + 18.0 * layout.unit, y],
            );
            haloed(
                picture,
                lettering,
                &study.frame.letters(0, true),
                [rect.right() as f32 - 18.0 * layout.unit, y],
            );
        }
    }
    Ok(())
}

/// Marks on the coronal cut where the axial ones lie.
fn localise(picture: &mut Picture, study: &Study<'_>, plan: &Plan, layout: Layout) {
    let unit = layout.unit;
    for main in plan.cells.iter().filter(|cell| matches!(cell.plane, Plane::Coronal | Plane::Sagittal)) {
        let view = view(study, main);
        let marks: Vec<(char, f32)> = plan
            .cells
            .iter()
            .filter_map(|cell| {
                let height = study.focus[2].iter().sum::<f64>() / 2.0 - cell.cut.at;
                let down = view.height as f64 / 2.0 + height / view.pixel_mm;
                let inside = (0.0..=view.height as f64).contains(&down);
                Some((cell.mark.filter(|_| inside)?, main.rect.y as f32 + down as f32))
            })
            .collect();
        let middle = main.rect.y as f32 + main.rect.height as f32 / 2.0;
        let places = apart(&marks.iter().map(|mark| mark.1).collect::<Vec<_>>(), middle, unit);
        let (left, right) = (main.rect.x as f32, main.rect.right() as f32);
        for ((mark, y), place) in marks.into_iter().zip(places) {
            let thick = [y - 0.7 * unit, y + 0.7 * unit];
            picture.bar([right - 13.0 * unit, right], thick, WARNING, 0.9);
            picture.bar([left, left + 13.0 * unit], thick, WARNING, 0.9);
            let lettering = Lettering::semibold(12.5 * unit, WARNING).at(Anchor::Middle);
            haloed(
                picture,
                lettering,
                &mark.to_string(),
                [right - 23.0 * unit, place + 0.36 * lettering.size],
            );
        }
    }
}
