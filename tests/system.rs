//! Tests of the whole, from outside, in one binary (one link).

mod bench;
mod channels;
mod cli;
mod deltas;
mod download;
mod evaluate;
mod geometry;
mod golden;
mod help;
mod install;
mod on_the_fly;
mod segment;
mod server;
mod support;
mod synth;
mod tidy;
mod train;
