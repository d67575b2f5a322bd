//! Every image of a mixed series is read, and the usual one is told.

use dicom_dictionary_std::tags;
use imaging::Progress;

use super::phantom::{Object, SLICES, again, magnetic, series};
use crate::dicom::{Groups, Options, read_groups};

/// The images of these objects.
fn groups(objects: &[Object]) -> Groups {
    let files = objects.iter().enumerate().map(|(at, object)| (format!("{at:05}"), object.bytes()));
    read_groups(files, &Options::default(), &Progress::silent()).unwrap()
}

/// A diffusion-weighted series: at each b-value the pixels are divided by the number beside it.
fn weighted(values: &[(f64, i16)]) -> Vec<Object> {
    let plain = magnetic(|_, object| object);
    let image = |(b, divisor): &(f64, i16)| {
        again(&plain, |k, object| {
            let values: Vec<i16> = object.values().iter().map(|value| value / divisor).collect();
            let uid = format!("1.2.826.3.{b}.{divisor}.{k}");
            let object = object.pixels(&values).set(tags::SOP_INSTANCE_UID, "UI", uid);
            object.set(tags::DIFFUSION_B_VALUE, "FD", b.to_le_bytes())
        })
    };
    values.iter().flat_map(image).collect()
}

#[test]
fn each_b_value_is_an_image() {
    let found = groups(&weighted(&[(800.0, 5), (0.0, 1), (1200.0, 2)]));
    let values: Vec<_> = found.groups.iter().map(|group| group.b_value).collect();
    assert_eq!(values, [Some(0.0), Some(800.0), Some(1200.0)]);
    // As near to 1000 as the other, and higher.
    assert_eq!(found.usual(), Some(2));
    for (group, divisor) in found.groups.iter().zip([1, 5, 2]) {
        assert_eq!(group.series.volume.voxels[[6, 23, 9]], 1000.0 / divisor as f32);
        let uids: Vec<_> = group.series.source.slices.iter().map(|slice| &slice.sop_instance_uid).collect();
        assert_eq!(uids.len(), SLICES);
        let b = group.b_value.unwrap();
        assert!(uids.iter().enumerate().all(|(k, uid)| **uid == format!("1.2.826.3.{b}.{divisor}.{k}")));
    }
}

#[test]
fn a_plain_series_is_one_image() {
    let found = groups(&series(|_, object| object));
    assert_eq!((found.groups.len(), found.usual(), found.left_out.len()), (1, Some(0), 0));
    assert!(found.groups[0].apart.is_empty() && found.groups[0].b_value.is_none());
}

#[test]
fn two_images_of_one_b_value_are_nobodys_usual() {
    let mut objects = weighted(&[(0.0, 1), (1000.0, 2)]);
    objects.extend(weighted(&[(1000.0, 5)]).into_iter().map(|object| object.set(tags::ECHO_TIME, "DS", "9")));
    let found = groups(&objects);
    assert_eq!((found.groups.len(), found.usual()), (3, None));
}

#[test]
fn an_image_that_is_none_is_left_out_and_told() {
    let mut objects = weighted(&[(0.0, 1), (1000.0, 2)]);
    objects.extend(weighted(&[(500.0, 5)]).into_iter().take(1));
    let found = groups(&objects);
    assert_eq!((found.groups.len(), found.usual(), found.left_out.len()), (2, Some(1), 1));
    assert_eq!(found.left_out[0].1.code(), "E_TOO_FEW_SLICES");
}
