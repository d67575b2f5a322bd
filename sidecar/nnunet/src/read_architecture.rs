//! The network of a configuration: the old form of `plans.json` implies most of it, the new one spells it out.

use serde_json::Value;

use crate::architecture::{Architecture, Kind};
use crate::error::{Error, Result, shortened};
use crate::json::Field;

/// Reads the network of a configuration whose inheritance is resolved.
///
/// # Errors
///
/// [`Error::Unsupported`] names what differs from `PlainConvUNet` and `ResidualEncoderUNet` with instance
/// normalisation; [`Error::Field`] what is missing.
pub(crate) fn read_architecture(configuration: &Field<'_>) -> Result<Architecture> {
    let newer = configuration.get("architecture");
    if newer.is_null() { old_form(configuration) } else { new_form(&newer) }
}

fn kind(name: &Field<'_>) -> Result<Kind> {
    // The module differs between versions, the class does not.
    match name.text()?.rsplit('.').next() {
        Some("PlainConvUNet") => Ok(Kind::Plain),
        Some("ResidualEncoderUNet") => Ok(Kind::ResidualEncoder),
        _ => Err(unsupported("network", name, "PlainConvUNet and ResidualEncoderUNet")),
    }
}

/// As `ConfigurationManager` completes it.
fn old_form(configuration: &Field<'_>) -> Result<Architecture> {
    let encoder = configuration.get("n_conv_per_stage_encoder").counts()?;
    let base = configuration.get("UNet_base_num_features").count()?;
    let most = configuration.get("unet_max_num_features").count()?;
    // From 2^20 on every product is above any maximum.
    let features = |stage: usize| base.saturating_mul(1 << stage.min(20)).min(most);
    Ok(Architecture {
        kind: kind(&configuration.get("UNet_class_name"))?,
        features: (0..encoder.len()).map(features).collect(),
        kernels: triples(&configuration.get("conv_kernel_sizes"), encoder.len())?,
        strides: triples(&configuration.get("pool_op_kernel_sizes"), encoder.len())?,
        decoder: configuration.get("n_conv_per_stage_decoder").counts()?,
        encoder,
        convolution_bias: true,
        epsilon: 1e-5,
        negative_slope: 0.01,
    })
}

fn new_form(field: &Field<'_>) -> Result<Architecture> {
    let kind = kind(&field.get("network_class_name"))?;
    let arguments = field.get("arch_kwargs");
    let stages = arguments.get("n_stages").count()?;
    if !(2..=64).contains(&stages) {
        return Err(arguments.get("n_stages").error("2 to 64"));
    }
    let features = repeated(&arguments.get("features_per_stage"), stages)?;
    if features.len() != stages {
        return Err(arguments.get("n_stages").error("as many as `features_per_stage` has"));
    }
    let steps = match kind {
        Kind::Plain => "n_conv_per_stage",
        Kind::ResidualEncoder => "n_blocks_per_stage",
    };
    only_known(&arguments, steps)?;
    class(&arguments.get("conv_op"), "convolution", &["Conv3d"], "Conv3d")?;
    class(&arguments.get("norm_op"), "normalisation layer", &["InstanceNorm3d"], "InstanceNorm3d")?;
    let normalization = arguments.get("norm_op_kwargs");
    if !normalization.get("affine").flag().unwrap_or(false) {
        return Err(normalization.error("`affine` to be true"));
    }
    if normalization.get("track_running_stats").flag().unwrap_or(false) {
        return Err(normalization.error("no running statistics"));
    }
    let epsilon = normalization.get("eps");
    let bias = arguments.get("conv_bias");
    Ok(Architecture {
        kind,
        features,
        kernels: triples(&arguments.get("kernel_sizes"), stages)?,
        strides: triples(&arguments.get("strides"), stages)?,
        encoder: repeated(&arguments.get(steps), stages)?,
        decoder: repeated(&arguments.get("n_conv_per_stage_decoder"), stages - 1)?,
        convolution_bias: if bias.is_null() { false } else { bias.flag()? },
        epsilon: if epsilon.is_null() { 1e-5 } else { epsilon.number()? },
        negative_slope: negative_slope(&arguments)?,
    })
}

/// A `LeakyReLU`, or a `ReLU` as one of slope 0.
fn negative_slope(arguments: &Field<'_>) -> Result<f64> {
    let name = arguments.get("nonlin");
    class(&name, "activation", &["LeakyReLU", "ReLU"], "LeakyReLU and ReLU")?;
    if name.text()?.ends_with(".ReLU") {
        return Ok(0.0);
    }
    let slope = arguments.get("nonlin_kwargs").get("negative_slope");
    if slope.is_null() { Ok(0.01) } else { slope.number() }
}

/// Arguments that change the network and are not known here must not be passed over. Dropout does nothing at
/// inference; deep supervision is a matter of training.
fn only_known(arguments: &Field<'_>, steps: &str) -> Result<()> {
    const KNOWN: [&str; 15] = [
        "n_stages",
        "features_per_stage",
        "conv_op",
        "kernel_sizes",
        "strides",
        "n_conv_per_stage_decoder",
        "conv_bias",
        "norm_op",
        "norm_op_kwargs",
        "nonlin",
        "nonlin_kwargs",
        "dropout_op",
        "dropout_op_kwargs",
        "deep_supervision",
        "stochastic_depth_p",
    ];
    for (name, value) in arguments.members()? {
        let off = value.is_null() || value.value == Some(&Value::Bool(false));
        if !off && name != steps && !KNOWN.contains(&name) {
            return Err(Error::Unsupported {
                what: "network argument",
                found: shortened(name),
                supported: "those of nnU-Net's own plans",
            });
        }
    }
    Ok(())
}

fn class(name: &Field<'_>, what: &'static str, known: &[&str], supported: &'static str) -> Result<()> {
    let last = name.text()?.rsplit('.').next().unwrap_or_default();
    if known.contains(&last) { Ok(()) } else { Err(unsupported(what, name, supported)) }
}

fn unsupported(what: &'static str, found: &Field<'_>, supported: &'static str) -> Error {
    Error::Unsupported { what, found: shortened(found.text().unwrap_or_default()), supported }
}

/// A list, or one number for every stage.
fn repeated(field: &Field<'_>, count: usize) -> Result<Vec<usize>> {
    match field.count() {
        Ok(number) => Ok(vec![number; count]),
        Err(_) => field.counts(),
    }
}

/// A list of triples, or one number for every stage and axis.
fn triples(field: &Field<'_>, count: usize) -> Result<Vec<[usize; 3]>> {
    match field.count() {
        Ok(number) => Ok(vec![[number; 3]; count]),
        Err(_) => field.items()?.iter().map(Field::triple).collect(),
    }
}
