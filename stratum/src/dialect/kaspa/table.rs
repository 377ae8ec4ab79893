//! Kaspa's miner families as data: which texts each of them understands, by user agent.
//!
//! Rows are tried in order, the operator's before the built-in ones; the first whose text occurs in the user agent,
//! in any case, wins; whom no row fits speaks the common form. Sources of the built-in rows: kaspa-stratum-bridge
//! 2.1.0 (`src/default_client.rs`, `src/client_handler.rs`), onemorebsmith/kaspa-stratum-bridge
//! (`src/kaspastratum/client_handler.go`), blackmennewstyle/miningcore (`Blockchain/Kaspa/KaspaPool.cs`) and
//! tmrlvi/kaspa-miner (`src/client/stratum.rs`), all by behaviour.

use serde::{Deserialize, Serialize};

/// How a job is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyForm {
    /// `["17",[w0,w1,w2,w3],timestamp]`: the pre-PoW hash as four little-endian numbers.
    #[default]
    Array,
    /// `["17","<64 digits hash><16 digits timestamp, little-endian>"]`.
    BigJob,
}

/// How the extranonce is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExtranonceForm {
    /// `mining.set_extranonce` with `["<hex>"]`.
    #[default]
    #[serde(rename = "notify-1")]
    Notify1,
    /// `mining.set_extranonce` with `["<hex>", <bytes left>]`.
    #[serde(rename = "notify-2")]
    Notify2,
    /// In the reply to subscribe, `[null,"<hex>",<bytes left>]`, and then as [`ExtranonceForm::Notify2`].
    #[serde(rename = "subscribe")]
    Subscribe,
}

/// One miner family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialectRow {
    /// Text that the user agent of the family contains, in any case. Not empty.
    pub agent_contains: String,
    /// How jobs are written.
    #[serde(default)]
    pub notify: NotifyForm,
    /// How the extranonce is told.
    #[serde(default)]
    pub extranonce: ExtranonceForm,
    /// Tell it right after subscribe rather than after authorize.
    #[serde(default)]
    pub extranonce_early: bool,
    /// Call the notification `set_extranonce`, as bridges did until 1.1.7.
    #[serde(default)]
    pub extranonce_bare_method: bool,
    /// Notifications without `id` and `jsonrpc`.
    #[serde(default)]
    pub minimal_json: bool,
    /// Nonces may come in decimal.
    #[serde(default)]
    pub decimal_nonce: bool,
    /// Difficulties must be powers of two.
    #[serde(default)]
    pub power_of_two: bool,
    /// `client.show_message` is understood. Some close the connection at a method they do not know.
    #[serde(default)]
    pub show_message: bool,
}

/// A row nobody can match, or everybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: agent_contains must be 1 to 64 characters")]
pub struct BadRow {
    /// Its place among the operator's rows, from 1.
    pub row: usize,
}

/// All families, in the order they are tried.
#[derive(Clone, Debug)]
pub struct DialectTable {
    rows: Vec<(String, Profile)>,
}

/// What a row says, without its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub(super) notify: NotifyForm,
    pub(super) extranonce: ExtranonceForm,
    pub(super) extranonce_early: bool,
    pub(super) extranonce_bare_method: bool,
    pub(super) minimal_json: bool,
    pub(super) decimal_nonce: bool,
    pub(super) power_of_two: bool,
    pub(super) show_message: bool,
}

impl Profile {
    /// Which of the four lines announces a job to this family.
    pub(super) const fn form(self) -> usize {
        let big = matches!(self.notify, NotifyForm::BigJob);
        (big as usize) * 2 + self.minimal_json as usize
    }
}

impl From<&DialectRow> for Profile {
    fn from(row: &DialectRow) -> Self {
        Self {
            notify: row.notify,
            extranonce: row.extranonce,
            extranonce_early: row.extranonce_early,
            extranonce_bare_method: row.extranonce_bare_method,
            minimal_json: row.minimal_json,
            decimal_nonce: row.decimal_nonce,
            power_of_two: row.power_of_two,
            show_message: row.show_message,
        }
    }
}

impl Default for DialectTable {
    fn default() -> Self {
        Self { rows: built_in().iter().map(entry).collect() }
    }
}

fn entry(row: &DialectRow) -> (String, Profile) {
    (row.agent_contains.to_ascii_lowercase(), Profile::from(row))
}

impl DialectTable {
    /// The operator's rows, then the built-in ones.
    ///
    /// # Errors
    /// [`BadRow`] for a row with no text or a long one.
    pub fn new(rows: &[DialectRow]) -> Result<Self, BadRow> {
        let bad = |row: &DialectRow| row.agent_contains.is_empty() || row.agent_contains.len() > 64;
        if let Some(place) = rows.iter().position(bad) {
            return Err(BadRow { row: place + 1 });
        }
        Ok(Self { rows: rows.iter().chain(&built_in()).map(entry).collect() })
    }

