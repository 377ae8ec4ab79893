//! What a Nexa node answers: candidates, verdicts on solutions, the wallet's coins and transactions.

use pool_coins::nexa::header::target_of_bits;
use pool_coins::nexa::params::{MONEY_MAX, Network, nexa_text, satoshis};
use pool_coins::nexa::rpc::{SolutionAnswer, Unspent, WalletTransaction};
use pool_coins::nexa::template::{CandidateAnswer, NexaTemplate};
use serde_json::Value;

/// A candidate that is taken is one of its network; no amount is more than there is, and each is read as it is written.
pub fn target(data: &[u8]) {
    let text = super::text(data);
    if let Some(amount) = satoshis(&text) {
        assert!(amount <= MONEY_MAX);
        assert_eq!(satoshis(&nexa_text(amount)), Some(amount));
    }
    if let Ok(answer) = serde_json::from_str::<CandidateAnswer>(&text) {
        for network in Network::ALL {
            let Ok(template) = NexaTemplate::check(&answer, "n".into(), network, 7) else { continue };
            assert_eq!(target_of_bits(template.bits()), Some(template.target()));
            let easiest = target_of_bits(network.easiest_bits()).expect("a network's easiest target is one");
            assert!(template.target() <= easiest, "every share would be a block");
            assert_eq!((template.height(), template.candidate()), (7, answer.id));
        }
    }
    if let Ok(coins) = Unspent::list(&text) {
        assert!(coins.iter().all(|coin| coin.amount <= MONEY_MAX));
    }
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        let words = match SolutionAnswer::read(&value) {
            Some(SolutionAnswer::Words(words))
            | Some(SolutionAnswer::Judged { refusal: Some(words), .. }) => words,
            Some(SolutionAnswer::Judged { refusal: None, .. }) | None => String::new(),
        };
        assert!(words.chars().count() <= 200, "a node fills no log");
        if let Ok(transaction) = WalletTransaction::read(&value) {
            assert!(transaction.raw.len() <= data.len());
        }
    }
}
