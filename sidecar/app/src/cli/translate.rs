//! TotalSegmentator's spelling of `segment`'s flags, turned into ours before the command line is parsed.
//!
//! Its short flags have several letters (`-ta`, `-rs`) and its long ones underscores (`--roi_subset`); clap knows
//! neither. One table holds what is the same, and what we do not have and why.

use std::ffi::OsString;

use crate::{Error, Result};

/// What a flag of theirs is here.
#[derive(Debug, Clone, Copy)]
enum Ours {
    /// The same thing under this name.
    Same(&'static str),
    /// Not here: what it did, and what to do instead.
    Not(&'static str),
}
use Ours::{Not, Same};

/// TotalSegmentator's flags that clap would not understand, by their short and long names.
const FLAGS: &[(&str, &str, Ours)] = &[
    ("-ot", "--output-type", Same("--output-type")),
    ("-ml", "--ml", Same("--ml")),
    ("-nr", "--nr-thr-resamp", Same("--nr-thr-resamp")),
    ("-ns", "--nr-thr-saving", Same("--nr-thr-saving")),
    ("-ro", "--resampling-order", Same("--resampling-order")),
    ("-ff", "--fastest", Same("--fastest")),
    ("-ta", "--task", Same("--task")),
    ("-rs", "--roi-subset", Same("--roi-subset")),
    ("-rsr", "--roi-subset-robust", Same("--roi-subset-robust")),
    ("-rc", "--robust-crop", Same("--robust-crop")),
    ("-ho", "--higher-order-resampling", Same("--higher-order-resampling")),
    ("", "--high-order-resampling", Same("--higher-order-resampling")),
    ("", "--higher-order-resampling-legacy", Same("--higher-order-resampling-legacy")),
    ("", "--high-order-resampling-legacy", Same("--higher-order-resampling-legacy")),
    ("-rp", "--report", Same("--report")),
    ("-sii", "--stats-include-incomplete", Same("--stats-include-incomplete")),
    ("-sa", "--stats-aggregation", Same("--stats-aggregation")),
    ("-sx", "--statistics-extra", Same("--statistics-extra")),
    ("-bs", "--body-seg", Same("--body-seg")),
    ("-fs", "--force-split", Same("--force-split")),
    ("-ss", "--skip-saving", Same("--skip-saving")),
    ("-ndm", "--no-derived-masks", Same("--no-derived-masks")),
    ("-rmb", "--remove-small-blobs", Same("--remove-small-blobs")),
    ("-lt", "--list-tasks", Same("--list-tasks")),
    ("-lc", "--list-classes", Same("--list-classes")),
    ("", "--debug", Same("--verbose")),
    ("-sl", "--save-lowres", Not("results always lie on the grid of the input; resample them afterwards")),
    (
        "-ms",
        "--model-size",
        Not("only the `big` models of `total_v3` are published for this program; leave it out"),
    ),
    ("-t", "--nora-tag", Not("there is no connection to Nora; call it with the files that are written")),
    (
        "-r",
        "--radiomics",
        Not("run pyradiomics on the files that are written; `--statistics` gives volumes and intensities"),
    ),
    ("-cp", "--crop-path", Not("TotalSegmentator no longer uses it either; leave it out")),
    (
        "-v1o",
        "--v1-order",
        Not("labels are numbered as in TotalSegmentator 2; `vesalius tasks show total` lists them"),
    ),
    (
        "-sp",
        "--save-probabilities",
        Not("probabilities are never held as a whole, which is why memory stays small"),
    ),
    (
        "-l",
        "--license-number",
        Not("licensed weights are fetched by TotalSegmentator; a folder that it has made is used as it is"),
    ),
    ("", "--test", Not("it served TotalSegmentator's own tests")),
];

/// Arguments after `vesalius segment`, in our spelling.
pub(super) fn translate(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut translated = Vec::new();
    let mut arguments = arguments.into_iter();
    for argument in arguments.by_ref() {
        // What follows `--` is meant as it stands.
        if argument == "--" {
            translated.push(argument);
            break;
        }
        match argument.to_str() {
            Some(text) if text.starts_with('-') => translated.push(flag(text)?.into()),
            _ => translated.push(argument),
        }
    }
    translated.extend(arguments);
    Ok(translated)
}

/// One flag, with its value where it is attached by `=`.
fn flag(text: &str) -> Result<String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let long =
        if name.starts_with("--") { name.replace('_', "-").to_ascii_lowercase() } else { String::new() };
    let known = FLAGS.iter().find(|(short, theirs, _)| *short == name || *theirs == long);
    let ours = match known {
        Some((_, _, Same(ours))) => (*ours).to_owned(),
        Some((_, _, Not(instead))) => {
            return Err(Error::usage(
                format!("`{name}` of TotalSegmentator is not available here"),
                *instead,
            ));
        }
        None if long.is_empty() => name.to_owned(),
        None => long,
    };
    Ok(match value {
        Some(value) => format!("{ours}={value}"),
        None => ours,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(theirs: &str, ours: &str) {
        let translated = translate(theirs.split(' ').map(OsString::from)).unwrap();
        let translated: Vec<_> = translated.iter().map(|argument| argument.to_str().unwrap()).collect();
        assert_eq!(translated.join(" "), ours, "{theirs}");
    }

    #[test]
    fn their_spelling_becomes_ours() {
        check("-i ct.nii.gz -o seg -ta total -ml -f", "-i ct.nii.gz -o seg --task total --ml -f");
        check("-rs liver spleen -ot nifti", "--roi-subset liver spleen --output-type nifti");
        check("--roi_subset liver --output_type=nifti", "--roi-subset liver --output-type=nifti");
        check("-ta=total_mr -rmb=150", "--task=total_mr --remove-small-blobs=150");
        check(
            "--higher_order_resampling_LEGACY -ho",
            "--higher-order-resampling-legacy --higher-order-resampling",
        );
        check("--roi-subset a_b --device gpu:1", "--roi-subset a_b --device gpu:1");
        check("-i my_scan -- -ta", "-i my_scan -- -ta");
    }

    #[test]
    fn what_we_do_not_have_is_said() {
        for flag in
            ["-t", "-r", "--radiomics", "--save_probabilities", "-l", "--license_number", "-sl", "--test"]
        {
            let error = translate([OsString::from(flag)]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flag}");
            assert!(error.to_string().contains(flag), "{flag}");
        }
    }
}
