//! Whether a plan is one that can be run: asked of every plan, whichever file it came from.

use crate::architecture::Architecture;
use crate::error::{Error, Result, shortened};
use crate::plan::{Normalization, Outputs, Plan, Resampling};

/// Most voxels of a patch; nnU-Net's largest for a 40 GB card is 192³.
const PATCH_VOXELS: usize = 512 * 512 * 512;
const FEATURES: usize = 4096;
const STAGES: usize = 10;
const STEPS: usize = 32;

impl Plan {
    /// Finds what would make the plan impossible to run, before anything is computed from it.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] names the first field that is out of range.
    pub fn check(&self) -> Result<()> {
        let channels = self.channels.len();
        require((1..=64).contains(&channels), "channels", &channels, "1 to 64")?;
        require(
            self.normalization.len() == channels,
            "normalization",
            &self.normalization,
            "one for each channel",
        )?;
        for normalization in &self.normalization {
            check_normalization(normalization)?;
        }
        check_outputs(self)?;
        self.architecture.check()?;
        check_patch(self)?;
        let spacing = self.spacing.iter().all(|step| step.is_finite() && (1e-4..=1e4).contains(step));
        require(spacing, "spacing", &self.spacing, "three positive lengths in millimetres")?;
        let [forward, backward] = [self.transpose_forward, self.transpose_backward];
        let inverse = (0..3).all(|axis| forward.get(backward[axis]).is_some_and(|image| *image == axis));
        require(inverse, "transpose_backward", &(forward, backward), "the inverse of `transpose_forward`")?;
        for Resampling { order, order_z, .. } in [self.resampling, self.resampling_of_scores] {
            require(order <= 5 && order_z <= 5, "resampling", &(order, order_z), "spline orders 0 to 5")?;
        }
        Ok(())
    }
}

impl Architecture {
    /// Finds what would make the network impossible to build.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] names the first field that is out of range.
    pub fn check(&self) -> Result<()> {
        let stages = self.features.len();
        require((2..=STAGES).contains(&stages), "features_per_stage", &stages, "2 to 10 stages")?;
        let features = self.features.iter().all(|features| (1..=FEATURES).contains(features));
        require(features, "features_per_stage", &self.features, "1 to 4096 each")?;
        let odd = |kernel: &[usize; 3]| kernel.iter().all(|length| length % 2 == 1 && *length <= 15);
        let kernels = self.kernels.len() == stages && self.kernels.iter().all(odd);
        require(kernels, "kernel_sizes", &self.kernels, "odd lengths up to 15, one triple for each stage")?;
        let short = |stride: &[usize; 3]| stride.iter().all(|step| (1..=8).contains(step));
        let strides = self.strides.len() == stages && self.strides.iter().all(short);
        require(strides, "strides", &self.strides, "1 to 8 each, one triple for each stage")?;
        // The decoder ends at the resolution of the first stage, which must be that of the patch.
        require(self.strides[0] == [1, 1, 1], "strides", &self.strides, "`[1, 1, 1]` first")?;
        let steps = |steps: &[usize], count| {
            steps.len() == count && steps.iter().all(|step| (1..=STEPS).contains(step))
        };
        require(
            steps(&self.encoder, stages),
            "n_conv_per_stage",
            &self.encoder,
            "1 to 32, one for each stage",
        )?;
        require(
            steps(&self.decoder, stages - 1),
            "n_conv_per_stage_decoder",
            &self.decoder,
            "1 to 32, one fewer than stages",
        )?;
        let epsilon = self.epsilon.is_finite() && self.epsilon > 0.0 && self.epsilon < 1.0;
        require(epsilon, "eps", &self.epsilon, "between 0 and 1")?;
        let slope = (0.0..=1.0).contains(&self.negative_slope);
        require(slope, "negative_slope", &self.negative_slope, "0 to 1")
    }
}

fn check_normalization(normalization: &Normalization) -> Result<()> {
    if let Normalization::Ct { lower, upper, mean, std } = normalization {
        let numbers = [lower, upper, mean, std].iter().all(|number| number.is_finite());
        let valid = numbers && lower <= upper && *std > 0.0;
        require(valid, "normalization", normalization, "finite, the lower percentile first, std above 0")?;
    }
    Ok(())
}

fn check_outputs(plan: &Plan) -> Result<()> {
    match &plan.outputs {
        Outputs::Classes { count } => {
            require((2..=256).contains(count), "labels", count, "2 to 256 classes, background included")?;
            let consecutive =
                plan.labels.iter().zip(1..).all(|(label, value)| usize::from(label.value) == value);
            let all = plan.labels.len() + 1 == *count;
            require(consecutive && all, "labels", &plan.labels, "the values 1, 2, 3 … without gaps")
        }
        Outputs::Regions { values } => {
            let valid = (1..=255).contains(&values.len()) && values.iter().all(|value| *value > 0);
            require(valid, "regions_class_order", values, "values 1 to 255, one for each region")
        }
    }
}

fn check_patch(plan: &Plan) -> Result<()> {
    let patch = plan.patch_size;
    let voxels = patch.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
    let size = voxels.is_some_and(|voxels| (1..=PATCH_VOXELS).contains(&voxels));
    require(size, "patch_size", &patch, "three lengths, at most 512³ voxels")?;
    let total = |axis: usize| plan.architecture.strides.iter().map(|stride| stride[axis]).product::<usize>();
    let divisible = (0..3).all(|axis| patch[axis].is_multiple_of(total(axis)));
    require(divisible, "patch_size", &patch, "multiples of the product of the strides")
}

fn require(valid: bool, field: &str, found: &impl std::fmt::Debug, expected: &'static str) -> Result<()> {
    if valid {
        return Ok(());
    }
    Err(Error::Field { field: field.to_owned(), found: shortened(&format!("{found:?}")), expected })
}
