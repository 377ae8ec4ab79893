//! Nexa's miner families as data: which of the two grammars each of them speaks, by user agent.
//!
//! Rows are tried in order, the operator's before the built-in ones; the first whose text occurs in the user agent, in
//! any case, wins. Whom no row fits speaks what its first line says ([`NexaTable::hailed`]), and if that says nothing,
//! the table's default.
//!
//! Public sources say little of who speaks what: the miners are closed programs. WildRig is known to work with pools
//! of the short grammar; the Echelon document is the community's own and its vectors come from the GPU miners' side.
//! So the built-in rows, and above all the default, are guesses an operator can correct. Sources:
//! blackmennewstyle/miningcore (`Blockchain/Nexa`), MoneroOcean/mo-miner (`pool/jobs.js`, tests), both by behaviour.

use serde::{Deserialize, Serialize};

/// A grammar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Nonces of 12 bytes: 4 of the pool's, 8 of the miner's. Commitments in hashing order.
    #[default]
    Short,
    /// Nonces of 16 bytes, 8 of them the pool's. Commitments as the node prints them. `echelon` 1.0.4.
    Echelon,
}

impl Form {
    /// Bytes of a whole nonce.
    #[must_use]
    pub const fn nonce_len(self) -> usize {
        match self {
            Self::Short => 12,
            Self::Echelon => 16,
        }
    }

    /// Bytes of a nonce that are handed to a miner as its extranonce, unless its row says otherwise.
    #[must_use]
    pub const fn extranonce_len(self) -> u8 {
        match self {
            Self::Short => 4,
            Self::Echelon => 8,
        }
    }
}

/// One miner family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NexaRow {
    /// Text that the user agent of the family contains, in any case. Not empty.
    pub agent_contains: String,
    /// What it speaks.
    #[serde(default)]
    pub form: Form,
    /// Bytes of its extranonce, where it is not the grammar's own number: a rental service appends bytes of its own
    /// and needs room for them. Never less than the pool's prefix has.
    #[serde(default)]
    pub extranonce_bytes: Option<u8>,
}

/// A row that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "dialect row {row}: the agent's text must have 1 to 64 bytes, and the extranonce 1 to 8 (4 in the short form)"
)]
pub struct BadNexaRow {
    /// Its number, from 1.
    pub row: usize,
}

/// What was decided for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(super) form: Form,
    pub(super) extranonce_len: u8,
}

impl Profile {
    const fn of(form: Form) -> Self {
        Self { form, extranonce_len: form.extranonce_len() }
    }

    /// The grammar.
    #[must_use]
    pub const fn form(self) -> Form {
        self.form
    }
}

impl From<&NexaRow> for Profile {
    fn from(row: &NexaRow) -> Self {
        let extranonce_len = row.extranonce_bytes.unwrap_or(row.form.extranonce_len());
        Self { form: row.form, extranonce_len }
    }
}

/// The families in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NexaTable {
    rows: Vec<(String, Profile)>,
    default: Form,
}

impl Default for NexaTable {
    fn default() -> Self {
        Self { rows: built_in().iter().map(entry).collect(), default: Form::Short }
    }
}

fn entry(row: &NexaRow) -> (String, Profile) {
    (row.agent_contains.to_ascii_lowercase(), Profile::from(row))
}

impl NexaTable {
    /// The operator's rows, then the built-in ones, then `default`.
    ///
    /// # Errors
    /// [`BadNexaRow`].
    pub fn new(rows: &[NexaRow], default: Form) -> Result<Self, BadNexaRow> {
        let good = |row: &NexaRow| {
            let most = row.form.extranonce_len();
            (1..=64).contains(&row.agent_contains.len())
                && row.extranonce_bytes.is_none_or(|bytes| (1..=most).contains(&bytes))
        };
        if let Some(place) = rows.iter().position(|row| !good(row)) {
            return Err(BadNexaRow { row: place + 1 });
        }
        Ok(Self { rows: rows.iter().chain(&built_in()).map(entry).collect(), default })
    }

