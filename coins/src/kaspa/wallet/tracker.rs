//! Follows our transactions along the chain: who accepted them, or what accepted spent their coins.
//!
//! Each open transaction has a cursor, a chain block up to which everything was read. A step asks what the chain
//! added above the cursor and took back below it; both are short, because cursors follow the sink. What was read can
//! be read again: nothing here is kept over a restart, and a lost cursor begins at the transaction's start.

use super::super::convert;
use super::super::grpc::link::{CallError, unreachable};
use super::super::grpc::set::NodeSet;
use super::super::grpc::wire;
use pool_core::coin::NodeError;
use pool_core::id::TxId;
use pool_core::payout::SignedTx;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Answers read in one call at most: a cursor far behind catches up over several.
const STEPS_MAX: usize = 64;
/// Blue score of one step of the search for a spender, whose answers hold whole transactions. Several chain blocks:
/// one adds at most 125.
const WINDOW: u64 = 512;

#[derive(Debug, Default)]
pub(super) struct Tracker {
    open: Mutex<HashMap<TxId, Cursor>>,
}

/// What was read for one transaction.
#[derive(Clone, Debug)]
struct Cursor {
    at: String,
    /// The chain block that accepted it.
    accepted_by: Option<String>,
    search: String,
    spender: Option<(String, String, String)>,
}

/// Another transaction that spends one of our coins.
#[derive(Clone, Debug)]
pub(super) struct Spender {
    pub(super) coin: String,
    pub(super) transaction: String,
    pub(super) accepted_by: String,
    /// Unit: DAA score.
    pub(super) confirmations: u64,
}

impl Tracker {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<TxId, Cursor>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cursor(&self, id: &TxId, start: [u8; 32]) -> Cursor {
        let begin = || {
            let at = hex::encode(start);
            Cursor { search: at.clone(), at, accepted_by: None, spender: None }
        };
        self.open().get(id).cloned().unwrap_or_else(begin)
    }

    /// Nothing more will be asked about it.
    pub(super) fn forget(&self, id: &TxId) {
        self.open().remove(id);
    }

    /// Whether it waits in a mempool.
    pub(super) async fn is_waiting(&self, set: &NodeSet, id: &TxId) -> Result<bool, NodeError> {
        let ask = wire::GetMempoolEntry {
            tx_id: id.to_string(),
            include_orphan_pool: false,
            filter_transaction_pool: false,
        };
        match set.mempool_entry(ask).await {
            Ok(answer) => Ok(answer.entry.is_some()),
            Err(CallError::Rpc(_)) => Ok(false),
            Err(CallError::Node(error)) => Err(error),
        }
    }

