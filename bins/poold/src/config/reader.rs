//! Reads a TOML document and collects *every* mistake with its key and line, instead of stopping at the first.
//!
//! A [`Section`] hands out typed values by key; what is missing, of the wrong type or out of range becomes a
//! [`Mistake`], and so does every key nobody asked for. The caller goes on with a stand-in, so that one run of
//! `check-config` tells the operator all there is to mend.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing to mend in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The dotted key, as in `kaspa.payout.threshold`. Empty for the document as a whole.
    pub key: String,
    /// The line in the file, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// A document being read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    source: &'a str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Self { source, mistakes: RefCell::default() }
    }

    /// All mistakes so far, by line.
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes
    }

    /// The parsed document; syntax errors are mistakes, and what could be read in spite of them goes on.
    pub(crate) fn document(&self) -> Spanned<DeTable<'a>> {
        let (document, errors) = DeTable::parse_recoverable(self.source);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.report("", at, error.message().trim_end().replace('\n', ", "));
        }
        document
    }

    fn report(&self, key: &str, at: usize, text: String) {
        let upto = self.source.get(..at).unwrap_or(self.source);
        let line = upto.bytes().filter(|&byte| byte == b'\n').count() + 1;
        self.mistakes.borrow_mut().push(Mistake { key: key.to_owned(), line, text });
    }
}

/// A table of the document: every key that is asked for is known, the others are mistakes.
#[derive(Debug)]
pub(crate) struct Section<'r, 'a> {
    reader: &'r Reader<'a>,
    path: String,
    at: usize,
    table: Option<&'r DeTable<'a>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r, 'a> Section<'r, 'a> {
    pub(crate) fn root(reader: &'r Reader<'a>, document: &'r Spanned<DeTable<'a>>) -> Self {
        Self {
            reader,
            path: String::new(),
            at: 0,
            table: Some(document.get_ref()),
            asked: RefCell::default(),
        }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn find(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        let table = self.table?;
        table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Reports a mistake at a key of this section (at the section itself when the key is absent).
    pub(crate) fn mistake(&self, key: &'static str, text: impl Into<String>) {
        let at = self.table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == key));
        let at = at.map_or(self.at, |(_, value)| value.span().start);
        self.reader.report(&self.key(key), at, text.into());
    }

