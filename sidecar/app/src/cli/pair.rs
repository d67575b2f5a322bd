//! `vesalius pair`: lets a web viewer use this computer's engine. The code is shown here, typed there, and the question
//! is asked here.

use std::io::BufRead;

use super::Context;
use crate::server::{PairingProcess, PairingState};
use crate::{Error, Result, output};

/// Pairs a web viewer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Type the code into the viewer within two minutes, then answer the question here. The viewer stays \
    paired until `vesalius clients revoke`, or until it has not come for 90 days."
)]
pub(super) struct Arguments {}

/// Shows a code, waits for a page that knows it, and asks the user.
pub(super) fn run(context: &Context) -> Result<()> {
    let (pairing, shown) = PairingProcess::start(&context.home)?;
    context.display.note("type this code into the viewer, within two minutes:");
    output::line(&shown.code)?;
    let mut view = pairing.wait(PairingState::Waiting)?;
    if let (PairingState::Asking, Some(origin)) = (view.state, &view.origin) {
        let label = view.label.as_deref().unwrap_or_default();
        output::ask(&format!(
            "Allow {origin} (\"{label}\") to use this computer's segmentation engine? [y/N] "
        ));
        let mut word = String::new();
        std::io::stdin().lock().read_line(&mut word).map_err(Error::Output)?;
        let allow = matches!(word.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        view = pairing.answer(allow)?;
    }
    let (message, hint) = match view.state {
        PairingState::Allowed => {
            context.display.note("paired; `vesalius clients list` lists all");
            return Ok(());
        }
        PairingState::Refused => ("the viewer was not allowed", "run `vesalius pair` again to allow one"),
        _ => ("nobody came with the right code in time", "run `vesalius pair` again for a new code"),
    };
    Err(Error::Refused { message: message.to_owned(), hint: hint.to_owned() })
}
