//! The targets, one file each: what is parsed, and what must hold whatever is parsed.

pub mod alephium_address;
pub mod alephium_line;
pub mod alephium_message;
pub mod alephium_template;
pub mod alephium_tx;
pub mod coinbase_payload;
pub mod compact_bits;
pub mod difficulty_text;
pub mod dynex_address;
pub mod dynex_block;
pub mod dynex_line;
pub mod dynex_node;
pub mod dynex_tx;
pub mod export_log;
pub mod hypra_address;
pub mod hypra_answer;
pub mod hypra_line;
pub mod hypra_transaction;
pub mod kaspa_address;
pub mod kaspa_line;
pub mod ledger_names;
pub mod names_and_units;
pub mod nexa_address;
pub mod nexa_block;
pub mod nexa_line;
pub mod nexa_node;
pub mod node_block;
pub mod proxy_header;
pub mod records;
pub mod reward_case;
pub mod scheme_params;
pub mod statement;
pub mod stratum_frame;
pub mod stratum_session;
pub mod tally_snapshot;

/// A target with its name, which is also its folder's name in the corpus.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The function. It panics when a promise is broken.
    pub run: fn(&[u8]),
}

macro_rules! list {
    ($($name:ident),+ $(,)?) => {
        /// Every target, by name.
        pub const ALL: &[Target] = &[$(Target { name: stringify!($name), run: $name::target }),+];
    };
}

list! {
    alephium_address,
    alephium_line,
    alephium_message,
    alephium_template,
    alephium_tx,
    coinbase_payload,
    compact_bits,
    difficulty_text,
    dynex_address,
    dynex_block,
    dynex_line,
    dynex_node,
    dynex_tx,
    export_log,
    hypra_address,
    hypra_answer,
    hypra_line,
    hypra_transaction,
    kaspa_address,
    kaspa_line,
    ledger_names,
    names_and_units,
    nexa_address,
    nexa_block,
    nexa_line,
    nexa_node,
    node_block,
    proxy_header,
    records,
    reward_case,
    scheme_params,
    statement,
    stratum_frame,
    stratum_session,
    tally_snapshot,
}

/// Bytes as text, for parsers that are given text: what is not UTF-8 becomes the replacement character.
fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// What was read, written and read again is the same, and what is written stays the same.
fn same_again<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let written = serde_json::to_string(value).expect("records have text keys and no floats");
    let again: T = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(again, *value, "{written}");
}
