//! The architecture, checked: what `docs/architecture.md` promises, these tests hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each crate of ours, and the crates of ours that it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("imaging", &[]),
    ("formats", &["imaging"]),
    ("nnunet", &["imaging"]),
    ("preview", &["imaging"]),
    ("correction", &["imaging"]),
    ("trials", &["imaging", "correction"]),
    ("evaluation", &["imaging"]),
    ("stroke", &["imaging"]),
    ("training", &["nnunet"]),
    ("engine", &["imaging", "nnunet"]),
    ("promptable", &["imaging", "nnunet", "engine"]),
    (
        "vesalius",
        &[
            "imaging",
            "formats",
            "preview",
            "nnunet",
            "engine",
            "promptable",
            "correction",
            "trials",
            "evaluation",
            "stroke",
            "training",
        ],
    ),
    ("system-tests", &["vesalius"]),
];
/// Outside packages that belong somewhere, and the only crates that may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("tokio", &["vesalius"]),
    ("warp", &["vesalius"]),
    ("hyper-util", &["vesalius"]),
    ("futures-util", &["vesalius"]),
    ("getrandom", &["vesalius"]),
    ("clap", &["vesalius"]),
    ("directories", &["vesalius"]),
    ("indicatif", &["vesalius"]),
    ("ureq", &["vesalius"]),
    ("anyhow", &["vesalius"]),
    ("fs4", &["vesalius"]),
    ("rustix", &["vesalius"]),
    ("hkdf", &["vesalius"]),
    ("hmac", &["vesalius"]),
    ("subtle", &["vesalius"]),
    ("utoipa", &["vesalius"]),
    ("ort", &["engine"]),
    ("prost", &["nnunet"]),
    ("zip", &["nnunet", "formats"]),
    ("nifti", &["formats"]),
    ("dicom-object", &["formats"]),
    ("flate2", &["formats", "nnunet", "preview"]),
    ("png", &["formats"]),
    ("fontdue", &["preview"]),
    ("statrs", &["evaluation"]),
];
/// Licences of packages that the program may contain; each is compatible with Apache-2.0 distribution.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "CDLA-Permissive-2.0",
    "IJG",
];
/// Packages of other licences, and why they may stay.
const EXCEPTIONS: &[(&str, &str)] = &[("option-ext", "MPL-2.0: used unchanged, by `directories`")];
/// Lines of the longest file that a person reads in one sitting; most are half of it.
const LINES: usize = 450;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// What `cargo` says, without the network.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `(user, used)` of every dependency that is no development dependency.
fn dependencies() -> Vec<(String, String)> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version=1"])).unwrap();
    let mut edges = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        for dependency in dependencies.filter(|dependency| dependency["kind"] != "dev") {
            edges.push((text(&package["name"]), text(&dependency["name"])));
        }
    }
    edges
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn crates_depend_downwards_only() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    for (user, used) in dependencies() {
        let allowed = layers.get(user.as_str()).unwrap_or_else(|| panic!("`{user}` is not in LAYERS"));
        let ours = layers.contains_key(used.as_str());
        assert!(
            !ours || allowed.contains(&used.as_str()),
            "`{user}` must not depend on `{used}`: see docs/architecture.md"
        );
    }
}

#[test]
fn every_package_has_its_home() {
    for (user, used) in dependencies() {
        if let Some((_, homes)) = HOMES.iter().find(|(name, _)| *name == used) {
            assert!(homes.contains(&user.as_str()), "only {homes:?} may name `{used}`, and `{user}` does");
        }
    }
}

