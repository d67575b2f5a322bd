//! Synthetic cases by number: `vesalius synth --on-the-fly`, the coprocess that a training asks, and the data sets.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use formats::ReadOptions;
use imaging::Progress;
use serde_json::{Value, json};

use crate::support::program;
use crate::synth::{bytes, study};

/// Asks the coprocess for cases, and gives it no more.
fn ask(home: &Path, recipe: &Path, output: &Path, threads: &str, lines: &str) -> program::Ran {
    let mut command = program::command(home);
    command.args(["synth", "--threads", threads, "--recipe"]).arg(recipe).arg("--output").arg(output);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    program::ran(child.wait_with_output().unwrap())
}

fn same_image(one: &Path, other: &Path) {
    let read =
        |path: &Path| formats::read(path, &ReadOptions::default(), &Progress::silent()).unwrap().volume;
    let (one, other) = (read(one), read(other));
    assert_eq!(one.grid, other.grid);
    assert!(one.voxels.iter().zip(&other.voxels).all(|(a, b)| a.to_bits() == b.to_bits()));
}

fn same_label(one: &Path, other: &Path) {
    let quiet = Progress::silent();
    let read =
        |path: &Path| formats::read_segmentation(path, &ReadOptions::default(), &quiet).unwrap().labels;
    let (one, other) = (read(one), read(other));
    assert_eq!((one.grid, one.labels), (other.grid, other.labels));
}

