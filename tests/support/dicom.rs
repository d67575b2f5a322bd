//! A small synthetic diffusion-weighted MR series, and the few lines of DICOM encoding that it needs.

/// Rows and columns.
pub const SIDE: usize = 32;
/// The series.
pub const SERIES: &str = "1.2.826.8";

/// SOP Instance UID of slice `k` at b-value `b`.
pub fn instance(b: f64, k: usize) -> String {
    format!("1.2.826.1.{b}.{k}")
}

/// A file: slice `k` at b-value `b` in s/mm².
pub fn diffusion(b: f64, k: usize) -> Vec<u8> {
    let value = |at: usize| (at % SIDE + at / SIDE * (k + 1)) as u16 + b as u16;
    Slice { b: Some(b), uid: instance(b, k), ..Slice::at(k) }.file(value)
}

/// A file of a series of MR slices, 2 x 2 x 5 mm.
#[derive(Debug, Clone)]
pub struct Slice {
    pub k: usize,
    /// SOP Instance UID.
    pub uid: String,
    pub series: &'static str,
    pub study: &'static str,
    pub frame_of_reference: &'static str,
    pub patient: &'static str,
    /// Series Description.
    pub description: &'static str,
    pub image_type: &'static str,
    /// In s/mm².
    pub b: Option<f64>,
    /// LPS millimetres of the first pixel of the first slice.
    pub origin: [i32; 3],
}

impl Slice {
    /// Slice `k` of the diffusion series.
    pub fn at(k: usize) -> Slice {
        Slice {
            k,
            uid: format!("1.2.826.2.{k}"),
            series: SERIES,
            study: "1.2.826.7",
            frame_of_reference: "1.2.826.9",
            patient: "",
            description: "",
            image_type: "ORIGINAL\\PRIMARY\\DIFFUSION",
            b: None,
            origin: [-32, -32, 0],
        }
    }

    /// The file, with these values in rows of [`SIDE`].
    pub fn file(&self, value: impl Fn(usize) -> u16) -> Vec<u8> {
        let syntax = element(0x2, 0x10, "UI", b"1.2.840.10008.1.2.1");
        let mut file = [vec![0; 128], b"DICM".to_vec()].concat();
        file.extend(element(0x2, 0x0, "UL", &(syntax.len() as u32).to_le_bytes()));
        file.extend(syntax);
        let [x, y, z] = self.origin;
        let mut text = |group, number, vr: &str, value: &str| {
            file.extend(element(group, number, vr, value.as_bytes()));
        };
        text(0x8, 0x8, "CS", self.image_type);
        text(0x8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.4");
        text(0x8, 0x18, "UI", &self.uid);
        text(0x8, 0x60, "CS", "MR");
        if !self.description.is_empty() {
            text(0x8, 0x103e, "LO", self.description);
        }
        if !self.patient.is_empty() {
            text(0x10, 0x20, "LO", self.patient);
        }
        if let Some(b) = self.b {
            file.extend(element(0x18, 0x9087, "FD", &b.to_le_bytes()));
        }
        let mut text = |group, number, vr: &str, value: &str| {
            file.extend(element(group, number, vr, value.as_bytes()));
        };
        text(0x20, 0xd, "UI", self.study);
        text(0x20, 0xe, "UI", self.series);
        text(0x20, 0x32, "DS", &format!("{x}\\{y}\\{}", z + 5 * self.k as i32));
        text(0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0");
        text(0x20, 0x52, "UI", self.frame_of_reference);
        for (number, value) in
            [(0x2, 1), (0x10, SIDE), (0x11, SIDE), (0x100, 16), (0x101, 16), (0x102, 15), (0x103, 0)]
        {
            if number == 0x10 {
                file.extend(element(0x28, 0x4, "CS", b"MONOCHROME2"));
            }
            if number == 0x100 {
                file.extend(element(0x28, 0x30, "DS", b"2\\2"));
            }
            file.extend(element(0x28, number, "US", &(value as u16).to_le_bytes()));
        }
        let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(|at| value(at).to_le_bytes()).collect();
        file.extend(element(0x7fe0, 0x10, "OW", &pixels));
        file
    }
}

/// One element, explicit little endian.
fn element(group: u16, number: u16, vr: &str, value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == "UI" { 0 } else { b' ' });
    }
    let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    if vr == "OW" {
        bytes.extend([0, 0]);
        bytes.extend((value.len() as u32).to_le_bytes());
    } else {
        bytes.extend((value.len() as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

/// A file with a study and a series, which anonymising has emptied in the reference series (explicit little endian).
pub fn identified(file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for (number, uid) in
        [(0x0D, b"1.2.826.0.1.3680043.10.543.200"), (0x0E, b"1.2.826.0.1.3680043.10.543.201")]
    {
        let empty = [0x20, 0, number, 0, b'U', b'I', 0, 0];
        let at = bytes.windows(8).position(|eight| eight == empty).unwrap();
        bytes.splice(at + 6..at + 8, [uid.len() as u8, 0].into_iter().chain(*uid));
    }
    bytes
}
