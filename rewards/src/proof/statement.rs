//! One block's split in one text: what decided it, what came out, and what came before.
//!
//! A statement is the memo of the block's ledger entry, in canonical JSON: the same log makes the same bytes. It names
//! the root of the log at the block's share, the parameters by their hash, the value's parts, each split with its
//! window and the tree of its accounts, and the hash of the statement before it; so all statements of a pool are one
//! chain that cannot be rewritten in the middle. A [`SignedStatement`] is that text with the operator's signature.
//! A [`PayProof`] adds one account's path: with the statement it shows what the account got and that it is what its
//! work was due, and nothing else is needed to check it.

use super::accounts::{PartProof, SumRoot};
use super::log::LogRoot;
use super::{BadProof, Digest};
use crate::split::Rounding;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use pool_core::id::{BlockId, CoinId, MinerId};
use pool_core::units::{Amount, Units};
use serde::{Deserialize, Serialize};

/// The version of this text's shape.
pub const FORMAT: u32 = 1;

/// What a signature is made over, before the text, so that it signs nothing else.
const DOMAIN: &[u8] = b"pool-rewards statement 1\n";

/// What decided a block's split and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORMAT`].
    pub format: u32,
    /// The coin.
    pub coin: CoinId,
    /// The block.
    pub block: BlockId,
    /// The number of the parameters.
    pub scheme: u32,
    /// Their hash.
    pub params: String,
    /// How whole units came out.
    pub rounding: Rounding,
    /// The log up to and with the share that solved the block.
    pub log: LogRoot,
    /// Who solved it.
    pub finder: MinerId,
    /// What the chain paid.
    pub value: Amount,
    /// The operator's fee off the value.
    pub fee: Amount,
    /// The finder's bonus.
    pub bonus: Amount,
    /// What went to the reserve.
    pub reserve: Amount,
    /// What was split.
    pub splits: Vec<SplitStatement>,
    /// The hash of the statement before this one; zeros for the first.
    pub previous: Digest,
}

/// One amount of a statement and how it was split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitStatement {
    /// What was to be split.
    pub amount: Amount,
    /// What earlier blocks had left over.
    pub carried_in: Amount,
    /// What is left over.
    pub carried_out: Amount,
    /// What the operator added.
    pub topped_up: Amount,
    /// Where the window began on the line of work.
    pub from: Units,
    /// Where it ended.
    pub to: Units,
    /// The whole of which weights are parts.
    pub budget: Units,
    /// The operator's own weight.
    pub operator_weight: Units,
    /// Whole units credited to the operator for it.
    pub operator: Amount,
    /// Fees taken from accounts, less referrals.
    pub fees: Amount,
    /// What referrers got of them.
    pub referrals: Amount,
    /// All accounts' weights and gross units.
    pub accounts: SumRoot,
}

impl SplitStatement {
    /// What weights were parts of.
    fn pot(&self, rounding: Rounding) -> Option<Amount> {
        let pot = self.amount.checked_add(self.carried_in)?;
        if rounding == Rounding::ResidualLedger { Some(pot) } else { pot.checked_add(self.topped_up) }
    }

    /// The whole of which weights are parts under a rule: rules without a ledger divide by the weights themselves.
    fn divisor(&self, rounding: Rounding) -> Option<Units> {
        if rounding == Rounding::ResidualLedger {
            Some(self.budget)
        } else {
            self.accounts.weight.checked_add(self.operator_weight)
        }
    }

    fn check(&self, rounding: Rounding) -> Result<(), BadProof> {
        let overflow = BadProof::Overflow;
        let weights = self.accounts.weight.checked_add(self.operator_weight).ok_or(overflow.clone())?;
        let over = weights.checked_sub(self.budget).ok_or(BadProof::Sums("weights"))?;
        if (over > Units::ZERO) == self.topped_up.is_zero() {
            return Err(BadProof::Sums("weights"));
        }
        let sum = |list: &[Amount]| Amount::checked_sum(list.iter().copied()).ok_or(overflow.clone());
        let received = sum(&[self.amount, self.carried_in, self.topped_up])?;
        let given = sum(&[self.accounts.gross, self.operator, self.carried_out])?;
        let fits = if rounding == Rounding::ResidualLedger {
            // Fractions held from before may have become whole: less than one unit for each account and the operator,
            // so no more whole units than there are accounts.
            given.get() <= received.get().saturating_add(u128::from(self.accounts.accounts))
        } else {
            given == received
        };
        let charged = sum(&[self.fees, self.referrals])?;
        if fits && charged <= self.accounts.gross { Ok(()) } else { Err(BadProof::Sums("amounts")) }
    }
}

