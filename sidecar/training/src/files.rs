//! The Python that nnU-Net is driven with, and the packages of its environment: inside the program.

use sha2::{Digest, Sha256};

/// The version of nnU-Net that the environment holds and that everything here was measured with.
pub const NNUNET: &str = "2.8.1";

/// Names and texts of the Python files.
pub const FILES: [(&str, &str); 3] = [
    ("on_the_fly.py", include_str!("../python/on_the_fly.py")),
    ("train.py", include_str!("../python/train.py")),
    ("vesalius_trainer.py", include_str!("../python/vesalius_trainer.py")),
];

/// The locked packages with their hashes, as `pip install --require-hashes -r` reads them.
pub const REQUIREMENTS: &str = include_str!("../python/requirements.txt");

/// A hash of the files, so that another version of the program has a folder of its own.
#[must_use]
pub fn file_hash() -> String {
    let mut digest = Sha256::new();
    for (name, text) in FILES {
        digest.update(name);
        digest.update(text);
    }
    digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_locked_package_has_a_version_and_a_hash() {
        let text = REQUIREMENTS.replace("\\\n", " ");
        let is_package = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let lines: Vec<&str> = text.lines().map(str::trim).filter(is_package).collect();
        assert!(lines.len() > 30, "{}", lines.len());
        for line in &lines {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
        assert!(lines.iter().any(|line| line.starts_with(&format!("nnunetv2=={NNUNET} "))));
        assert!(lines.iter().any(|line| line.starts_with("torch==")));
    }
}
