//! What a request will take, told from headers alone: which models run, over how many voxels, in how many patches.

use imaging::{Grid, Orientation, Reorientation};
use nnunet::Plan;

use crate::catalogue;
use crate::options::SegmentOptions;
use crate::run::crop_of;
use crate::store::{ModelStore, Origin};
use crate::task::{Part, Task};
use crate::window::Window;

/// What is assumed of a model whose plan cannot be read: the published ones at 1.5 mm.
const UNKNOWN_PATCH: [usize; 3] = [128; 3];
const UNKNOWN_SPACING: f64 = 1.5;
const UNKNOWN_FEATURES: usize = 32;
/// More voxels than an image at a model's spacing can have; such a request is refused when it runs.
const MOST_VOXELS: f64 = (1u64 << 31) as f64;

/// One model over one image.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// The task that it is a part of: another than asked for when it only finds the region.
    pub task: String,
    /// A dataset number or the name of an installed model.
    pub weights: String,
    /// Bytes of the model in the store; 0 where it is not there yet.
    pub bytes: u64,
    /// Voxels of a patch, in network axes.
    pub patch_size: [usize; 3],
    /// Voxels at the model's spacing, in network axes. Where a region is searched for first, that of the whole image:
    /// the most that it can be.
    pub shape: [usize; 3],
    /// Times that a network runs, over all patches and folds.
    pub patches: usize,
    /// Output channels of the network.
    pub classes: usize,
    /// Feature maps at full resolution.
    pub features: usize,
}

impl PlannedRun {
    /// How long it takes, in a unit of its own: voxels that go through a network, and its feature maps.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.patches as f64 * self.patch_size.iter().product::<usize>() as f64 * self.features as f64
    }
}

impl ModelStore {
    /// The runs that a request makes over an image on `grid`, in their order. Reads headers of models, never weights;
    /// a model that is not installed is assumed to be one of the largest.
    #[must_use]
    pub fn plan(&self, grid: &Grid, task: &Task, options: &SegmentOptions) -> Vec<PlannedRun> {
        let mode = task.mode(options.speed);
        let mut runs = Vec::new();
        let crop =
            crop_of(task, options).and_then(|(crop, _)| Some((catalogue::task(&crop.task)?, crop.mode)));
        if let Some((finder, speed)) = crop
            && (mode.crop.is_some() || self.missing(finder, speed).is_empty())
        {
            let options = SegmentOptions { speed, ..SegmentOptions::default() };
            runs.extend(self.plan(grid, finder, &options));
        }
        let size =
            options.region.filter(|region| !region.is_empty()).map_or(grid.size, |region| region.size());
        let image = Grid { size, ..grid.clone() };
        let wanted: Vec<u8> = options.only.iter().filter_map(|name| task.value(name)).collect();
        let is_wanted =
            |part: &&Part| wanted.is_empty() || part.labels.iter().any(|value| wanted.contains(value));
        runs.extend(mode.parts.iter().filter(is_wanted).map(|part| self.run(&image, task, part, mode.step)));
        if let (true, Some(bodies)) = (task.id == "vertebrae_pp_refined", catalogue::task("vertebrae_body")) {
            runs.extend(self.plan(grid, bodies, &SegmentOptions::default()));
        }
        runs
    }

    fn run(&self, image: &Grid, task: &Task, part: &Part, step: f64) -> PlannedRun {
        let model = self.find(&part.weights);
        let bytes = model.as_ref().map_or(0, |model| model.bytes);
        let folds = match (part.folds.len(), &model) {
            (0, Some(model)) => model.folds.len().max(1),
            (folds, _) => folds.max(1),
        };
        let plan = model.and_then(|model| self.plan_of(&model.origin, &model.id));
        let patch_size = plan.as_ref().map_or(UNKNOWN_PATCH, |plan| plan.patch_size);
        let shape = plan.as_ref().map_or_else(
            || shape(image, [0, 1, 2], [UNKNOWN_SPACING; 3]),
            |plan| shape(image, plan.transpose_forward, plan.spacing),
        );
        let step = if step > 0.0 { step.clamp(0.05, 1.0) } else { 0.5 };
        PlannedRun {
            task: task.id.clone(),
            weights: part.weights.clone(),
            bytes,
            patch_size,
            shape,
            patches: Window::new(shape, patch_size, step).len() * folds,
            classes: plan.as_ref().map_or(part.labels.len() + 1, |plan| plan.outputs.channels()),
            features: plan
                .and_then(|plan| plan.architecture.features.first().copied())
                .unwrap_or(UNKNOWN_FEATURES),
        }
    }

