//! Walking through JSON from outside, with errors that name the field.

use serde_json::Value;

use crate::error::{Error, Result, shortened};

/// A JSON value that knows where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    pub(crate) path: String,
    /// `None` where the field is absent.
    pub(crate) value: Option<&'a Value>,
}

impl<'a> Field<'a> {
    pub(crate) fn root(value: &'a Value) -> Field<'a> {
        Field { path: String::new(), value: Some(value) }
    }

    /// The member of an object; absent where there is none.
    pub(crate) fn get(&self, name: &str) -> Field<'a> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Field { path, value: self.value.and_then(|value| value.get(name)) }
    }

    /// Absent or null.
    pub(crate) fn is_null(&self) -> bool {
        self.value.is_none_or(Value::is_null)
    }

    pub(crate) fn error(&self, expected: &'static str) -> Error {
        let found = self
            .value
            .map_or_else(|| "missing".to_owned(), |value| format!("`{}`", shortened(&value.to_string())));
        Error::Field { field: shortened(&self.path), found, expected }
    }

    pub(crate) fn text(&self) -> Result<&'a str> {
        self.value.and_then(Value::as_str).ok_or_else(|| self.error("text"))
    }

    pub(crate) fn number(&self) -> Result<f64> {
        self.value.and_then(Value::as_f64).ok_or_else(|| self.error("a number"))
    }

    /// A whole number that is not negative; `2.0` counts.
    pub(crate) fn count(&self) -> Result<usize> {
        let whole = |value: &Value| {
            let float = || value.as_f64().filter(|f| f.fract() == 0.0 && (0.0..=1e9).contains(f));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1e9, whole")]
            value.as_u64().or_else(|| float().map(|float| float as u64))
        };
        let count = self.value.and_then(whole).and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| self.error("a whole number"))
    }

    pub(crate) fn flag(&self) -> Result<bool> {
        self.value.and_then(Value::as_bool).ok_or_else(|| self.error("`true` or `false`"))
    }

    pub(crate) fn items(&self) -> Result<Vec<Field<'a>>> {
        let items = self.value.and_then(Value::as_array).ok_or_else(|| self.error("a list"))?;
        let item = |(index, value)| Field { path: format!("{}[{index}]", self.path), value: Some(value) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    pub(crate) fn members(&self) -> Result<Vec<(&'a str, Field<'a>)>> {
        let members = self.value.and_then(Value::as_object).ok_or_else(|| self.error("an object"))?;
        Ok(members.iter().map(|(name, _)| (name.as_str(), self.get(name))).collect())
    }

    pub(crate) fn counts(&self) -> Result<Vec<usize>> {
        self.items()?.iter().map(Field::count).collect()
    }

    /// Three whole numbers, or one for all three.
    pub(crate) fn triple(&self) -> Result<[usize; 3]> {
        if let Ok(count) = self.count() {
            return Ok([count; 3]);
        }
        self.counts()?.try_into().map_err(|_| self.error("three whole numbers"))
    }
}
