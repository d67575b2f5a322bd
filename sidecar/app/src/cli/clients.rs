//! `vesalius clients`: the web viewers that were paired, and how to be rid of them.

use clap::Subcommand;

use super::Context;
use crate::server::{self, ClientId};
use crate::{Result, output};

/// What to do with paired web viewers.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do with paired web viewers.
#[derive(Debug, Subcommand)]
enum Command {
    /// List them
    List {
        /// Print JSON for scripts
        #[arg(long)]
        json: bool,
    },
    /// Forget some; their sessions end at once
    Revoke {
        /// As `vesalius clients list` shows them
        #[arg(required = true)]
        id: Vec<ClientId>,
    },
}

/// Works on paired web viewers.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match &arguments.command {
        Command::List { json } => list(*json, context),
        Command::Revoke { id } => id.iter().try_for_each(|id| {
            server::revoke(&context.home, id)?;
            context.display.note(&format!("forgot `{id}`"));
            Ok(())
        }),
    }
}

fn list(json: bool, context: &Context) -> Result<()> {
    let clients = server::paired(&context.home)?;
    if json {
        return output::json(&clients);
    }
    let now = server::now();
    let mut rows = vec![["ID", "ORIGIN", "LABEL", "PAIRED", "USED"].map(str::to_owned).to_vec()];
    rows.extend(clients.into_iter().map(|client| {
        let (paired, used) = (ago(now, client.created), ago(now, client.last_used));
        vec![client.client_id.to_string(), client.origin.to_string(), client.label, paired, used]
    }));
    output::line(output::table(&rows, &[]).trim_end())
}

/// How long ago, in days.
fn ago(now: u64, then: u64) -> String {
    match now.saturating_sub(then) / (24 * 3600) {
        0 => "today".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    }
}
