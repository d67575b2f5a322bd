//! The program `vesalius`.

fn main() {}
