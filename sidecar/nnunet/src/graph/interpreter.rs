//! The operators of our graphs, written plainly from the ONNX specification: what the bytes mean, without a runtime.

use std::collections::HashMap;

use prost::Message;

use crate::onnx::{Attribute, Node, ValueInfo};

/// `ModelProto` as it is read back.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Decoded {
    #[prost(message, optional, tag = "7")]
    pub(crate) graph: Option<DecodedGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DecodedGraph {
    #[prost(message, repeated, tag = "1")]
    pub(crate) node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) initializer: Vec<Initializer>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) input: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Initializer {
    #[prost(int64, repeated, tag = "1")]
    pub(crate) dims: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(crate) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) raw_data: Vec<u8>,
}

/// `[channel, z, y, x]` or what broadcasts to it.
#[derive(Clone)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// Channels, and z, y, x.
    fn lengths(&self) -> (usize, [usize; 3]) {
        (self.shape[0], self.shape[1..4].try_into().unwrap())
    }
}

/// The value called `output` for one patch.
pub(crate) fn run(onnx: &[u8], patch: &[f32], output: &str) -> Vec<f32> {
    let graph = Decoded::decode(onnx).unwrap().graph.unwrap();
    let mut values = HashMap::new();
    for tensor in graph.initializer {
        let shape: Vec<usize> = tensor.dims.iter().map(|length| *length as usize).collect();
        let floats =
            tensor.raw_data.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect::<Vec<_>>();
        assert_eq!(shape.iter().product::<usize>(), floats.len(), "{}", tensor.name);
        // The batch axis is always 1 and left out.
        let shape = if shape.first() == Some(&1) && shape.len() == 5 && tensor.name.contains(".norm.") {
            shape[1..].to_vec()
        } else {
            shape
        };
        values.insert(tensor.name, Array { shape, values: floats });
    }
    let shape = graph.input[0].shape()[1..].to_vec();
    values.insert("patch".to_owned(), Array { shape, values: patch.to_vec() });
    for node in &graph.node {
        let inputs: Vec<&Array> = node.input.iter().map(|name| &values[name]).collect();
        let result = apply(node, &inputs);
        values.insert(node.output[0].clone(), result);
    }
    values.remove(output).unwrap().values
}

fn attribute<'a>(node: &'a Node, name: &str) -> &'a Attribute {
    node.attribute.iter().find(|attribute| attribute.name() == name).unwrap()
}

fn triple(node: &Node, name: &str) -> [usize; 3] {
    let ints: Vec<usize> = attribute(node, name).integers().iter().map(|int| *int as usize).collect();
    ints[..3].try_into().unwrap()
}

fn apply(node: &Node, inputs: &[&Array]) -> Array {
    match node.op_type.as_str() {
        "Conv" => {
            convolution(inputs, triple(node, "kernel_shape"), triple(node, "strides"), triple(node, "pads"))
        }
        "ConvTranspose" => transposed(inputs, triple(node, "strides")),
        "AveragePool" => pool(inputs[0], triple(node, "strides")),
        "InstanceNormalization" => normalized(inputs, f64::from(attribute(node, "epsilon").number())),
        "LeakyRelu" => {
            let alpha = attribute(node, "alpha").number();
            each(inputs[0], |value| if value < 0.0 { alpha * value } else { value })
        }
        "Concat" => {
            let shape = [&[inputs[0].shape[0] + inputs[1].shape[0]], &inputs[0].shape[1..]].concat();
            Array { shape, values: [&inputs[0].values[..], &inputs[1].values[..]].concat() }
        }
        "ReduceMean" => mean(inputs[0], attribute(node, "axes").integers()),
        "Sqrt" => each(inputs[0], f32::sqrt),
        "Add" => pairs(inputs, |a, b| a + b),
        "Sub" => pairs(inputs, |a, b| a - b),
        "Mul" => pairs(inputs, |a, b| a * b),
        "Div" => pairs(inputs, |a, b| a / b),
        other => panic!("operator {other}"),
    }
}

fn each(array: &Array, function: impl Fn(f32) -> f32) -> Array {
    Array { shape: array.shape.clone(), values: array.values.iter().map(|value| function(*value)).collect() }
}

/// Both of one shape, or one of them one number or one number for each channel.
fn pairs(inputs: &[&Array], function: impl Fn(f32, f32) -> f32) -> Array {
    let larger = if inputs[0].values.len() >= inputs[1].values.len() { inputs[0] } else { inputs[1] };
    let count = larger.values.len();
    let at = |array: &Array, index: usize| array.values[index * array.values.len() / count];
    let values = (0..count).map(|index| function(at(inputs[0], index), at(inputs[1], index))).collect();
    Array { shape: larger.shape.clone(), values }
}

