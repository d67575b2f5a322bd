//! `vesalius train` and `vesalius experiment`, as far as they go without PyTorch: refusals, jobs, going on, stopping.
//! The training itself is `tests/training/run`, which installs nnU-Net.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::program;

/// A data set of three cases; nobody looks into the images before nnU-Net does.
fn dataset(folder: &Path) -> String {
    let dataset = folder.join("raw/Dataset501_Stroke");
    for part in ["imagesTr", "labelsTr"] {
        std::fs::create_dir_all(dataset.join(part)).unwrap();
    }
    for case in ["a", "b", "c"] {
        for file in [
            format!("imagesTr/{case}_0000.nii.gz"),
            format!("imagesTr/{case}_0001.nii.gz"),
            format!("labelsTr/{case}.nii.gz"),
        ] {
            std::fs::write(dataset.join(&file), &file).unwrap();
        }
    }
    let about = json!({
        "channel_names": { "0": "DWI", "1": "ADC" }, "labels": { "background": 0, "lesion": 1 },
        "numTraining": 3, "file_ending": ".nii.gz",
    });
    std::fs::write(dataset.join("dataset.json"), about.to_string()).unwrap();
    let splits = json!([{ "train": ["a", "b"], "val": ["c"] }]);
    std::fs::write(dataset.join("splits_final.json"), splits.to_string()).unwrap();
    dataset.display().to_string()
}

