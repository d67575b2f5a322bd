//! The ONNX messages that a network needs, written by hand for prost: no protoc, no build script.
//!
//! Field numbers are those of `onnx/onnx.proto3`. Weights are written straight into the result, so that a model
//! exists once in memory, not once more in messages.

use std::borrow::Cow;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::error::{Error, Result};

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

/// Tag of `ModelProto.graph`, of `GraphProto.initializer` and of `TensorProto.raw_data`.
const MODEL_GRAPH: u32 = 7;
const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

/// `GraphProto` without its weights.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(crate) node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "11")]
    pub(crate) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) output: Vec<ValueInfo>,
}

/// `NodeProto`: one operation.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(crate) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) attribute: Vec<Attribute>,
}

/// `AttributeProto`; `kind` says which of the values counts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    float: f32,
    #[prost(int64, tag = "3")]
    int: i64,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

impl Attribute {
    pub(crate) fn float(name: &str, float: f32) -> Attribute {
        Attribute { name: name.into(), float, kind: 1, ..Attribute::default() }
    }

    pub(crate) fn int(name: &str, int: i64) -> Attribute {
        Attribute { name: name.into(), int, kind: 2, ..Attribute::default() }
    }

    pub(crate) fn ints(name: &str, ints: &[usize]) -> Attribute {
        Attribute { name: name.into(), ints: signed(ints), kind: 7, ..Attribute::default() }
    }
}

/// What the tests' interpreter reads.
#[cfg(test)]
impl Attribute {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn number(&self) -> f32 {
        self.float
    }

    pub(crate) fn integers(&self) -> &[i64] {
        &self.ints
    }
}

#[cfg(test)]
impl ValueInfo {
    pub(crate) fn shape(&self) -> Vec<usize> {
        let tensor = self.kind.as_ref().and_then(|kind| kind.tensor.as_ref()).unwrap();
        tensor.shape.as_ref().unwrap().dim.iter().map(|length| length.value as usize).collect()
    }
}

#[derive(Clone, PartialEq, Message)]
struct TensorHead {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
}

/// `ValueInfoProto`: name and shape of an input or output.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, tag = "1")]
    value: i64,
}

/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;

/// A float tensor of a fixed shape.
pub(crate) fn value(name: &str, shape: &[usize]) -> ValueInfo {
    let dim = signed(shape).into_iter().map(|value| Dimension { value }).collect();
    let tensor = TensorType { element: FLOAT, shape: Some(Shape { dim }) };
    ValueInfo { name: name.into(), kind: Some(Type { tensor: Some(tensor) }) }
}

fn signed(lengths: &[usize]) -> Vec<i64> {
    // Lengths were checked against limits far below.
    lengths.iter().map(|length| i64::try_from(*length).unwrap_or(i64::MAX)).collect()
}

/// A constant of the graph.
#[derive(Debug)]
pub(crate) struct Initializer<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Cow<'a, [f32]>,
}

/// The bytes of a `ModelProto` of operator set 17.
///
/// # Errors
///
/// [`Error::TooLarge`] when it would pass the 2 GiB that a protobuf message may have.
pub(crate) fn model(graph: &Graph, initializers: &[Initializer<'_>]) -> Result<Vec<u8>> {
    let model = Model {
        // ONNX 1.12, of the same time as operator set 17.
        ir_version: 8,
        producer_name: "vesalius".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![OperatorSet { domain: String::new(), version: 17 }],
    };
    let heads: Vec<Vec<u8>> = initializers.iter().map(|tensor| head(tensor).encode_to_vec()).collect();
    let tensor_length = |head: &Vec<u8>, tensor: &Initializer<'_>| {
        head.len() + nested_length(TENSOR_RAW_DATA, 4 * tensor.values.len())
    };
    let tensors: usize = heads
        .iter()
        .zip(initializers)
        .map(|(head, tensor)| nested_length(GRAPH_INITIALIZER, tensor_length(head, tensor)))
        .sum();
    let graph_length = graph.encoded_len() + tensors;
    let length = model.encoded_len() + nested_length(MODEL_GRAPH, graph_length);
    let limit = i32::MAX as usize;
    if length > limit {
        let (found, limit) = (length as u64, limit as u64);
        return Err(Error::TooLarge { what: "the ONNX model".into(), unit: "bytes", found, limit });
    }
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(model.encode_to_vec());
    open(MODEL_GRAPH, graph_length, &mut bytes);
    bytes.extend(graph.encode_to_vec());
    for (head, tensor) in heads.iter().zip(initializers) {
        open(GRAPH_INITIALIZER, tensor_length(head, tensor), &mut bytes);
        bytes.extend(head);
        open(TENSOR_RAW_DATA, 4 * tensor.values.len(), &mut bytes);
        bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(bytes)
}

fn head(tensor: &Initializer<'_>) -> TensorHead {
    TensorHead { dims: signed(&tensor.shape), data_type: FLOAT, name: tensor.name.clone() }
}

/// Length of a field of `length` bytes with its tag and length in front.
fn nested_length(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

fn open(tag: u32, length: usize, bytes: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, bytes);
    encode_varint(length as u64, bytes);
}
