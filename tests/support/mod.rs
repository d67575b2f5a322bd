//! What the system tests share.

pub mod channels;
pub mod dicom;
pub mod program;
pub mod server;
pub mod sidecar;
