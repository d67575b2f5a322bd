//! Where the inference library may lie on this computer, in the order in which it is looked for.
//!
//! ONNX Runtime and OpenVINO's plug-in come inside the Python packages `onnxruntime` and `onnxruntime-ep-openvino`,
//! so most places are Python environments. The current folder is never searched.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A place that was looked at, and what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Why this place: `beside the program`.
    pub place: String,
    /// The folder, or the file found in it.
    pub path: PathBuf,
    /// What was found.
    pub outcome: Found,
}

/// What a place held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// No library.
    Nothing,
    /// The library that is used.
    Used,
    /// A library older than this program can use.
    TooOld {
        /// Its version: `1.17.3`.
        version: String,
    },
    /// A file that is not a working library.
    Unusable {
        /// Why, as the system says it.
        reason: String,
    },
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match &self.outcome {
            Found::Nothing => write!(formatter, "{}: nothing in `{path}`", self.place),
            Found::Used => write!(formatter, "{}: `{path}`", self.place),
            Found::TooOld { version } => {
                write!(formatter, "{}: `{path}` is version {version}, too old", self.place)
            }
            Found::Unusable { reason } => write!(formatter, "{}: `{path}`: {reason}", self.place),
        }
    }
}

/// What the search depends on; [`Surroundings::of_this_process`] for the real one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// File or folder named by the user, and by what means; nothing else is looked at then.
    pub(crate) named: Option<(String, PathBuf)>,
    /// The running program.
    pub(crate) program: Option<PathBuf>,
    /// Active Python environments: `VIRTUAL_ENV`, `CONDA_PREFIX`.
    pub(crate) active: Vec<(String, PathBuf)>,
    /// Where this program keeps its own data.
    pub(crate) data: Option<PathBuf>,
    /// The user's home.
    pub(crate) home: Option<PathBuf>,
}

impl Surroundings {
    /// From the environment; `named` and `data` are the caller's own wishes.
    pub(crate) fn of_this_process(named: Option<&Path>, data: Option<&Path>) -> Surroundings {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let listed = |names: [&str; 2]| {
            names
                .into_iter()
                .filter_map(|name| Some((format!("`{name}`"), variable(name)?)))
                .collect::<Vec<_>>()
        };
        let wished = named.map(|path| ("as asked".to_owned(), path.to_owned()));
        Surroundings {
            named: wished.or_else(|| listed(["VESALIUS_ONNXRUNTIME", "ORT_DYLIB_PATH"]).into_iter().next()),
            // With links resolved: tools such as pipx link programs out of their environments.
            program: std::env::current_exe().ok().map(|path| path.canonicalize().unwrap_or(path)),
            active: listed(["VIRTUAL_ENV", "CONDA_PREFIX"]),
            data: data.map(Path::to_owned),
            home: variable(if cfg!(windows) { "APPDATA" } else { "HOME" }),
        }
    }
}

/// A library to be found: its file and the Python package that carries it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// File name without `lib` and ending.
    stem: &'static str,
    /// Folder of the package that holds the file, below `site-packages`.
    package: &'static str,
}

/// ONNX Runtime itself.
pub(crate) const ONNX_RUNTIME: Wanted = Wanted { stem: "onnxruntime", package: "onnxruntime/capi" };
/// The plug-in that runs networks with OpenVINO.
pub(crate) const OPENVINO: Wanted =
    Wanted { stem: "onnxruntime_providers_openvino_plugin", package: "onnxruntime_ep_openvino" };

/// A folder or file worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) place: String,
    /// The library's file; None: the folder `path` holds none.
    pub(crate) file: Option<PathBuf>,
    pub(crate) path: PathBuf,
}

/// All places in order; each once, those without a library too.
pub(crate) fn candidates(surroundings: &Surroundings, wanted: Wanted) -> Vec<Candidate> {
    let mut places: Vec<(String, PathBuf)> = Vec::new();
    if let Some((means, path)) = &surroundings.named {
        if !path.is_dir() {
            return vec![Candidate { place: means.clone(), file: Some(path.clone()), path: path.clone() }];
        }
        places.push((means.clone(), path.clone()));
    } else {
        let mut add = |place: &str, path: &Path| places.push((place.to_owned(), path.to_owned()));
        let folder = surroundings.program.as_deref().and_then(Path::parent);
        if let Some(folder) = folder {
            add("beside the program", folder);
            if let Some(prefix) = folder.parent() {
                add("the environment of the program", prefix);
            }
            folder
                .ancestors()
                .for_each(|ancestor| add("a `.venv` above the program", &ancestor.join(".venv")));
        }
        surroundings.active.iter().for_each(|(name, path)| add(name, path));
        surroundings.data.iter().for_each(|path| add("the data folder", path));
        for path in surroundings.home.iter().flat_map(|home| user_prefixes(home)) {
            add("the user's Python", &path);
        }
        if cfg!(unix) {
            ["/usr/local", "/opt/homebrew", "/usr"]
                .iter()
                .for_each(|path| add("the system", Path::new(path)));
        }
    }
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut found = Vec::new();
    for (place, path) in places {
        // Most folders above a program hold no environment: not worth a line in a report.
        if seen.contains(&path) || (path.ends_with(".venv") && !path.is_dir()) {
            continue;
        }
        let file = folders(&path, wanted).iter().find_map(|folder| newest(folder, wanted));
        found.push(Candidate { place, file, path: path.clone() });
        seen.push(path);
    }
    found
}

