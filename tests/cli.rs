//! The command line as scripts and people meet it: exit codes, what goes where, the contract of `--json`.

use std::path::Path;

use serde_json::Value;

use crate::support::program::{self, Ran};

/// Runs in an empty home; checks the exit code and what both streams contain.
fn check(arguments: &[&str], code: i32, stdout: &str, stderr: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let ran = program::run(home.path(), arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
    assert!(ran.stdout.contains(stdout), "{arguments:?}: {}", ran.stdout);
    for part in stderr {
        assert!(ran.stderr.contains(part), "{arguments:?} should say `{part}`: {}", ran.stderr);
    }
    if code != 0 {
        assert_eq!(ran.stdout, "", "{arguments:?}: an error is no answer");
    }
    ran
}

#[test]
fn usage_errors_exit_with_2_and_name_the_way_out() {
    check(&["segment"], 2, "", &["error: ", "--input", "hint: "]);
    check(&["segment", "-i", "a", "-o", "b", "--task", "totl"], 2, "", &["`totl`", "did you mean `total`?"]);
    check(&["segment", "-i", "a", "-o", "b", "-ta", "headneck", "-rs", "brainstm"], 2, "", &["`brainstem`"]);
    check(&["segment", "-i", "a", "-o", "b", "-r"], 2, "", &["`-r`", "pyradiomics"]);
    check(&["segment", "-i", "a", "-o", "b", "-ot", "dicom_rtstruct"], 2, "", &["cannot be written yet"]);
    check(&["segment", "-i", "a", "-o", "b", "-ro", "2"], 2, "", &["0 (nearest)"]);
    check(&["segment", "-i", "a", "-o", "b", "--colour"], 2, "", &["--colour"]);
    check(&["models", "install", "totl"], 2, "", &["did you mean `total`?"]);
    check(&["models"], 2, "", &["Usage"]);
    check(&["dance"], 2, "", &["dance"]);
}

#[test]
fn failures_exit_with_1() {
    check(&["segment", "-i", "a.nii.gz", "-o", "b"], 1, "", &["cannot read `a.nii.gz`", "hint: "]);
    check(&["models", "import", "nothing"], 1, "", &["cannot read `nothing`"]);
    check(&["models", "remove", "nothing"], 1, "", &["`nothing`", "vesalius models list"]);
    check(&["models", "verify", "nothing"], 1, "", &["`nothing`"]);
}

#[test]
fn a_missing_model_is_told_with_command_size_and_licence() {
    let missing = ["`total` needs models", "vesalius models install total --fast", "135 MB", "Apache-2.0"];
    let file = reference("golden/input/example_ct_sm.nii.gz");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("seg");
    let arguments = ["segment", "-i", &file, "-o", output.to_str().unwrap(), "-ta", "total", "-f"];
    check(&arguments, 1, "", &missing);
    assert!(!output.exists());
    let licensed = ["license-academic", "models import"];
    check(&["segment", "-i", &file, "-o", "b", "-ta", "face"], 1, "", &licensed);
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_input_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = file.join("seg");
    let input = reference("golden/input/example_ct_sm.nii.gz");
    let arguments = ["segment", "-i", &input, "-o", output.to_str().unwrap(), "-ta", "headneck"];
    check(&arguments, 1, "", &["cannot write"]);
}

#[test]
fn an_image_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ct.nii.gz");
    std::fs::write(&file, "no image at all").unwrap();
    let output = folder.path().join("seg");
    let arguments =
        ["segment", "-i", file.to_str().unwrap(), "-o", output.to_str().unwrap(), "-ta", "headneck"];
    check(&arguments, 1, "", &["error: ", "hint: "]);
    assert!(!output.exists(), "nothing is left behind");
}

