//! What the user reads: answers on standard output, everything else on standard error.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::{Error, Result};

/// How many commands that are parts of another are under way; the answers of these are nobody's.
static PARTS: AtomicUsize = AtomicUsize::new(0);

/// Runs a command as a part of another, whose answer is the only one.
pub(crate) fn without_answers<T>(work: impl FnOnce() -> T) -> T {
    PARTS.fetch_add(1, Ordering::SeqCst);
    let done = work();
    PARTS.fetch_sub(1, Ordering::SeqCst);
    done
}

/// Writes one line of the answer.
pub(crate) fn line(text: &str) -> Result<()> {
    if PARTS.load(Ordering::SeqCst) > 0 {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Error::Output)
}

/// Writes the answer as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Output(error.into()))?;
    line(&text)
}

/// Tells something that is not the answer. A closed standard error is nobody's loss.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Asks the user, who answers on the same line.
pub(crate) fn ask(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Rows in columns, the first row underlined by nothing but its place; columns as wide as they need.
///
/// `right` names the columns that are set to the right, as numbers are.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Bytes as people say them: `234 MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    for (unit, scale) in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] {
        if bytes >= scale {
            let value = bytes / scale;
            return if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") };
        }
    }
    format!("{bytes} B")
}

/// The candidate most like `word`, if one is near: for "did you mean".
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near =
        candidates.into_iter().map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate));
    near.min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: letters added, dropped or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_or_three_digits() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (233_742_255, "234 MB")] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(1_169_624_952), "1.2 GB");
    }

    #[test]
    fn nearest_words() {
        let tasks = ["total", "total_mr", "lung_vessels", "body"];
        for (word, near) in [
            ("totl", Some("total")),
            ("total-mr", Some("total_mr")),
            ("lung_vessel", Some("lung_vessels")),
            ("BODY", Some("body")),
            ("kidney", None),
        ] {
            assert_eq!(nearest(word, tasks), near, "{word}");
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["task".to_owned(), "n".to_owned()], vec!["a".to_owned(), "117".to_owned()]];
        assert_eq!(table(&rows, &[1]), "task    n\na     117\n");
    }
}
