//! The header of a NIfTI file, versions 1 and 2, either byte order: every field kept, so that it can be given back.

use crate::Format;
use crate::error::{Error, Result};
use crate::samples::Sample;

/// Bytes of a NIfTI-1 header, and what its first field holds.
pub(crate) const LENGTH_1: usize = 348;
/// Bytes of a NIfTI-2 header, and what its first field holds.
pub(crate) const LENGTH_2: usize = 540;

const MAGIC_1: &[u8] = b"n+1\0";
const MAGIC_2: &[u8] = b"n+2\0\r\n\x1a\n";

/// Which layout a header has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// NIfTI-1: 348 bytes, 16-bit lengths.
    One,
    /// NIfTI-2: 540 bytes, 64-bit lengths.
    Two,
}

/// The fields of a NIfTI header, named as the standard names them; NIfTI-1's are widened without loss.
///
/// World coordinates in here are RAS+, in the unit of `xyzt_units`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are the standard's")]
pub struct Header {
    pub version: Version,
    pub big_endian: bool,
    pub dim_info: u8,
    pub dim: [i64; 8],
    pub intent_p: [f64; 3],
    pub intent_code: i32,
    pub datatype: i16,
    pub bitpix: i16,
    pub pixdim: [f64; 8],
    pub vox_offset: f64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub cal_max: f64,
    pub cal_min: f64,
    pub slice_start: i64,
    pub slice_end: i64,
    pub slice_code: i32,
    pub slice_duration: f64,
    pub toffset: f64,
    pub xyzt_units: i32,
    pub descrip: [u8; 80],
    pub aux_file: [u8; 24],
    pub qform_code: i32,
    pub sform_code: i32,
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
    pub intent_name: [u8; 16],
}

impl Default for Header {
    fn default() -> Header {
        Header {
            version: Version::One,
            big_endian: false,
            dim_info: 0,
            dim: [3, 1, 1, 1, 1, 1, 1, 1],
            intent_p: [0.0; 3],
            intent_code: 0,
            datatype: 2,
            bitpix: 8,
            pixdim: [1.0; 8],
            vox_offset: 352.0,
            scl_slope: 1.0,
            scl_inter: 0.0,
            cal_max: 0.0,
            cal_min: 0.0,
            slice_start: 0,
            slice_end: 0,
            slice_code: 0,
            slice_duration: 0.0,
            toffset: 0.0,
            xyzt_units: 2,
            descrip: [0; 80],
            aux_file: [0; 24],
            qform_code: 0,
            sform_code: 0,
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            srow: [[0.0; 4]; 3],
            intent_name: [0; 16],
        }
    }
}

/// The version that the first four bytes announce, and whether they are big-endian.
pub(crate) fn announced(start: &[u8]) -> Option<(Version, bool)> {
    let word: [u8; 4] = start.get(..4)?.try_into().ok()?;
    [(Version::One, LENGTH_1), (Version::Two, LENGTH_2)].into_iter().find_map(|(version, length)| {
        let length = length as u32;
        if u32::from_le_bytes(word) == length {
            Some((version, false))
        } else {
            (u32::from_be_bytes(word) == length).then_some((version, true))
        }
    })
}

/// An error of the header.
pub(crate) fn invalid(detail: String) -> Error {
    Error::Parse { format: Format::Nifti, detail }
}

impl Header {
    /// Reads a header of the announced version; `bytes` holds at least that many.
    pub(crate) fn parse(bytes: &[u8], version: Version, big_endian: bool) -> Result<Header> {
        let header = match version {
            Version::One => parse_1(bytes, big_endian)?,
            Version::Two => parse_2(bytes, big_endian)?,
        };
        if !(1..=7).contains(&header.dim[0]) {
            return Err(invalid(format!("`dim[0]` is {}, expected 1 to 7", header.dim[0])));
        }
        let axes = header.dim[0] as usize;
        if let Some(axis) = (1..=axes).find(|&axis| header.dim[axis] < 1) {
            return Err(invalid(format!("`dim[{axis}]` is {}, expected at least 1", header.dim[axis])));
        }
        Ok(header)
    }

