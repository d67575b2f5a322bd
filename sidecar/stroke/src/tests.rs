//! The whole way on a made brain with known parts.

use imaging::{Grid, LabelMap, Progress, Random, Volume};
use ndarray::Array3;

use super::*;

/// A head of ellipsoids: grey and white matter, dark ventricles, and a bright spot that makes the sides differ.
fn head(grid: &Grid, seed: u64) -> Volume {
    let middle = grid.world(grid.size.map(|n| (n as f64 - 1.0) / 2.0));
    let mut random = Random::new(seed);
    let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
        let at = grid.world([i as f64, j as f64, k as f64]);
        let [x, y, z]: [f64; 3] = std::array::from_fn(|r| at[r] - middle[r]);
        let shell =
            |a: f64, b: f64, c: f64, o: f64| ((x - o) / a).powi(2) + (y / b).powi(2) + (z / c).powi(2);
        let value = if shell(7.0, 22.0, 12.0, 9.0).min(shell(7.0, 22.0, 12.0, -9.0)) < 1.0 {
            60.0
        } else if shell(50.0, 66.0, 42.0, 0.0) < 1.0 {
            200.0 + 20.0 * (y / 15.0).sin() + 12.0 * (x / 11.0).cos()
        } else if shell(64.0, 80.0, 56.0, 0.0) < 1.0 {
            280.0 + 25.0 * (z / 9.0).sin()
        } else {
            8.0
        };
        (value + 4.0 * random.normal()).max(0.0) as f32
    });
    Volume { grid: grid.clone(), voxels }
}

fn fine() -> Grid {
    Grid { origin: [-80.0, -95.0, -60.0], ..Grid::aligned([80, 96, 60], [2.0; 3]) }
}

/// A normal with thick slices.
fn thick() -> Grid {
    Grid { origin: [-86.0, -98.0, -64.0], ..Grid::aligned([96, 110, 25], [1.8, 1.8, 5.2]) }
}

/// A stroke of an ellipsoid in white matter: signal up by 80 %, ADC down by 40 %.
fn stroke_case() -> StrokeCase {
    let grid = fine();
    let mut dwi = head(&grid, 1);
    let mut adc =
        Volume { grid: grid.clone(), voxels: dwi.voxels.mapv(|value| if value < 100.0 { 2.5 } else { 0.8 }) };
    let mut lesion = LabelMap::background(&grid);
    for ((k, j, i), label) in lesion.labels.indexed_iter_mut() {
        let [x, y, z] = grid.world([i as f64, j as f64, k as f64]);
        if ((x - 32.0) / 9.0).powi(2) + ((y - 5.0) / 14.0).powi(2) + ((z - 6.0) / 11.0).powi(2) < 1.0 {
            *label = 1;
            dwi.voxels[[k, j, i]] *= 1.8;
            adc.voxels[[k, j, i]] *= 0.6;
        }
    }
    StrokeCase { dwi, adc: Some(adc), lesion, brain: None }
}

fn normal() -> Normal {
    let dwi = head(&thick(), 2);
    // In 1e-6 mm²/s, unlike the donor's.
    let adc =
        Volume { grid: thick(), voxels: dwi.voxels.mapv(|value| if value < 100.0 { 2500.0 } else { 820.0 }) };
    Normal::of(dwi, Some(adc), None, None).unwrap()
}

