//! The ways in: command line and server. Parses, calls the engine, writes the answer.
//!
//! # Layout
//!
//! * `cli`: one file per command; [`main`] runs the program.
//! * `channels`: the images of tasks that take several.
//! * `server`: `vesalius serve`, the engine for viewers on this computer.
//! * [`config`]: the one folder that holds all state, and the settings.
//! * [`download`]: large files from the network, resumed and checked.
//! * [`install`]: published weights, from their address to the model store.
//! * `display`, `output`, `staging`, `interrupt`: what the user sees, and what is never left half-done.

mod channels;
mod cli;
pub mod config;
mod display;
pub mod download;
mod error;
pub mod install;
mod interrupt;
mod machine;
mod making;
mod manifest;
mod output;
mod server;
mod staging;
mod table;

pub use cli::main;
pub use error::{Error, Result};
