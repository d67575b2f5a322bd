//! `cargo run -p nnunet --example export -- FOLDER out.onnx [native]`: converts the first fold of a model to ONNX.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the command line")]

use std::path::Path;
use std::process::ExitCode;

use imaging::Progress;
use nnunet::{GraphOptions, ImportOptions, InstanceNormalization};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(folder), Some(output)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("usage: export FOLDER out.onnx [native]");
        return ExitCode::from(2);
    };
    let native = arguments.get(2).is_some_and(|word| word == "native");
    let normalization = if native { InstanceNormalization::Native } else { InstanceNormalization::TwoLevel };
    match export(
        Path::new(folder),
        Path::new(output),
        GraphOptions { normalization, ..GraphOptions::default() },
    ) {
        Ok(bytes) => {
            println!("{output}: {bytes} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn export(folder: &Path, output: &Path, options: GraphOptions) -> nnunet::Result<usize> {
    let model = nnunet::import(folder, &ImportOptions::default(), &Progress::silent())?;
    let onnx = nnunet::to_onnx(&model.plan, &model.folds[0].weights, options)?;
    std::fs::write(output, &onnx).map_err(|source| nnunet::Error::Write { path: output.into(), source })?;
    Ok(onnx.len())
}
