//! The pickle opcodes that a checkpoint needs, and no others: bytes -> one instruction at a time.
//!
//! The list is closed. Left out on purpose: everything that makes instances (`INST`, `OBJ`, `NEWOBJ`, `NEWOBJ_EX`),
//! looks in registries (`EXT1..4`, `PERSID`), works on text lines, or holds more than a checkpoint needs (`LONG4`,
//! `BINBYTES8`, `BYTEARRAY8`, `NEXT_BUFFER`).

use crate::error::{Error, Result};

/// One instruction; text is borrowed from the pickle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Instruction<'a> {
    /// Protocol number or frame length: checked here, means nothing to the machine.
    Header,
    Stop,
    Mark,
    /// A value that inference does not need: nothing, a truth, a float, bytes, an integer of more than 64 bits.
    Unneeded,
    Int(i64),
    Text(&'a str),
    EmptyDict,
    EmptyList,
    EmptyTuple,
    /// Of everything above the mark.
    Tuple,
    /// Of the topmost 1 to 3 values.
    TupleOf(usize),
    /// One value onto a list, or all above the mark.
    Append,
    Appends,
    /// One pair into a dictionary, or all above the mark.
    SetItem,
    SetItems,
    Global(&'a str, &'a str),
    StackGlobal,
    Reduce,
    Build,
    PersistentId,
    Put(u32),
    Memoize,
    Get(u32),
}

/// Longest byte string: a scalar's bytes are 8.
const BYTES_LIMIT: usize = 64 << 10;
/// Longest text: names and the odd docstring.
const TEXT_LIMIT: usize = 1 << 20;
/// Longest name of a module or of something in it.
const NAME_LIMIT: usize = 256;

/// Reads instructions from the bytes of a pickle.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { bytes, position: 0 }
    }

    /// Whether all bytes were read.
    pub(crate) fn at_end(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// An error at the current position.
    pub(crate) fn error(&self, problem: &'static str) -> Error {
        Error::Pickle { at: self.position, problem }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let taken = rest.get(..count).ok_or_else(|| self.error("lies past its end: it was cut short"))?;
        self.position += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn length(&mut self, width: usize, limit: usize) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.take(width)?);
        match usize::try_from(u64::from_le_bytes(wide)) {
            Ok(length) if length <= limit => Ok(length),
            _ => Err(self.error("announces a longer value than any checkpoint holds")),
        }
    }

    fn text(&mut self, width: usize) -> Result<Instruction<'a>> {
        let length = self.length(width, TEXT_LIMIT)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes)
            .map(Instruction::Text)
            .map_err(|_| self.error("ends text that is not UTF-8"))
    }

    fn bytes(&mut self, width: usize) -> Result<Instruction<'a>> {
        let length = self.length(width, BYTES_LIMIT)?;
        self.take(length)?;
        Ok(Instruction::Unneeded)
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest
            .iter()
            .take(NAME_LIMIT)
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| self.error("begins a name that does not end"))?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.error("ends a name that is not UTF-8"))
    }

    fn long(&mut self) -> Result<Instruction<'a>> {
        let length = self.length(1, 16)?;
        let bytes = self.take(length)?;
        if length > 8 {
            return Ok(Instruction::Unneeded);
        }
        // Two's complement: fill with the sign.
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = if negative { [0xff; 8] } else { [0; 8] };
        wide[..length].copy_from_slice(bytes);
        Ok(Instruction::Int(i64::from_le_bytes(wide)))
    }

    fn protocol(&mut self) -> Result<Instruction<'a>> {
        match self.array::<1>()? {
            [2..=5] => Ok(Instruction::Header),
            _ => Err(self.error("gives a protocol other than 2 to 5")),
        }
    }

    fn frame(&mut self) -> Result<Instruction<'a>> {
        let length = u64::from_le_bytes(self.array()?);
        if length > (self.bytes.len() - self.position) as u64 {
            return Err(self.error("announces a frame longer than the pickle"));
        }
        Ok(Instruction::Header)
    }

    /// The next instruction.
    pub(crate) fn next(&mut self) -> Result<Instruction<'a>> {
        let [code] = self.array()?;
        Ok(match code {
            0x80 => self.protocol()?,
            0x95 => self.frame()?,
            b'.' => Instruction::Stop,
            b'(' => Instruction::Mark,
            b'N' | 0x88 | 0x89 => Instruction::Unneeded,
            b'K' => Instruction::Int(i64::from(self.array::<1>()?[0])),
            b'M' => Instruction::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Instruction::Int(i64::from(i32::from_le_bytes(self.array()?))),
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                Instruction::Unneeded
            }
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            b'C' => self.bytes(1)?,
            b'B' => self.bytes(4)?,
            b'}' => Instruction::EmptyDict,
            b']' => Instruction::EmptyList,
            b')' => Instruction::EmptyTuple,
            b't' => Instruction::Tuple,
            0x85 => Instruction::TupleOf(1),
            0x86 => Instruction::TupleOf(2),
            0x87 => Instruction::TupleOf(3),
            b'a' => Instruction::Append,
            b'e' => Instruction::Appends,
            b's' => Instruction::SetItem,
            b'u' => Instruction::SetItems,
            b'c' => Instruction::Global(self.line()?, self.line()?),
            0x93 => Instruction::StackGlobal,
            b'R' => Instruction::Reduce,
            b'b' => Instruction::Build,
            b'Q' => Instruction::PersistentId,
            b'q' => Instruction::Put(u32::from(self.array::<1>()?[0])),
            b'r' => Instruction::Put(u32::from_le_bytes(self.array()?)),
            0x94 => Instruction::Memoize,
            b'h' => Instruction::Get(u32::from(self.array::<1>()?[0])),
            b'j' => Instruction::Get(u32::from_le_bytes(self.array()?)),
            _ => return Err(self.error("follows an opcode that no checkpoint needs")),
        })
    }
}
