//! What a pickle may hold: inert values. There is no variant that could run anything.

use crate::error::{Result, shortened};
use crate::opcode::Decoder;

/// A value of the pickle. Small, because training logs hold hundreds of thousands.
///
/// Everything is owned by exactly one place, except values that the pickle refers to again: those lie in a list
/// beside, and [`Value::Shared`] is their index. So there are no cycles, and dropping is as deep as [`depth`] allows.
#[derive(Debug)]
pub(crate) enum Value {
    Int(i64),
    Text(Box<str>),
    Tuple(Box<Node>),
    List(Box<Node>),
    /// Keys and values by turns.
    Dict(Box<Node>),
    Global(Global),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
    /// Index into the list of shared values.
    Shared(u32),
    /// Something that inference does not need, such as the numbers of a training log; what it was is forgotten.
    Opaque,
}

/// A container's values, with what keeps it in bounds.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) items: Vec<Value>,
    /// 1 + the depth of the deepest owned value.
    pub(crate) depth: usize,
    /// Weight of everything owned below.
    pub(crate) weight: usize,
}

/// The names that a checkpoint may mention. Each is a word to the machine, never a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Scalar),
    Size,
}

/// Element type of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    F64,
    F32,
    F16,
    BF16,
    /// Integers and booleans: never weights.
    Other,
}

impl Scalar {
    /// Bytes of one element, for types that weights have.
    pub(crate) fn size(self) -> Option<u64> {
        match self {
            Scalar::F64 => Some(8),
            Scalar::F32 => Some(4),
            Scalar::F16 | Scalar::BF16 => Some(2),
            Scalar::Other => None,
        }
    }
}

/// A raw storage beside the pickle: the entry `data/KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage {
    pub(crate) scalar: Scalar,
    pub(crate) key: u32,
    /// Elements.
    pub(crate) count: u64,
}

/// A view of a storage; offset and strides in elements, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) storage: Storage,
    pub(crate) offset: u64,
    pub(crate) shape: Vec<u64>,
    pub(crate) strides: Vec<u64>,
}

/// Most axes of a tensor.
pub(crate) const RANK_LIMIT: usize = 8;

impl Value {
    /// Length of the longest chain of owned containers.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Value::Tuple(node) | Value::List(node) | Value::Dict(node) => node.depth,
            _ => 0,
        }
    }

    /// Memory that the value holds, in units of about 24 bytes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Value::Tuple(node) | Value::List(node) | Value::Dict(node) => 4 + node.weight,
            Value::Text(text) => 2 + text.len() / 16,
            Value::Storage(_) => 2,
            Value::Tensor(_) => 10,
            _ => 1,
        }
    }
}

/// The value of a global: one of the closed list, [`Value::Opaque`] for what inference does not need (its name goes
/// to `unknown`), an error for what only an attack asks for.
pub(crate) fn global(
    module: &str,
    name: &str,
    decoder: &Decoder<'_>,
    unknown: &mut Vec<String>,
) -> Result<Value> {
    let known = match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "FloatStorage") => Global::Storage(Scalar::F32),
        ("torch", "HalfStorage") => Global::Storage(Scalar::F16),
        ("torch", "BFloat16Storage") => Global::Storage(Scalar::BF16),
        ("torch", "DoubleStorage") => Global::Storage(Scalar::F64),
        (
            "torch",
            "LongStorage" | "IntStorage" | "ShortStorage" | "CharStorage" | "ByteStorage" | "BoolStorage",
        ) => Global::Storage(Scalar::Other),
        ("torch", "Size") => Global::Size,
        // In every checkpoint, never in the weights: numpy's scalars (whose bytes are text to be encoded), a device.
        ("torch", "device")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
        | ("numpy", "dtype")
        | ("_codecs", "encode") => return Ok(Value::Opaque),
        _ => return other_global(module, name, decoder, unknown),
    };
    Ok(Value::Global(known))
}

/// Modules through which pickles run code. Refusing them is a courtesy to the user, not the defence: the defence is
/// that nothing is ever called.
const DANGEROUS: [&str; 18] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "importlib",
    "runpy",
    "pty",
    "socket",
    "shutil",
    "ctypes",
    "marshal",
    "webbrowser",
    "code",
    "bdb",
    "pdb",
    "commands",
    "builtins",
];

fn other_global(module: &str, name: &str, decoder: &Decoder<'_>, unknown: &mut Vec<String>) -> Result<Value> {
    let root = module.split('.').next().unwrap_or_default();
    // Enumerations and sets are pickled through harmless builtins.
    let harmless =
        matches!(name, "getattr" | "set" | "frozenset" | "slice" | "complex" | "bytearray" | "bytes");
    if DANGEROUS.contains(&root) && !(root == "builtins" && harmless) {
        return Err(crate::Error::Dangerous { name: shortened(&format!("{module}.{name}")) });
    }
    let full = shortened(&format!("{module}.{name}"));
    if !unknown.contains(&full) {
        if unknown.len() == 64 {
            return Err(decoder.error("names more kinds of objects than any checkpoint holds"));
        }
        unknown.push(full);
    }
    Ok(Value::Opaque)
}
