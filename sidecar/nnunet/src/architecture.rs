//! PlainConvUNet and ResidualEncoderUNet as values.

use serde::{Deserialize, Serialize};

/// A U-Net as nnU-Net builds it (dynamic_network_architectures); axes are the network axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// Plain or residual encoder.
    pub kind: Kind,
    /// Features of each stage, finest first.
    pub features: Vec<usize>,
    /// Convolution kernel of each stage.
    pub kernels: Vec<[usize; 3]>,
    /// Stride that enters each stage; the first is mostly `[1, 1, 1]`.
    pub strides: Vec<[usize; 3]>,
    /// Convolutions (plain) or blocks (residual) of each encoder stage.
    pub encoder: Vec<usize>,
    /// Convolutions of each decoder stage, coarsest first.
    pub decoder: Vec<usize>,
    /// Whether convolutions have a bias.
    pub convolution_bias: bool,
    /// Added to the variance in instance normalisation.
    pub epsilon: f64,
    /// Slope of the leaky rectifier below 0.
    pub negative_slope: f64,
}

/// Which encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `PlainConvUNet`.
    Plain,
    /// `ResidualEncoderUNet`.
    ResidualEncoder,
}
