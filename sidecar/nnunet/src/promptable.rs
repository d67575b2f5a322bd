//! A folder in nnInteractive's layout -> the plan of a network that takes prompts beside its image.

use std::path::Path;

use crate::architecture::Architecture;
use crate::error::{Error, Result, shortened};
use crate::import::small_file;
use crate::interactions::{INFO, Interactions, LEGACY_INFO, read_interactions};
use crate::json::Field;
use crate::plan::{Label, Normalization, Outputs, Plan, Resampling};
use crate::read_architecture::read_architecture;
use crate::read_plan::{channels, inherited, json};

/// The first published weights, whose folder names no licence, and their licence.
const FIRST: [&str; 2] = ["Dataset225_nnInteractiveV2", "3d_fullres_ps192_bs24"];
const LICENCE_OF_FIRST: &str = "CC BY-NC-SA 4.0";
/// Of `LICENSE`, no more than this is read for its first line.
const LICENCE_LENGTH: usize = 200;

/// What the folder of a trainer says of prompts; `None` if its network takes none.
///
/// # Errors
///
/// [`Error::Read`], and what [`Interactions`] cannot express.
pub(crate) fn interactions_in(trainer: &Path) -> Result<Option<Interactions>> {
    let read = |name: &str| {
        let path = trainer.join(name);
        path.is_file().then(|| small_file(&path)).transpose()
    };
    let (info, legacy) = (read(INFO)?, read(LEGACY_INFO)?);
    if info.is_none() && legacy.is_none() {
        return Ok(None);
    }
    read_interactions(info.as_deref(), legacy.as_deref()).map(Some)
}

/// The plan of a promptable network: channels are the image and then those of prompts. Its patch lies along the
/// image's own axes `[z, y, x]` and takes voxels as they are, whatever their spacing.
///
/// # Errors
///
/// As [`crate::read_plan`].
pub(crate) fn read_promptable(
    plans: &[u8],
    dataset: &[u8],
    [configuration, trainer]: [&str; 2],
    interactions: &Interactions,
) -> Result<Plan> {
    let (plans, dataset) = (json("plans.json", plans)?, json("dataset.json", dataset)?);
    let (plans, dataset) = (Field::root(&plans), Field::root(&dataset));
    let merged = inherited(&plans, configuration)?;
    let found = Field { path: format!("configurations.{configuration}"), value: Some(&merged) };
    let mut names = channels(&dataset)?;
    if names.len() != 1 {
        let found = names.len().to_string();
        return Err(Error::Unsupported { what: "number of image channels", found, supported: "one" });
    }
    names.extend(channel_names(interactions));
    let architecture: Architecture = read_architecture(&found)?;
    // Nothing is resampled for these networks.
    let resampling = Resampling { order: 1, order_z: 0, force_separate_z: Some(false) };
    let plan = Plan {
        dataset: plans.get("dataset_name").text()?.to_owned(),
        configuration: configuration.to_owned(),
        trainer: trainer.to_owned(),
        normalization: vec![Normalization::None; names.len()],
        channels: names,
        // Whatever the training data's labels were: object or not.
        labels: vec![Label { name: "object".into(), value: 1 }],
        outputs: Outputs::Classes { count: 2 },
        patch_size: found.get("patch_size").triple()?,
        spacing: [1.0; 3],
        transpose_forward: [0, 1, 2],
        transpose_backward: [0, 1, 2],
        resampling,
        resampling_of_scores: resampling,
        reader: plans.get("image_reader_writer").text()?.to_owned(),
        architecture,
        interactions: Some(interactions.clone()),
    };
    plan.check()?;
    Ok(plan)
}

/// Names of the channels behind the image: `previous`, `point +`, ...
fn channel_names(interactions: &Interactions) -> Vec<String> {
    let pairs = [
        ("box", interactions.solid_box),
        ("box", interactions.flat_box),
        ("lasso", interactions.lasso),
        ("point", interactions.point),
        ("scribble", interactions.scribble),
    ];
    let name = |channel: usize| {
        let is_here = |pair: &Option<[usize; 2]>| pair.is_some_and(|pair| pair.contains(&channel));
        let mut kinds = pairs.iter().filter(|(_, pair)| is_here(pair));
        let Some((kind, pair)) = kinds.next_back() else { return "unused".to_owned() };
        let sign = if pair.is_some_and(|[inside, _]| inside == channel) { '+' } else { '-' };
        format!("{kind} {sign}")
    };
    let channel =
        |channel: usize| if channel == interactions.previous { "previous".to_owned() } else { name(channel) };
    (0..interactions.channels).map(channel).collect()
}

/// The licence that a folder states: the first line of `LICENSE` that is not empty.
///
/// # Errors
///
/// [`Error::Read`].
pub(crate) fn licence_in(trainer: &Path, plan: &Plan) -> Result<Option<String>> {
    let path = trainer.join("LICENSE");
    if path.is_file() {
        let bytes = small_file(&path)?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LICENCE_LENGTH)]).into_owned();
        let first = text.lines().map(str::trim).find(|line| !line.is_empty());
        // A licence is shown in terminals and pages: no control characters.
        let shown = first.map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>());
        return Ok(shown.map(|line| shortened(&line)));
    }
    let is_first = [plan.dataset.as_str(), plan.configuration.as_str()] == FIRST;
    Ok(is_first.then(|| LICENCE_OF_FIRST.to_owned()))
}
