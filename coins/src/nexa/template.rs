//! A node's candidate, checked as far as it can be before anybody mines on it.
//!
//! A candidate is an id, a commitment and a target; whom its coinbase pays is hidden behind the commitment until the
//! block is on the chain. So the checks here are few, and the one that matters comes later: the node client reads the
//! first block back and looks at its coinbase. The target must not be easier than the network's easiest, or every
//! share would count as a block.
//!
//! Nodes of the coming Tailstorm rules also say a previous block's hash. While those rules are asleep it is zero; when
//! it is not, the proof of work is another function, and this pool must not mine: that refusal is final.

use super::codec::{from_display, reversed};
use super::header::target_of_bits;
use super::params::Network;
use pool_core::coin::NodeError;
use pool_core::units::Target;
use serde::Deserialize;
use std::sync::Arc;

/// What a node answers to `getminingcandidate`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateAnswer {
    /// The candidate's number.
    pub id: u64,
    /// The commitment as it is printed.
    pub header_commitment: String,
    /// The compact target in eight hexadecimal digits.
    pub n_bits: String,
    /// Zero, or absent, before Tailstorm.
    #[serde(default)]
    pub previous_block_hash: Option<String>,
}

/// A candidate that may be mined on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NexaTemplate {
    node: Arc<str>,
    candidate: u64,
    commitment: [u8; 32],
    bits: u32,
    target: Target,
    height: u32,
    clean: bool,
}

impl NexaTemplate {
    /// Reads and checks the answer of the node called `node`, whose chain has `height` blocks before the one sought.
    ///
    /// # Errors
    /// [`NodeError::Garbage`] for what is no candidate of this network; [`NodeError::Refused`] when the network has
    /// changed its proof of work.
    pub fn check(
        answer: &CandidateAnswer,
        node: Arc<str>,
        network: Network,
        height: u64,
    ) -> Result<Self, NodeError> {
        let garbage = |why: String| NodeError::Garbage(format!("a candidate {why}"));
        if let Some(previous) = &answer.previous_block_hash {
            let previous = from_display(previous)
                .ok_or_else(|| garbage("whose previous block's hash is none".into()))?;
            if previous != [0; 32] {
                let reason =
                    "the network's tailstorm rules are active: this version knows only the proof of \
                              work before them"
                        .into();
                return Err(NodeError::Refused { reason });
            }
        }
        let commitment = from_display(&answer.header_commitment)
            .ok_or_else(|| garbage("whose commitment is no hash".into()))?;
        if commitment == [0; 32] {
            return Err(garbage("with an empty commitment".into()));
        }
        let digits = answer.n_bits.as_bytes();
        let bits = if digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit) {
            u32::from_str_radix(&answer.n_bits, 16).ok()
        } else {
            None
        };
        let bits = bits.ok_or_else(|| garbage("whose bits are no number".into()))?;
        let easiest = target_of_bits(network.easiest_bits()).expect("every network's easiest target is one");
        let target = target_of_bits(bits)
            .filter(|target| *target <= easiest)
            .ok_or_else(|| garbage(format!("of bits {bits:08x}, which {network} does not have")))?;
        let height =
            u32::try_from(height).map_err(|_| garbage(format!("at the impossible height {height}")))?;
        Ok(Self { node, candidate: answer.id, commitment, bits, target, height, clean: false })
    }

    /// Marks the job made of it as one that retires older work.
    #[must_use]
    pub fn with_clean(self, clean: bool) -> Self {
        Self { clean, ..self }
    }

    /// Whether the chain has moved on since the last one.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.clean
    }

    /// The node that holds it.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Its number there.
    #[must_use]
    pub const fn candidate(&self) -> u64 {
        self.candidate
    }

    /// What miners work on, in hashing order.
    #[must_use]
    pub const fn commitment(&self) -> [u8; 32] {
        self.commitment
    }

    /// The commitment in the order a node prints it.
    #[must_use]
    pub fn display_commitment(&self) -> [u8; 32] {
        reversed(self.commitment)
    }

    /// The network's target in compact form.
    #[must_use]
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// The network's target.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The height of the block that is sought.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COMMITMENT: &str = "f94d7ac17a96db45a95186e20d21fd164def4c644374d848c81b45731fd002aa";

    fn checked(answer: serde_json::Value) -> Result<NexaTemplate, NodeError> {
        let answer = serde_json::from_value(answer).map_err(|error| NodeError::Garbage(error.to_string()))?;
        NexaTemplate::check(&answer, "http://127.0.0.1:7227".into(), Network::Mainnet, 236_856)
    }

    #[test]
    fn an_honest_candidate_is_taken() {
        let old = json!({"id": 17, "headerCommitment": COMMITMENT, "nBits": "1a304900"});
        let template = checked(old.clone()).unwrap();
        assert_eq!(
            hex::encode(template.commitment()),
            "aa02d01f73451bc848d87443644cef4d16fd210de28651a945db967ac17a4df9"
        );
        assert_eq!(hex::encode(template.display_commitment()), COMMITMENT);
        assert_eq!((template.candidate(), template.height(), template.bits()), (17, 236_856, 0x1a30_4900));
        assert_eq!(template.node(), "http://127.0.0.1:7227");
        let mut new = old;
        new["previousBlockHash"] = "0".repeat(64).into();
        new["somethingElse"] = 1.into();
        assert_eq!(checked(new).unwrap(), template);
    }

    #[test]
    fn every_lie_that_shows_is_found() {
        for (key, value) in [
            ("id", json!(-1)),
            ("id", json!("17")),
            ("headerCommitment", json!("")),
            ("headerCommitment", json!(COMMITMENT[2..])),
            ("headerCommitment", json!("0".repeat(64))),
            ("headerCommitment", json!(COMMITMENT.replace('f', "g"))),
            ("nBits", json!(12)),
            ("nBits", json!("+1304900")),
            ("nBits", json!("1a3049")),
            ("nBits", json!("1e010001")),
            ("nBits", json!("207fffff")),
            ("nBits", json!("1a804900")),
            ("previousBlockHash", json!("00")),
        ] {
            let mut answer = json!({"id": 17, "headerCommitment": COMMITMENT, "nBits": "1a304900"});
            answer[key] = value;
            assert!(matches!(checked(answer.clone()), Err(NodeError::Garbage(_))), "{answer}");
        }
        assert!(matches!(checked(json!([])), Err(NodeError::Garbage(_))));
    }

    #[test]
    fn other_rules_of_work_stop_the_pool() {
        let answer = json!({
            "id": 17, "headerCommitment": COMMITMENT, "nBits": "1a304900", "previousBlockHash": COMMITMENT,
        });
        let error = checked(answer).unwrap_err();
        assert!(matches!(&error, NodeError::Refused { reason } if reason.contains("tailstorm")));
        assert!(!error.is_transient());
    }
}