#[test]
fn the_increase_is_taken_out_and_put_in_again() {
    let (donor, filled) = Donor::of(&stroke_case(), Baseline::Surroundings).unwrap();
    assert!((donor.facts.increase[0] - 0.8).abs() < 0.1, "{:?}", donor.facts);
    assert!((donor.facts.adc_contrast.unwrap() - 0.6).abs() < 0.08, "{:?}", donor.facts);
    let normal = normal();
    let found = register((&normal.dwi, &normal.brain), (&filled, &donor.brain), None).unwrap();
    assert!(found.dice > 0.95, "{found:?}");
    let placement = Placement { donor: &donor, map: found.map, variation: Variation::none() };
    let made = compose(&normal, std::slice::from_ref(&placement)).unwrap();
    let quality = &made.quality;
    assert_eq!(Limits::default().judge(quality), Ok(()), "{quality:?}");
    // Half as strong is not as its donor was, and neither is half as large.
    let mut weak = quality.clone();
    weak.contrast = weak.contrast.at_strength(0.5);
    let judged = Limits::default().judge(&weak);
    assert!(matches!(judged, Err(Rejection::Contrast { .. })), "{judged:?}");
    assert_eq!(Limits { contrast: 1.0, volume: 0.05 }.judge(&weak), Ok(()));
    let small = Quality { label_ml: 0.5 * quality.label_ml, ..quality.clone() };
    let judged = Limits::default().judge(&small);
    assert!(matches!(judged, Err(Rejection::Volume { .. })), "{judged:?}");
    // The phantom's stroke is 80 % brighter, which the surroundings' baseline alone does not see.
    assert!((quality.increase - 0.8).abs() < 0.05, "{quality:?}");
    let (near, donor_near) = (quality.contrast.surroundings, quality.donor_contrast.surroundings);
    assert!((near / donor_near - 1.0).abs() < 0.01, "{quality:?}");
    assert!(quality.adc_contrast.unwrap() < 0.75, "{quality:?}");
    // Nothing changes where no lesion comes.
    let changed = ndarray::Zip::from(&made.dwi.voxels).and(&normal.dwi.voxels).map_collect(|a, b| a != b);
    let far = imaging::dilate(&made.label.labels.mapv(|label| label != 0), 3);
    assert!(changed.iter().zip(&far).all(|(changed, far)| !changed || *far));
    assert_eq!(compose(&normal, &[placement]).unwrap().dwi, made.dwi);
    let picture = tile(&normal.dwi, &made.dwi, &made.label);
    assert_eq!(picture.rgb.len(), picture.width * picture.height * 3);
}

#[test]
fn the_mirror_side_is_a_baseline_too() {
    let (donor, _) = Donor::of(&stroke_case(), Baseline::Mirror).unwrap();
    assert!((donor.facts.increase[0] - 0.8).abs() < 0.05, "{:?}", donor.facts);
}

#[test]
fn variations_move_the_stroke_and_keep_its_volume_known() {
    let (donor, filled) = Donor::of(&stroke_case(), Baseline::Surroundings).unwrap();
    let normal = normal();
    let map = register((&normal.dwi, &normal.brain), (&filled, &donor.brain), None).unwrap().map;
    let side = |made: &Synthetic| {
        let inside = made.label.labels.indexed_iter().filter(|(_, label)| **label != 0);
        let sum: f64 =
            inside.map(|((k, j, i), _)| normal.dwi.grid.world([i as f64, j as f64, k as f64])[0]).sum();
        sum.signum()
    };
    let mut sides = Vec::new();
    for case in 0..12 {
        let (number, variation) = Draw::of(3, case, 0, 1, 1, true).donors.remove(0);
        assert_eq!(number, 0);
        let flip = variation.flip;
        let Ok(made) = compose(&normal, &[Placement { donor: &donor, map, variation }]) else { continue };
        let ratio = made.quality.label_ml / (made.quality.expected_ml * made.quality.kept);
        assert!((ratio - 1.0).abs() < 0.03, "{:?}", made.quality);
        assert_eq!(side(&made), if flip { -1.0 } else { 1.0 });
        sides.push(flip);
    }
    assert!(sides.len() > 8 && sides.contains(&true) && sides.contains(&false), "{sides:?}");
}

#[test]
fn displaced_images_are_found_again() {
    let volume = head(&fine(), 4);
    let mut errors: Vec<f64> = (0..8).filter_map(|seed| trial(&volume, seed).unwrap().error_mm).collect();
    errors.sort_by(f64::total_cmp);
    assert!(errors.len() >= 7 && errors[errors.len() / 2] < 1.0, "{errors:?}");
}