/// Prefixes of `pip install --user`.
fn user_prefixes(home: &Path) -> Vec<PathBuf> {
    if cfg!(windows) {
        subfolders(&home.join("Python"), "Python3")
    } else if cfg!(target_os = "macos") {
        subfolders(&home.join("Library/Python"), "3")
    } else {
        vec![home.join(".local")]
    }
}

/// Folders below `prefix` that may hold the library: itself, its `lib`, and its Python packages.
fn folders(prefix: &Path, wanted: Wanted) -> Vec<PathBuf> {
    let mut folders = vec![prefix.to_owned(), prefix.join("lib"), prefix.join(wanted.package)];
    let mut packages = vec![prefix.join("Lib").join("site-packages"), prefix.join("site-packages")];
    packages.push(prefix.join("lib/python/site-packages"));
    for lib in ["lib", "lib64"] {
        for python in subfolders(&prefix.join(lib), "python3") {
            packages.extend(["site-packages", "dist-packages"].map(|name| python.join(name)));
        }
    }
    folders.extend(packages.into_iter().map(|folder| folder.join(wanted.package)));
    folders
}

/// Folders in `folder` whose names begin with `start`, highest version first.
fn subfolders(folder: &Path, start: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        entries(folder).filter(|path| name(path).starts_with(start) && path.is_dir()).collect();
    found.sort_by_key(|path| std::cmp::Reverse(numbers(name(path))));
    found
}

/// The library of the highest version in `folder`.
fn newest(folder: &Path, wanted: Wanted) -> Option<PathBuf> {
    entries(folder)
        .filter(|path| is_library(name(path), wanted.stem))
        .max_by_key(|path| (numbers(name(path)), std::cmp::Reverse(path.clone())))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.32.0`, `libonnxruntime.1.32.0.dylib`, `onnxruntime.dll`.
fn is_library(name: &str, stem: &str) -> bool {
    if cfg!(windows) {
        return name.eq_ignore_ascii_case(&format!("{stem}.dll"));
    }
    let version = |rest: &str| rest.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    let Some(rest) = name.strip_prefix("lib").and_then(|name| name.strip_prefix(stem)) else { return false };
    match (rest.strip_prefix(".so"), rest.strip_suffix(".dylib")) {
        (Some(rest), _) => !cfg!(target_os = "macos") && version(rest),
        (None, Some(rest)) => cfg!(target_os = "macos") && version(rest),
        (None, None) => false,
    }
}

/// The numbers in a name, to compare versions: `python3.11` -> `[3, 11]`.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|character: char| !character.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Whether `path` is a whole file that the system's loader can be trusted with.
///
/// The loader maps a shared library by what its header says. In one cut short, as an interrupted download leaves it,
/// it would touch memory behind the end of the file and the program would die of SIGBUS; a pipe would block it.
///
/// # Errors
///
/// Says why not.
pub(crate) fn is_whole(path: &Path) -> Result<(), String> {
    let say = |error: io::Error| error.to_string();
    let metadata = fs::metadata(path).map_err(say)?;
    if !metadata.is_file() {
        return Err("this is not a file".into());
    }
    let mut header = Vec::new();
    File::open(path).map_err(say)?.take(64).read_to_end(&mut header).map_err(say)?;
    if cfg!(any(target_os = "macos", windows)) {
        // Both systems compare lengths themselves.
        return Ok(());
    }
    let number = |at: usize, length: usize| {
        header
            .get(at..at + length)
            .map(|bytes| bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    if !header.starts_with(b"\x7fELF") {
        return Err("this is not a shared library".into());
    }
    // e_ident[EI_CLASS] 2: 64 bit; e_shoff, e_shentsize and e_shnum: the section headers stand at the file's end.
    let (Some(2), Some(offset), Some(size), Some(count)) =
        (number(4, 1), number(40, 8), number(58, 2), number(60, 2))
    else {
        return Err("this is not a shared library of 64 bit".into());
    };
    if offset.saturating_add(size * count) > metadata.len() {
        return Err("the file is cut short".into());
    }
    Ok(())
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
