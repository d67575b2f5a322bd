//! Our own file: what is written is read, and nothing else is.

use proptest::prelude::*;

use super::*;
use crate::testing::{model, reference, regions_folder, residual_folder};

fn written(model: &Model, precision: Precision) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(model, precision, &mut bytes, Path::new("model.vesalius")).unwrap();
    bytes
}

#[test]
fn every_model_comes_back_as_it_was() {
    for folder in
        [residual_folder(), regions_folder(), reference().join("golden/weights/Dataset315_thoraxCT")]
    {
        let model = model(&folder);
        let bytes = written(&model, Precision::Exact);
        assert_eq!(load_bytes(&bytes).unwrap(), model);
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model.vesalius");
        save(&model, &path, Precision::Exact).unwrap();
        assert_eq!(load(&path).unwrap(), model);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        let header = describe(&path).unwrap();
        assert_eq!((&header.plan, &header.source), (&model.plan, &model.source));
        assert!(header.folds().eq(model.folds.iter().map(|fold| fold.name.as_str())));
        // Only the model is in the folder, no half-written file.
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }
}

#[test]
fn half_precision_is_taken_where_it_is_exact_or_asked_for() {
    // Saved by PyTorch in f16: nothing is lost, so that is how we keep it.
    let regions = model(&regions_folder());
    assert_eq!(written(&regions, Precision::Exact), written(&regions, Precision::Half));
    let mut trained =
        model(&reference().join("golden/weights/Dataset298_TotalSegmentator_total_6mm_1559subj"));
    let count: usize = trained.folds[0].weights.values().map(|tensor| tensor.values.len()).sum();
    let (exact, half) = (written(&trained, Precision::Exact), written(&trained, Precision::Half));
    assert!(exact.len() > 4 * count && half.len() > 2 * count && half.len() < 2 * count + 30_000);
    let rounded = load_bytes(&half).unwrap();
    for (name, tensor) in &trained.folds[0].weights {
        for (value, rounded) in tensor.values.iter().zip(&rounded.folds[0].weights[name].values) {
            assert!((value - rounded).abs() <= value.abs() / 2048.0 + 6e-8);
        }
    }
    // Beyond the largest f16 the tensor stays f32.
    let name = "decoder.seg_layers.1.bias";
    trained.folds[0].weights.get_mut(name).unwrap().values[0] = 1e6;
    let kept = load_bytes(&written(&trained, Precision::Half)).unwrap();
    assert_eq!(kept.folds[0].weights[name], trained.folds[0].weights[name]);
}

#[test]
fn any_changed_byte_is_found() {
    let bytes = written(&model(&residual_folder()), Precision::Exact);
    for place in (0..bytes.len()).step_by(37).chain([bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        assert!(load_bytes(&changed).is_err(), "{place}");
    }
    for length in (0..bytes.len()).step_by(101) {
        assert!(load_bytes(&bytes[..length]).is_err(), "{length}");
    }
    assert!(load_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

/// The file with another header, whose hash is right.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[8..16].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[48..48 + length]).unwrap();
    change(&mut header);
    let json = serde_json::to_vec(&header).unwrap();
    let data = &bytes[48 + length + padding((48 + length) as u64)..];
    let mut file = [&MAGIC[..], &(json.len() as u64).to_le_bytes(), &Sha256::digest(&json), &json].concat();
    file.resize(file.len() + padding(file.len() as u64), 0);
    [file, data.to_vec()].concat()
}

#[test]
fn headers_that_lie_are_refused() {
    let bytes = written(&model(&residual_folder()), Precision::Exact);
    assert!(load_bytes(&with_header(&bytes, |_| ())).is_ok());
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, &str); 9] = [
        (|header| header["format"] = 2.into(), "format version"),
        (|header| header["more"] = 2.into(), "not valid JSON"),
        (|header| header["folds"] = serde_json::json!([]), "no fold"),
        (|header| header["folds"][0]["tensors"][3]["offset"] = 0.into(), "not where and what"),
        (
            |header| header["folds"][0]["tensors"][3]["shape"] = serde_json::json!([1u64 << 60]),
            "not where and what",
        ),
        (|header| header["folds"][0]["tensors"][0]["name"] = "x".into(), "not where and what"),
        (|header| drop(header["folds"][0]["tensors"].as_array_mut().unwrap().pop()), "other tensors"),
        (|header| header["folds"][0]["sha256"] = "00".into(), "is damaged"),
        (|header| header["plan"]["architecture"]["features"][0] = 1_000_000.into(), "1 to 4096"),
    ];
    for (change, message) in changes {
        let error = load_bytes(&with_header(&bytes, change)).unwrap_err();
        assert!(error.to_string().contains(message), "{message}: {error}");
    }
    // A header that promises a network of 60 GB costs no more than the file.
    let huge = with_header(&bytes, |header| {
        header["plan"]["architecture"]["features"] = serde_json::json!([4096, 4096, 4096]);
    });
    assert!(load_bytes(&huge).is_err());
    let long = [&MAGIC[..], &u64::MAX.to_le_bytes(), &[0; 64]].concat();
    assert!(matches!(load_bytes(&long), Err(Error::TooLarge { .. })));
}

#[test]
fn weights_that_are_not_the_plans_are_not_written() {
    let mut model = model(&residual_folder());
    let tensor = Tensor { shape: vec![1], values: vec![0.0] };
    model.folds[0].weights.insert("stranger".into(), tensor);
    let write = |model: &Model| write(model, Precision::Exact, &mut Vec::new(), Path::new("x")).unwrap_err();
    assert!(matches!(write(&model), Error::UnexpectedWeight { .. }));
    model.folds[0].weights.clear();
    assert!(matches!(write(&model), Error::MissingWeight { .. }));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(load_bytes(&bytes).is_err());
        prop_assert!(load_bytes(&[&MAGIC[..], &bytes].concat()).is_err());
    }
}
