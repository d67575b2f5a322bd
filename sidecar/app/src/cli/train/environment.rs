//! The Python environment that nnU-Net runs in: made once, with every package locked by its hash.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::Context;
use crate::staging::Staging;
use crate::{Error, Result, output};

/// Prints the versions that matter without loading PyTorch.
const ASK: &str = "import sys, importlib.metadata as m\n\
    print('.'.join(map(str, sys.version_info[:2])))\nprint(m.version('nnunetv2'))\nprint(m.version('torch'))";

/// How to make the environment.
#[derive(Debug, clap::Args)]
pub(super) struct Setup {
    /// Python 3.11 or later that the environment is made with
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// Print the locked packages, for an environment that you make yourself, and do nothing
    #[arg(long)]
    print_requirements: bool,
}

/// A Python with nnU-Net.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    /// Its interpreter.
    pub(super) python: PathBuf,
    /// Our own Python files.
    pub(super) scripts: PathBuf,
}

/// Makes the environment; its interpreter is the answer.
pub(super) fn setup(setup: &Setup, context: &Context) -> Result<()> {
    if setup.print_requirements {
        return output::line(training::REQUIREMENTS.trim_end());
    }
    let folder = folder(context);
    let requirements = folder.with_extension("txt");
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
    std::fs::write(&requirements, training::REQUIREMENTS)
        .map_err(|error| Error::write(&requirements, error))?;
    context.display.note(
        "nnU-Net and PyTorch are downloaded from the Python package index: 1 to 3 GB, each file checked against \
         its hash",
    );
    let run = |command: &mut Command, what: &str| {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(Error::refused(
                format!("{what} failed; what it said stands above"),
                "give the command again to go on, or bring your own environment with `--python`",
            )),
            Err(error) => Err(Error::refused(
                format!("`{}` cannot be started: {error}", setup.python.display()),
                "name a Python 3.11 or later with `--python`",
            )),
        }
    };
    let python = interpreter(&folder);
    if !python.exists() {
        run(Command::new(&setup.python).args(["-m", "venv"]).arg(&folder), "making the environment")?;
    }
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
    run(Command::new(&python).args(install).arg(&requirements), "installing")?;
    let environment = Environment::at(&python, context)?;
    output::line(&environment.python.display().to_string())
}

impl Environment {
    /// The Python that was named, or the environment of `setup`.
    pub(super) fn find(python: Option<&Path>, context: &Context) -> Result<Environment> {
        match python {
            Some(python) => Environment::at(python, context),
            None => {
                let python = interpreter(&folder(context));
                if !python.exists() {
                    return Err(Error::refused(
                        "training needs nnU-Net, and its environment is not there",
                        "run `vesalius train setup` (1 to 3 GB from the Python package index), or name a Python \
                         that has nnU-Net with `--python`",
                    ));
                }
                Environment::at(&python, context)
            }
        }
    }

    /// Sees that nnU-Net is there and which, and lays our files beside.
    fn at(python: &Path, context: &Context) -> Result<Environment> {
        let asked = Command::new(python).args(["-c", ASK]).stdin(Stdio::null()).output();
        let answer = match &asked {
            Ok(done) if done.status.success() && !done.stdout.is_empty() => {
                String::from_utf8_lossy(&done.stdout).into_owned()
            }
            Ok(done) => {
                let said = String::from_utf8_lossy(&done.stderr);
                let last = said.trim().lines().last().unwrap_or("it said nothing");
                return Err(Error::refused(
                    format!("`{}` has no nnU-Net: {last}", python.display()),
                    format!("`pip install nnunetv2=={}` there, or `vesalius train setup`", training::NNUNET),
                ));
            }
            Err(error) => {
                return Err(Error::refused(
                    format!("`{}` cannot be started: {error}", python.display()),
                    "name Python's interpreter with `--python`",
                ));
            }
        };
        let mut lines = answer.lines().map(str::trim);
        let (version, nnunet, torch) = (lines.next(), lines.next(), lines.next());
        if nnunet != Some(training::NNUNET) {
            context.display.warning(&format!(
                "nnU-Net is {} there; {} is what was tested",
                nnunet.unwrap_or("unknown"),
                training::NNUNET
            ));
        }
        context.display.detail(&format!(
            "Python {}, nnU-Net {}, PyTorch {}",
            version.unwrap_or("?"),
            nnunet.unwrap_or("?"),
            torch.unwrap_or("?")
        ));
        Ok(Environment { python: python.to_owned(), scripts: scripts(context)? })
    }
}

/// Where the environment is, or will be.
fn folder(context: &Context) -> PathBuf {
    context.home.training().join(format!("nnunet-{}", training::NNUNET))
}

/// Python of an environment.
fn interpreter(folder: &Path) -> PathBuf {
    if cfg!(windows) { folder.join("Scripts").join("python.exe") } else { folder.join("bin").join("python") }
}

/// Our Python files on disk; the folder is named by their hash, so that a running training keeps its own.
fn scripts(context: &Context) -> Result<PathBuf> {
    let folder = context.home.training().join(format!("scripts-{}", training::file_hash()));
    for (name, text) in training::FILES {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        let mut staging = Staging::new();
        let aside = staging.path(&path)?;
        std::fs::write(&aside, text).map_err(|error| Error::write(&aside, error))?;
        staging.commit()?;
    }
    Ok(folder)
}
