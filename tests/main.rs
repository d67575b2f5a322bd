//! The program `vesalius`, built a second time so that the tests of this package know where it is.

fn main() -> std::process::ExitCode {
    vesalius::main()
}
