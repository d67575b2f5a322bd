//! A plan's network with its weights -> an ONNX model.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::layers::{Layer, Operation, layers};
use crate::onnx::{Attribute, Graph, Initializer, Node, model, value};
use crate::plan::Plan;
use crate::weights::{Tensor, Weights};

/// Name of the graph's input: `[1, channel, z, y, x]` in network axes, f32, normalised.
pub const INPUT: &str = "patch";
/// Name of the graph's output: `[1, class, z, y, x]`, f32 logits.
pub const OUTPUT: &str = "scores";
/// Name of the output of [`Part::Trunk`]: `[1, feature, z, y, x]`, f32.
pub const FEATURES: &str = "features";

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GraphOptions {
    /// Instance normalisation.
    pub normalization: InstanceNormalization,
    /// How much of the network.
    pub part: Part,
}

/// How much of a network is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// From the patch to [`OUTPUT`].
    #[default]
    Whole,
    /// From the patch to [`FEATURES`], what the last layer reads; [`crate::head`] is the rest. The scores of 118
    /// classes fill 0.7 GiB for one patch, the 32 features they come from 0.2.
    Trunk,
}

/// How instance normalisation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstanceNormalization {
    /// ONNX's own operator. Runtimes that sum a whole channel in one chain lose digits: up to 2e-2 in a score.
    Native,
    /// Centred, each mean over `(y, x)` and then over `z`: short sums, so PyTorch's result to about 1e-4.
    #[default]
    TwoLevel,
}

/// The bytes of an ONNX model (operator set 17) that turns one patch of the plan's size into scores.
///
/// Input [`INPUT`], output [`OUTPUT`] or [`FEATURES`], batch 1. Of the heads only the one at full resolution is kept. The bias of a
/// convolution that a normalisation follows is left out, because subtracting the mean cancels it.
/// The same plan, weights and options give the same bytes.
///
/// # Errors
///
/// [`Error::Field`] when the plan cannot be run, [`Error::MissingWeight`] or [`Error::Shape`] when the weights are
/// not its own, [`Error::TooLarge`] beyond 2 GiB.
pub fn to_onnx(plan: &Plan, weights: &Weights, options: GraphOptions) -> Result<Vec<u8>> {
    plan.check()?;
    let outputs = plan.outputs.channels();
    let mut layers = layers(&plan.architecture, plan.channels.len(), outputs);
    let output = match (options.part, layers.last().map(|head| head.channels[0])) {
        (Part::Trunk, Some(features)) => {
            layers.pop();
            (FEATURES, features)
        }
        _ => (OUTPUT, outputs),
    };
    let mut writer = Writer { plan, weights, options, nodes: Vec::new(), initializers: Vec::new() };
    if options.normalization == InstanceNormalization::TwoLevel {
        #[expect(clippy::cast_possible_truncation, reason = "PyTorch computes in f32 too")]
        let epsilon = plan.architecture.epsilon as f32;
        for (name, number) in [("epsilon", epsilon), ("half", 0.5), ("two", 2.0)] {
            let values = vec![number].into();
            writer.initializers.push(Initializer { name: name.into(), shape: Vec::new(), values });
        }
    }
    for (index, layer) in layers.iter().enumerate() {
        let next = layers.get(index + 1).map(|next| next.operation);
        writer.layer(layer, next, &layers)?;
    }
    if let Some(last) = writer.nodes.last_mut() {
        last.output = vec![output.0.into()];
    }
    let shape = |channels| [&[1, channels], &plan.patch_size[..]].concat();
    let graph = Graph {
        node: writer.nodes,
        name: plan.dataset.clone(),
        input: vec![value(INPUT, &shape(plan.channels.len()))],
        output: vec![value(output.0, &shape(output.1))],
    };
    model(&graph, &writer.initializers)
}

struct Writer<'a> {
    plan: &'a Plan,
    weights: &'a Weights,
    options: GraphOptions,
    nodes: Vec<Node>,
    initializers: Vec<Initializer<'a>>,
}

