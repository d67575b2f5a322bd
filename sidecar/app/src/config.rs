//! Where the program keeps its things, and what the user has set for good: defaults < `config.toml` < environment
//! < flags.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Result};

/// The one folder that holds all state: models, downloads, settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// `VESALIUS_HOME`, else the operating system's folder for a user's local data.
    ///
    /// # Errors
    ///
    /// When the user has no home folder and the variable is not set.
    pub fn find() -> Result<Home> {
        if let Some(root) = set("VESALIUS_HOME") {
            return Ok(Home { root: root.into() });
        }
        let folders = directories::ProjectDirs::from("", "", "vesalius");
        let root = folders.map(|folders| folders.data_local_dir().to_owned());
        root.map(|root| Home { root }).ok_or_else(|| Error::Refused {
            message: "this account has no home folder to keep models in".to_owned(),
            hint: "set `VESALIUS_HOME` to a folder".to_owned(),
        })
    }

    /// A given folder.
    #[must_use]
    pub fn at(root: &Path) -> Home {
        Home { root: root.to_owned() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Installed models.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// Downloads that are not finished, and the lock of who downloads.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// The environment for training, and trainings.
    #[must_use]
    pub fn training(&self) -> PathBuf {
        self.root.join("training")
    }

    /// The settings file.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.root.join("config.toml")
    }
}

/// What the user has set for good in `<home>/config.toml`; every entry can be left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The task that `segment` runs without `--task`.
    pub task: Option<String>,
    /// The device, as `--device` takes it.
    pub device: Option<String>,
    /// `compatible` or `precise`.
    pub mode: Option<String>,
    /// Precision of the network, as `--precision` takes it.
    pub precision: Option<String>,
    /// Threads; 0: as many as the machine has cores.
    pub threads: Option<usize>,
    /// Replaces `https://github.com` in the addresses of weights.
    pub mirror: Option<String>,
    /// Proxy for downloads.
    pub proxy: Option<String>,
    /// The ONNX Runtime library.
    pub runtime: Option<PathBuf>,
    /// Folders of nnU-Net or TotalSegmentator weights that are used where they lie.
    pub weights: Vec<PathBuf>,
}

impl Settings {
    /// Reads the settings of `home`; a missing file is an empty one.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read, or says something that is no setting.
    pub fn read(home: &Home) -> Result<Settings> {
        let path = home.settings();
        match std::fs::read_to_string(&path) {
            Ok(text) => Settings::parse(&text)
                .map_err(|error| Error::Settings { path, detail: error.message().replace('\n', " ") }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => Err(Error::read(&path, error)),
        }
    }

    /// Reads settings from text.
    fn parse(text: &str) -> Result<Settings, toml::de::Error> {
        toml::from_str(text)
    }

    /// Folders of TotalSegmentator's weights on this machine: the settings', its environment's, its default.
    #[must_use]
    pub fn weight_folders(&self) -> Vec<PathBuf> {
        let mut folders = self.weights.clone();
        folders.extend(set("TOTALSEG_WEIGHTS_PATH").map(PathBuf::from));
        let home = set("TOTALSEG_HOME_DIR")
            .map(PathBuf::from)
            .or_else(|| directories::UserDirs::new().map(|user| user.home_dir().join(".totalsegmentator")));
        folders.extend(home.map(|home| home.join("nnunet").join("results")));
        folders.retain(|folder| folder.is_dir());
        folders.dedup();
        folders
    }
}

/// An environment variable that is set to something.
pub(crate) fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_unknown_ones_refused() {
        let settings = Settings::parse("mirror = \"https://mirror.example.org\"\nthreads = 4\n").unwrap();
        assert_eq!(settings.mirror.as_deref(), Some("https://mirror.example.org"));
        assert_eq!(settings.threads, Some(4));
        assert!(Settings::parse("mirrors = \"x\"").is_err());
        assert!(Settings::parse("threads = \"many\"").is_err());
    }

    #[test]
    fn a_missing_file_is_empty_settings() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(Settings::read(&home).unwrap(), Settings::default());
        std::fs::write(home.settings(), "task = 3").unwrap();
        assert!(matches!(Settings::read(&home), Err(Error::Settings { .. })));
    }
}
