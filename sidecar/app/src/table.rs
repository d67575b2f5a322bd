//! Tables that users write: comma-separated values with a header line.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, Result};

/// Reads a table: for each line the fields by the header's names, in lower case. Empty fields are left out.
pub(crate) fn read(path: &Path) -> Result<Vec<BTreeMap<String, String>>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
    let mut lines = records(text.trim_start_matches('\u{feff}')).into_iter();
    let header: Vec<String> =
        lines.next().unwrap_or_default().iter().map(|name| name.to_lowercase()).collect();
    let mut rows = Vec::new();
    for (n, fields) in lines.enumerate() {
        if fields.len() > header.len() {
            let (found, expected) = (fields.len(), header.len());
            return Err(Error::refused(
                format!("line {} of `{}` has {found} fields, its header {expected}", n + 2, path.display()),
                "quote fields that hold a comma",
            ));
        }
        let named = header.iter().cloned().zip(fields).filter(|(_, value)| !value.is_empty());
        rows.push(named.collect());
    }
    Ok(rows)
}

/// Fields of RFC 4180, line by line; lines without any are passed over.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field).trim().to_owned()),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                fields.push(std::mem::take(&mut field).trim().to_owned());
                records.push(std::mem::take(&mut fields));
            }
            other => field.push(other),
        }
    }
    fields.push(field.trim().to_owned());
    records.push(fields);
    records.retain(|fields| fields.iter().any(|field| !field.is_empty()));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let found = records("case,patient\r\n\"a, b\",\"say \"\"hi\"\"\"\n\n c ,\nlast,x");
        let expected =
            [vec!["case", "patient"], vec!["a, b", "say \"hi\""], vec!["c", ""], vec!["last", "x"]];
        assert_eq!(found, expected);
    }
}
