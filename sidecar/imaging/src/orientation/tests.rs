//! Orientation against nibabel, and there and back through all 48.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// Made by nibabel: `tests/reference/imaging/orientation.py`.
#[derive(Deserialize)]
struct Case {
    kind: String,
    affine: [[f64; 4]; 3],
    letters: String,
    target: String,
    turned_affine: [[f64; 4]; 3],
    turned_size: [usize; 3],
    turned: Vec<f32>,
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

fn grid(size: [usize; 3], rows: [[f64; 4]; 3]) -> Grid {
    let column = |c: usize| [rows[0][c], rows[1][c], rows[2][c]];
    Grid::new(size, [column(0), column(1), column(2)], column(3)).unwrap()
}

/// Values that tell every voxel apart: numpy's C order over `[i, j, k]`, as nibabel counted them.
fn counted(grid: Grid) -> Volume {
    let [_, nj, nk] = grid.size;
    let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| ((i * nj + j) * nk + k) as f32);
    Volume { grid, voxels }
}

#[test]
fn letters_and_turned_images_are_nibabels() {
    let text = include_str!("../../../../tests/reference/imaging/orientation.json");
    let Cases { cases } = serde_json::from_str(text).unwrap();
    assert!(cases.len() > 200);
    for case in cases {
        let volume = counted(grid([5, 3, 4], case.affine));
        let tag = format!("{} {}", case.kind, case.letters);
        assert_eq!(volume.grid.orientation().to_string(), case.letters, "{tag}");
        let turned = volume.reoriented(Orientation::parse(&case.target).unwrap());
        assert_eq!(turned.grid.size, case.turned_size, "{tag}");
        assert_eq!(turned.voxels.as_slice().unwrap(), case.turned, "{tag}");
        let expected = grid(case.turned_size, case.turned_affine);
        assert_eq!(turned.grid.axes, expected.axes, "{tag}");
        // The origin is a sum of three products, which BLAS may fuse: one rounding either way.
        let apart = (0..3).map(|r| (turned.grid.origin[r] - expected.origin[r]).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-12, "{tag}: origin off by {apart:e} mm");
        assert_eq!(turned.reoriented_like(&volume.grid).unwrap(), volume, "{tag}");
    }
}

#[test]
fn only_proper_letters_parse() {
    for letters in ["", "RA", "RASS", "RLS", "RAX", "AAS", "ÄAS", "R S"] {
        assert!(Orientation::parse(letters).is_err(), "{letters}");
    }
    let all: std::collections::HashSet<String> = Orientation::all().map(|o| o.to_string()).collect();
    assert_eq!(all.len(), 48);
    for orientation in Orientation::all() {
        assert_eq!(Orientation::parse(&orientation.to_string()), Ok(orientation));
    }
}

#[test]
fn unrelated_grids_are_no_turn_of_each_other() {
    let grid = Grid::aligned([4, 5, 6], [1.0, 1.0, 2.0]);
    let moved = Grid { origin: [0.5, 0.0, 0.0], ..grid.clone() };
    assert_eq!(Reorientation::between(&grid, &moved), Err(GridError::NotATurn));
}

fn grids() -> impl Strategy<Value = Grid> {
    let numbers = prop::array::uniform3(prop::array::uniform3(-1.0..1.0f64));
    (prop::array::uniform3(1usize..6), numbers, prop::array::uniform3(-500.0..500.0f64))
        .prop_filter_map("flat", |(size, axes, origin)| Grid::new(size, axes, origin).ok())
        .prop_filter("nearly flat", |grid| {
            let [a, b, c] = grid.spacing();
            grid.determinant().abs() > 0.05 * a * b * c
        })
}

proptest! {
    #[test]
    fn turning_there_and_back_changes_nothing(grid in grids(), which in 0usize..48) {
        let volume = counted(grid);
        let orientation = Orientation::all().nth(which).unwrap();
        let turn = Reorientation::new(&volume.grid, orientation);
        let turned = turn.volume(&volume);
        prop_assert_eq!(turned.grid.orientation(), orientation);
        prop_assert_eq!(&turn.inverse().volume(&turned), &volume);
        prop_assert_eq!(&turned.reoriented_like(&volume.grid).unwrap(), &volume);
        // Every voxel keeps its place in the patient.
        let [k, j, i] = turned.grid.shape();
        for index in ndarray::indices((k, j, i)) {
            let world = turned.grid.world([index.2 as f64, index.1 as f64, index.0 as f64]);
            let before = volume.grid.index(world).map(|x| x.round() as usize);
            prop_assert_eq!(turned.voxels[index], volume.voxels[[before[2], before[1], before[0]]]);
        }
    }
}
