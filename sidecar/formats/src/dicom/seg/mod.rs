//! DICOM Segmentation objects (PS3.3 A.51): label maps that lie on the slices of the series they were made from, with
//! coded names, colours and how they were made; written, and read from any program.

mod color;
mod content;
mod elements;
mod frames;
mod groups;
mod identity;
mod place;
mod read;
mod table;
mod terms;
#[cfg(test)]
mod tests;
mod write;

pub use read::{read, read_bytes};
pub use write::{check, write};

/// How a segmentation came about, as far as a DICOM object tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// What the new series is called, at most 64 characters.
    pub description: String,
    /// By whom.
    pub by: By,
    /// What segmented: the name of a task or a method.
    pub algorithm: String,
    /// Version of the program and of the models.
    pub version: String,
    /// Where the method comes from.
    pub origin: String,
    /// What it takes to make it again: models with their hashes, options.
    pub parameters: String,
    /// Version of this program.
    pub software: String,
}

/// Who made a segmentation (PS3.3 C.8.20.2, Segment Algorithm Type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// A program alone.
    #[default]
    Program,
    /// A program, corrected by a person.
    Both,
    /// A person alone.
    Person,
}

impl By {
    /// DICOM's defined term.
    pub(crate) fn term(self) -> &'static str {
        match self {
            By::Program => "AUTOMATIC",
            By::Both => "SEMIAUTOMATIC",
            By::Person => "MANUAL",
        }
    }
}
