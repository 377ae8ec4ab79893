//! What a Dynex node says, as JSON, given to every reader of an answer; and what a fate is decided from such answers.

use pool_coins::dynex::address::Address;
use pool_coins::dynex::fate::{Facts, FateRules, decide};
use pool_coins::dynex::messages;
use pool_coins::dynex::template::Expected;
use pool_core::id::BlockId;
use serde_json::Value;

const POOL: &str =
    "XwoViygnRn7QaFtbc8XkwigF5oXhRZ41uinUK8XviwvAe4XjHJqfUVHGcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9FDxNoJ";

/// An answer is read or refused with words; a template that is believed pays the pool; a fate that is final is of the
/// block that was asked about and at its depth.
pub fn target(data: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Value>(data) else { return };
    let pay_to = Address::parse(POOL).expect("the published example");
    let expected = Expected { pay_to, trust_hidden_payee: false, tag: [0; 4], maturity: 60 };
    match messages::template(answer.clone(), &expected) {
        Ok(template) => {
            assert!(template.difficulty() > 0 && template.reward() > 0);
            assert!((76..=85).contains(&template.hashing_blob(1, [0; 4]).len()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = messages::currency(answer.clone());
    let _ = messages::submitted(answer.clone());
    let Ok(known) = messages::header(answer) else { return };
    let rules = FateRules::default();
    for (asked, tip) in [
        (known.id, known.height),
        (known.id, known.height.saturating_add(60)),
        (BlockId::new([1; 32]), u64::MAX),
        (known.id, 0),
    ] {
        for standing in [Some(known.id), Some(BlockId::new([2; 32])), None] {
            let facts = Facts { known: Some(known), standing, tip, handed: None };
            if let Ok(fate) = decide(asked, &facts, &rules) {
                assert_eq!(asked, known.id);
                assert!(!fate.is_final() || tip - known.height >= 60);
            }
        }
    }
}
