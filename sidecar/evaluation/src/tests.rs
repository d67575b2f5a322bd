//! Masks and numbers against the packages that the field uses; made by `tests/reference/evaluation`.

use imaging::{Grid, LabelMap};
use ndarray::Array3;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct MaskCase {
    name: String,
    shape: [usize; 3],
    /// Along k, j, i.
    spacing: [f64; 3],
    truth: Vec<usize>,
    prediction: Vec<usize>,
    dice: f64,
    iou: f64,
    precision: f64,
    recall: f64,
    kappa: f64,
    hd95: f64,
    assd: f64,
    surface_dice: Vec<f64>,
    any_overlap: [u64; 3],
    one_to_one: [u64; 3],
}

impl MaskCase {
    fn all() -> Vec<MaskCase> {
        let cases: Vec<MaskCase> =
            serde_json::from_str(include_str!("../../../tests/reference/evaluation/masks.json")).unwrap();
        assert_eq!(cases.len(), 9);
        cases
    }

    fn map(&self, runs: &[usize]) -> LabelMap {
        let voxels =
            runs.iter().enumerate().flat_map(|(n, &run)| std::iter::repeat_n((n % 2) as u8, run)).collect();
        let [k, j, i] = self.spacing;
        let [nk, nj, ni] = self.shape;
        LabelMap {
            grid: Grid::aligned([ni, nj, nk], [i, j, k]),
            labels: Array3::from_shape_vec(self.shape, voxels).unwrap(),
        }
    }
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{what}: {found}, expected {expected}"
    );
}

#[test]
fn masks_are_measured_as_the_field_measures_them() {
    let options = Options { tolerances_mm: vec![1.0, 2.0, 3.0], lesions: true };
    for case in MaskCase::all() {
        let (truth, prediction) = (case.map(&case.truth), case.map(&case.prediction));
        let measures = measure(&truth, &prediction, &options).unwrap().remove(&1).unwrap();
        let check = |found: f64, expected: f64, tolerance: f64, what: &str| {
            close(found, expected, tolerance, &format!("{what} of {}", case.name));
        };
        check(measures.dice, case.dice, 1e-12, "Dice");
        check(measures.iou, case.iou, 1e-12, "IoU");
        check(measures.precision.unwrap(), case.precision, 1e-12, "precision");
        check(measures.recall.unwrap(), case.recall, 1e-12, "recall");
        check(measures.hd95_mm.unwrap(), case.hd95, 1e-6, "HD95");
        check(measures.assd_mm.unwrap(), case.assd, 1e-6, "ASSD");
        for (found, expected) in measures.surface_dice.iter().zip(&case.surface_dice) {
            check(found.unwrap(), *expected, 1e-6, "surface Dice");
        }
        let overlap = overlaps(&truth, &prediction).unwrap()[&1];
        check(overlap.kappa(truth.grid.len() as u64).unwrap(), case.kappa, 1e-12, "kappa");
        let lesions = measures.lesions.unwrap();
        for (rule, [found, falsely, missed]) in
            [(Rule::AnyOverlap, case.any_overlap), (Rule::OneToOne, case.one_to_one)]
        {
            let expected = Counts { true_positive: found, false_positive: falsely, false_negative: missed };
            assert_eq!(lesions.counts(rule), expected, "{rule:?} of {}", case.name);
        }
    }
}

#[test]
fn empty_masks_follow_the_convention() {
    let case = &MaskCase::all()[0];
    let truth = case.map(&case.truth);
    let empty = LabelMap::background(&truth.grid);
    let options = Options { tolerances_mm: vec![3.0], lesions: true };
    let missed = &measure(&truth, &empty, &options).unwrap()[&1];
    assert_eq!((missed.dice, missed.iou, missed.precision, missed.recall), (0.0, 0.0, None, Some(0.0)));
    assert_eq!((missed.hd95_mm, missed.assd_mm, &missed.surface_dice[..]), (None, None, &[Some(0.0)][..]));
    assert_eq!(missed.lesions.as_ref().unwrap().counts(Rule::OneToOne).f1(), 0.0);
    assert!(measure(&empty, &empty, &options).unwrap().is_empty());
    let nothing = Measures::empty(&options);
    assert_eq!((nothing.dice, Metric::LesionF1(Rule::AnyOverlap).of(&nothing)), (1.0, Some(1.0)));
}

