//! What several tests share: the reference models, and a writer of archives that can be made to lie.

use std::path::{Path, PathBuf};

use imaging::Progress;

use crate::archive;
use crate::import::{ImportOptions, import};
use crate::weights::Model;

/// `tests/reference` of the repository.
pub(crate) fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference")
}

/// The small residual network with bf16 weights and a pickle of protocol 4.
pub(crate) fn residual_folder() -> PathBuf {
    reference().join("nnunet/variants/Dataset902_Residual/MyTrainer__nnUNetPlans__3d_fullres")
}

/// The small plain network with two channels, regions and f16 weights.
pub(crate) fn regions_folder() -> PathBuf {
    reference().join("nnunet/variants/Dataset901_Regions/nnUNetTrainer__nnUNetPlans__3d_fullres_bs4")
}

pub(crate) fn model(folder: &Path) -> Model {
    import(folder, &ImportOptions::default(), &Progress::silent()).unwrap()
}

pub(crate) fn json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(reference().join(path)).unwrap()).unwrap()
}

/// An entry of an archive to be written.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Changes an entry's local header and its record in the directory, to make them lie.
pub(crate) type Lie = fn(&str, &mut Vec<u8>, &mut Vec<u8>);

/// A zip archive of stored entries, as honest as `lie` leaves it.
pub(crate) fn zipped(items: &[Item], lie: Lie) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for Item { name, bytes } in items {
        let mut checksum = flate2::Crc::new();
        checksum.update(bytes);
        let mut shared = vec![0, 0, 0, 0, 0, 0];
        shared.extend(checksum.sum().to_le_bytes());
        shared.extend([(bytes.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat());
        shared.extend((name.len() as u16).to_le_bytes());
        shared.extend([0, 0]);
        let mut local = [b"PK\x03\x04\x14\x00\x00\x00", &shared[..], name.as_bytes()].concat();
        let mut record = [b"PK\x01\x02\x1e\x03\x14\x00\x00\x00", &shared[..], &[0; 10]].concat();
        record.extend((file.len() as u32).to_le_bytes());
        record.extend(name.as_bytes());
        lie(name, &mut local, &mut record);
        file.extend([&local[..], &bytes[..]].concat());
        directory.extend(record);
    }
    let (start, count) = (file.len() as u32, items.len() as u16);
    file.extend(&directory);
    file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &count.to_le_bytes(), &count.to_le_bytes()].concat());
    file.extend([(directory.len() as u32).to_le_bytes(), start.to_le_bytes()].concat());
    file.extend([0, 0]);
    file
}

pub(crate) fn honest(_: &str, _: &mut Vec<u8>, _: &mut Vec<u8>) {}

/// The entries of a checkpoint of PyTorch's, to be written again.
pub(crate) fn items(checkpoint: &Path) -> Vec<Item> {
    let bytes = std::fs::read(checkpoint).unwrap();
    let archive = archive::read(&mut std::io::Cursor::new(&bytes), checkpoint).unwrap();
    let item = |(name, entry): (String, archive::Entry)| Item {
        name: format!("checkpoint/{name}"),
        bytes: bytes[entry.start as usize..][..entry.bytes as usize].to_vec(),
    };
    archive.into_iter().map(item).collect()
}
