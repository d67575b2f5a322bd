//! The sheet everything is drawn on: pixels, blending, panels with rounded corners.

/// A picture of 8-bit sRGB pixels, row by row from the top left; `rgb.len() == 3 * width * height`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Red, green, blue of every pixel.
    pub rgb: Vec<u8>,
}

/// sRGB.
pub(crate) type Color = [u8; 3];

/// A rectangle of pixels: left, top, width, height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Rect {
    /// The pixel past the right edge.
    pub(crate) fn right(&self) -> usize {
        self.x + self.width
    }

    /// The pixel past the lower edge.
    pub(crate) fn bottom(&self) -> usize {
        self.y + self.height
    }
}

impl Picture {
    /// One colour all over.
    pub(crate) fn filled(width: usize, height: usize, color: Color) -> Picture {
        Picture { width, height, rgb: color.repeat(width * height) }
    }

    /// Lays `color` over a pixel with `coverage` from 0 to 1; pixels outside are ignored.
    pub(crate) fn blend(&mut self, x: i64, y: i64, color: Color, coverage: f32) {
        if x < 0 || y < 0 || x >= self.width as i64 || y >= self.height as i64 || coverage <= 0.0 {
            return;
        }
        let at = 3 * (y as usize * self.width + x as usize);
        for (under, over) in self.rgb[at..at + 3].iter_mut().zip(color) {
            *under = mix(*under, over, coverage.min(1.0));
        }
    }

    /// A filled rectangle with rounded corners, anti-aliased.
    pub(crate) fn panel(&mut self, rect: Rect, radius: f32, color: Color, opacity: f32) {
        for y in 0..rect.height {
            for x in 0..rect.width {
                let coverage = opacity * rounded(rect, radius, x, y);
                self.blend((rect.x + x) as i64, (rect.y + y) as i64, color, coverage);
            }
        }
    }

    /// The outline of a rectangle with rounded corners, `stroke` pixels wide.
    pub(crate) fn outline(&mut self, rect: Rect, radius: f32, stroke: usize, color: Color) {
        let hole = Rect {
            x: stroke,
            y: stroke,
            width: rect.width.saturating_sub(2 * stroke),
            height: rect.height.saturating_sub(2 * stroke),
        };
        for y in 0..rect.height {
            for x in 0..rect.width {
                let inside = x >= hole.x && y >= hole.y && x < hole.right() && y < hole.bottom();
                let inner = if inside {
                    rounded(hole, (radius - stroke as f32).max(0.0), x - stroke, y - stroke)
                } else {
                    0.0
                };
                let coverage = rounded(rect, radius, x, y) * (1.0 - inner);
                self.blend((rect.x + x) as i64, (rect.y + y) as i64, color, coverage);
            }
        }
    }

    /// An anti-aliased bar with edges anywhere between pixels.
    pub(crate) fn bar(&mut self, [x0, x1]: [f32; 2], [y0, y1]: [f32; 2], color: Color, opacity: f32) {
        for y in y0.floor() as i64..y1.ceil() as i64 {
            let down = (y1.min(y as f32 + 1.0) - y0.max(y as f32)).clamp(0.0, 1.0);
            for x in x0.floor() as i64..x1.ceil() as i64 {
                let across = (x1.min(x as f32 + 1.0) - x0.max(x as f32)).clamp(0.0, 1.0);
                self.blend(x, y, color, opacity * down * across);
            }
        }
    }

    /// Lays `tile` at `rect` (whose size it has), its corners rounded.
    pub(crate) fn paste(&mut self, tile: &Picture, rect: Rect, radius: f32) {
        for y in 0..rect.height.min(tile.height) {
            for x in 0..rect.width.min(tile.width) {
                let at = 3 * (y * tile.width + x);
                let color = [tile.rgb[at], tile.rgb[at + 1], tile.rgb[at + 2]];
                let coverage = rounded(rect, radius, x, y);
                self.blend((rect.x + x) as i64, (rect.y + y) as i64, color, coverage);
            }
        }
    }
}

/// How much of pixel `[x, y]` of `rect` lies inside its rounded corners.
fn rounded(rect: Rect, radius: f32, x: usize, y: usize) -> f32 {
    let reach = |at: usize, length: usize| {
        let from_edge = (at as f32 + 0.5).min(length as f32 - at as f32 - 0.5);
        (radius - from_edge).max(0.0)
    };
    let (dx, dy) = (reach(x, rect.width), reach(y, rect.height));
    if dx == 0.0 || dy == 0.0 { 1.0 } else { (radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0) }
}

/// `under` with `over` laid on it.
pub(crate) fn mix(under: u8, over: u8, coverage: f32) -> u8 {
    (f32::from(under) + (f32::from(over) - f32::from(under)) * coverage).round() as u8
}
