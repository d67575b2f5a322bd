//! `vesalius segment`: one image in, its structures out.

mod arguments;
mod channels;
mod place;
mod report;
mod statistics;
mod task;
mod write;

use std::collections::BTreeMap;
use std::time::Instant;

use engine::{Engine, SegmentOptions, Upsampling};
use formats::{Image, ReadOptions};

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
    let reading_options = read_options(arguments)?;
    let image = formats::read(input, &reading_options, &progress)?;
    let reading = began.elapsed().as_secs_f64();
    for warning in &image.warnings {
        context.display.warning(&warning.message);
    }
    place.fits(&image)?;
    let task = task::decide(&wish, &image, &options, arguments.force, &store, context)?;
    if let Some(asked) = &arguments.operating_point {
        options.threshold = Some(crate::channels::threshold(asked, &task, &store)?);
    }
    let images = channels::read(&image, &task, arguments, &reading_options, &progress, context)?;
    let runtime = device::open(&runtime, context)?;
    let engine = Engine::new(store, runtime);
    let outcome = engine.segment_channels(&images, &task, &options, &progress)?;
    for warning in &outcome.provenance.warnings {
        context.display.warning(warning);
    }
    let result = write::Result { arguments, place: &place, image: &image, task: &task, outcome: &outcome };
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

/// How the image is read: the choices that the user has made.
fn read_options(arguments: &Arguments) -> Result<ReadOptions> {
    let mut resolve = BTreeMap::new();
    for choice in &arguments.choose {
        let Some((key, value)) = choice.split_once('=') else {
            return Err(Error::usage(
                format!("`--choose {choice}` is not of the form KEY=VALUE"),
                "the error of an ambiguous image lists the choices",
            ));
        };
        resolve.insert(key.to_owned(), value.to_owned());
    }
    Ok(ReadOptions { resolve, ..ReadOptions::default() })
}

/// `CT`, `MR`, or nothing where the file does not say.
fn modality(image: &Image) -> Option<&str> {
    image.source.modality()
}
