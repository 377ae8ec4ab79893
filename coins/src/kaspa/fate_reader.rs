//! Collects the facts that [`super::fate::decide`] decides on, from one node's view of the chain.
//!
//! A pool with a tenth of the network has hundreds of open blocks; asking for each of them again and again would be
//! most of what the node does. So the reader remembers where a block was merged, and until the chain is deep enough
//! there it answers from the tip alone, which is asked for at most twice a second for all blocks together. Anything
//! final is read afresh: the node's own answer, the block, its merger, and the merger's child on the chain.

use super::coinbase::CoinbasePayload;
use super::convert;
use super::fate::{BlockFacts, CoinbaseOutput, FateRules, Merge, Tip, decide};
use super::grpc::link::{CallError, Link};
use super::grpc::wire;
use pool_core::block::BlockFate;
use pool_core::coin::NodeError;
use pool_core::id::BlockId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How old the tip may be.
const TIP_AGE_MAX: Duration = Duration::from_millis(500);
/// How long a remembered merger is believed without asking: reorganisations deeper than a few blocks are rare, and
/// nothing final rests on it.
const MERGER_AGE_MAX: Duration = Duration::from_secs(30);
/// Blocks remembered. Above it all are forgotten and asked for again.
const REMEMBERED_MAX: usize = 8_192;

/// Where a block was merged when it was last asked for.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    merger_blue_score: u64,
    /// DAA score from which on the coins are mature, as far as is known.
    mature_at: u64,
    seen: Instant,
}

#[derive(Debug)]
pub(crate) struct FateReader {
    rules: FateRules,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The node that said so, what, and when.
    tip: Option<(Arc<str>, Tip, Instant)>,
    sightings: HashMap<BlockId, Sighting>,
}

