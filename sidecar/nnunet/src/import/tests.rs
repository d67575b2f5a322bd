//! Finding models in folders.

use super::*;
use crate::testing::{reference, residual_folder};

fn read(path: &Path, folds: Folds) -> Result<Model> {
    import(path, &ImportOptions { folds, ..ImportOptions::default() }, &Progress::silent())
}

fn golden(name: &str) -> PathBuf {
    reference().join("golden/weights").join(name)
}

#[test]
fn a_model_is_found_from_its_own_folder_and_from_those_above() {
    let trainer = golden("Dataset315_thoraxCT/nnUNetTrainer__nnUNetPlans__3d_fullres");
    let model = read(&trainer, Folds::Found).unwrap();
    assert_eq!(model, read(&golden("Dataset315_thoraxCT"), Folds::Found).unwrap());
    assert_eq!(model.plan.dataset, "Dataset315_thoraxCT");
    assert_eq!(
        (model.plan.configuration.as_str(), model.plan.trainer.as_str()),
        ("3d_fullres", "nnUNetTrainer")
    );
    assert_eq!(model.source.name, "Dataset315_thoraxCT/nnUNetTrainer__nnUNetPlans__3d_fullres");
    let names: Vec<&str> = model.folds.iter().map(|fold| fold.name.as_str()).collect();
    assert_eq!(names, ["fold_0", "fold_1"]);
    let files: Vec<&str> = model.source.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        files,
        ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth", "fold_1/checkpoint_final.pth"]
    );
    assert_eq!(model.source.files[2].bytes, 1_890_989);
    assert_ne!(model.folds[0].weights, model.folds[1].weights);
}

#[test]
fn several_models_are_listed_not_guessed() {
    let Err(Error::SeveralModels { choices, .. }) = read(&reference().join("golden"), Folds::Found) else {
        panic!("expected a list");
    };
    assert_eq!(choices.len(), 11);
    assert!(choices[0].starts_with("weights/Dataset260_hip_implant_71subj"));
}

#[test]
fn folds_can_be_chosen() {
    let two = golden("Dataset315_thoraxCT");
    let named = |names: &[&str]| Folds::Named(names.iter().map(|name| (*name).to_owned()).collect());
    let one = read(&two, named(&["1"])).unwrap();
    assert_eq!((one.folds.len(), one.folds[0].name.as_str()), (1, "fold_1"));
    let missing = read(&two, named(&["0", "7"])).unwrap_err();
    assert!(
        missing.to_string().contains("no fold_7 with `checkpoint_final.pth`; folds found: fold_0, fold_1")
    );
    assert!(matches!(read(&two, named(&[])), Err(Error::NoFold { .. })));
    // Where there is only `fold_all`, it is taken.
    assert_eq!(read(&residual_folder(), Folds::Found).unwrap().folds[0].name, "fold_all");
    let options = ImportOptions { checkpoint: "checkpoint_best.pth".into(), ..ImportOptions::default() };
    assert!(matches!(import(&two, &options, &Progress::silent()), Err(Error::NoFold { .. })));
}

#[test]
fn a_renamed_folder_asks_the_checkpoint() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("my model");
    fs::create_dir_all(folder.join("fold_all")).unwrap();
    for name in ["plans.json", "dataset.json", "fold_all/checkpoint_final.pth"] {
        fs::copy(residual_folder().join(name), folder.join(name)).unwrap();
    }
    let model = read(&folder, Folds::Found).unwrap();
    assert_eq!((model.plan.configuration.as_str(), model.plan.trainer.as_str()), ("3d_fullres", "MyTrainer"));
    assert_eq!(model.source.name, "my model");
    assert_eq!(model.source.skipped, ["pathlib.PosixPath"]);
}

#[test]
fn empty_and_absent_places_are_named() {
    let home = tempfile::tempdir().unwrap();
    assert!(matches!(read(home.path(), Folds::Found), Err(Error::NoModel { .. })));
    assert!(matches!(read(&home.path().join("nowhere"), Folds::Found), Err(Error::Read { .. })));
}

#[test]
fn hashing_can_be_cancelled() {
    let progress = Progress::silent();
    progress.cancel();
    let cancelled = import(&residual_folder(), &ImportOptions::default(), &progress);
    assert!(matches!(cancelled, Err(Error::Cancelled)));
}
