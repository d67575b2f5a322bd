//! `vesalius segment`: one image in, its structures out.

mod arguments;
mod channels;
mod place;
mod report;
mod series;
mod statistics;
mod task;
mod write;

use std::time::Instant;

use engine::{Engine, SegmentOptions, Upsampling};
use formats::Image;

use super::{Context, device, tasks};
use crate::{Error, Result, interrupt, staging};
pub(super) use arguments::Arguments;
use place::Place;

/// Segments one image; the paths of what was written are the answer.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if arguments.list_tasks {
        return tasks::list(&context.store());
    }
    if let Some(task) = &arguments.list_classes {
        return tasks::list_classes(&context.store(), task);
    }
    let began = Instant::now();
    let (Some(input), Some(output)) = (&arguments.input, &arguments.output) else {
        return Err(Error::usage(
            "`--input` and `--output` are needed",
            "`vesalius segment --help` shows how",
        ));
    };
    for note in arguments.notes() {
        context.display.note(note);
    }
    let place = Place::of(output, arguments, context)?;
    let runtime = device::options(&arguments.device, context)?;
    let store = context.store();
    let mut options = options(arguments, context)?;
    let wish = task::Wish::of(arguments, &store, context)?;
    if !input.exists() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::read(input, missing));
    }
    staging::probe(place.folder())?;

    let progress = context.display.progress();
    interrupt::watch(&progress);
    let given = channels::Given::of(arguments, input, &progress, context)?;
    let image = given.input(wish.task())?;
    let reading = began.elapsed().as_secs_f64();
    place.fits(&image)?;
    let task = task::decide(&wish, &image, &options, arguments.force, &store, context)?;
    if let Some(asked) = &arguments.operating_point {
        options.threshold = Some(crate::channels::threshold(asked, &task, &store)?);
    }
    let (images, channels) = given.read(&image, &task)?;
    let runtime = device::open(&runtime, context)?;
    let engine = Engine::new(store, runtime);
    let outcome = engine.segment_channels(&images, &task, &options, &progress)?;
    for warning in &outcome.provenance.warnings {
        context.display.warning(warning);
    }
    let result = write::Result {
        arguments,
        place: &place,
        image: &image,
        channels: &channels,
        task: &task,
        outcome: &outcome,
    };
    result.write(&report::Surroundings { began, reading, runtime: engine.runtime() }, &progress, context)
}

/// What the engine is asked for.
fn options(arguments: &Arguments, context: &Context) -> Result<SegmentOptions> {
    let upsampling = match (arguments.higher_order_resampling, arguments.higher_order_resampling_legacy) {
        (true, _) => Upsampling::Scores,
        (_, true) => Upsampling::Masks,
        _ => Upsampling::Nearest,
    };
    let mut only = arguments.roi_subset.clone();
    only.extend(arguments.roi_subset_robust.iter().cloned());
    Ok(SegmentOptions {
        speed: arguments.speed(),
        mode: arguments::mode(arguments.mode, context.settings.mode.as_deref())?,
        only,
        robust_crop: arguments.robust_crop || !arguments.roi_subset_robust.is_empty(),
        body_crop: arguments.body_seg,
        resampling_order: arguments.resampling_order,
        upsampling,
        force_split: arguments.force_split,
        remove_small_mm3: arguments.remove_small_blobs,
        ..SegmentOptions::default()
    })
}

/// `CT`, `MR`, or nothing where the file does not say.
fn modality(image: &Image) -> Option<&str> {
    image.source.modality()
}
