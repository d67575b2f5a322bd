//! Real checkpoints against PyTorch's own reading of them, and archives that lie.

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::native::hexadecimal;
use crate::testing::{Item, Lie, honest, items, json, model, reference, residual_folder, zipped};
use crate::value::Storage;

const FILE: &str = "fold_all/checkpoint_final.pth";

fn digest(weights: &Weights) -> String {
    let mut hash = Sha256::new();
    for (name, tensor) in weights {
        hash.update(format!("{name} {:?}\n", tensor.shape));
        hash.update(tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    }
    hexadecimal(&hash.finalize())
}

#[test]
fn every_weight_is_the_one_that_pytorch_reads() {
    let truth = json("nnunet/weights.json");
    let mut compared = 0;
    for root in ["golden/weights", "nnunet/variants"] {
        for folder in std::fs::read_dir(reference().join(root)).unwrap() {
            let folder = folder.unwrap().path();
            let model = model(&folder);
            for fold in &model.folds {
                let key = format!("{}/{}", folder.file_name().unwrap().to_str().unwrap(), fold.name);
                assert_eq!(truth[&key]["count"], fold.weights.len(), "{key}");
                assert_eq!(truth[&key]["sha256"], digest(&fold.weights), "{key}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, truth.as_object().unwrap().len());
}

static PLAN: LazyLock<Plan> = LazyLock::new(|| model(&residual_folder()).plan);

fn read(bytes: Vec<u8>) -> Result<Weights> {
    Checkpoint::new(Cursor::new(bytes), Path::new("checkpoint.pth"))?.weights(&PLAN, &Progress::silent())
}

#[track_caller]
fn check_refused(items: &[Item], lie: Lie, message: &str) {
    let error = read(zipped(items, lie)).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
}

fn honest_items() -> Vec<Item> {
    items(&residual_folder().join(FILE))
}

/// The items after a change to the one whose name ends as given.
fn changed(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Item> {
    let mut items = honest_items();
    let item = items.iter_mut().find(|item| item.name.ends_with(name)).unwrap();
    change(&mut item.bytes);
    items
}

fn with(name: &str, bytes: &[u8]) -> Vec<Item> {
    let mut items = honest_items();
    items.push(Item { name: name.into(), bytes: bytes.to_vec() });
    items
}

#[test]
fn an_honest_copy_is_read() {
    let expected = &model(&residual_folder()).folds[0].weights;
    assert_eq!(read(zipped(&honest_items(), honest)).unwrap(), *expected);
}

#[test]
fn entries_that_pytorch_does_not_write_are_refused() {
    check_refused(&with("checkpoint/data/7", b"again"), honest, "twice");
    check_refused(&with("checkpoint/../evil", b""), honest, "none that PyTorch writes");
    check_refused(&with("checkpoint/data/../7", b""), honest, "none that PyTorch writes");
    check_refused(&with("checkpoint/data/07", b""), honest, "none that PyTorch writes");
    check_refused(&with("checkpoint/code/model.py", b""), honest, "none that PyTorch writes");
    check_refused(&with("/data/9999", b""), honest, "another folder");
    check_refused(&with("evil", b""), honest, "no folder");
}

#[test]
fn headers_that_lie_are_refused() {
    let items = honest_items();
    let only = |name: &str| name.ends_with("data/3");
    assert!(items.iter().any(|item| only(&item.name)));
    let cases: [(Lie, &str); 11] = [
        (
            |name, local, _| {
                if name.ends_with("data/3") {
                    local[30] = b'X'
                }
            },
            "differently",
        ),
        (
            |name, local, _| {
                if name.ends_with("data/3") {
                    local[22] ^= 1
                }
            },
            "differently",
        ),
        (
            |name, local, _| {
                if name.ends_with("data/3") {
                    local[8] = 8
                }
            },
            "differently",
        ),
        // Bit 3 without the record that it promises.
        (
            |name, local, record| {
                if name.ends_with("data/3") {
                    local[6] = 8;
                    record[8] = 8;
                    local[14..26].fill(0)
                }
            },
            "differently",
        ),
        (
            |name, _, record| {
                if name.ends_with("data/3") {
                    record[10] = 8
                }
            },
            "compressed",
        ),
        (
            |name, local, record| {
                if name.ends_with("data/3") {
                    local[6] = 1;
                    record[8] = 1
                }
            },
            "encrypted",
        ),
        (
            |name, _, record| {
                if name.ends_with("data/3") {
                    record[41] = 0xa1
                }
            },
            "link",
        ),
        (
            |name, _, record| {
                if name.ends_with("data/3") {
                    record[20..28].fill(0xff)
                }
            },
            "64-bit",
        ),
        (
            |name, _, record| {
                if name.ends_with("data/3") {
                    record[42..46].fill(0x7f)
                }
            },
            "outside the file",
        ),
        (
            |name, _, record| {
                if name.ends_with("data/3") {
                    record[34] = 1
                }
            },
            "another disk",
        ),
        (|_, _, record| record[42..46].fill(0), "described differently"),
    ];
    for (lie, message) in cases {
        check_refused(&items, lie, message);
    }
}

#[test]
fn entries_that_share_bytes_are_refused() {
    // The data of the first entry holds a whole second one, which the directory points to.
    let inner = zipped(&[Item { name: "c/data/1".into(), bytes: vec![1; 64] }], honest);
    let inner = &inner[..30 + 8 + 64];
    let items = [
        Item { name: "c/data/0".into(), bytes: inner.to_vec() },
        Item { name: "c/data/1".into(), bytes: vec![1; 64] },
    ];
    let lie: Lie = |name, _, record| {
        if name == "c/data/1" {
            record[42..46].copy_from_slice(&38u32.to_le_bytes());
        }
    };
    let bytes = zipped(&items, lie);
    let error = archive::read(&mut Cursor::new(bytes), Path::new("x")).unwrap_err();
    assert!(error.to_string().contains("shares bytes"), "{error}");
}

#[test]
fn directories_that_lie_are_refused() {
    let honest = zipped(&honest_items(), honest);
    let end = honest.len() - 22;
    let cases: [(usize, u8, &str); 7] = [
        (end, b'X', "last bytes"),
        (end + 4, 1, "several disks"),
        (end + 8, 0xff, "several disks"),
        (end + 12, 0xff, "does not end where"),
        (end + 16, 0xff, "does not end where"),
        (end + 20, 1, "last bytes"),
        (0, b'Q', "begin with an entry"),
    ];
    for (place, byte, message) in cases {
        let mut bytes = honest.clone();
        bytes[place] = byte;
        let error = read(bytes).unwrap_err();
        assert!(error.to_string().contains(message), "{place}: {error}");
    }
    for length in [0, 4, 21, 22, 100, honest.len() / 2, honest.len() - 1] {
        assert!(read(honest[..length].to_vec()).is_err(), "{length}");
    }
    assert!(matches!(read([b"\x80\x02\x8a\x0a", &[0; 40][..]].concat()), Err(Error::LegacyCheckpoint)));
    assert!(read([&honest[..], b"more"].concat()).is_err());
}

/// A 64-bit end record in front of the short one.
fn widened(mut bytes: Vec<u8>, lie: impl Fn(&mut [u8; 76])) -> Vec<u8> {
    let short = bytes.split_off(bytes.len() - 22);
    let place = bytes.len() as u64;
    let mut wide = [0; 76];
    wide[..12].copy_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0");
    wide[24..26].copy_from_slice(&short[8..10]);
    wide[32..34].copy_from_slice(&short[8..10]);
    wide[40..44].copy_from_slice(&short[12..16]);
    wide[48..52].copy_from_slice(&short[16..20]);
    wide[56..60].copy_from_slice(b"PK\x06\x07");
    wide[64..72].copy_from_slice(&place.to_le_bytes());
    wide[72] = 1;
    lie(&mut wide);
    [bytes, wide.to_vec(), short].concat()
}

#[test]
fn the_64_bit_end_record_must_agree() {
    let honest = zipped(&honest_items(), honest);
    assert!(read(widened(honest.clone(), |_| ())).is_ok());
    for place in [0, 4, 16, 20, 24, 32, 40, 48, 60, 64] {
        let bytes = widened(honest.clone(), |wide| wide[place] ^= 0x55);
        assert!(read(bytes).is_err(), "{place}");
    }
    let huge = widened(honest, |wide| wide[24..56].fill(0xff));
    assert!(read(huge).is_err());
}

#[test]
fn storages_must_be_what_the_pickle_says() {
    check_refused(&changed("data/3", |bytes| bytes.truncate(2)), honest, "another length");
    check_refused(&changed("data/3", |bytes| bytes.extend([0; 8])), honest, "another length");
    // bf16: the upper half of f32, so this is an infinity.
    check_refused(
        &changed("data/0", |bytes| bytes[..2].copy_from_slice(&[0x80, 0x7f])),
        honest,
        "not finite",
    );
    check_refused(
        &changed("data/0", |bytes| bytes[..2].copy_from_slice(&[0xc0, 0x7f])),
        honest,
        "not finite",
    );
    check_refused(&changed("byteorder", |bytes| *bytes = b"big".to_vec()), honest, "not `little`");
    let mut fewer = honest_items();
    fewer.retain(|item| !item.name.ends_with("data/3"));
    check_refused(&fewer, honest, "missing from the archive");
    fewer.retain(|item| !item.name.ends_with("data.pkl"));
    check_refused(&fewer, honest, "missing from the archive");
    let mut damaged = zipped(&honest_items(), honest);
    damaged[200] ^= 1;
    assert!(read(damaged).is_err());
    let flipped: Lie = |name, local, record| {
        if name.ends_with("data/3") {
            local[14] ^= 1;
            record[16] ^= 1;
        }
    };
    check_refused(&honest_items(), flipped, "checksum");
}

#[test]
fn a_checkpoint_that_runs_a_command_is_refused() {
    let attack = b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.";
    check_refused(&changed("data.pkl", |bytes| *bytes = attack.to_vec()), honest, "made to run code");
    let empty = b"\x80\x02}X\x0f\0\0\0network_weights}s.";
    check_refused(&changed("data.pkl", |bytes| *bytes = empty.to_vec()), honest, "is missing");
    let opaque = b"\x80\x02}X\x0f\0\0\0network_weights}X\x01\0\0\0aNss.";
    check_refused(&changed("data.pkl", |bytes| *bytes = opaque.to_vec()), honest, "not a tensor");
    let tensor: &[u8] =
        b"X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
        X\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\x00K\x01\x85K\x01\x85tR";
    let twice = [b"\x80\x02}X\x0f\0\0\0network_weights}(", tensor, tensor, b"us."].concat();
    check_refused(&changed("data.pkl", |bytes| *bytes = twice), honest, "is there twice");
    check_refused(
        &changed("data.pkl", |bytes| *bytes = b"\x80\x02}.".to_vec()),
        honest,
        "no `network_weights`",
    );
}

#[test]
fn plan_and_checkpoint_must_be_of_one_training() {
    let read = |change: fn(&mut Plan)| {
        let mut plan = PLAN.clone();
        change(&mut plan);
        Checkpoint::open(&residual_folder().join(FILE))
            .unwrap()
            .weights(&plan, &Progress::silent())
            .unwrap_err()
    };
    assert!(matches!(read(|plan| plan.architecture.features[1] = 5), Error::Shape { .. }));
    assert!(matches!(read(|plan| plan.architecture.encoder[1] = 3), Error::MissingWeight { .. }));
    assert!(matches!(read(|plan| plan.architecture.encoder[1] = 1), Error::UnexpectedWeight { .. }));
    assert!(matches!(read(|plan| plan.architecture.convolution_bias = true), Error::MissingWeight { .. }));
}

#[test]
fn views_must_lie_in_their_storage() {
    let view = |count: u64, offset: u64, shape: &[u64], strides: &[u64]| View {
        storage: Storage { scalar: Scalar::F32, key: 0, count },
        offset,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
    };
    let max = u64::MAX;
    for (view, valid) in [
        (view(6, 0, &[2, 3], &[3, 1]), true),
        (view(6, 0, &[2, 3], &[1, 2]), true),
        (view(1, 0, &[], &[]), true),
        (view(8, 2, &[2, 3], &[3, 1]), true),
        (view(8, 3, &[2, 3], &[3, 1]), false),
        (view(6, 0, &[2, 3], &[3, 2]), false),
        (view(6, 0, &[2, 3], &[0, 0]), false),
        (view(6, 0, &[6], &[0]), false),
        (view(1, 0, &[1_000_000], &[0]), false),
        (view(6, 0, &[0], &[1]), false),
        (view(max, 0, &[max, max], &[1, 1]), false),
        (view(max, max, &[2], &[1]), false),
        (view(max, 0, &[2], &[max]), false),
        (view(max, 1, &[2], &[max]), false),
        (view(0, 0, &[], &[]), false),
    ] {
        assert_eq!(checked("w", &view).is_ok(), valid, "{view:?}");
    }
}

#[test]
fn a_transposed_view_is_read_in_c_order() {
    let storage = Storage { scalar: Scalar::F32, key: 0, count: 6 };
    let view = View { storage, offset: 0, shape: vec![2, 3], strides: vec![1, 2] };
    assert!(!checked("w", &view).unwrap().contiguous);
    assert_eq!(gathered(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &view), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
}

#[test]
fn names_lose_their_wrappers_and_aliases() {
    for (name, expected) in [
        ("module._orig_mod.encoder.stem.convs.0.all_modules.0.weight", "encoder.stem.convs.0.conv.weight"),
        ("decoder.encoder.stages.0.0.convs.1.all_modules.1.bias", "encoder.stages.0.0.convs.1.norm.bias"),
        ("decoder.stages.0.convs.1.all_modules.2.bias", "decoder.stages.0.convs.1.norm.bias"),
        ("decoder.seg_layers.3.bias", "decoder.seg_layers.3.bias"),
    ] {
        assert_eq!(canonical(name), expected);
    }
}

#[test]
fn cancelling_stops() {
    let progress = Progress::silent();
    progress.cancel();
    let mut checkpoint = Checkpoint::open(&residual_folder().join(FILE)).unwrap();
    assert!(matches!(checkpoint.weights(&PLAN, &progress), Err(Error::Cancelled)));
}

proptest! {
    #[test]
    fn mutated_archives_never_panic(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), at_end in any::<bool>()) {
        let mut bytes = std::fs::read(residual_folder().join(FILE)).unwrap();
        let length = bytes.len();
        for (place, byte) in places {
            // Half of the time where the directory is.
            let place = if at_end { length - 1 - place.index(length / 4) } else { place.index(length) };
            bytes[place] = byte;
        }
        let _ = read(bytes);
    }

    #[test]
    fn random_archives_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read([b"PK\x03\x04", &bytes[..]].concat());
    }
}
