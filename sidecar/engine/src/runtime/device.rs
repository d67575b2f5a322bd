//! What a network can run on, by the names that TotalSegmentator's users know, and in what precision.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Where networks run, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Device {
    /// The fastest that is there: CUDA, then OpenVINO, then the processor.
    #[default]
    Auto,
    /// ONNX Runtime's own code for the processor.
    Cpu,
    /// OpenVINO on the processor: `pip install onnxruntime-ep-openvino`.
    OpenVino,
    /// An NVIDIA GPU: `pip install onnxruntime-gpu`.
    Cuda(u16),
    /// An NVIDIA GPU with TensorRT, which compiles each network for minutes before its first patch.
    TensorRt(u16),
    /// Any GPU under Windows: `pip install onnxruntime-directml`.
    DirectMl(u16),
    /// Apple's GPU and neural engine.
    CoreMl,
    /// Whichever GPU there is: TotalSegmentator's `gpu`.
    Gpu(u16),
}

impl FromStr for Device {
    type Err = Error;

    /// `auto`, `cpu`, `openvino`, `cuda`, `tensorrt`, `directml`, `coreml`; `gpu` and `mps` as TotalSegmentator
    /// says; `:1` behind those that there can be several of.
    fn from_str(text: &str) -> Result<Device, Error> {
        let unknown = || Error::UnknownDevice { name: text.to_owned() };
        let lower = text.trim().to_ascii_lowercase();
        let (name, index) = match lower.split_once(':') {
            Some((name, index)) => (name, Some(index.parse::<u16>().map_err(|_| unknown())?)),
            None => (lower.as_str(), None),
        };
        let device = match (name, index.unwrap_or(0)) {
            ("gpu", index) => Device::Gpu(index),
            ("cuda", index) => Device::Cuda(index),
            ("tensorrt" | "trt", index) => Device::TensorRt(index),
            ("directml" | "dml", index) => Device::DirectMl(index),
            ("auto", 0) => Device::Auto,
            ("cpu", 0) => Device::Cpu,
            ("openvino", 0) => Device::OpenVino,
            ("coreml" | "mps", 0) => Device::CoreMl,
            _ => return Err(unknown()),
        };
        Ok(device)
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, index) = match *self {
            Device::Auto => ("auto", 0),
            Device::Cpu => ("cpu", 0),
            Device::OpenVino => ("openvino", 0),
            Device::Cuda(index) => ("cuda", index),
            Device::TensorRt(index) => ("tensorrt", index),
            Device::DirectMl(index) => ("directml", index),
            Device::CoreMl => ("coreml", 0),
            Device::Gpu(index) => ("gpu", index),
        };
        formatter.write_str(name)?;
        if index > 0 { write!(formatter, ":{index}") } else { Ok(()) }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> String {
        device.to_string()
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(text: String) -> Result<Device, Error> {
        text.parse()
    }
}

/// In what numbers a network computes, where the device leaves a choice. Weights and scores are single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Brain floats with OpenVINO on processors with matrix units for them (AMX: eight times as fast), else single.
    #[default]
    Auto,
    /// Single precision: PyTorch's scores to about 1e-4.
    Fp32,
    /// Brain floats: 8 significant bits.
    Bf16,
    /// Half precision: 11 significant bits.
    Fp16,
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Precision, Error> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Precision::Auto),
            "fp32" | "f32" => Ok(Precision::Fp32),
            "bf16" => Ok(Precision::Bf16),
            "fp16" | "f16" => Ok(Precision::Fp16),
            _ => Err(Error::UnknownPrecision { name: text.to_owned() }),
        }
    }
}

/// A way to run a network that can be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    Cpu,
    OpenVino,
    Cuda(u16),
    TensorRt(u16),
    DirectMl(u16),
    CoreMl,
}