fn value(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A study with splits, and what makes synthetic cases of it.
struct Setting {
    home: tempfile::TempDir,
    manifest: String,
    splits: String,
}

impl Setting {
    fn new() -> Setting {
        let home = tempfile::tempdir().unwrap();
        let manifest = study(home.path(), 6, 4);
        let splits = home.path().join("splits.json").display().to_string();
        let split = ["dataset", "split", &manifest, "-o", &splits, "--seed", "3", "--validation", "0.2"];
        let ran = program::run(home.path(), &split);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        Setting { home, manifest, splits }
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.home.path().join(path)
    }

    fn synth(&self, output: &str, more: &[&str]) -> program::Ran {
        let output = self.at(output).display().to_string();
        let line = ["synth", "--manifest", &self.manifest, "--splits", &self.splits, "--output", &output];
        program::run(self.home.path(), &[&line[..], &["-n", "7", "--seed", "7"], more].concat())
    }

    fn build(&self, synthetic: &str, output: &str) -> program::Ran {
        let [synthetic, output] = [synthetic, output].map(|path| self.at(path).display().to_string());
        let line = ["dataset", "build", &self.manifest, "--splits", &self.splits, "--synthetic", &synthetic];
        program::run(self.home.path(), &[&line[..], &["-o", &output, "-n", "2", "-m", "7"]].concat())
    }
}

#[test]
fn a_case_asked_for_is_the_one_on_disk() {
    let setting = Setting::new();
    let (at, home) = (|path: &str| setting.at(path), setting.home.path());
    for (output, more) in [("disk", &[][..]), ("fly", &["--on-the-fly", "--montage", "2"])] {
        let ran = setting.synth(output, more);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let (disk, fly) = (bytes(&at("disk")), bytes(&at("fly")));
    assert_eq!((disk.len(), fly.len()), (14, 4), "two to look at, the others when they are wanted");
    assert!(fly.iter().all(|file| disk.contains(file)));
    assert!(at("fly/montage.png").is_file() && at("fly/quality.csv").is_file());

    let recipe = at("fly/synth.json");
    let told = std::fs::read_to_string(at("disk/cases.jsonl")).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for threads in ["1", "2"] {
        let output = at(&format!("asked{threads}"));
        let ran = ask(home, &recipe, &output, threads, "5\n0\n6\n3\n5\n1\n4\n2\n40\n");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let answers: Vec<Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let cases: Vec<u64> = answers.iter().map(|answer| answer["case"].as_u64().unwrap()).collect();
        assert_eq!(cases, [5, 0, 6, 3, 5, 1, 4, 2, 40]);
        for (answer, case) in answers.iter().zip(cases).take(8) {
            let name = format!("synth_{case:06}");
            assert_eq!(answer["name"], name);
            assert_eq!(answer["rejected"], told[case as usize]["rejected"]);
            assert_eq!(answer["images"].as_array().unwrap().len(), 1);
            let image = answer["images"][0].as_str().unwrap();
            assert!(image.ends_with(".nii"), "not compressed: {image}");
            same_image(Path::new(image), &at(&format!("disk/images/{name}_0000.nii.gz")));
            same_label(
                Path::new(answer["label"].as_str().unwrap()),
                &at(&format!("disk/labels/{name}.nii.gz")),
            );
        }
    }
}

#[test]
fn a_data_set_names_the_cases_that_are_to_be_made() {
    let setting = Setting::new();
    let at = |path: &str| setting.at(path);
    for (output, more) in [("disk", &[][..]), ("fly", &["--on-the-fly", "--montage", "2"])] {
        assert_eq!(setting.synth(output, more).code, Some(0));
        let ran = setting.build(output, &format!("raw_{output}"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    for name in ["Dataset501_StrokeC", "Dataset502_StrokeS2", "Dataset503_StrokeCS2", "Dataset504_StrokeCS7"]
    {
        let [disk, fly] = ["disk", "fly"].map(|raw| at(&format!("raw_{raw}/{name}")));
        assert_eq!(value(&disk.join("splits_final.json")), value(&fly.join("splits_final.json")), "{name}");
        let count = |folder: &Path| std::fs::read_dir(folder.join("labelsTr")).unwrap().count();
        let missing = if name.ends_with('7') { 5 } else { 0 };
        assert_eq!(count(&disk) - count(&fly), missing, "{name}");
        assert_eq!(value(&fly.join("dataset.json"))["numTraining"], count(&fly), "nnU-Net counts the files");
        assert_eq!(fly.join("synthetic.json").is_file(), missing > 0, "{name}");
        let validation = value(&fly.join("splits_final.json"))[0]["val"].to_string();
        assert!(!validation.contains("synth_") && validation.len() > 2, "{validation}");
    }
    assert_eq!(
        std::fs::read(at("raw_fly/Dataset504_StrokeCS7/synthetic.json")).unwrap(),
        std::fs::read(at("fly/synth.json")).unwrap()
    );

    // Nothing of the test part comes in by a recipe, under its own name or another's.
    let recipe = value(&at("fly/synth.json"));
    let parts = value(Path::new(&setting.splits))["patients"].clone();
    let names: BTreeSet<&String> =
        parts.as_object().unwrap().iter().filter(|(_, part)| *part == "test").map(|(name, _)| name).collect();
    let test = names.iter().find(|name| name.starts_with('p')).unwrap().replacen('p', "s", 1);
    for (key, wrong, message) in [
        (
            "case",
            json!(test),
            format!("`{test}`, which synthetic cases come from, is not in the training part"),
        ),
        ("sha256", json!("00"), "is not that of the splits".to_owned()),
    ] {
        let mut leaking = recipe.clone();
        leaking["donors"][0][key] = wrong;
        std::fs::write(at("fly/synth.json"), leaking.to_string()).unwrap();
        let ran = setting.build("fly", "raw_leak");
        assert!(ran.code == Some(1) && ran.stderr.contains(&message), "{}", ran.stderr);
    }
}

#[test]
fn a_recipe_is_refused_when_its_cases_would_be_others() {
    let setting = Setting::new();
    let (at, home) = (|path: &str| setting.at(path), setting.home.path());
    for (output, more) in [("disk", &[][..]), ("fly", &["--on-the-fly", "--montage", "1"])] {
        assert_eq!(setting.synth(output, more).code, Some(0));
    }
    let refused = |recipe: &str, lines: &str, code: i32, message: &str| {
        let ran = ask(home, &at(recipe), &at("asked"), "1", lines);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    };
    refused("disk/synth.json", "0\n", 1, "lie on disk");
    refused("fly/synth.json", "first\n", 2, "`first` is no number of a case");
    let mut old = value(&at("fly/synth.json"));
    old["program"] = json!("Vesalius 0.0.1");
    std::fs::write(at("old.json"), old.to_string()).unwrap();
    refused("old.json", "0\n", 1, "is by Vesalius 0.0.1, and this is");
    for n in 0..4 {
        std::fs::copy(at("stroke0.nii.gz"), at(&format!("normal{n}.nii.gz"))).unwrap();
    }
    refused("fly/synth.json", "0\n", 1, "is not what it was when the recipe was written");
}
