//! `vesalius serve`: the engine for viewers on this computer.

use std::time::Duration;

use super::{Context, device};
use crate::install::Network;
use crate::{Result, download, server};

/// Where to listen, and for how long.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Only programs of the same user on this computer are served: the port and the token are in \
    `run/endpoint.json` of the folder that `vesalius doctor` names."
)]
pub(super) struct Arguments {
    /// Listen on this port of 127.0.0.1; the usual one, or a free one, when left out
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// End when nobody has asked for anything for so many minutes
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    exit_when_idle: Option<Duration>,
    /// Let this http page be paired, too: anybody between you and its server can change what it does
    #[arg(long, value_name = "ORIGIN")]
    allow_http_origin: Vec<server::Origin>,
    /// Let clients have series fetched from this archive (DICOMweb), such as https://pacs.example/dicom-web
    #[arg(long, value_name = "URL")]
    allow_dicomweb: Vec<server::Archive>,
    /// Most memory that the work may take, in GB; what is free when left out
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    memory: Option<u64>,
    /// Address that replaces `https://github.com` when models are installed
    #[arg(long, value_name = "URL", env = "VESALIUS_MIRROR", hide_env_values = true)]
    mirror: Option<String>,
    /// Proxy for that, instead of what `HTTPS_PROXY` and `NO_PROXY` say
    #[arg(long, value_name = "URL", env = "VESALIUS_PROXY", hide_env_values = true)]
    proxy: Option<String>,
    #[command(flatten)]
    device: device::Arguments,
    /// Be the process that does the work
    #[arg(long, hide = true, value_enum)]
    worker: Option<server::Urgency>,
}

/// Serves, or works for the process that does.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let runtime = device::options(&arguments.device, context)?;
    if let Some(urgency) = arguments.worker {
        let network = Network {
            mirror: arguments.mirror.clone().or_else(|| context.settings.mirror.clone()),
            options: download::Options {
                proxy: arguments.proxy.clone().or_else(|| context.settings.proxy.clone()),
                ..download::Options::default()
            },
        };
        let (store, downloads) = (context.store(), context.home.downloads());
        let archives = arguments.allow_dicomweb.clone();
        let installer = server::Installer { store, downloads, network };
        let memory = arguments.memory;
        return server::work(server::Workplace { urgency, installer, runtime, memory, archives });
    }
    let options = server::Options {
        port: arguments.port,
        exit_when_idle: arguments.exit_when_idle,
        http_origins: arguments.allow_http_origin.clone(),
        archives: arguments.allow_dicomweb.clone(),
    };
    server::serve(&options, &context.home)
}

/// A number above 0.
fn minutes(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().map(|minutes| minutes * 60.0).filter(|&seconds| seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "a number of minutes above 0 is needed".to_owned())
}

/// A number above 0, in bytes.
fn gigabytes(text: &str) -> Result<u64, String> {
    let bytes = text.parse::<f64>().ok().map(|gigabytes| gigabytes * 1e9).filter(|&bytes| bytes >= 1.0);
    bytes.map(|bytes| bytes as u64).ok_or_else(|| "a number of gigabytes above 0 is needed".to_owned())
}
