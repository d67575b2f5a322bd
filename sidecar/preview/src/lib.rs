//! A picture of an image and its structures, for a first look: cuts in the reader's convention, all structures in
//! three dimensions, and a legend with volumes.
//!
//! Pure: it reads no files and writes none. Everything is placed in patient space through the grids' affines, so
//! any orientation is shown true to scale. Same input, same bytes, whatever the number of threads.

mod canvas;
mod contact;
mod cuts;
mod frame;
mod legend;
mod marks;
mod names;
mod page;
mod render;
mod scene;
mod shading;
mod slice;
mod study;
mod surface;
mod survey;
#[cfg(test)]
mod tests;
mod text;
mod window;

use imaging::{Cancelled, Progress, Segmentation, Volume};

pub use canvas::Picture;
pub use window::Window;

use study::Study;

/// What a preview says and how large it is.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewOptions {
    /// The first line, mostly the name of the task.
    pub title: String,
    /// Pixels across, kept between 640 and 7680; the height follows from what there is to show.
    pub width: usize,
    /// Intensities from black to white; chosen from the image where absent.
    pub window: Option<Window>,
}

impl Default for PreviewOptions {
    fn default() -> PreviewOptions {
        PreviewOptions { title: String::new(), width: 1920, window: None }
    }
}

/// Draws the preview of `volume` with the structures of `segmentation`.
///
/// Shown are an anterior and an oblique view of all structures, a coronal cut, up to four axial cuts where most
/// structures are, and a legend of the structures that have voxels, with their volumes (voxels times the volume of
/// a voxel). The patient's right is on the left of the picture. Skin and fat are only hinted at in three dimensions,
/// lungs are translucent. The label map may lie on another grid than the image.
///
/// # Errors
///
/// [`Cancelled`] when `progress` asks to stop.
pub fn render(
    volume: &Volume,
    segmentation: &Segmentation,
    options: &PreviewOptions,
    progress: &Progress,
) -> Result<Picture, Cancelled> {
    let width = options.width.clamp(640, 7680);
    match Study::of(volume, segmentation, options.window, progress)? {
        Some(study) => page::draw(&study, &options.title, width, progress),
        None => Ok(page::blank(&options.title, width)),
    }
}