    /// The family of a user agent.
    #[must_use]
    pub fn profile(&self, agent: &str) -> Profile {
        // Long enough for every agent there is; the rest of a hostile one is not searched.
        let agent: String = agent.chars().take(256).collect::<String>().to_ascii_lowercase();
        let row = self.rows.iter().find(|(text, _)| agent.contains(text.as_str()));
        row.map_or_else(Profile::default, |(_, profile)| *profile)
    }
}

/// The families known, each with what its source says.
#[must_use]
pub fn built_in() -> Vec<DialectRow> {
    let row = |agent: &str| DialectRow { agent_contains: agent.into(), ..DialectRow::default() };
    // Bitmain: the bridges give it an empty extranonce, which is right only where each client has its own template;
    // a pool with one template must give it a part of the nonces (miningcore: `[null, "<2 bytes>", 6]`). A decimal
    // nonce was seen by one pool. Power of two: the firmware's targets.
    let bitmain = |agent| DialectRow {
        extranonce: ExtranonceForm::Subscribe,
        decimal_nonce: true,
        power_of_two: true,
        ..row(agent)
    };
    // IceRiver (its firmware also calls itself IceMining or icm): only `method` and `params` in notifications.
    let iceriver = |agent| DialectRow {
        notify: NotifyForm::BigJob,
        minimal_json: true,
        power_of_two: true,
        ..row(agent)
    };
    vec![
        bitmain("godminer"),
        bitmain("bitmain"),
        bitmain("antminer"),
        iceriver("iceriver"),
        iceriver("icemining"),
        iceriver("icm"),
        DialectRow { notify: NotifyForm::BigJob, ..row("bzminer") },
        // Sources differ: miningcore sends the big job, the in-tree bridge would send the array. Pools that carry
        // Goldshell miners send the big job.
        DialectRow { notify: NotifyForm::BigJob, ..row("goldshell") },
        // Refuses the one-parameter form, and every method it does not know, by reconnecting.
        DialectRow { extranonce: ExtranonceForm::Notify2, ..row("kaspa-miner") },
        // Its pool check reads the size before it authorizes (miningcore's order works, the bridge's does not).
        DialectRow { extranonce: ExtranonceForm::Notify2, extranonce_early: true, ..row("nicehash") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_of_the_wild_find_their_family() {
        let table = DialectTable::default();
        let family = |agent: &str| {
            let profile = table.profile(agent);
            (profile.notify, profile.extranonce, profile.minimal_json, profile.power_of_two)
        };
        use ExtranonceForm::{Notify1, Notify2, Subscribe};
        use NotifyForm::{Array, BigJob};
        for agent in ["GodMiner/2.0.0", "bitmain-ks5", "Antminer KS3/1.0"] {
            assert_eq!(family(agent), (Array, Subscribe, false, true), "{agent}");
        }
        for agent in ["IceRiverMiner-v1.1", "ICEMINING/1", "icm/ks2l"] {
            assert_eq!(family(agent), (BigJob, Notify1, true, true), "{agent}");
        }
        for agent in ["BzMiner-v13", "bzminer", "Goldshell/1.0"] {
            assert_eq!(family(agent), (BigJob, Notify1, false, false), "{agent}");
        }
        assert_eq!(family("kaspa-miner/0.2.1-GPU-0.7"), (Array, Notify2, false, false));
        assert_eq!(family("NiceHash/1.0.0"), (Array, Notify2, false, false));
        assert!(table.profile("NiceHash/1.0.0").extranonce_early);
        for agent in ["", "lolMiner 1.76", "SRBMiner-MULTI/2.4.6", "TeamRedMiner/0.10", "\u{130}"] {
            assert_eq!(family(agent), (Array, Notify1, false, false), "{agent}");
        }
    }

    #[test]
    fn an_operators_rows_come_first() {
        let row = DialectRow { agent_contains: "IceRiverMiner-v9".into(), ..DialectRow::default() };
        let table = DialectTable::new(&[row]).unwrap();
        assert_eq!(table.profile("iceriverminer-V9.1"), Profile::default());
        assert_eq!(table.profile("iceriverminer-V8").notify, NotifyForm::BigJob);
        assert_eq!(DialectTable::new(&[DialectRow::default()]).unwrap_err(), BadRow { row: 1 });
    }

    #[test]
    fn a_row_reads_as_documented() {
        let text = r#"{"agent_contains":"x","notify":"big-job","extranonce":"notify-2","minimal_json":true}"#;
        let row: DialectRow = serde_json::from_str(text).unwrap();
        assert_eq!(
            (row.notify, row.extranonce, row.minimal_json),
            (NotifyForm::BigJob, ExtranonceForm::Notify2, true)
        );
        assert!(serde_json::from_str::<DialectRow>(r#"{"agent_contains":"x","notifi":"array"}"#).is_err());
        assert!(serde_json::from_str::<DialectRow>(r#"{"agent_contains":"x","notify":"Array"}"#).is_err());
    }
}
