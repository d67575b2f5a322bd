//! Bytes of deltas for clients in other languages: made by the crate, kept in `tests/golden/deltas.json`, and read by the
//! tests of the OHIF plugin. After a change that is meant: `BLESS=1 cargo test -p system-tests deltas`.

use std::path::Path;

use correction::Delta;
use ndarray::Array3;
use serde_json::json;

/// Voxels along i, j, k.
const DIMS: [usize; 3] = [9, 8, 7];

/// Labels 0, 1, 2 of a generator that is short in any language.
fn labels(seed: u32) -> Array3<u8> {
    let mut state = seed;
    Array3::from_shape_simple_fn((DIMS[2], DIMS[1], DIMS[0]), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 24) % 3) as u8
    })
}

#[test]
fn deltas_are_written_as_other_clients_read_them() {
    let cases: [(u32, u32, &[[usize; 4]]); 4] = [
        (1, 2, &[]),
        (7, 99, &[]),
        // Some voxels of the labels before.
        (5, 5, &[[3, 4, 2, 200], [4, 4, 2, 200], [8, 7, 6, 201]]),
        (6, 6, &[[0, 0, 0, 255]]),
    ];
    let cases = cases.map(|(old, new, set)| {
        let (before, mut after) = (labels(old), labels(new));
        for &[i, j, k, label] in set {
            after[[k, j, i]] = label as u8;
        }
        let delta = Delta::between(before.view(), after.view()).unwrap().encode();
        let hex: String = delta.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "old": old, "new": new, "set": set, "delta": hex })
    });
    let text = serde_json::to_string_pretty(&json!({ "dims": DIMS, "cases": cases })).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/deltas.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "the bytes of deltas have changed");
}
