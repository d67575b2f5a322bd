//! An architecture as a list of layers in order of computation, with the names that PyTorch gives their weights.
//!
//! Both the weights that a checkpoint must hold and the ONNX graph are read off this one list. The order and the
//! names follow dynamic_network_architectures (`StackedConvBlocks`, `BasicBlockD`, `UNetDecoder`).

use crate::architecture::{Architecture, Kind};
use crate::plan::Plan;

/// One step of a network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layer {
    /// PyTorch's name of the module: `encoder.stages.0.0.convs.0.conv`.
    pub(crate) name: String,
    /// What it reads: 0 is the patch, `n` the output of layer `n - 1`.
    pub(crate) inputs: Vec<usize>,
    /// Channels read and written.
    pub(crate) channels: [usize; 2],
    pub(crate) operation: Operation,
}

/// What a layer does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operation {
    /// Padding keeps the size, the stride divides it.
    Convolve {
        kernel: [usize; 3],
        stride: [usize; 3],
        bias: bool,
    },
    /// Each channel to mean 0, variance 1, then scaled and shifted.
    Normalize,
    /// Leaky rectifier.
    Rectify,
    /// Mean over blocks of `stride`.
    Pool {
        stride: [usize; 3],
    },
    /// Transposed convolution whose kernel is its stride.
    Upsample {
        stride: [usize; 3],
        bias: bool,
    },
    /// Channels of the first input, then of the second.
    Concatenate,
    Add,
}

/// A weight as PyTorch names and shapes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

impl Layer {
    /// Its weights.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let parameter =
            |part: &str, shape: Vec<usize>| Parameter { name: format!("{}.{part}", self.name), shape };
        let [read, written] = self.channels;
        let (weight, bias) = match self.operation {
            Operation::Convolve { kernel: [z, y, x], bias, .. } => (vec![written, read, z, y, x], bias),
            Operation::Upsample { stride: [z, y, x], bias } => (vec![read, written, z, y, x], bias),
            Operation::Normalize => (vec![written], true),
            _ => return Vec::new(),
        };
        let mut parameters = vec![parameter("weight", weight)];
        parameters.extend(bias.then(|| parameter("bias", vec![written])));
        parameters
    }
}

/// The layers of a network that reads `channels` and writes `outputs` channels; the last one writes the scores.
/// `architecture` has passed [`Architecture::check`].
pub(crate) fn layers(architecture: &Architecture, channels: usize, outputs: usize) -> Vec<Layer> {
    let mut network = Network { layers: Vec::new(), architecture };
    let mut value = Wire { index: 0, channels };
    if architecture.kind == Kind::ResidualEncoder {
        value = network.block(
            "encoder.stem.convs.0",
            value,
            architecture.features[0],
            architecture.kernels[0],
            ONE,
        );
    }
    let mut skips = Vec::new();
    for stage in 0..architecture.features.len() {
        for step in 0..architecture.encoder[stage] {
            let stride = if step == 0 { architecture.strides[stage] } else { ONE };
            value = match architecture.kind {
                Kind::Plain => {
                    let name = format!("encoder.stages.{stage}.0.convs.{step}");
                    network.block(
                        &name,
                        value,
                        architecture.features[stage],
                        architecture.kernels[stage],
                        stride,
                    )
                }
                Kind::ResidualEncoder => network.residual(stage, step, value, stride),
            };
        }
        skips.push(value);
    }
    let value = network.decoder(&skips);
    let head = format!("decoder.seg_layers.{}", skips.len().saturating_sub(2));
    let operation = Operation::Convolve { kernel: ONE, stride: ONE, bias: true };
    network.add(head, &[value], outputs, operation);
    network.layers
}

/// The weights that a plan's network uses, in order of computation. The plan has passed [`Plan::check`].
pub(crate) fn parameters(plan: &Plan) -> Vec<Parameter> {
    let layers = layers(&plan.architecture, plan.channels.len(), plan.outputs.channels());
    layers.iter().flat_map(Layer::parameters).collect()
}

