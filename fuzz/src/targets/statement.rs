//! What a miner checks his pay with: statements, signed statements and proofs, as a stranger hands them to him.

use super::{same_again, text};
use pool_rewards::proof::statement::{PayProof, SignedStatement, Statement};

/// A statement that is taken is canonical; verification answers for anything that can be read, without a key and with
/// a wrong one.
pub fn target(data: &[u8]) {
    let text = text(data);
    if let Ok(statement) = Statement::parse(&text) {
        assert_eq!(statement.text(), text);
        assert_eq!(Statement::parse(&statement.text()).as_ref(), Ok(&statement));
        assert_eq!(statement.hash(), statement.clone().hash());
    }
    if let Ok(signed) = serde_json::from_str::<SignedStatement>(&text) {
        same_again(&signed);
        let free = signed.verify(None);
        let wrong = signed.verify(Some(&[7; 32]));
        assert!(wrong.is_err(), "a key nobody signed with was believed");
        if let Ok(statement) = free {
            assert_eq!(Statement::parse(&signed.statement).as_ref(), Ok(&statement));
        }
    }
    if let Ok(proof) = serde_json::from_str::<PayProof>(&text) {
        same_again(&proof);
        assert!(proof.verify(Some(&[7; 32])).is_err());
        let _ = proof.verify(None);
    }
}
