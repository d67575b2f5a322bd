//! `cargo run -p nnunet --example pack -- FOLDER OUT LICENCE NOTE [CHECKPOINT]`: a trained model as one file of ours,
//! with the licence and the note that go into every result's provenance. How the built-in model is made.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the command line")]

use std::path::Path;
use std::process::ExitCode;

use imaging::Progress;
use nnunet::{ImportOptions, Precision};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, output, licence, note, checkpoint @ ..] = &arguments[..] else {
        eprintln!("usage: pack FOLDER OUT LICENCE NOTE [CHECKPOINT]");
        return ExitCode::from(2);
    };
    let mut options = ImportOptions::default();
    if let Some(checkpoint) = checkpoint.first() {
        options.checkpoint.clone_from(checkpoint);
    }
    let packed = nnunet::import(Path::new(folder), &options, &Progress::silent()).and_then(|mut model| {
        model.source.licence = Some(licence.clone());
        model.source.note = Some(note.clone());
        nnunet::save(&model, Path::new(output), Precision::Exact)
    });
    match packed {
        Ok(()) => {
            println!("{output}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