    /// Bytes before the first extension.
    pub(crate) fn length(&self) -> usize {
        match self.version {
            Version::One => LENGTH_1 + 4,
            Version::Two => LENGTH_2 + 4,
        }
    }

    /// Lengths of the axes along space, and the number of volumes.
    pub(crate) fn lengths(&self) -> Result<([u64; 3], u64)> {
        let axes = self.dim[0] as usize;
        let length = |axis: usize| if axis <= axes { self.dim[axis].max(0) as u64 } else { 1 };
        let further = (4..=7).try_fold(1u64, |product, axis| product.checked_mul(length(axis)));
        let volumes = further.ok_or_else(|| invalid("the lengths of the axes overflow".to_owned()))?;
        Ok(([length(1), length(2), length(3)], volumes))
    }

    /// The type of the stored voxels.
    pub(crate) fn sample(&self) -> Result<Sample> {
        let sample = match self.datatype {
            2 => Sample::U8,
            4 => Sample::I16,
            8 => Sample::I32,
            16 => Sample::F32,
            64 => Sample::F64,
            256 => Sample::I8,
            512 => Sample::U16,
            768 => Sample::U32,
            1024 => Sample::I64,
            1280 => Sample::U64,
            other => {
                let detail =
                    format!("NIfTI `datatype` {other} ({}), expected real numbers", datatype_name(other));
                return Err(Error::UnsupportedType { detail });
            }
        };
        let expected = 8 * sample.bytes();
        if i64::from(self.bitpix) != expected as i64 {
            let detail = format!("`bitpix` is {}, but {} has {expected}", self.bitpix, sample.name());
            return Err(Error::Corrupt { detail });
        }
        Ok(sample)
    }

    /// Sets `datatype` and `bitpix`.
    pub(crate) fn set_sample(&mut self, sample: Sample) {
        self.datatype = match sample {
            Sample::U8 => 2,
            Sample::I16 => 4,
            Sample::I32 => 8,
            Sample::F32 => 16,
            Sample::F64 => 64,
            Sample::I8 => 256,
            Sample::U16 => 512,
            Sample::U32 => 768,
            Sample::I64 => 1024,
            Sample::U64 => 1280,
        };
        self.bitpix = 8 * sample.bytes() as i16;
    }

    /// The header's bytes, little-endian, with the four that say whether extensions follow.
    pub(crate) fn to_bytes(&self, has_extensions: bool) -> Vec<u8> {
        let mut out = match self.version {
            Version::One => self.to_bytes_1(),
            Version::Two => self.to_bytes_2(),
        };
        out.extend([u8::from(has_extensions), 0, 0, 0]);
        out
    }

    fn to_bytes_1(&self) -> Vec<u8> {
        let mut out = Out(Vec::with_capacity(LENGTH_1 + 4));
        out.i32(LENGTH_1 as i64);
        out.0.extend([0; 34]);
        out.0.extend([b'r', self.dim_info]);
        self.dim.iter().for_each(|&value| out.i16(value));
        self.intent_p.iter().for_each(|&value| out.f32(value));
        out.i16(i64::from(self.intent_code));
        out.i16(i64::from(self.datatype));
        out.i16(i64::from(self.bitpix));
        out.i16(self.slice_start);
        self.pixdim.iter().for_each(|&value| out.f32(value));
        for value in [self.vox_offset, self.scl_slope, self.scl_inter] {
            out.f32(value);
        }
        out.i16(self.slice_end);
        out.0.extend([self.slice_code as u8, self.xyzt_units as u8]);
        for value in [self.cal_max, self.cal_min, self.slice_duration, self.toffset] {
            out.f32(value);
        }
        out.0.extend([0; 8]);
        out.0.extend(self.descrip);
        out.0.extend(self.aux_file);
        out.i16(i64::from(self.qform_code));
        out.i16(i64::from(self.sform_code));
        self.quatern.iter().chain(&self.qoffset).for_each(|&value| out.f32(value));
        self.srow.iter().flatten().for_each(|&value| out.f32(value));
        out.0.extend(self.intent_name);
        out.0.extend(MAGIC_1);
        out.0
    }

