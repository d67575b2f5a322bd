//! Second choice and margin against the probabilities that nnU-Net exports: `tests/reference/engine/runner_up.py`.

use super::*;
use crate::runner_up::{RunnerUp, merged};

/// Stands for a choice between classes that are as likely but for one in a thousand.
const TIE: u8 = 255;

/// What our second choice and margin are beside nnU-Net's.
#[derive(Debug, Default)]
struct Compared {
    voxels: usize,
    ties: usize,
    /// Voxels whose second choice differs, beyond ties.
    differ: usize,
    /// Voxels by how far the margins are apart: none, one step of 255, up to eight, more.
    margins: [usize; 4],
}

fn compared(name: &str) -> Compared {
    let case = case(name);
    let options = case.options(Mode::Compatible);
    let volumes = case.volumes();
    let asked = Asked { channels: &volumes, target: None, plan: &case.plan, options: &options };
    let mut doubts = Vec::new();
    let labels = run(&asked, &mut case.networks(), Some(&mut doubts), &Progress::silent()).unwrap();
    let RunnerUp { second, margin } = merged(&doubts, &labels);
    let expected = read(&format!("runner_up/{name}.u8"));
    let n = labels.labels.len();
    assert_eq!(expected.len(), 3 * n, "{name}");
    let mut compared = Compared { voxels: n, ..Compared::default() };
    let ours = labels.labels.iter().zip(&second.labels).zip(&margin.labels);
    for (at, ((&label, &second), &margin)) in ours.enumerate() {
        let [first, other, narrow] = [expected[at], expected[n + at], expected[2 * n + at]];
        assert!(first == TIE || first == label, "{name}: {label} is not the likeliest, {first} is");
        compared.margins[match margin.abs_diff(narrow) {
            0 => 0,
            1 => 1,
            2..=8 => 2,
            _ => 3,
        }] += 1;
        // Where nothing else is nearly as likely there is no second choice to speak of.
        if other == TIE || narrow == 255 {
            compared.ties += 1;
        } else if second != other {
            compared.differ += 1;
        }
    }
    compared
}

#[test]
fn the_second_choice_is_nnunets_where_nothing_is_resampled() {
    for name in ["smaller_than_patch", "small_along_z", "flipped", "z_score_mask_channels", "bytes_and_plain"]
    {
        let Compared { voxels, ties, differ, margins } = compared(name);
        assert_eq!((differ, margins[2], margins[3]), (0, 0, 0), "{name}: {margins:?} of {voxels}");
        assert!(ties * 2 < voxels || name == "bytes_and_plain", "{name}: {ties} of {voxels} are ties");
    }
}
