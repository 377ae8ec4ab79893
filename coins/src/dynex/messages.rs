//! What a Dynex node says, read with suspicion.
//!
//! Shapes only: every number that does not fit and every hash that is none is an error here, so that the client above
//! deals in values. Members that nobody needs are not looked at.

use super::fate::KnownBlock;
use super::template::{BadTemplate, DynexTemplate, Expected, Stated};
use pool_core::id::BlockId;
use serde::Deserialize;
use serde_json::Value;

/// The node's code for a wrong parameter.
pub const WRONG_PARAMETER: i64 = -1;
/// The node's code for a height above its chain.
pub const HEIGHT_TOO_BIG: i64 = -2;
/// The node's code for too many free bytes asked for.
pub const RESERVE_TOO_BIG: i64 = -3;
/// The node's code for an address that is none.
pub const WRONG_ADDRESS: i64 = -4;
/// The node's code for its own trouble; also for a block or transaction it does not know.
pub const INTERNAL: i64 = -5;
/// The node's code for bytes that are no block.
pub const WRONG_BLOCK: i64 = -6;
/// The node's code for a block it does not put on its chain, for whatever reason.
pub const BLOCK_NOT_ACCEPTED: i64 = -7;
/// The node's code for "not now": it has not caught up.
pub const CORE_BUSY: i64 = -9;

/// An answer of another shape than the question's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(String);

fn read<T: for<'de> Deserialize<'de>>(what: &str, answer: Value) -> Result<T, BadAnswer> {
    serde_json::from_value(answer).map_err(|error| BadAnswer(format!("{what}: {error}")))
}

#[derive(Deserialize)]
struct TemplateAnswer {
    difficulty: u64,
    height: u64,
    reserved_offset: usize,
    blocktemplate_blob: String,
    #[serde(default)]
    status: Option<String>,
}

/// What `getblocktemplate` said: a template and how it was stated.
///
/// # Errors
/// The text for a log: the answer's shape, or why it is not mined on.
pub fn template(answer: Value, expected: &Expected) -> Result<DynexTemplate, BadAnswer> {
    let answer: TemplateAnswer = read("a template", answer)?;
    if answer.status.as_deref().is_some_and(|status| status != "OK") {
        return Err(BadAnswer(format!("a template of status {:?}", answer.status.unwrap_or_default())));
    }
    let blob = hex::decode(&answer.blocktemplate_blob)
        .map_err(|error| BadAnswer(format!("a template that is no hex: {error}")))?;
    let stated = Stated {
        height: answer.height,
        difficulty: answer.difficulty,
        reserved_offset: answer.reserved_offset,
    };
    DynexTemplate::check(&blob, stated, expected).map_err(|error: BadTemplate| BadAnswer(error.to_string()))
}

#[derive(Deserialize)]
struct HeaderAnswer {
    block_header: HeaderBody,
}

#[derive(Deserialize)]
struct HeaderBody {
    hash: String,
    prev_hash: String,
    height: u64,
    #[serde(default)]
    orphan_status: bool,
    reward: u64,
}

fn id(what: &str, text: &str) -> Result<BlockId, BadAnswer> {
    text.parse().map_err(|_| BadAnswer(format!("{what}: {text:?} is no block's id")))
}

/// What `getlastblockheader`, `getblockheaderbyhash` and `getblockheaderbyheight` say.
///
/// # Errors
/// [`BadAnswer`].
pub fn header(answer: Value) -> Result<KnownBlock, BadAnswer> {
    let HeaderAnswer { block_header: body } = read("a block header", answer)?;
    Ok(KnownBlock {
        id: id("a block header", &body.hash)?,
        previous: id("a block header", &body.prev_hash)?,
        height: body.height,
        orphan: body.orphan_status,
        reward: body.reward,
    })
}

#[derive(Deserialize)]
struct CurrencyAnswer {
    currency_id_blob: String,
}

/// What `getcurrencyid` says: the id of the first block.
///
/// # Errors
/// [`BadAnswer`].
pub fn currency(answer: Value) -> Result<BlockId, BadAnswer> {
    let answer: CurrencyAnswer = read("a currency's id", answer)?;
    id("a currency's id", &answer.currency_id_blob)
}

#[derive(Deserialize)]
struct StatusAnswer {
    status: String,
}

/// What `submitblock` says of a block it took.
///
/// # Errors
/// [`BadAnswer`] for a status other than `OK`.
pub fn submitted(answer: Value) -> Result<(), BadAnswer> {
    let StatusAnswer { status } = read("a submitted block", answer)?;
    if status == "OK" { Ok(()) } else { Err(BadAnswer(format!("a submitted block of status {status:?}"))) }
}

#[cfg(test)]
mod tests {
    use super::super::template::tests::{expected, stated, text, vectors};
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        let vector = &vectors()[0];
        json!({
            "difficulty": 1_000_000, "height": stated(vector).height,
            "reserved_offset": stated(vector).reserved_offset,
            "blocktemplate_blob": text(vector, "blocktemplate_blob"),
            "blockhashing_blob": text(vector, "blockhashing_blob"), "status": "OK",
        })
    }

    #[test]
    fn a_template_is_read_and_every_wrong_shape_is_refused() {
        assert_eq!(template(answer(), &expected()).unwrap().difficulty(), 1_000_000);
        for (member, wrong) in [
            ("difficulty", json!("1")),
            ("difficulty", json!(-1)),
            ("difficulty", json!(1.5)),
            ("height", json!(null)),
            ("height", json!(1)),
            ("reserved_offset", json!(0)),
            ("blocktemplate_blob", json!("0g")),
            ("blocktemplate_blob", json!("00")),
            ("status", json!("BUSY")),
        ] {
            let mut answer = answer();
            answer[member] = wrong;
            assert!(template(answer, &expected()).is_err(), "{member}");
        }
        assert!(template(json!([]), &expected()).is_err());
    }

    #[test]
    fn a_header_is_read_and_every_wrong_shape_is_refused() {
        let good = json!({"block_header": {
            "major_version": 1, "minor_version": 0, "timestamp": 1, "prev_hash": "aa".repeat(32), "nonce": 5,
            "orphan_status": true, "height": 9, "depth": 3, "hash": "bb".repeat(32), "difficulty": 1,
            "reward": 95_000_000_000u64,
        }, "status": "OK"});
        let known = header(good.clone()).unwrap();
        assert_eq!((known.height, known.orphan, known.reward), (9, true, 95_000_000_000));
        assert_eq!(known.id, BlockId::new([0xbb; 32]));
        for (member, wrong) in [
            ("hash", json!("bb")),
            ("prev_hash", json!(7)),
            ("height", json!(-1)),
            ("orphan_status", json!("no")),
            ("reward", json!(null)),
        ] {
            let mut answer = good.clone();
            answer["block_header"][member] = wrong;
            assert!(header(answer).is_err(), "{member}");
        }
        assert!(header(json!({})).is_err());
        assert!(currency(json!({"currency_id_blob": "aa".repeat(32)})).is_ok());
        assert!(currency(json!({"currency_id_blob": "aa"})).is_err());
        assert!(submitted(json!({"status": "OK"})).is_ok());
        assert!(submitted(json!({"status": "no"})).is_err());
    }
}
