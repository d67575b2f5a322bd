//! What `segment` can be told. Names and meanings are TotalSegmentator's where it has them.

use std::path::PathBuf;

use clap::ValueEnum;
use engine::{Mode, Speed};

use crate::cli::device;
use crate::{Error, Result};

/// What to segment, how, and what to write.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "TotalSegmentator's flags are understood as it spells them (-ta, -ml, -rs, --roi_subset, ...).\n\n\
    Examples:\n  vesalius segment -i ct.nii.gz -o seg\n  \
    vesalius segment -i dicom_folder -o seg.seg.nrrd --task total --fast --preview\n  \
    vesalius segment -i ct.nii.gz -o seg --roi-subset liver spleen --statistics"
)]
pub(in crate::cli) struct Arguments {
    /// The image: NIfTI, NRRD, a DICOM folder, or a zip of one
    #[arg(short, long, value_name = "PATH")]
    pub(super) input: Option<PathBuf>,
    /// A folder for one file per structure; with `--ml` the file (.nii.gz, .seg.nrrd or .dcm)
    #[arg(short, long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// What to segment; `vesalius tasks` lists all
    #[arg(long, value_name = "TASK")]
    pub(in crate::cli) task: Option<String>,
    /// Faster, at mostly 3 mm
    #[arg(short, long)]
    pub(super) fast: bool,
    /// Faster still, at 6 mm
    #[arg(long)]
    pub(super) fastest: bool,
    /// Only these structures
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(in crate::cli) roi_subset: Vec<String>,
    /// As `--roi-subset` with `--robust-crop`
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',', hide = true, conflicts_with = "roi_subset")]
    pub(super) roi_subset_robust: Vec<String>,

    /// One file with all structures
    #[arg(long, help_heading = "Results")]
    pub(super) ml: bool,
    /// Kinds of file to write
    #[arg(long, value_name = "TYPE", num_args = 1.., value_delimiter = ',', help_heading = "Results")]
    pub(super) output_type: Vec<OutputType>,
    /// Volume and mean intensity of each structure, to statistics.json or FILE
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, help_heading = "Results")]
    pub(super) statistics: Option<Option<PathBuf>>,
    /// Count structures that the image cuts off too
    #[arg(long, help_heading = "Results")]
    pub(super) stats_include_incomplete: bool,
    /// Mean or median intensity
    #[arg(long, value_enum, default_value_t, help_heading = "Results")]
    pub(super) stats_aggregation: Aggregation,
    /// Also count of voxels, spread, centre and extent
    #[arg(long, help_heading = "Results")]
    pub(super) statistics_extra: bool,
    /// A picture: slices, a 3-D rendering and a legend
    #[arg(short, long, help_heading = "Results")]
    pub(super) preview: bool,
    /// How the result was made, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(super) report: Option<PathBuf>,
    /// Write no segmentation, only what else is asked for
    #[arg(long, help_heading = "Results")]
    pub(super) skip_saving: bool,

    #[command(flatten)]
    pub(super) device: device::Arguments,
    /// compatible: TotalSegmentator's arithmetic to the bit; precise: smoother, in single precision
    #[arg(long, value_enum, env = "VESALIUS_MODE", hide_env_values = true, help_heading = "Computing")]
    pub(super) mode: Option<ModeName>,
    /// Spline order of the resampling to the model's spacing: 0, 1 or 3
    #[arg(long, value_name = "ORDER", default_value_t = 1, value_parser = order, help_heading = "Computing")]
    pub(super) resampling_order: u8,
    /// Let nnU-Net's own resampling do everything
    #[arg(long, help_heading = "Computing")]
    pub(super) higher_order_resampling: bool,
    /// Smoother masks on the way back
    #[arg(long, conflicts_with = "higher_order_resampling", help_heading = "Computing")]
    pub(super) higher_order_resampling_legacy: bool,
    /// Find the region with the 3 mm instead of the 6 mm model
    #[arg(long, help_heading = "Computing")]
    pub(super) robust_crop: bool,
    /// Find the body first, and segment only that region
    #[arg(long, help_heading = "Computing")]
    pub(super) body_seg: bool,
    /// Predict three overlapping thirds
    #[arg(long, help_heading = "Computing")]
    pub(super) force_split: bool,
    /// Probability above which a voxel is foreground, or a name of the model's card (sensitive, balanced, specific)
    #[arg(long, value_name = "POINT", help_heading = "Computing")]
    pub(super) operating_point: Option<String>,
    /// Drop pieces of a structure up to this volume (200 mm³ when left out)
    #[arg(long, value_name = "MM3", num_args = 0..=1, default_missing_value = "200", value_parser = positive,
        help_heading = "Computing")]
    pub(in crate::cli) remove_small_blobs: Option<f64>,

    /// Run although the image is of another modality than the task
    #[arg(long, help_heading = "Input")]
    pub(super) force: bool,
    /// One more image, for tasks that take several: `--task stroke -i DWI --channel ADC=PATH`; without a name in their
    /// order
    #[arg(long, value_name = "NAME=PATH", help_heading = "Input")]
    pub(super) channel: Vec<String>,
    /// Decide what the image leaves open, `ADC:KEY=VALUE` that of a channel; the error of an ambiguous image lists the
    /// choices
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Input")]
    pub(super) choose: Vec<String>,

    #[arg(long, hide = true)]
    pub(super) no_derived_masks: bool,
    #[arg(long, hide = true)]
    nr_thr_resamp: Option<usize>,
    #[arg(long, hide = true)]
    nr_thr_saving: Option<usize>,
    #[arg(long, hide = true)]
    pub(super) list_tasks: bool,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "total")]
    pub(super) list_classes: Option<String>,
}

/// Kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputType {
    /// .nii.gz
    Nifti,
    /// .seg.nrrd, as 3D Slicer writes it
    Nrrd,
    /// .dcm, a DICOM Segmentation object of the study; the image must be a DICOM series
    #[value(alias = "dicom_seg")]
    DicomSeg,
    /// Not yet there.
    #[value(hide = true, aliases = ["dicom-rtstruct", "dicom"])]
    #[value(name = "dicom_rtstruct")]
    DicomRtstruct,
}

/// How intensities become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Aggregation {
    /// Sum by number.
    #[default]
    Mean,
    /// The value in the middle.
    Median,
}

/// [`Mode`] by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ModeName {
    /// [`Mode::Compatible`].
    Compatible,
    /// [`Mode::Precise`].
    Precise,
}

impl Arguments {
    /// The resolution asked for.
    pub(super) fn speed(&self) -> Speed {
        match (self.fast, self.fastest) {
            (true, _) => Speed::Fast,
            (_, true) => Speed::Fastest,
            _ => Speed::Default,
        }
    }

    /// Remarks on flags that are accepted and change nothing.
    pub(super) fn notes(&self) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if self.nr_thr_resamp.is_some() || self.nr_thr_saving.is_some() {
            notes.push("note: `-nr` and `-ns` change nothing here; `--threads` is for all stages");
        }
        notes
    }
}

/// The mode by flag, else by settings.
pub(super) fn mode(flag: Option<ModeName>, settings: Option<&str>) -> Result<Mode> {
    let name = match (flag, settings) {
        (Some(name), _) => name,
        (None, None) => ModeName::Compatible,
        (None, Some(text)) => ModeName::from_str(text, true).map_err(|_| {
            Error::usage(
                format!("`mode = \"{text}\"` in the settings is neither `compatible` nor `precise`"),
                "correct `config.toml`",
            )
        })?,
    };
    Ok(match name {
        ModeName::Compatible => Mode::Compatible,
        ModeName::Precise => Mode::Precise,
    })
}

/// Orders that are implemented.
fn order(text: &str) -> Result<u8, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("0 (nearest), 1 (linear) and 3 (cubic) are available".to_owned()),
    }
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("a number above 0 is needed".to_owned()),
    }
}