fn mean(array: &Array, axes: &[i64]) -> Array {
    let (channels, [z, y, x]) = array.lengths();
    let (groups, shape) = match axes {
        [3, 4] => (channels * z, vec![channels, z, 1, 1]),
        [2] => (channels * y * x, vec![channels, 1, y, x]),
        other => panic!("mean over {other:?}"),
    };
    assert!(axes == [3, 4] || (y, x) == (1, 1));
    let length = array.values.len() / groups;
    let mean =
        |chunk: &[f32]| (chunk.iter().map(|value| f64::from(*value)).sum::<f64>() / length as f64) as f32;
    Array { shape, values: array.values.chunks(length).map(mean).collect() }
}

fn normalized(inputs: &[&Array], epsilon: f64) -> Array {
    let (channels, lengths) = inputs[0].lengths();
    let voxels: usize = lengths.iter().product();
    let mut values = Vec::new();
    for channel in 0..channels {
        let own = &inputs[0].values[channel * voxels..][..voxels];
        let mean = own.iter().map(|value| f64::from(*value)).sum::<f64>() / voxels as f64;
        let variance =
            own.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / voxels as f64;
        let scale = f64::from(inputs[1].values[channel]) / (variance + epsilon).sqrt();
        let shift = f64::from(inputs[2].values[channel]);
        values.extend(own.iter().map(|value| ((f64::from(*value) - mean) * scale + shift) as f32));
    }
    Array { shape: inputs[0].shape.clone(), values }
}

/// The voxels of a block, as offsets from its corner.
fn offsets(size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..size[0]).flat_map(move |k| (0..size[1]).flat_map(move |j| (0..size[2]).map(move |i| [k, j, i])))
}

fn flat([k, j, i]: [usize; 3], size: [usize; 3]) -> usize {
    (k * size[1] + j) * size[2] + i
}

fn convolution(inputs: &[&Array], kernel: [usize; 3], stride: [usize; 3], padding: [usize; 3]) -> Array {
    let (read, size) = inputs[0].lengths();
    let written = inputs[1].shape[0];
    let out: [usize; 3] = std::array::from_fn(|a| (size[a] + 2 * padding[a] - kernel[a]) / stride[a] + 1);
    let voxels: usize = out.iter().product();
    let taps: usize = kernel.iter().product();
    let mut values = vec![0.0; written * voxels];
    for (channel, values) in values.chunks_mut(voxels).enumerate() {
        values.fill(inputs.get(2).map_or(0.0, |bias| bias.values[channel]));
        for source in 0..read {
            let from = &inputs[0].values[source * size.iter().product::<usize>()..];
            for (tap, offset) in offsets(kernel).enumerate() {
                let weight = inputs[1].values[(channel * read + source) * taps + tap];
                for (voxel, place) in offsets(out).enumerate() {
                    // Below 0 wraps round and is outside as well.
                    let place: [usize; 3] =
                        std::array::from_fn(|a| (place[a] * stride[a] + offset[a]).wrapping_sub(padding[a]));
                    if (0..3).all(|a| place[a] < size[a]) {
                        values[voxel] += weight * from[flat(place, size)];
                    }
                }
            }
        }
    }
    Array { shape: [&[written], &out[..]].concat(), values }
}

fn transposed(inputs: &[&Array], stride: [usize; 3]) -> Array {
    let (read, size) = inputs[0].lengths();
    let written = inputs[1].shape[1];
    let out: [usize; 3] = std::array::from_fn(|a| size[a] * stride[a]);
    let (voxels, taps): (usize, usize) = (size.iter().product(), stride.iter().product());
    let mut values = vec![0.0; written * voxels * taps];
    for (channel, values) in values.chunks_mut(voxels * taps).enumerate() {
        values.fill(inputs.get(2).map_or(0.0, |bias| bias.values[channel]));
        for source in 0..read {
            for (tap, offset) in offsets(stride).enumerate() {
                let weight = inputs[1].values[(source * written + channel) * taps + tap];
                for (voxel, place) in offsets(size).enumerate() {
                    let place = std::array::from_fn(|a| place[a] * stride[a] + offset[a]);
                    values[flat(place, out)] += weight * inputs[0].values[source * voxels + voxel];
                }
            }
        }
    }
    Array { shape: [&[written], &out[..]].concat(), values }
}

fn pool(array: &Array, stride: [usize; 3]) -> Array {
    let (channels, size) = array.lengths();
    let out: [usize; 3] = std::array::from_fn(|a| size[a] / stride[a]);
    let (voxels, taps): (usize, usize) = (size.iter().product(), stride.iter().product());
    let mut values = Vec::new();
    for channel in 0..channels {
        for place in offsets(out) {
            let sum: f32 = offsets(stride)
                .map(|offset| std::array::from_fn(|a| place[a] * stride[a] + offset[a]))
                .map(|place| array.values[channel * voxels + flat(place, size)])
                .sum();
            values.push(sum / taps as f32);
        }
    }
    Array { shape: [&[channels], &out[..]].concat(), values }
}
