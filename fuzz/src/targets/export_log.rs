//! A share log that somebody exported and somebody else replays: [`replay`].
//!
//! The file comes from a stranger by definition: checking it is what it is for.

use super::{same_again, text};
use pool_rewards::proof::export::{Line, replay};
use pool_rewards::proof::statement::Statement;

/// Lines that are read are read the same again, and every statement that a replay computes is one that checks.
pub fn target(data: &[u8]) {
    let text = text(data);
    for line in text.lines() {
        if let Ok(line) = serde_json::from_str::<Line>(line) {
            same_again(&line);
        }
    }
    let Ok(replayed) = replay(text.lines()) else { return };
    let again = replay(text.lines()).expect("what was replayed once is replayed again");
    assert_eq!(replayed.len(), again.len());
    for (one, other) in replayed.iter().zip(&again) {
        assert_eq!(
            (one.block, &one.statement),
            (other.block, &other.statement),
            "equal lines, equal statements"
        );
        let statement =
            Statement::parse(&one.statement).expect("a computed statement is canonical and adds up");
        assert_eq!(statement.block, one.block);
    }
}