impl<'a> Writer<'a> {
    fn layer(&mut self, layer: &Layer, next: Option<Operation>, layers: &[Layer]) -> Result<()> {
        let mut inputs: Vec<String> = layer.inputs.iter().map(|input| wire(*input, layers)).collect();
        let name = layer.name.as_str();
        let (operator, attributes) = match layer.operation {
            Operation::Normalize => return self.normalize(layer, inputs.remove(0)),
            Operation::Convolve { kernel, stride, bias } => {
                // Every convolution stands right before its normalisation; only the last head has none.
                let cancelled = next == Some(Operation::Normalize);
                self.constants(layer, bias && !cancelled, &mut inputs)?;
                let half = kernel.map(|length| (length - 1) / 2);
                ("Conv", windows(kernel, stride, Some(half)))
            }
            Operation::Upsample { stride, bias } => {
                self.constants(layer, bias, &mut inputs)?;
                ("ConvTranspose", windows(stride, stride, None))
            }
            Operation::Pool { stride } => ("AveragePool", windows(stride, stride, None)),
            Operation::Rectify => ("LeakyRelu", vec![Attribute::float("alpha", self.slope())]),
            Operation::Concatenate => ("Concat", vec![Attribute::int("axis", 1)]),
            Operation::Add => ("Add", Vec::new()),
        };
        self.node(name, operator, inputs, attributes);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "ONNX attributes are f32")]
    fn slope(&self) -> f32 {
        self.plan.architecture.negative_slope as f32
    }

    /// Adds a node whose only output has its name; gives that name.
    fn node(&mut self, name: &str, operator: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
        let output = vec![name.to_owned()];
        self.nodes.push(Node { input, output, name: name.into(), op_type: operator.into(), attribute });
        name.to_owned()
    }

    /// Adds a layer's weight, and its bias where wanted, as constants of their own shape.
    fn constants(&mut self, layer: &Layer, bias: bool, inputs: &mut Vec<String>) -> Result<()> {
        for parameter in layer.parameters().into_iter().take(1 + usize::from(bias)) {
            let tensor = self.tensor(&parameter.name, &parameter.shape)?;
            inputs.push(self.constant(parameter.name, parameter.shape, &tensor.values));
        }
        Ok(())
    }

    fn constant(&mut self, name: String, shape: Vec<usize>, values: &'a [f32]) -> String {
        self.initializers.push(Initializer { name: name.clone(), shape, values: Cow::Borrowed(values) });
        name
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'a Tensor> {
        let tensor = self.weights.get(name).ok_or_else(|| Error::MissingWeight { name: name.into() })?;
        if tensor.shape != shape || tensor.values.len() != shape.iter().product::<usize>() {
            let found = tensor.shape.iter().map(|length| *length as u64).collect();
            return Err(Error::Shape { name: name.into(), found, expected: shape.to_vec() });
        }
        Ok(tensor)
    }

    fn normalize(&mut self, layer: &Layer, input: String) -> Result<()> {
        let channels = layer.channels[1];
        let native = self.options.normalization == InstanceNormalization::Native;
        let shape = if native { vec![channels] } else { vec![1, channels, 1, 1, 1] };
        let mut constants = Vec::new();
        for parameter in layer.parameters() {
            let tensor = self.tensor(&parameter.name, &parameter.shape)?;
            constants.push(self.constant(parameter.name, shape.clone(), &tensor.values));
        }
        let name = layer.name.as_str();
        if native {
            #[expect(clippy::cast_possible_truncation, reason = "ONNX attributes are f32")]
            let epsilon = Attribute::float("epsilon", self.plan.architecture.epsilon as f32);
            constants.insert(0, input);
            self.node(name, "InstanceNormalization", constants, vec![epsilon]);
            return Ok(());
        }
        let part = |part: &str| format!("{name}.{part}");
        let mean = self.two_level_mean(&part("mean"), &input);
        let centred = self.node(&part("centred"), "Sub", vec![input, mean], Vec::new());
        let square = self.node(&part("square"), "Mul", vec![centred.clone(), centred.clone()], Vec::new());
        let variance = self.two_level_mean(&part("variance"), &square);
        let shifted = self.node(&part("shifted"), "Add", vec![variance, "epsilon".into()], Vec::new());
        let deviation = self.node(&part("deviation"), "Sqrt", vec![shifted], Vec::new());
        let scale = self.node(&part("scale"), "Div", vec![constants[0].clone(), deviation], Vec::new());
        let scaled = self.node(&part("scaled"), "Mul", vec![centred, scale], Vec::new());
        self.node(name, "Add", vec![scaled, constants.remove(1)], Vec::new());
        Ok(())
    }

    /// The mean over space, `[1, channel, 1, 1, 1]`: first within slices, then across.
    ///
    /// OpenVINO would merge two means into one long sum (measured: errors of 9e-2 in a score instead of 1e-4), so a
    /// product stands between them. Halving and doubling change no digit.
    fn two_level_mean(&mut self, name: &str, input: &str) -> String {
        let attributes = |axes: &[usize]| vec![Attribute::ints("axes", axes), Attribute::int("keepdims", 1)];
        let slices =
            self.node(&format!("{name}_of_slices"), "ReduceMean", vec![input.into()], attributes(&[3, 4]));
        let halved = self.node(&format!("{name}_halved"), "Mul", vec![slices, "half".into()], Vec::new());
        let half = self.node(&format!("{name}_half"), "ReduceMean", vec![halved], attributes(&[2]));
        self.node(name, "Mul", vec![half, "two".into()], Vec::new())
    }
}

/// The name of a value: 0 is the patch, others have the name of the layer that wrote them.
fn wire(index: usize, layers: &[Layer]) -> String {
    match index.checked_sub(1).and_then(|layer| layers.get(layer)) {
        Some(layer) => layer.name.clone(),
        None => INPUT.to_owned(),
    }
}

fn windows(kernel: [usize; 3], stride: [usize; 3], padding: Option<[usize; 3]>) -> Vec<Attribute> {
    let mut attributes = vec![Attribute::ints("kernel_shape", &kernel)];
    if let Some(padding) = padding {
        attributes.push(Attribute::ints("pads", &[padding, padding].concat()));
    }
    attributes.push(Attribute::ints("strides", &stride));
    attributes
}

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod tests;