impl Statement {
    /// The canonical text.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a statement has text keys only")
    }

    /// Reads a text and checks that it is canonical and adds up.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn parse(text: &str) -> Result<Self, BadProof> {
        let statement: Self =
            serde_json::from_str(text).map_err(|error| BadProof::Unreadable(error.to_string()))?;
        if statement.format != FORMAT {
            return Err(BadProof::Unreadable("it is of another format".into()));
        }
        if statement.text() != text {
            return Err(BadProof::Unreadable("it is not canonical".into()));
        }
        let amounts = statement.splits.iter().map(|split| split.amount);
        let parts = [statement.fee, statement.bonus, statement.reserve];
        if Amount::checked_sum(parts.into_iter().chain(amounts)) != Some(statement.value) {
            return Err(BadProof::Sums("parts of the value"));
        }
        for split in &statement.splits {
            split.check(statement.rounding)?;
        }
        Ok(statement)
    }

    /// Checks one part against its split: the path, and that the amount is what the weight is due. Returns the fee.
    fn check_part(&self, proof: &PartProof) -> Result<Amount, BadProof> {
        let split = self.splits.get(proof.split).ok_or(BadProof::NoSplit)?;
        proof.verify(&split.accounts)?;
        let pot = split.pot(self.rounding).ok_or(BadProof::Overflow)?;
        let divisor = split.divisor(self.rounding).ok_or(BadProof::Overflow)?;
        proof.part.verify(pot, divisor, self.rounding)?;
        Ok(proof.part.fee_amount())
    }

    /// What the next statement calls this one.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }
}

/// A statement's text with the operator's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    /// The canonical text, byte for byte.
    pub statement: String,
    /// The operator's Ed25519 public key, 64 hexadecimal digits.
    pub key: String,
    /// The signature, 128 hexadecimal digits.
    pub signature: String,
}

fn message(text: &str) -> Vec<u8> {
    [DOMAIN, text.as_bytes()].concat()
}

impl SignedStatement {
    /// Signs a statement's text.
    #[must_use]
    pub fn sign(text: String, key: &SigningKey) -> Self {
        let signature = key.sign(&message(&text));
        Self {
            statement: text,
            key: hex::encode(key.verifying_key().as_bytes()),
            signature: hex::encode(signature.to_bytes()),
        }
    }

    /// Checks the signature, against `key` where the operator's key is known, and reads the statement.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify(&self, key: Option<&[u8; 32]>) -> Result<Statement, BadProof> {
        let unreadable = |what: &str| BadProof::Unreadable(what.into());
        let (mut own, mut signature) = ([0; 32], [0; 64]);
        hex::decode_to_slice(&self.key, &mut own).map_err(|_| unreadable("the key is none"))?;
        hex::decode_to_slice(&self.signature, &mut signature)
            .map_err(|_| unreadable("the signature is none"))?;
        if key.is_some_and(|key| *key != own) {
            return Err(BadProof::Key);
        }
        let key = VerifyingKey::from_bytes(&own).map_err(|_| unreadable("the key is none"))?;
        key.verify_strict(&message(&self.statement), &Signature::from_bytes(&signature))
            .map_err(|_| BadProof::Signature)?;
        Statement::parse(&self.statement)
    }
}

/// What one account got, with its way to the statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayProof {
    /// The statement.
    pub signed: SignedStatement,
    /// The account's parts: one per split it has work in, and per fee its work was accepted under.
    pub parts: Vec<PartProof>,
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedPay {
    /// The statement.
    pub statement: Statement,
    /// Who.
    pub miner: MinerId,
    /// Whole units after fees, the finder's bonus included where it was his.
    pub net: Amount,
    /// Fees taken from his parts.
    pub fees: Amount,
}

impl PayProof {
    /// Checks everything: signature, sums, each path, and that each amount is what its weight is due.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify(&self, key: Option<&[u8; 32]>) -> Result<ProvedPay, BadProof> {
        let statement = self.signed.verify(key)?;
        let miner = self.parts.first().ok_or(BadProof::NoPart)?.part.miner.clone();
        let (mut net, mut fees) = (Amount::ZERO, Amount::ZERO);
        for (part, proof) in self.parts.iter().enumerate() {
            let at = |fault| BadProof::Part { part, fault: Box::new(fault) };
            let twice =
                self.parts[..part].iter().any(|seen| (seen.split, seen.index) == (proof.split, proof.index));
            if proof.part.miner != miner || twice {
                return Err(at(BadProof::ForeignPart));
            }
            let fee = statement.check_part(proof).map_err(at)?;
            let kept = proof.part.gross.saturating_sub(fee);
            net = net.checked_add(kept).ok_or(BadProof::Overflow)?;
            fees = fees.checked_add(fee).ok_or(BadProof::Overflow)?;
        }
        if statement.finder == miner {
            net = net.checked_add(statement.bonus).ok_or(BadProof::Overflow)?;
        }
        Ok(ProvedPay { statement, miner, net, fees })
    }
}
