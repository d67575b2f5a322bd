//! `docs/cli.md` shows what `--help` prints. After a change of the flags: `BLESS=1 cargo test -p system-tests help`.

use std::path::Path;

use crate::support::program;

/// Commands whose help the reference shows.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["segment"],
    &["tasks"],
    &["tasks", "show"],
    &["models"],
    &["models", "list"],
    &["models", "install"],
    &["models", "import"],
    &["models", "card"],
    &["models", "remove"],
    &["models", "verify"],
    &["evaluate"],
    &["synth"],
    &["dataset"],
    &["dataset", "split"],
    &["dataset", "build"],
    &["dataset", "export"],
    &["train"],
    &["train", "setup"],
    &["experiment"],
    &["experiment", "four-databases"],
    &["serve"],
    &["pair"],
    &["clients"],
    &["clients", "list"],
    &["clients", "revoke"],
    &["doctor"],
    &["bench"],
    &["bench", "correction"],
    &["bench", "registration"],
];

#[test]
fn the_reference_shows_what_help_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let mut document = std::fs::read_to_string(&path).unwrap();
    let home = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let arguments = [*command, &["--help"]].concat();
        let ran = program::run(home.path(), &arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        let heading = format!("```text\n$ vesalius {}\n", arguments.join(" "));
        let help: Vec<&str> = ran.stdout.trim_end().lines().map(str::trim_end).collect();
        let shown = format!("{heading}{}\n```", help.join("\n"));
        if std::env::var_os("BLESS").is_some() {
            let start = document.find(&heading).unwrap_or_else(|| panic!("docs/cli.md has no `{heading}`"));
            let end = start + heading.len() + document[start + heading.len()..].find("```").unwrap() + 3;
            document.replace_range(start..end, &shown);
        }
        assert!(document.contains(&shown), "docs/cli.md does not show this, run with BLESS=1:\n{shown}");
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, document).unwrap();
    }
}
