//! The program `vesalius`.

fn main() -> std::process::ExitCode {
    vesalius::main()
}
