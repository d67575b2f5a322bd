//! What the system tests share.

pub mod program;
pub mod server;
pub mod sidecar;