#[test]
fn another_grid_is_refused_in_a_sentence() {
    let case = &MaskCase::all()[0];
    let truth = case.map(&case.truth);
    let mut other = truth.clone();
    other.grid.origin[2] += 4.0;
    let error = measure(&truth, &other, &Options { tolerances_mm: Vec::new(), lesions: false }).unwrap_err();
    assert!(error.to_string().contains("corners up to 4.00 mm apart"), "{error}");
}

#[derive(Deserialize)]
struct Numbers {
    paired: Vec<Paired>,
    mcnemar: Vec<(u64, u64, f64)>,
    holm: Holm,
    bootstrap: Vec<Bootstrap>,
    summary: Sum,
    agreement: Agreement,
    curves: Vec<Curves>,
    proportions: Vec<(u64, u64, f64, f64, f64, f64)>,
}

#[derive(Deserialize)]
struct Paired {
    differences: Vec<f64>,
    t: f64,
    p: f64,
    confidence: [f64; 2],
    wilcoxon: f64,
}

#[derive(Deserialize)]
struct Holm {
    p: Vec<f64>,
    corrected: Vec<f64>,
}

#[derive(Deserialize)]
struct Bootstrap {
    patients: Vec<usize>,
    values: Vec<f64>,
    interval: [f64; 2],
}

#[derive(Deserialize)]
struct Sum {
    values: Vec<f64>,
    mean: f64,
    deviation: f64,
    quantiles: [f64; 3],
}

#[derive(Deserialize)]
struct Agreement {
    truth: Vec<f64>,
    prediction: Vec<f64>,
    icc: f64,
    icc_confidence: [f64; 2],
    pearson: f64,
    pearson_confidence: [f64; 2],
    bias: f64,
    deviation: f64,
}

#[derive(Deserialize)]
struct Curves {
    scores: Vec<f64>,
    positive: Vec<bool>,
    roc: Vec<[f64; 2]>,
    auc: f64,
    average_precision: f64,
}

fn numbers() -> Numbers {
    serde_json::from_str(include_str!("../../../tests/reference/evaluation/over_cases.json")).unwrap()
}

const EXACT: f64 = 1e-9;

#[test]
fn paired_tests_are_scipys() {
    for case in numbers().paired {
        let t = paired_t(&case.differences).unwrap();
        close(t.t.unwrap(), case.t, EXACT, "t");
        close(t.p, case.p, EXACT, "p");
        (0..2).for_each(|n| close(t.confidence[n], case.confidence[n], EXACT, "interval"));
        close(wilcoxon(&case.differences).unwrap(), case.wilcoxon, EXACT, "Wilcoxon");
    }
    for (b, c, p) in numbers().mcnemar {
        close(mcnemar(b, c), p, EXACT, "McNemar");
    }
    let Holm { p, corrected } = numbers().holm;
    holm(&p).iter().zip(corrected).for_each(|(found, expected)| close(*found, expected, EXACT, "Holm"));
    assert_eq!((wilcoxon(&[0.0, 0.0]), paired_t(&[1.0])), (None, None));
    assert_eq!(paired_t(&[0.0, 0.0, 0.0]).unwrap().p, 1.0);
}

#[test]
fn sums_and_bootstrap_are_scipys() {
    for case in numbers().bootstrap {
        let values: Vec<(usize, f64)> = case.patients.into_iter().zip(case.values).collect();
        let found = bootstrap_mean(&values).unwrap();
        (0..2).for_each(|n| close(found[n], case.interval[n], EXACT, "BCa"));
    }
    let Sum { values, mean, deviation, quantiles } = numbers().summary;
    let found = summarise(&values.into_iter().enumerate().collect::<Vec<_>>()).unwrap();
    close(found.mean, mean, EXACT, "mean");
    close(found.deviation, deviation, EXACT, "deviation");
    close(found.median, quantiles[1], EXACT, "median");
    close(found.quartiles[0], quantiles[0], EXACT, "quartile");
    close(found.quartiles[1], quantiles[2], EXACT, "quartile");
    assert_eq!(bootstrap_mean(&[(0, 1.0), (1, 1.0), (2, 1.0)]), None, "nothing varies");
}