    fn to_bytes_2(&self) -> Vec<u8> {
        let mut out = Out(Vec::with_capacity(LENGTH_2 + 4));
        out.i32(LENGTH_2 as i64);
        out.0.extend(MAGIC_2);
        out.i16(i64::from(self.datatype));
        out.i16(i64::from(self.bitpix));
        self.dim.iter().for_each(|&value| out.i64(value));
        self.intent_p.iter().chain(&self.pixdim).for_each(|&value| out.f64(value));
        out.i64(self.vox_offset as i64);
        for value in [self.scl_slope, self.scl_inter, self.cal_max, self.cal_min] {
            out.f64(value);
        }
        for value in [self.slice_duration, self.toffset] {
            out.f64(value);
        }
        out.i64(self.slice_start);
        out.i64(self.slice_end);
        out.0.extend(self.descrip);
        out.0.extend(self.aux_file);
        out.i32(i64::from(self.qform_code));
        out.i32(i64::from(self.sform_code));
        self.quatern.iter().chain(&self.qoffset).for_each(|&value| out.f64(value));
        self.srow.iter().flatten().for_each(|&value| out.f64(value));
        for value in [self.slice_code, self.xyzt_units, self.intent_code] {
            out.i32(i64::from(value));
        }
        out.0.extend(self.intent_name);
        out.0.push(self.dim_info);
        out.0.extend([0; 15]);
        out.0
    }
}

/// The `nifti` crate reads the fields; what it would make of them (affines, volumes) is done here, strictly.
fn parse_1(bytes: &[u8], big_endian: bool) -> Result<Header> {
    let magic = &bytes[LENGTH_1 - 4..LENGTH_1];
    if magic != MAGIC_1 {
        let what = match magic {
            b"ni1\0" => "the header of a `.hdr`/`.img` pair",
            [0, 0, 0, 0] => "an Analyze 7.5 header",
            _ => "a header without the NIfTI magic",
        };
        return Err(invalid(format!("{what}, expected one file that begins with a header ending in `n+1`")));
    }
    let h = nifti::NiftiHeader::from_reader(&bytes[..LENGTH_1])
        .map_err(|error| invalid(error.to_string().to_lowercase()))?;
    // The crate guesses the byte order from `dim[0]`; only a bad `dim[0]` makes it disagree with the first field.
    if h.sizeof_hdr != LENGTH_1 as i32 {
        let word = [bytes[40], bytes[41]];
        let found = if big_endian { i16::from_be_bytes(word) } else { i16::from_le_bytes(word) };
        return Err(invalid(format!("`dim[0]` is {found}, expected 1 to 7")));
    }
    let mut descrip = [0; 80];
    descrip.iter_mut().zip(&h.descrip).for_each(|(to, from)| *to = *from);
    Ok(Header {
        version: Version::One,
        big_endian,
        dim_info: h.dim_info,
        dim: h.dim.map(|length| i64::from(length as i16)),
        intent_p: [h.intent_p1, h.intent_p2, h.intent_p3].map(f64::from),
        intent_code: h.intent_code.into(),
        datatype: h.datatype,
        bitpix: h.bitpix,
        pixdim: h.pixdim.map(f64::from),
        vox_offset: h.vox_offset.into(),
        scl_slope: h.scl_slope.into(),
        scl_inter: h.scl_inter.into(),
        cal_max: h.cal_max.into(),
        cal_min: h.cal_min.into(),
        slice_start: h.slice_start.into(),
        slice_end: h.slice_end.into(),
        slice_code: h.slice_code.into(),
        slice_duration: h.slice_duration.into(),
        toffset: h.toffset.into(),
        xyzt_units: h.xyzt_units.into(),
        descrip,
        aux_file: h.aux_file,
        qform_code: h.qform_code.into(),
        sform_code: h.sform_code.into(),
        quatern: [h.quatern_b, h.quatern_c, h.quatern_d].map(f64::from),
        qoffset: [h.quatern_x, h.quatern_y, h.quatern_z].map(f64::from),
        srow: [h.srow_x, h.srow_y, h.srow_z].map(|row| row.map(f64::from)),
        intent_name: h.intent_name,
    })
}