    /// True when the file has this table or value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.iter().any(|(name, _)| name.get_ref() == key))
    }

    /// True when the file has this section at all.
    pub(crate) const fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// A table below this one; an absent one reads as empty.
    pub(crate) fn section(&self, key: &'static str) -> Section<'r, 'a> {
        let value = self.find(key);
        let table = value.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.wrong_type(key, value, "a table");
            }
            table
        });
        let at = value.map_or(self.at, |value| value.span().start);
        Section { reader: self.reader, path: self.key(key), at, table, asked: RefCell::default() }
    }

    /// The tables of an array of tables (`[[key]]`).
    pub(crate) fn sections(&self, key: &'static str) -> Vec<Section<'r, 'a>> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "an array of tables");
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let path = format!("{}[{index}]", self.key(key));
            let Some(table) = item.get_ref().as_table() else {
                self.reader.report(&path, item.span().start, "must be a table".to_owned());
                continue;
            };
            let at = item.span().start;
            sections.push(Section {
                reader: self.reader,
                path,
                at,
                table: Some(table),
                asked: RefCell::default(),
            });
        }
        sections
    }

    /// Text at a key, turned into a value by `parse`, whose error is the mistake's text.
    pub(crate) fn parsed<T, E: fmt::Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.find(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => {
                self.wrong_type(key, value, "text");
                return None;
            }
        };
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.reader.report(&self.key(key), value.span().start, error.to_string());
                None
            }
        }
    }

    /// As [`Section::parsed`], and a mistake when the key is absent.
    pub(crate) fn required<T, E: fmt::Display>(
        &self,
        key: &'static str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if !self.has(key) {
            self.asked.borrow_mut().push(key);
            self.reader.report(&self.key(key), self.at, format!("is missing: {wanted}"));
            return None;
        }
        self.parsed(key, parse)
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<String> {
        let value = self.find(key)?;
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong_type(key, value, "text in quotes");
        }
        text
    }

    pub(crate) fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.find(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(key, value, "true or false");
            default
        })
    }

    /// A whole number within `range`.
    pub(crate) fn number(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(value) = self.find(key) else { return default };
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong_type(key, value, "a whole number");
            return default;
        };
        let digits = number.as_str().trim_start_matches('+');
        match u64::from_str_radix(digits, number.radix()) {
            Ok(number) if range.contains(&number) => number,
            Ok(_) | Err(_) => {
                let text = format!("is {digits}, must be within {} and {}", range.start(), range.end());
                self.reader.report(&self.key(key), value.span().start, text);
                default
            }
        }
    }

    /// A list of texts, each turned into a value by `parse`.
    pub(crate) fn list<T, E: fmt::Display>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let value = self.find(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list of texts");
            return None;
        };
        let mut items = Vec::new();
        for item in array.iter() {
            let Some(text) = item.get_ref().as_str() else {
                self.wrong_type(key, item, "a list of texts");
                continue;
            };
            match parse(text) {
                Ok(parsed) => items.push(parsed),
                Err(error) => self.reader.report(&self.key(key), item.span().start, error.to_string()),
            }
        }
        Some(items)
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.reader.report(&self.key(key), value.span().start, format!("is {found}, must be {wanted}"));
    }

    /// Reports every key that was never asked for, with the nearest one that exists.
    pub(crate) fn finish(self) {
        self.known();
    }

    /// As [`Section::finish`] where the section is only borrowed.
    pub(crate) fn known(&self) {
        let asked = self.asked.borrow();
        for (name, value) in self.table.into_iter().flat_map(DeTable::iter) {
            let name = name.get_ref();
            if asked.iter().any(|known| known == name) {
                continue;
            }
            let nearest = asked.iter().min_by_key(|known| distance(known, name));
            let hint = match nearest {
                Some(known) if distance(known, name) <= 1 + name.len() / 3 => {
                    format!(" (did you mean `{known}`?)")
                }
                _ => {
                    let mut known = asked.clone();
                    known.sort_unstable();
                    format!(" (known here: {})", known.join(", "))
                }
            };
            self.reader.report(&self.key(name), value.span().start, format!("is not a known key{hint}"));
        }
    }
}

/// Edits (insert, delete, replace) between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_key_and_line() {
        let source = "a = 1\nb = \"x\"\nwrng = 3\n[t]\nn = -4\n[[l]]\nq = 1\n";
        let reader = Reader::new(source);
        let document = reader.document();
        let root = Section::root(&reader, &document);
        assert_eq!(root.number("a", 2..=9, 5), 5);
        assert!(root.flag("b", true));
        assert_eq!(root.text("wrong"), None);
        let table = root.section("t");
        assert_eq!(table.number("n", 0..=9, 7), 7);
        table.finish();
        for section in root.sections("l") {
            section.finish();
        }
        root.finish();
        let mistakes = reader.into_mistakes();
        let told: Vec<_> = mistakes.iter().map(|m| (m.key.as_str(), m.line)).collect();
        assert_eq!(told, [("a", 1), ("b", 2), ("wrng", 3), ("t.n", 5), ("l[0].q", 7)]);
        assert!(mistakes[2].text.contains("did you mean `wrong`"), "{}", mistakes[2]);
    }

    #[test]
    fn syntax_errors_are_mistakes_with_a_line() {
        let reader = Reader::new("ok = 1\nbad = = 2\n");
        let document = reader.document();
        Section::root(&reader, &document).number("ok", 0..=9, 0);
        assert_eq!(reader.into_mistakes()[0].line, 2);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("threshold", "treshold"), 1);
        assert_eq!(distance("abc", ""), 3);
    }
}