    /// What a first line says: a miner that names the Echelon protocol in it speaks it.
    #[must_use]
    pub fn hailed(&self, first_line: &[u8]) -> Profile {
        const NAME: &[u8] = b"echelon";
        let start = &first_line[..first_line.len().min(1024)];
        let named = start.windows(NAME.len()).any(|text| text.eq_ignore_ascii_case(NAME));
        Profile::of(if named { Form::Echelon } else { self.default })
    }

    /// The family of a user agent; `hailed` for one of no family.
    #[must_use]
    pub fn profile(&self, hailed: Profile, agent: &str) -> Profile {
        // Long enough for every agent there is; the rest of a hostile one is not searched.
        let agent: String = agent.chars().take(256).collect::<String>().to_ascii_lowercase();
        let row = self.rows.iter().find(|(text, _)| agent.contains(text.as_str()));
        row.map_or(hailed, |(_, profile)| *profile)
    }
}

/// The families known.
#[must_use]
pub fn built_in() -> Vec<NexaRow> {
    let row = |agent: &str, form| NexaRow { agent_contains: agent.into(), form, extranonce_bytes: None };
    vec![
        // Puts bytes of its own behind the pool's: two of four, or two of eight, are left to it.
        NexaRow { extranonce_bytes: Some(2), ..row("nicehash", Form::Short) },
        row("wildrig", Form::Short),
        row("bzminer", Form::Echelon),
        row("lolminer", Form::Echelon),
        row("rigel", Form::Echelon),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_first_lines() {
        let table = NexaTable::default();
        let form = |line: &str, agent: &str| table.profile(table.hailed(line.as_bytes()), agent).form();
        assert_eq!(form("", ""), Form::Short);
        assert_eq!(form("", "WildRig/0.40"), Form::Short);
        for agent in ["BzMiner-v21", "lolMiner 1.88", "Rigel/1.9"] {
            assert_eq!(form("", agent), Form::Echelon, "{agent}");
        }
        let line = r#"{"id":1,"method":"mining.subscribe","params":["own/1","Echelon/1.0.4"]}"#;
        assert_eq!(form(line, "own/1"), Form::Echelon);
        assert_eq!(form(line, "wildrig"), Form::Short, "a row knows better");
        assert_eq!(table.profile(table.hailed(b""), "NiceHash/1.0").extranonce_len, 2);
    }

    #[test]
    fn an_operators_rows_and_default_come_first() {
        let row = |text: &str, form, extranonce_bytes| NexaRow {
            agent_contains: text.into(),
            form,
            extranonce_bytes,
        };
        let table = NexaTable::new(&[row("BZMINER", Form::Short, Some(3))], Form::Echelon).unwrap();
        let profile = table.profile(table.hailed(b""), "bzminer/2");
        assert_eq!((profile.form, profile.extranonce_len), (Form::Short, 3));
        assert_eq!(table.profile(table.hailed(b""), "nobody").form, Form::Echelon);
        for (place, bad) in [
            row("", Form::Short, None),
            row(&"x".repeat(65), Form::Short, None),
            row("x", Form::Short, Some(5)),
            row("x", Form::Echelon, Some(9)),
            row("x", Form::Echelon, Some(0)),
        ]
        .into_iter()
        .enumerate()
        {
            let mut rows = vec![row("y", Form::Short, None); place];
            rows.push(bad);
            assert_eq!(NexaTable::new(&rows, Form::Short), Err(BadNexaRow { row: place + 1 }));
        }
    }

    #[test]
    fn a_row_reads_as_documented() {
        let text = r#"{"agent_contains":"x","form":"echelon","extranonce_bytes":6}"#;
        let row: NexaRow = serde_json::from_str(text).unwrap();
        assert_eq!((row.form, row.extranonce_bytes), (Form::Echelon, Some(6)));
        assert!(serde_json::from_str::<NexaRow>(r#"{"agent_contains":"x","from":"short"}"#).is_err());
    }
}