#[test]
fn what_is_missing_is_told_with_the_way_out() {
    let home = tempfile::tempdir().unwrap();
    let dataset = dataset(home.path());
    let train = |more: &[&str]| {
        program::run(home.path(), &[&["train", "--dataset", &dataset, "--name", "mine"], more].concat())
    };
    let ran = train(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("hint: run `vesalius train setup`"), "{}", ran.stderr);
    let ran = train(&["--python", "/nowhere/python"]);
    assert!(ran.stderr.contains("`/nowhere/python` cannot be started"), "{}", ran.stderr);
    let ran = train(&["--python", "true"]);
    assert!(ran.stderr.contains("`true` has no nnU-Net: it said nothing"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: `pip install nnunetv2==2.8.1` there"), "{}", ran.stderr);
    let ran = program::run(home.path(), &["train", "--dataset", "raw", "--name", "mine"]);
    assert_eq!(ran.code, Some(1));
    let raw = home.path().join("raw").display().to_string();
    let ran = program::run(home.path(), &["train", "--dataset", &raw, "--name", "mine"]);
    assert!(ran.stderr.contains("`raw` is no name of a data set"), "{}", ran.stderr);
    let ran = program::run(home.path(), &["train"]);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn the_environment_is_locked_by_hashes() {
    let home = tempfile::tempdir().unwrap();
    let ran = program::run(home.path(), &["train", "setup", "--print-requirements"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("nnunetv2==2.8.1") && ran.stdout.contains("--hash=sha256:"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_wrong_number_of_images_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let ct = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/head_neck_ct.nii.gz");
    let (ct, out) = (ct.display().to_string(), home.path().join("seg").display().to_string());
    let segment = ["segment", "-i", &ct, "-o", &out, "--task", "headneck", "--device", "cpu"];
    let ran = program::run(home.path(), &[&segment[..], &["--channel", &ct]].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("task `headneck` takes one image, and 2 are given"), "{}", ran.stderr);
    for (point, message) in [
        ("sensitive", "the model of `headneck` has no operating point `sensitive`"),
        ("1.5", "1.5 is no probability to decide at"),
    ] {
        let ran = program::run(home.path(), &[&segment[..], &["--operating-point", point]].concat());
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
    assert!(!Path::new(&out).exists());
}

/// A program in Python's place: it says that nnU-Net is there, and then does what `body` says.
#[cfg(unix)]
fn stand_in(folder: &Path, body: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("python");
    let versions = "[ \"$1\" = -c ] && { echo 3.11; echo 2.8.1; echo 2.15.0; exit 0; }";
    std::fs::write(&path, format!("#!/bin/sh\n{versions}\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[cfg(unix)]
#[test]
fn a_training_that_stops_keeps_its_log_and_curve_and_is_not_mixed_with_another() {
    let home = tempfile::tempdir().unwrap();
    let dataset = dataset(home.path());
    let said = "cat <<'END'\n@{\"stage\": \"training\", \"epochs\": 2}\nEpoch 0\nstep 10 of 10\n\
        2026-11-23 14:05:51.440150: train_loss 1.2082\n2026-11-23 14:05:51.446408: val_loss 0.9254\n\
        2026-11-23 14:05:51.446575: Pseudo dice [np.float32(0.041)]\n2026-11-23 14:05:51.446656: Epoch time: 8.67 s\n\
        MemoryError: no room\nEND\nexit 1";
    let python = stand_in(home.path(), said);
    let train = |seed: &str| {
        let line =
            ["train", "--dataset", &dataset, "--name", "mine", "--preset", "smoke", "--python", &python];
        program::run(home.path(), &[&line[..], &["--seed", seed]].concat())
    };
    let ran = train("1");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("MemoryError: no room"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the same command goes on from the last checkpoint"), "{}", ran.stderr);
    let run = home.path().join("training/runs/mine");
    let job: Value = serde_json::from_slice(&std::fs::read(run.join("job.json")).unwrap()).unwrap();
    assert_eq!((job["seed"].as_u64(), job["settings"]["epochs"].as_u64()), (Some(1), Some(2)));
    assert!(job["parity_case"][1].as_str().unwrap().ends_with("imagesTr/c_0001.nii.gz"), "{job}");
    assert!(std::fs::read_to_string(run.join("curve.html")).unwrap().contains("1.2082"));
    assert!(std::fs::read_to_string(run.join("log.txt")).unwrap().contains("Epoch time: 8.67 s"));
    let ran = train("2");
    assert!(ran.stderr.contains("seed: 2 here, 1 there"), "{}", ran.stderr);
    // What was trained on is no longer what is there.
    std::fs::write(Path::new(&dataset).join("labelsTr/a.nii.gz"), "changed").unwrap();
    let ran = train("1");
    assert!(ran.stderr.contains("dataset_sha256"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn control_c_ends_nnunet_and_its_workers() {
    let home = tempfile::tempdir().unwrap();
    let dataset = dataset(home.path());
    let worker = home.path().join("worker.pid");
    let body =
        format!("sleep 300 & echo $! > '{}'\necho '@{{\"stage\": \"training\"}}'\nwait", worker.display());
    let python = stand_in(home.path(), &body);
    let line = ["train", "--dataset", &dataset, "--name", "mine", "--preset", "smoke", "--python", &python];
    let mut child =
        program::command(home.path()).args(line).stderr(std::process::Stdio::null()).spawn().unwrap();
    let began = std::time::Instant::now();
    let worker: PathBuf = loop {
        match std::fs::read_to_string(&worker) {
            Ok(pid) if pid.ends_with('\n') => break Path::new("/proc").join(pid.trim()),
            _ => assert!(began.elapsed().as_secs() < 120, "the worker never began"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let state = std::fs::read_to_string(worker.join("stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "the worker lives: {state}");
}

#[cfg(unix)]
#[test]
fn one_line_of_an_experiment_is_one_job_of_a_cluster() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let experiment =
        ["experiment", "four-databases", "study.csv", "-o", "a folder", "-n", "4", "-m", "12", "--dry-run"];
    let ran =
        program::run(home.path(), &[&experiment[..], &["--", "--preset", "default", "-d", "cuda"]].concat());
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 16), "{}", ran.stderr);
    let lines = home.path().join("lines");
    std::fs::write(&lines, &ran.stdout).unwrap();
    let program = home.path().join("vesalius");
    std::fs::write(&program, "#!/bin/sh\nprintf '%s|' \"$@\"\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/train_array.sh");
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let job = |index: &str| {
        let mut bash = Command::new("bash");
        bash.arg(&script).arg(&lines).env("PATH", &path).env("SLURM_ARRAY_TASK_ID", index);
        program::ran(bash.output().unwrap())
    };
    let (first, last) = (job("1"), job("12"));
    assert!(first.stdout.contains("train|--dataset|a folder/raw/Dataset501_StrokeC|"), "{first:?}");
    assert!(first.stdout.ends_with("--preset|default|-d|cuda|"), "{first:?}");
    assert!(last.stdout.contains("--name|CS12_seed3|"), "{last:?}");
    assert_eq!(job("13").code, Some(2));
}
