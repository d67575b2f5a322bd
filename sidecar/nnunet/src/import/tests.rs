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

#[test]
fn a_promptable_network_is_read_once_its_licence_is_accepted() {
    let folder = reference().join("promptable/model");
    let refused = read(&folder, Folds::Found).unwrap_err();
    let sentence = "the weights are under the licence `Apache-2.0`, which was not accepted";
    assert_eq!(refused.to_string(), sentence);
    let accepted = ImportOptions { licence_accepted: true, ..ImportOptions::default() };
    let model = import(&folder, &accepted, &Progress::silent()).unwrap();
    assert_eq!(model.source.licence.as_deref(), Some("Apache-2.0"));
    let names = ["CT", "previous", "lasso +", "lasso -", "point +", "point -", "scribble +", "scribble -"];
    assert_eq!(model.plan.channels, names);
    assert_eq!((model.plan.patch_size, model.plan.outputs.channels()), ([32; 3], 2));
    let interactions = model.plan.interactions.as_ref().unwrap();
    assert_eq!((interactions.channels, interactions.scribble, interactions.decay), (7, Some([5, 6]), 0.9));
    // What it is stays with it in our own file.
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("model.vesalius");
    crate::save(&model, &file, crate::Precision::Exact).unwrap();
    assert_eq!(crate::load(&file).unwrap(), model);
}

#[test]
fn a_promptable_network_has_one_fold_and_one_image() {
    let original = reference().join("promptable/model");
    let place = tempfile::tempdir().unwrap();
    let copy = |name: &str, to: &str| {
        std::fs::create_dir_all(place.path().join(to).parent().unwrap()).unwrap();
        std::fs::copy(original.join(name), place.path().join(to)).unwrap();
    };
    let check = |sentence: &str| {
        let options = ImportOptions { licence_accepted: true, ..ImportOptions::default() };
        let error = import(place.path(), &options, &Progress::silent()).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error}");
    };
    for name in ["plans.json", "dataset.json", "inference_info.json"] {
        copy(name, name);
    }
    check("has no fold with `checkpoint_final.pth`");
    for fold in ["fold_0", "fold_1"] {
        copy("fold_0/checkpoint_final.pth", &format!("{fold}/checkpoint_final.pth"));
    }
    check("a promptable network of folds `fold_0, fold_1` is not supported, only one fold");
    std::fs::remove_dir_all(place.path().join("fold_1")).unwrap();
    let dataset = std::fs::read_to_string(original.join("dataset.json")).unwrap();
    let two = dataset.replace("\"0\": \"CT\"", "\"0\": \"CT\", \"1\": \"PET\"");
    assert_ne!(two, dataset);
    std::fs::write(place.path().join("dataset.json"), two).unwrap();
    check("number of image channels `2` is not supported, only one");
    // As in folders of data with thousands of objects, whose labels mean nothing here.
    let many = dataset.replace("\"object\": 1", "\"object\": 1, \"another\": 5000");
    std::fs::write(place.path().join("dataset.json"), many).unwrap();
    // The pickle names the configuration; without `LICENSE` nobody knows the licence.
    let options = ImportOptions::default();
    let error = import(place.path(), &options, &Progress::silent()).unwrap_err().to_string();
    assert!(error.contains("under the licence `unknown`"), "{error}");
}