#[test]
fn every_version_is_named_once_at_the_root() {
    for manifest in files(&["toml"]) {
        if !manifest.ends_with("Cargo.toml") || manifest == root().join("Cargo.toml") {
            continue;
        }
        let text = std::fs::read_to_string(&manifest).unwrap();
        let at = |header: &str| text.find(header).map(|at| &text[at + header.len()..]);
        for header in ["[dependencies]\n", "[dev-dependencies]\n", "[build-dependencies]\n"] {
            let section = at(header).unwrap_or_default();
            let lines = section.lines().take_while(|line| !line.starts_with('['));
            for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let inherited = line.contains(".workspace = true") || line.contains("workspace = true");
                assert!(inherited, "{}: `{line}` names a version", manifest.display());
            }
        }
    }
}

/// Files of the repository with one of these endings; what git ignores is left out.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let skipped =
                ["target", "node_modules", "dist", "__pycache__", "shared"].contains(&name.as_str());
            if path.is_dir() && !name.starts_with('.') && !skipped {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn files_introduce_themselves_and_are_short() {
    let mut faults = Vec::new();
    for file in files(&["rs", "py", "ts", "tsx"]) {
        let text = std::fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(root()).unwrap().display();
        let lines = text.lines().count();
        // What a program has written, nobody reads in one sitting.
        if lines > LINES && !text.lines().next().is_some_and(|first| first.contains("Made by `")) {
            faults.push(format!("{shown}: {lines} lines; split it by what it does"));
        }
        let is_rust = file.extension().is_some_and(|ending| ending == "rs");
        if is_rust && !text.starts_with("//!") {
            faults.push(format!("{shown}: begins with no `//!` sentence that says what it is for"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_package_may_be_distributed() {
    let allowed: BTreeSet<&str> = LICENCES.iter().copied().collect();
    // What the program contains on this system; packages of other systems need not be here.
    let tree = cargo(&["tree", "--workspace", "--edges=normal,build", "--prefix=none", "--format={p}|{l}"]);
    let packages: BTreeSet<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    assert!(packages.len() > 100, "{tree}");
    for package in packages {
        let (name, licence) = package.split_once('|').unwrap();
        let name = name.split(' ').next().unwrap();
        let licence = licence.trim_end_matches(" (*)");
        let excepted = EXCEPTIONS.iter().any(|(known, _)| *known == name);
        assert!(excepted || permits(licence, &allowed), "`{name}` is under `{licence}`");
    }
}

/// Whether an SPDX expression can be met with allowed licences: every AND term has one OR choice that is allowed.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let choice = |licence: &str| allowed.contains(licence.split(" WITH ").next().unwrap_or_default().trim());
    // With brackets gone `A AND (B OR C)` and `(A AND B) OR C` look alike; the stricter reading is taken.
    expression.split(" AND ").all(|term| term.split(" OR ").any(choice))
}

#[test]
fn licence_expressions_are_understood() {
    let allowed: BTreeSet<&str> = ["MIT", "Apache-2.0", "Unicode-3.0"].into();
    for (expression, permitted) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT/GPL-3.0", true),
        ("none", false),
    ] {
        assert_eq!(permits(expression, &allowed), permitted, "{expression}");
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for document in files(&["md"]) {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let outside = link.contains("://") || link.starts_with('#') || link.starts_with("mailto:");
            let path = link.split('#').next().unwrap_or_default();
            if !outside && !document.parent().unwrap().join(path).exists() {
                faults.push(format!("{}: `{link}`", document.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(faults.is_empty(), "dead links:\n{}", faults.join("\n"));
}

/// Targets of `[text](target)`, outside code blocks.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let mut rest = if in_code { "" } else { line };
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push(rest[..end].to_owned());
        }
    }
    found
}

#[test]
fn nothing_names_the_machine_that_it_was_written_on() {
    // Put together here, so that this file does not name them either.
    let private = [["/wo", "rk/"].concat(), ["/op", "t/v/"].concat(), ["/ro", "ot/"].concat()];
    for file in files(&["rs", "py", "toml", "md", "sh", "ts", "json", "yml", "yaml"]) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        for path in &private {
            assert!(!text.contains(path.as_str()), "{} names `{path}`", file.display());
        }
    }
}