#[test]
fn volumes_agree_as_pingouin_and_scipy_say() {
    let case = numbers().agreement;
    let found = icc(&case.truth, &case.prediction).unwrap();
    close(found.r, case.icc, EXACT, "ICC");
    (0..2)
        .for_each(|n| close(found.confidence.unwrap()[n], case.icc_confidence[n], EXACT, "interval of ICC"));
    let found = pearson(&case.truth, &case.prediction).unwrap();
    close(found.r, case.pearson, EXACT, "Pearson");
    (0..2).for_each(|n| {
        close(found.confidence.unwrap()[n], case.pearson_confidence[n], EXACT, "interval of Pearson")
    });
    let found = bland_altman(&case.truth, &case.prediction).unwrap();
    close(found.bias, case.bias, EXACT, "bias");
    close(found.limits[1], case.bias + 1.96 * case.deviation, EXACT, "limit");
}

#[test]
fn curves_are_those_of_scikit_learn() {
    for case in numbers().curves {
        let cases: Vec<(f64, bool)> = case.scores.into_iter().zip(case.positive).collect();
        let found = roc(&cases).unwrap();
        close(found.area, case.auc, EXACT, "AUC");
        assert_eq!(found.points.len(), case.roc.len());
        for (point, [x, y]) in found.points.iter().zip(case.roc) {
            close(point.x, x, EXACT, "1 - specificity");
            close(point.y, y, EXACT, "sensitivity");
        }
        let found = precision_recall(&cases).unwrap();
        close(found.average_precision, case.average_precision, EXACT, "average precision");
    }
    assert!(roc(&[(1.0, true)]).is_none() && precision_recall(&[(1.0, false)]).is_none());
    let points = froc(&[Some(2.0), Some(0.5), None], &[1.0, 0.5], 2);
    let places: Vec<(f64, f64)> = points.iter().map(|point| (point.x, point.y * 3.0)).collect();
    assert_eq!(places, [(0.0, 1.0), (0.5, 1.0), (1.0, 2.0)]);
}

#[test]
fn shares_have_the_intervals_of_scipy() {
    for (k, n, wilson_low, wilson_high, exact_low, exact_high) in numbers().proportions {
        let found = Proportion::new(k, n);
        let ([a, b], [c, d]) = (found.wilson.unwrap(), found.clopper_pearson.unwrap());
        for (found, expected) in [(a, wilson_low), (b, wilson_high), (c, exact_low), (d, exact_high)] {
            close(found, expected, EXACT, &format!("interval of {k} of {n}"));
        }
    }
    assert_eq!(Proportion::new(0, 0).share, None);
}

#[test]
fn the_specifications_own_numbers_come_out() {
    let a = [0.65, 0.7, 0.1, 0.9, 0.82, 0.0, 0.77, 0.6];
    let b = [0.7, 0.72, 0.2, 0.88, 0.85, 0.3, 0.8, 0.66];
    let differences: Vec<f64> = b.iter().zip(a).map(|(b, a)| b - a).collect();
    let t = paired_t(&differences).unwrap();
    close(t.t.unwrap(), 2.043_361_413_810_580_5, EXACT, "t");
    close(t.p, 0.080_313_463_397_807_19, EXACT, "p");
    close(t.confidence[0], -0.011_202_118_742_809_88, EXACT, "low");
    close(t.confidence[1], 0.153_702_118_742_809_9, EXACT, "high");
    close(wilcoxon(&differences).unwrap(), 0.023_437_5, EXACT, "Wilcoxon");
    let truth = [6.68, 4.18, 0.94, 30.98, 12.5, 2.2];
    let prediction = [6.1, 4.6, 0.5, 33.0, 11.9, 2.9];
    let found = bland_altman(&truth, &prediction).unwrap();
    close(found.bias, 0.253_333_333_333_333_24, EXACT, "bias");
    close(found.deviation, 1.024_864_218_648_824_8, EXACT, "deviation");
    close(found.limits[0], -1.755_400_535_218_363_5, EXACT, "lower limit");
    close(found.limits[1], 2.262_067_201_885_03, EXACT, "upper limit");
    close(pearson(&truth, &prediction).unwrap().r, 0.998_057_726_941_195_3, EXACT, "Pearson");
    close(mcnemar(3, 12), 0.035_156_25, EXACT, "McNemar");
}