fn parse_2(bytes: &[u8], big_endian: bool) -> Result<Header> {
    if &bytes[4..12] != MAGIC_2 {
        return Err(invalid("a NIfTI-2 header without its magic `n+2`".to_owned()));
    }
    let mut fields = In { bytes: &bytes[12..LENGTH_2], big_endian };
    let fields = &mut fields;
    // The fields are read in the order of the file, which is the order of evaluation below.
    let (datatype, bitpix) = (i16::from_le_bytes(fields.word()), i16::from_le_bytes(fields.word()));
    let (dim, intent_p, pixdim) = (fields.i64s(), fields.f64s(), fields.f64s());
    let [vox_offset] = fields.i64s();
    let [scl_slope, scl_inter, cal_max, cal_min, slice_duration, toffset] = fields.f64s();
    let [slice_start, slice_end] = fields.i64s();
    let (descrip, aux_file) = (fields.raw(), fields.raw());
    let [qform_code, sform_code] = fields.i32s();
    let (quatern, qoffset) = (fields.f64s(), fields.f64s());
    let srow = [fields.f64s(), fields.f64s(), fields.f64s()];
    let [slice_code, xyzt_units, intent_code] = fields.i32s();
    let intent_name = fields.raw();
    let [dim_info] = fields.raw();
    Ok(Header {
        version: Version::Two,
        big_endian,
        dim_info,
        dim,
        intent_p,
        intent_code,
        datatype,
        bitpix,
        pixdim,
        vox_offset: vox_offset as f64,
        scl_slope,
        scl_inter,
        cal_max,
        cal_min,
        slice_start,
        slice_end,
        slice_code,
        slice_duration,
        toffset,
        xyzt_units,
        descrip,
        aux_file,
        qform_code,
        sform_code,
        quatern,
        qoffset,
        srow,
        intent_name,
    })
}

/// Fields one after the other.
struct In<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl In<'_> {
    /// The next bytes as they are; zeros past the end, which a header of the right length never reaches.
    fn raw<const N: usize>(&mut self) -> [u8; N] {
        match self.bytes.split_first_chunk::<N>() {
            Some((raw, rest)) => {
                self.bytes = rest;
                *raw
            }
            None => [0; N],
        }
    }

    /// The next bytes in little-endian order.
    fn word<const N: usize>(&mut self) -> [u8; N] {
        let mut word = self.raw();
        if self.big_endian {
            word.reverse();
        }
        word
    }

    fn i32s<const N: usize>(&mut self) -> [i32; N] {
        std::array::from_fn(|_| i32::from_le_bytes(self.word()))
    }

    fn i64s<const N: usize>(&mut self) -> [i64; N] {
        std::array::from_fn(|_| i64::from_le_bytes(self.word()))
    }

    fn f64s<const N: usize>(&mut self) -> [f64; N] {
        std::array::from_fn(|_| f64::from_le_bytes(self.word()))
    }
}

/// Fields appended one after the other, little-endian; narrowing only undoes the widening of the reader.
struct Out(Vec<u8>);

impl Out {
    fn i16(&mut self, value: i64) {
        self.0.extend((value as i16).to_le_bytes());
    }
    fn i32(&mut self, value: i64) {
        self.0.extend((value as i32).to_le_bytes());
    }
    fn i64(&mut self, value: i64) {
        self.0.extend(value.to_le_bytes());
    }
    fn f32(&mut self, value: f64) {
        self.0.extend((value as f32).to_le_bytes());
    }
    fn f64(&mut self, value: f64) {
        self.0.extend(value.to_le_bytes());
    }
}

/// What the standard calls a type that is not read.
fn datatype_name(datatype: i16) -> &'static str {
    match datatype {
        1 => "binary",
        32 | 1792 | 2048 => "complex",
        128 | 2304 => "colour",
        1536 => "float128",
        _ => "unknown",
    }
}