#[test]
fn what_cannot_be_right_is_refused() {
    let case = stroke_case();
    let check = |case: StrokeCase, says: &str| {
        let error = Donor::of(&case, Baseline::Surroundings).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    check(StrokeCase { lesion: LabelMap::background(&fine()), ..case.clone() }, "empty");
    check(
        StrokeCase { lesion: LabelMap::background(&thick()), ..case.clone() },
        "lesion mask lies on another grid",
    );
    let mut two = case.clone();
    two.lesion.labels[[30, 40, 40]] = 2;
    check(two, "the value 2");
    let mut outside = case.clone();
    outside.lesion.labels.fill(0);
    outside.lesion.labels[[1, 1, 1]] = 1;
    check(outside, "0 % of the lesion");
    let dark = Volume { grid: thick(), voxels: Array3::zeros(thick().shape()) };
    assert!(matches!(Normal::of(dark, None, None, None), Err(Error::NoBrain { .. })));
    let healthy = head(&fine(), 2);
    assert_eq!(Normal::of(healthy, None, None, Some(&case.lesion)).unwrap_err(), Error::NotNormal);
    // A map that leads elsewhere is rejected, with its reason.
    let (donor, _) = Donor::of(&case, Baseline::Surroundings).unwrap();
    let away = Affine { offset: [70.0, 0.0, 0.0], ..Affine::IDENTITY };
    let judged = Registration::judged(away, &normal().brain, &donor.brain);
    assert!(matches!(judged, Err(Rejection::Registration { .. })), "{judged:?}");
    assert!(Progress::silent().step("", 0, 0).is_ok());
}

#[test]
fn transforms_of_other_programs_are_read() {
    let (fixed, moving) = (thick(), fine());
    let expected =
        Affine::about([1.0, 2.0, 3.0], [[1.1, 0.1, 0.0], [0.0, 0.9, 0.0], [0.0, 0.2, 1.0]], [4.0, 5.0, 6.0]);
    let values = "1.1 0.1 0 0 0.9 0 0 0.2 1 4 5 6";
    let itk = format!(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\nParameters: {values}\n\
         FixedParameters: 1 2 3\n"
    );
    let elastix = format!(
        "(Transform \"AffineTransform\")\n(TransformParameters {values})\n(CenterOfRotationPoint 1 2 3)\n\
         (InitialTransformParametersFileName \"NoInitialTransform\")\n"
    );
    let mut ants = Vec::new();
    for (name, numbers) in [("AffineTransform_double_3_3", values), ("fixed", "1 2 3")]
        .map(|(name, text)| (name, text.split(' ')))
    {
        let numbers: Vec<f64> = numbers.map(|text| text.parse().unwrap()).collect();
        for word in [0, numbers.len() as u32, 1, 0, name.len() as u32 + 1] {
            ants.extend(word.to_le_bytes());
        }
        ants.extend(name.as_bytes());
        ants.push(0);
        numbers.iter().for_each(|number| ants.extend(number.to_le_bytes()));
    }
    for bytes in [itk.as_bytes(), elastix.as_bytes(), &ants] {
        assert_eq!(read_transform(bytes, &fixed, &moving).unwrap(), expected);
    }
    // FSL's identity lays corner voxel on corner voxel, in its own millimetres: i runs from the patient's left.
    let fsl = read_transform(b"1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", &moving, &moving).unwrap();
    let point = fsl.apply([3.0, 4.0, 5.0]);
    assert!((0..3).all(|r| (point[r] - [3.0, 4.0, 5.0][r]).abs() < 1e-9), "{point:?}");
    for bad in
        ["", "1 2 3", "#Insight Transform File V1.0\nTransform: BSplineTransform_double_3_3\nParameters: 1\n"]
    {
        assert!(matches!(read_transform(bad.as_bytes(), &fixed, &moving), Err(Error::Transform { .. })));
    }
}