impl Provider {
    /// ONNX Runtime's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Provider::Cpu => "CPUExecutionProvider",
            Provider::OpenVino => "OpenVINOExecutionProvider",
            Provider::Cuda(_) => "CUDAExecutionProvider",
            Provider::TensorRt(_) => "TensorrtExecutionProvider",
            Provider::DirectMl(_) => "DmlExecutionProvider",
            Provider::CoreMl => "CoreMLExecutionProvider",
        }
    }

    /// The device that it stands for.
    pub(crate) fn device(self) -> Device {
        match self {
            Provider::Cpu => Device::Cpu,
            Provider::OpenVino => Device::OpenVino,
            Provider::Cuda(index) => Device::Cuda(index),
            Provider::TensorRt(index) => Device::TensorRt(index),
            Provider::DirectMl(index) => Device::DirectMl(index),
            Provider::CoreMl => Device::CoreMl,
        }
    }

    /// The package that brings it.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Provider::OpenVino => "onnxruntime-ep-openvino",
            Provider::Cuda(_) | Provider::TensorRt(_) => "onnxruntime-gpu",
            Provider::DirectMl(_) => "onnxruntime-directml",
            Provider::Cpu | Provider::CoreMl => "onnxruntime",
        }
    }
}

impl Device {
    /// What to try, in order; the processor, which is always last, is left out.
    pub(crate) fn providers(self) -> Vec<Provider> {
        match self {
            // CoreML and DirectML are not tried unasked: three-dimensional networks on them are unmeasured.
            Device::Auto => vec![Provider::Cuda(0), Provider::OpenVino],
            Device::Cpu => Vec::new(),
            Device::OpenVino => vec![Provider::OpenVino],
            Device::Cuda(index) => vec![Provider::Cuda(index)],
            Device::TensorRt(index) => vec![Provider::TensorRt(index), Provider::Cuda(index)],
            Device::DirectMl(index) => vec![Provider::DirectMl(index)],
            Device::CoreMl => vec![Provider::CoreMl],
            Device::Gpu(_) if cfg!(target_os = "macos") => vec![Provider::CoreMl],
            Device::Gpu(index) if cfg!(windows) => vec![Provider::Cuda(index), Provider::DirectMl(index)],
            Device::Gpu(index) => vec![Provider::Cuda(index)],
        }
    }
}

/// Features of the processor that decide about speed, by their usual names: `avx512f`, `amx_bf16`.
pub(crate) fn processor_features() -> Vec<String> {
    let mut features: Vec<String> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let detected = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("avx_vnni", std::arch::is_x86_feature_detected!("avxvnni")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
            ("avx512_bf16", std::arch::is_x86_feature_detected!("avx512bf16")),
            ("avx512_fp16", std::arch::is_x86_feature_detected!("avx512fp16")),
        ];
        features.extend(detected.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()));
    }
    // The standard library's test for matrix units is not stable yet.
    if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
        let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let units = flags.split_whitespace().filter(|flag| flag.starts_with("amx_"));
        features.extend(units.map(str::to_owned));
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Device>) {
        assert_eq!(text.parse::<Device>().ok(), expected, "{text}");
    }

    #[test]
    fn devices_have_totalsegmentators_names_and_our_own() {
        check("auto", Some(Device::Auto));
        check("cpu", Some(Device::Cpu));
        check("OpenVINO", Some(Device::OpenVino));
        check("gpu", Some(Device::Gpu(0)));
        check("gpu:1", Some(Device::Gpu(1)));
        check("cuda:3", Some(Device::Cuda(3)));
        check("mps", Some(Device::CoreMl));
        check("dml", Some(Device::DirectMl(0)));
        check("trt:2", Some(Device::TensorRt(2)));
        check("cpu:1", None);
        check("gpu:x", None);
        check("gpu:-1", None);
        check("", None);
        check("tpu", None);
    }

    #[test]
    fn a_device_says_what_it_was_read_from() {
        for text in ["auto", "cpu", "openvino", "gpu", "gpu:1", "cuda:3", "coreml", "directml", "tensorrt:2"]
        {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
    }
}