/// Weights of the heads that nnU-Net trains at lower resolutions (deep supervision): stored, never used again.
pub(crate) fn unused_heads(architecture: &Architecture, outputs: usize) -> Vec<Parameter> {
    let stages = architecture.features.len();
    (0..stages.saturating_sub(2))
        .flat_map(|head| {
            let name = format!("decoder.seg_layers.{head}");
            let channels = [architecture.features[stages - 2 - head], outputs];
            let operation = Operation::Convolve { kernel: ONE, stride: ONE, bias: true };
            Layer { name, inputs: Vec::new(), channels, operation }.parameters()
        })
        .collect()
}

const ONE: [usize; 3] = [1, 1, 1];

/// The output of a layer, or the patch.
#[derive(Debug, Clone, Copy)]
struct Wire {
    index: usize,
    channels: usize,
}

struct Network<'a> {
    layers: Vec<Layer>,
    architecture: &'a Architecture,
}

impl Network<'_> {
    fn add(&mut self, name: String, inputs: &[Wire], written: usize, operation: Operation) -> Wire {
        let read = inputs.iter().map(|wire| wire.channels).sum();
        let inputs = inputs.iter().map(|wire| wire.index).collect();
        self.layers.push(Layer { name, inputs, channels: [read, written], operation });
        Wire { index: self.layers.len(), channels: written }
    }

    /// Convolution and normalisation (`ConvDropoutNormReLU` without its rectifier).
    fn normalized(&mut self, name: &str, value: Wire, features: usize, operation: Operation) -> Wire {
        let value = self.add(format!("{name}.conv"), &[value], features, operation);
        self.add(format!("{name}.norm"), &[value], features, Operation::Normalize)
    }

    fn rectified(&mut self, name: String, value: Wire) -> Wire {
        self.add(name, &[value], value.channels, Operation::Rectify)
    }

    fn block(
        &mut self,
        name: &str,
        value: Wire,
        features: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Wire {
        let bias = self.architecture.convolution_bias;
        let value = self.normalized(name, value, features, Operation::Convolve { kernel, stride, bias });
        self.rectified(format!("{name}.nonlin"), value)
    }

    /// `BasicBlockD`: two convolutions, to which the pooled and projected input is added.
    fn residual(&mut self, stage: usize, block: usize, value: Wire, stride: [usize; 3]) -> Wire {
        let name = format!("encoder.stages.{stage}.blocks.{block}");
        let (features, kernel) = (self.architecture.features[stage], self.architecture.kernels[stage]);
        let bias = self.architecture.convolution_bias;
        let first = self.block(&format!("{name}.conv1"), value, features, kernel, stride);
        let operation = Operation::Convolve { kernel, stride: ONE, bias };
        let second = self.normalized(&format!("{name}.conv2"), first, features, operation);
        let mut skip = value;
        let pooled = stride != ONE;
        if pooled {
            skip = self.add(format!("{name}.skip.0"), &[skip], skip.channels, Operation::Pool { stride });
        }
        if skip.channels != features {
            let operation = Operation::Convolve { kernel: ONE, stride: ONE, bias: false };
            skip =
                self.normalized(&format!("{name}.skip.{}", usize::from(pooled)), skip, features, operation);
        }
        let sum = self.add(format!("{name}.add"), &[second, skip], features, Operation::Add);
        self.rectified(format!("{name}.nonlin2"), sum)
    }

    fn decoder(&mut self, skips: &[Wire]) -> Wire {
        let stages = skips.len();
        let mut value = skips[stages - 1];
        for step in 0..stages - 1 {
            let skip = skips[stages - 2 - step];
            let stride = self.architecture.strides[stages - 1 - step];
            let kernel = self.architecture.kernels[stages - 2 - step];
            let operation = Operation::Upsample { stride, bias: self.architecture.convolution_bias };
            value = self.add(format!("decoder.transpconvs.{step}"), &[value], skip.channels, operation);
            let name = format!("decoder.stages.{step}");
            value = self.add(
                format!("{name}.concatenate"),
                &[value, skip],
                2 * skip.channels,
                Operation::Concatenate,
            );
            for convolution in 0..self.architecture.decoder[step] {
                value = self.block(&format!("{name}.convs.{convolution}"), value, skip.channels, kernel, ONE);
            }
        }
        value
    }
}