    /// How deep the chain block that accepted it lies, in DAA score; `None` when none has.
    pub(super) async fn acceptance(
        &self,
        set: &NodeSet,
        id: &TxId,
        start: [u8; 32],
    ) -> Result<Option<u64>, NodeError> {
        let mut cursor = self.cursor(id, start);
        let text = id.to_string();
        for _ in 0..STEPS_MAX {
            let ask = wire::GetVirtualChain {
                start_hash: cursor.at.clone(),
                include_accepted_transaction_ids: true,
                min_confirmation_count: None,
            };
            let path = match set.virtual_chain(ask).await {
                Ok(path) => path,
                // Another node may not have the newest block of the one asked before: begin again below it.
                Err(CallError::Rpc(words)) if words.contains("cannot find") => {
                    let begin = hex::encode(start);
                    if cursor.at == begin {
                        return Err(unreachable(format!("the node lacks chain block {begin}")));
                    }
                    cursor = Cursor { at: begin, accepted_by: None, ..cursor };
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if cursor.accepted_by.as_ref().is_some_and(|block| path.removed.contains(block)) {
                cursor.accepted_by = None;
            }
            for accepted in &path.accepted {
                if accepted.transaction_ids.contains(&text) {
                    cursor.accepted_by = Some(accepted.accepting_block.clone());
                }
            }
            let Some(last) = path.added.last() else { break };
            cursor.at.clone_from(last);
        }
        self.open().insert(*id, cursor.clone());
        match &cursor.accepted_by {
            Some(block) => self.depth(set, block).await,
            None => Ok(None),
        }
    }

    /// DAA score above a chain block; `None` when it is not on the chain.
    async fn depth(&self, set: &NodeSet, block: &str) -> Result<Option<u64>, NodeError> {
        let ask = wire::GetBlock { hash: block.to_owned(), include_transactions: false };
        let block = match set.block(ask).await {
            Ok(answer) => answer.block,
            Err(CallError::Rpc(_)) => None,
            Err(CallError::Node(error)) => return Err(error),
        };
        let Some(wire::Block { header: Some(header), verbose: Some(verbose), .. }) = block else {
            return Ok(None);
        };
        if !verbose.is_chain_block {
            return Ok(None);
        }
        let now = set.dag(wire::Empty {}).await?.virtual_daa_score;
        Ok(Some(now.saturating_sub(header.daa_score)))
    }

    /// The transaction, not `tx` itself, that an accepted chain block spends one of its coins with.
    pub(super) async fn spender(
        &self,
        set: &NodeSet,
        tx: &SignedTx,
        start: [u8; 32],
    ) -> Result<Option<Spender>, NodeError> {
        let mut cursor = self.cursor(&tx.id, start);
        let own = tx.id.to_string();
        let coins: HashSet<&str> = tx.spends.iter().map(String::as_str).collect();
        if let Some((coin, transaction, accepted_by)) = cursor.spender.clone() {
            if let Some(confirmations) = self.depth(set, &accepted_by).await? {
                return Ok(Some(Spender { coin, transaction, accepted_by, confirmations }));
            }
            // It left the chain: look again from the start.
            cursor.spender = None;
            cursor.search = hex::encode(start);
        }
        for _ in 0..STEPS_MAX {
            let Some(top) = self.keep_off(set, &cursor.search).await? else { break };
            let ask = wire::GetVirtualChainV2 {
                start_hash: cursor.search.clone(),
                data_verbosity_level: Some(wire::VERBOSITY_FULL),
                min_confirmation_count: Some(top),
            };
            let path = set.virtual_chain_v2(ask).await?;
            for (block, accepted) in path.added.iter().zip(&path.accepted) {
                let found = accepted.transactions.iter().find_map(|other| spends(other, &coins, &own));
                if let Some((coin, transaction)) = found {
                    cursor.spender = Some((coin, transaction, block.clone()));
                }
            }
            match path.added.last() {
                Some(last) if cursor.spender.is_none() => cursor.search.clone_from(last),
                Some(_) | None => break,
            }
        }
        let found = cursor.spender.clone();
        self.open().insert(tx.id, cursor);
        let Some((coin, transaction, accepted_by)) = found else { return Ok(None) };
        let confirmations = self.depth(set, &accepted_by).await?;
        Ok(confirmations.map(|confirmations| Spender { coin, transaction, accepted_by, confirmations }))
    }

    /// How many confirmations the newest block of a window above `from` has: the answer ends there. `None` when
    /// `from` is no longer known.
    async fn keep_off(&self, set: &NodeSet, from: &str) -> Result<Option<u64>, NodeError> {
        let ask = wire::GetBlock { hash: from.to_owned(), include_transactions: false };
        let header = match set.block(ask).await {
            Ok(answer) => answer.block.and_then(|block| block.header),
            Err(CallError::Rpc(_)) => None,
            Err(CallError::Node(error)) => return Err(error),
        };
        let Some(header) = header else { return Ok(None) };
        let dag = set.dag(wire::Empty {}).await?;
        // The virtual's DAA score is at least the sink's blue score less what genesis began with; ask for it.
        let sink = set.block(wire::GetBlock { hash: dag.sink, include_transactions: false }).await?;
        let sink = sink.block.and_then(|block| block.header).map_or(0, |header| header.blue_score);
        Ok(Some(sink.saturating_sub(header.blue_score.saturating_add(WINDOW))))
    }
}

/// The coin of ours that `other` spends, and its id, unless it is our own transaction.
fn spends(other: &wire::SparseTransaction, coins: &HashSet<&str>, own: &str) -> Option<(String, String)> {
    let id = other.verbose.as_ref().and_then(|verbose| verbose.transaction_id.clone())?;
    if id == own {
        return None;
    }
    other.inputs.iter().find_map(|input| {
        let outpoint = input.outpoint.as_ref()?;
        let txid = convert::hash(outpoint.transaction_id.as_deref()?).ok()?;
        let coin = format!("{}:{}", hex::encode(txid), outpoint.index.unwrap_or_default());
        coins.contains(coin.as_str()).then_some((coin, id.clone()))
    })
}
