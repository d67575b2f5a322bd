//! The last layer of a network, apart: its weights, and a small graph that applies some of its rows.

use crate::error::{Error, Result};
use crate::graph::{FEATURES, OUTPUT};
use crate::layers::{Layer, layers};
use crate::onnx::{Attribute, Graph, Node, model, value};
use crate::plan::Plan;
use crate::weights::Weights;

/// Name of a [`head_to_onnx`] graph's input: `[class, feature, 1, 1, 1]`.
pub const HEAD_WEIGHT: &str = "weight";
/// Name of a [`head_to_onnx`] graph's input: `[class]`.
pub const HEAD_BIAS: &str = "bias";

/// Each class's score is a weighted sum of the features of a voxel, plus a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Numbers that the trunk gives for each voxel.
    pub features: usize,
    /// `[class, feature]`.
    pub weights: Vec<f32>,
    /// `[class]`.
    pub bias: Vec<f32>,
}

/// The last layer of a network whose trunk [`crate::to_onnx`] writes.
///
/// # Errors
///
/// [`Error::Field`] when the plan cannot be run, [`Error::MissingWeight`] or [`Error::Shape`] when the weights are
/// not its own.
pub fn head(plan: &Plan, weights: &Weights) -> Result<Head> {
    let layer = last_layer(plan)?;
    let mut found = layer.parameters().into_iter().map(|parameter| {
        let Some(tensor) = weights.get(&parameter.name) else {
            return Err(Error::MissingWeight { name: parameter.name });
        };
        if tensor.shape != parameter.shape || tensor.values.len() != parameter.shape.iter().product::<usize>()
        {
            let found = tensor.shape.iter().map(|length| *length as u64).collect();
            return Err(Error::Shape { name: parameter.name, found, expected: parameter.shape });
        }
        Ok(tensor.values.to_vec())
    });
    let mut next = || found.next().unwrap_or_else(|| Ok(Vec::new()));
    Ok(Head { features: layer.channels[0], weights: next()?, bias: next()? })
}

/// The bytes of an ONNX model that gives the scores of `classes` classes from [`FEATURES`] of one patch, with the
/// rows of [`Head`] as inputs [`HEAD_WEIGHT`] and [`HEAD_BIAS`]; output [`OUTPUT`].
///
/// # Errors
///
/// [`Error::Field`] when the plan cannot be run.
pub fn head_to_onnx(plan: &Plan, classes: usize) -> Result<Vec<u8>> {
    let features = last_layer(plan)?.channels[0];
    let shape = |channels| [&[1, channels], &plan.patch_size[..]].concat();
    let node = Node {
        input: vec![FEATURES.into(), HEAD_WEIGHT.into(), HEAD_BIAS.into()],
        output: vec![OUTPUT.into()],
        name: "head".into(),
        op_type: "Conv".into(),
        attribute: vec![Attribute::ints("kernel_shape", &[1, 1, 1])],
    };
    let input = vec![
        value(FEATURES, &shape(features)),
        value(HEAD_WEIGHT, &[classes, features, 1, 1, 1]),
        value(HEAD_BIAS, &[classes]),
    ];
    let output = vec![value(OUTPUT, &shape(classes))];
    model(&Graph { node: vec![node], name: "head".into(), input, output }, &[])
}

fn last_layer(plan: &Plan) -> Result<Layer> {
    plan.check()?;
    let mut layers = layers(&plan.architecture, plan.channels.len(), plan.outputs.channels());
    // A plan that passed the check has at least one layer.
    layers.pop().ok_or_else(|| Error::MissingWeight { name: "decoder.seg_layers".into() })
}