impl FateReader {
    pub(crate) fn new(rules: FateRules) -> Self {
        Self { rules, memory: Mutex::default() }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // A cache of the chain's own words is good whatever panicked while holding it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the chain says of a block now.
    pub(crate) async fn read(&self, link: &Link, id: &BlockId) -> Result<BlockFate, NodeError> {
        let tip = self.tip(link).await?;
        let sighting = self.memory().sightings.get(id).copied();
        if let Some(sighting) = sighting
            && sighting.seen.elapsed() < MERGER_AGE_MAX
        {
            let confirmations = tip.blue_score.saturating_sub(sighting.merger_blue_score);
            if confirmations < self.rules.confirmations || tip.daa_score < sighting.mature_at {
                return Ok(BlockFate::Pending { confirmations });
            }
        }
        let fate = self.read_afresh(link, id, tip).await?;
        if fate.is_final() {
            self.memory().sightings.remove(id);
        }
        Ok(fate)
    }

    async fn tip(&self, link: &Link) -> Result<Tip, NodeError> {
        if let Some((name, tip, at)) = &self.memory().tip
            && *name == link.name
            && at.elapsed() < TIP_AGE_MAX
        {
            return Ok(*tip);
        }
        // The DAA score first: blocks between the two answers make coins look younger, never older.
        let daa_score = link.dag(wire::Empty {}).await?.virtual_daa_score;
        let blue_score = link.sink_blue_score(wire::Empty {}).await?.blue_score;
        let tip = Tip { blue_score, daa_score };
        self.memory().tip = Some((link.name.clone(), tip, Instant::now()));
        Ok(tip)
    }

    async fn read_afresh(&self, link: &Link, id: &BlockId, tip: Tip) -> Result<BlockFate, NodeError> {
        let reward = match link.block_reward(wire::OneHash { hash: id.to_string() }).await {
            Ok(reward) => reward,
            Err(CallError::Rpc(words)) => return unknown_or_refused(words),
            Err(CallError::Node(error)) => return Err(error),
        };
        let (Some(merger), true) = (reward.merging_chain_block, reward.colour != wire::COLOUR_UNKNOWN) else {
            let header = reward.header.ok_or_else(|| garbage("a reward without a header"))?;
            if tip.blue_score.saturating_sub(header.blue_score) <= self.rules.lost_depth {
                return Ok(BlockFate::Pending { confirmations: 0 });
            }
            let own = self.block(link, id).await?.facts;
            return decide(&own, None, tip, &self.rules).map_err(|error| garbage(&error.to_string()));
        };
        let merger: BlockId = parse(&merger)?;
        let confirmations = reward.confirmation_count.unwrap_or(0);
        if confirmations < self.rules.confirmations {
            self.remember(id, tip.blue_score.saturating_sub(confirmations), 0);
            return Ok(BlockFate::Pending { confirmations });
        }
        let by = self.block(link, &merger).await?;
        if !by.on_chain {
            // It left the chain between two answers.
            return Ok(BlockFate::Pending { confirmations: 0 });
        }
        let accepted_at = self.accepted_at(link, &by).await?;
        let mature_at = accepted_at.map_or(0, |at| at.saturating_add(self.rules.maturity));
        self.remember(id, by.facts.blue_score, mature_at);
        let own = self.block(link, id).await?.facts;
        let reported = (reward.colour == wire::COLOUR_BLUE).then_some(reward.reward_amount).flatten();
        let merge = Merge { by: by.facts, accepted_at, reported };
        decide(&own, Some(&merge), tip, &self.rules).map_err(|error| garbage(&error.to_string()))
    }

    fn remember(&self, id: &BlockId, merger_blue_score: u64, mature_at: u64) {
        let mut memory = self.memory();
        if memory.sightings.len() >= REMEMBERED_MAX {
            memory.sightings.clear();
        }
        memory.sightings.insert(*id, Sighting { merger_blue_score, mature_at, seen: Instant::now() });
    }

    async fn block(&self, link: &Link, id: &BlockId) -> Result<Seen, NodeError> {
        let ask = wire::GetBlock { hash: id.to_string(), include_transactions: true };
        let block = link.block(ask).await?.block.ok_or_else(|| garbage("an answer without its block"))?;
        read_block(&block)
    }

    /// DAA score of the chain block above `by`: the one that accepts its coinbase.
    async fn accepted_at(&self, link: &Link, by: &Seen) -> Result<Option<u64>, NodeError> {
        for child in &by.children {
            let ask = wire::GetBlock { hash: child.clone(), include_transactions: false };
            let child = match link.block(ask).await {
                Ok(answer) => answer.block,
                // A child may still be on its way through the node's own checks.
                Err(CallError::Rpc(_)) => None,
                Err(CallError::Node(error)) => return Err(error),
            };
            if let Some(wire::Block { header: Some(header), verbose: Some(verbose), .. }) = child
                && verbose.is_chain_block
                && parse::<BlockId>(&verbose.selected_parent)? == by.facts.id
            {
                return Ok(Some(header.daa_score));
            }
        }
        Ok(None)
    }
}

/// A block's unchanging facts, and how the node sees it now.
struct Seen {
    facts: BlockFacts,
    on_chain: bool,
    children: Vec<String>,
}

fn garbage(why: &str) -> NodeError {
    NodeError::Garbage(why.into())
}

/// "I do not have it" is an answer; anything else in words is an error.
fn unknown_or_refused(words: String) -> Result<BlockFate, NodeError> {
    // Source: the node's error texts "cannot find header …", "cannot find full block …", "… has no …".
    if words.contains("cannot find") || words.contains("not found") || words.contains("is invalid") {
        return Ok(BlockFate::Unknown);
    }
    Err(CallError::Rpc(words).into())
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, NodeError> {
    text.parse().map_err(|_| garbage(&format!("{text:?} is no hash")))
}

fn hashes(texts: &[String]) -> Result<Vec<BlockId>, NodeError> {
    texts.iter().map(|text| parse(text)).collect()
}

fn read_block(block: &wire::Block) -> Result<Seen, NodeError> {
    let header = block.header.as_ref().ok_or_else(|| garbage("a block without a header"))?;
    let verbose = block.verbose.as_ref().ok_or_else(|| garbage("a block without its place in the graph"))?;
    let coinbase = block.transactions.first().ok_or_else(|| garbage("a block without a coinbase"))?;
    let payload = hex::decode(&coinbase.payload).map_err(|_| garbage("a payload that is not hexadecimal"))?;
    let payload = CoinbasePayload::parse(&payload).map_err(|error| garbage(&error.to_string()))?;
    let outputs = coinbase
        .outputs
        .iter()
        .map(|output| {
            let script = output.script.as_ref().ok_or_else(|| garbage("an output without a script"))?;
            Ok(CoinbaseOutput {
                amount: output.amount,
                pay_to: convert::pay_script(script).map_err(|error| garbage(&error.to_string()))?,
            })
        })
        .collect::<Result<_, NodeError>>()?;
    Ok(Seen {
        facts: BlockFacts {
            id: parse(&verbose.hash)?,
            blue_score: header.blue_score,
            daa_score: header.daa_score,
            selected_parent: parse(&verbose.selected_parent)?,
            blues: hashes(&verbose.merge_set_blues)?,
            reds: hashes(&verbose.merge_set_reds)?,
            subsidy: payload.subsidy,
            pay_to: payload.pay_to,
            outputs,
        },
        on_chain: verbose.is_chain_block,
        children: verbose.children.clone(),
    })
}