#[test]
fn licences_that_forbid_something_need_consent() {
    let home = tempfile::tempdir().unwrap();
    let ran = program::run(home.path(), &["models", "install", "brain_aneurysm"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("CC-BY-NC-4.0") && ran.stderr.contains("--accept-licence"), "{ran:?}");
    let ran = program::run(home.path(), &["models", "install", "heartchambers_highres"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("licence key"), "{ran:?}");
}

#[test]
fn tasks_json_is_the_contract() {
    let ran = check(&["tasks", "--json"], 0, "", &[]);
    let tasks: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(tasks.len(), 54, "the built-in task and the 53 of TotalSegmentator");
    for task in &tasks {
        assert!(task["id"].is_string() && task["modality"].is_string() && task["licence"].is_string());
        assert!(task["embedded"].is_boolean() && task["installed"].is_boolean());
        let segments = task["segments"].as_array().unwrap();
        assert!(segments.iter().all(|segment| segment["name"].is_string() && segment["value"].is_u64()));
    }
    let find = |id: &str| tasks.iter().find(|task| task["id"] == id).unwrap();
    let total = find("total");
    assert_eq!(total["segments"].as_array().unwrap().len(), 117);
    assert_eq!((&total["embedded"], &total["installed"]), (&false.into(), &false.into()));
    assert_eq!(total["speeds"][0]["download_bytes"], 1_169_624_951);
    let headneck = find("headneck");
    assert_eq!((&headneck["embedded"], &headneck["installed"]), (&true.into(), &true.into()));
}

#[test]
fn the_table_of_tasks_fits_a_terminal() {
    let ran = check(&["tasks"], 0, "pulmonary_artery_landmarks", &[]);
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    check(&["segment", "-lt"], 0, "total_mr", &[]);
    check(&["segment", "-lc", "body"], 0, "  1  body_trunc", &[]);
    check(&["tasks", "show", "headneck"], 0, "mandible", &[]);
}

#[test]
fn an_imported_model_is_listed_becomes_a_task_and_goes() {
    let home = tempfile::tempdir().unwrap();
    let folder = reference("golden/weights/Dataset300_body_6mm_1559subj");
    let run = |arguments: &[&str]| {
        let ran = program::run(home.path(), arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran.stdout
    };
    assert_eq!(run(&["models", "import", &folder, "--name", "trunk", "--licence", "MIT"]), "trunk\n");
    let models: Vec<Value> = serde_json::from_str(&run(&["models", "list", "--json"])).unwrap();
    let trunk = models.iter().find(|model| model["id"] == "trunk").unwrap();
    assert_eq!(
        (&trunk["licence"], &trunk["dataset"]),
        (&"MIT".into(), &"Dataset300_body_6mm_1559subj".into())
    );
    assert_eq!(trunk["sha256"].as_str().unwrap().len(), 64);
    let tasks: Vec<Value> = serde_json::from_str(&run(&["tasks", "--json"])).unwrap();
    let task = tasks.iter().find(|task| task["id"] == "trunk").unwrap();
    assert_eq!((&task["installed"], &task["segments"][0]["name"]), (&true.into(), &"body_trunc".into()));
    run(&["models", "verify", "trunk"]);

    let file = home.path().join("models/trunk.vesalius");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(program::run(home.path(), &["models", "verify", "trunk"]).code, Some(1));
    run(&["models", "remove", "trunk"]);
    assert!(!run(&["models", "list"]).contains("trunk"));
}

#[test]
fn a_promptable_network_is_imported_once_its_licence_is_accepted_and_is_no_task() {
    let home = tempfile::tempdir().unwrap();
    let folder = reference("promptable/model");
    let import = ["models", "import", &folder, "--name", "clicks"];
    let refused = program::run(home.path(), &import);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    for sentence in ["under the licence `Apache-2.0`, which was not accepted", "`--accept-licence`"] {
        assert!(refused.stderr.contains(sentence), "{refused:?}");
    }
    assert!(!home.path().join("models").exists());
    // What the folder states counts.
    let accepted = [&import[..], &["--licence", "MIT", "--accept-licence"]].concat();
    let ran = program::run(home.path(), &accepted);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "clicks\n"), "{ran:?}");
    let listed = program::run(home.path(), &["models", "list"]).stdout;
    assert!(listed.lines().any(|line| line.contains("clicks") && line.contains("takes prompts")), "{listed}");
    let listed = program::run(home.path(), &["models", "list", "--json"]).stdout;
    let models: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let model = models.iter().find(|model| model["id"] == "clicks").unwrap();
    assert_eq!((&model["licence"], &model["promptable"]), (&"Apache-2.0".into(), &true.into()));
    assert!(!program::run(home.path(), &["tasks"]).stdout.contains("clicks"));
}

#[test]
fn settings_that_make_no_sense_are_told() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "mirrors = 3").unwrap();
    let ran = program::run(home.path(), &["tasks"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("config.toml") && ran.stderr.contains("mirrors"), "{ran:?}");
}

/// A closed pipe is not a failure: `vesalius tasks | head -1`.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = program::command(home.path()).args(["tasks", "--json"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn doctor_says_what_is_there() {
    let home = tempfile::tempdir().unwrap();
    let ran = program::run(home.path(), &["doctor", "--json"]);
    let findings: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, Some(if findings["ready"] == true { 0 } else { 1 }), "{ran:?}");
    for name in ["home", "runtime", "processor", "memory", "disk", "models", "total"] {
        let check =
            findings["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
        let needs_mending = check["state"] != "ok";
        assert_eq!(check["mend"].is_string(), needs_mending, "{check}");
    }
}

/// A file of `tests/reference`.
pub fn reference(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(path).to_str().unwrap().to_owned()
}