    /// The plan of a model, from its header.
    fn plan_of(&self, origin: &Origin, id: &str) -> Option<Plan> {
        match origin {
            Origin::Embedded => {
                nnunet::describe_bytes(ModelStore::embedded(id)?).ok().map(|header| header.plan)
            }
            Origin::Installed(path) => nnunet::describe(path).ok().map(|header| header.plan),
            Origin::Found(folder) => nnunet::plan_in(folder),
        }
    }
}

/// Voxels of an image at a model's spacing, in network axes.
fn shape(image: &Grid, forward: [usize; 3], spacing: [f64; 3]) -> [usize; 3] {
    let turned = Reorientation::new(image, Orientation::RAS);
    let (size, millimetres) = (turned.target().size, turned.target().spacing());
    let shape: [f64; 3] = std::array::from_fn(|a| {
        let axis = 2 - forward[a];
        (size[axis] as f64 * millimetres[axis] / spacing[a]).round().max(1.0)
    });
    let voxels: f64 = shape.iter().product();
    let shrink = if voxels > MOST_VOXELS { (MOST_VOXELS / voxels).cbrt() } else { 1.0 };
    shape.map(|side| (side * shrink) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(grid: &Grid, task: &str, options: &SegmentOptions) -> Vec<PlannedRun> {
        let store = ModelStore::new("nowhere".into(), Vec::new());
        store.plan(grid, catalogue::task(task).unwrap(), options)
    }

    #[test]
    fn the_built_in_model_is_planned_from_its_header() {
        let head = Grid::aligned([256, 256, 100], [1.0, 1.0, 2.5]);
        let runs = runs(&head, "headneck", &SegmentOptions::default());
        assert_eq!(runs.len(), 1, "{runs:?}");
        let run = &runs[0];
        let extent: [f64; 3] = [250.0, 256.0, 256.0];
        let plan = nnunet::describe_bytes(ModelStore::embedded("headneck").unwrap()).unwrap().plan;
        let along = |a: usize| extent[plan.transpose_forward[a]];
        let shape = std::array::from_fn(|a| (along(a) / plan.spacing[a]).round() as usize);
        assert_eq!(run.shape, shape);
        assert_eq!((run.classes, run.patch_size), (plan.outputs.channels(), plan.patch_size));
        assert!(run.patches >= 1 && run.cost() > 0.0);
    }

    #[test]
    fn parts_follow_the_structures_and_the_region() {
        let body = Grid::aligned([512, 512, 600], [0.8, 0.8, 1.0]);
        let all = runs(&body, "total", &SegmentOptions::default());
        assert_eq!(all.len(), 5);
        let only = SegmentOptions { only: vec!["liver".into()], ..SegmentOptions::default() };
        assert_eq!(runs(&body, "total", &only).len(), 1);
        let region = imaging::IndexBox { start: [0; 3], end: [256, 256, 300] };
        let part = SegmentOptions { region: Some(region), ..SegmentOptions::default() };
        assert!(runs(&body, "total", &part)[0].patches < all[0].patches);
        // A task with a search of its own tells that, too.
        let vessels = runs(&body, "liver_vessels", &SegmentOptions::default());
        assert_eq!(vessels.last().unwrap().task, "liver_vessels");
        assert_eq!(vessels[0].task, "total");
    }
}
