//! Runs the program as a user does, with a home of its own and without the network.

use std::path::Path;
use std::process::{Command, Output};

/// What the program did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program with `home` as its home, and nothing else of this machine.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesalius-under-test"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let own = name.starts_with("VESALIUS_") || name.starts_with("TOTALSEG_");
        if own || name.to_ascii_lowercase().ends_with("_proxy") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    // No folder of TotalSegmentator and no user's settings may leak in.
    command.env("VESALIUS_HOME", home).env("TOTALSEG_HOME_DIR", home.join("totalseg")).env("COLUMNS", "100");
    // A test that forgets its mirror must fail, not reach the publisher.
    command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("HTTP_PROXY", "http://127.0.0.1:9");
    command
}

/// Runs the program with `arguments`.
pub fn run(home: &Path, arguments: &[&str]) -> Ran {
    ran(command(home).args(arguments).output().unwrap())
}

/// What `output` says.
pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
