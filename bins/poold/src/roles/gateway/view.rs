//! What the API says, as values to serialise. Names and nesting are miningcore's, because existing front ends read
//! them; amounts are exact decimal numbers of whole coins, hash rates are hashes per second.

use pool_core::units::Amount;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A JSON number of whole coins with all its decimals, never through a float.
pub(super) fn coins(amount: Amount, decimals: u8) -> Box<RawValue> {
    RawValue::from_string(amount.display(decimals)).expect("digits and one point are a JSON number")
}

#[derive(Serialize)]
pub(super) struct Pools {
    pub(super) pools: Vec<Pool>,
}

#[derive(Serialize)]
pub(super) struct OnePool {
    pub(super) pool: Pool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pool {
    pub(super) id: String,
    pub(super) coin: Coin,
    pub(super) ports: BTreeMap<u16, Port>,
    pub(super) payment_processing: PaymentProcessing,
    pub(super) pool_fee_percent: f64,
    pub(super) address: String,
    pub(super) address_info_link: String,
    pub(super) pool_stats: PoolStats,
    pub(super) network_stats: NetworkStats,
    pub(super) top_miners: Vec<MinerRow>,
    pub(super) total_paid: Box<RawValue>,
    pub(super) total_blocks: u64,
    pub(super) total_confirmed_blocks: u64,
    pub(super) total_pending_blocks: u64,
    pub(super) total_lost_blocks: u64,
    pub(super) block_reward: Option<Box<RawValue>>,
    pub(super) last_pool_block_time: Option<String>,
    pub(super) pool_effort: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Coin {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) symbol: &'static str,
    pub(super) website: &'static str,
    pub(super) family: &'static str,
    pub(super) algorithm: &'static str,
    pub(super) canonical_name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Port {
    pub(super) listen_address: String,
    pub(super) name: String,
    pub(super) difficulty: f64,
    pub(super) tls: bool,
    pub(super) var_diff: VarDiff,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VarDiff {
    pub(super) min_diff: f64,
    pub(super) max_diff: f64,
    pub(super) target_time: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentProcessing {
    pub(super) enabled: bool,
    pub(super) minimum_payment: Box<RawValue>,
    pub(super) payout_scheme: &'static str,
    pub(super) payout_scheme_config: serde_json::Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PoolStats {
    pub(super) last_pool_block_time: Option<String>,
    pub(super) connected_miners: u64,
    pub(super) connected_workers: u64,
    pub(super) pool_hashrate: f64,
    pub(super) shares_per_second: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkStats {
    pub(super) network_type: &'static str,
    pub(super) network_hashrate: f64,
    pub(super) network_difficulty: f64,
    pub(super) last_network_block_time: Option<String>,
    pub(super) block_height: u64,
    pub(super) connected_peers: u64,
    pub(super) reward_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MinerRow {
    pub(super) miner: String,
    pub(super) hashrate: f64,
    pub(super) shares_per_second: f64,
    pub(super) pending_balance: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block {
    pub(super) pool_id: String,
    pub(super) block_height: u64,
    pub(super) network_difficulty: f64,
    pub(super) status: &'static str,
    pub(super) placement: Option<String>,
    pub(super) confirmation_progress: f64,
    pub(super) effort: Option<f64>,
    pub(super) transaction_confirmation_data: String,
    pub(super) reward: Box<RawValue>,
    pub(super) info_link: String,
    pub(super) hash: String,
    pub(super) miner: String,
    pub(super) worker: String,
    pub(super) source: String,
    pub(super) created: String,
    pub(super) detail: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    pub(super) coin: &'static str,
    pub(super) address: String,
    pub(super) address_info_link: String,
    pub(super) amount: Box<RawValue>,
    pub(super) transaction_confirmation_data: Option<String>,
    pub(super) transaction_info_link: Option<String>,
    pub(super) payout: String,
    pub(super) status: &'static str,
    pub(super) created: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MinerStats {
    pub(super) pending_shares: f64,
    pub(super) pending_balance: Box<RawValue>,
    pub(super) total_paid: Box<RawValue>,
    pub(super) today_paid: Box<RawValue>,
    pub(super) last_payment: Option<String>,
    pub(super) last_payment_link: Option<String>,
    pub(super) minimum_payment: Box<RawValue>,
    pub(super) performance: Performance,
    pub(super) performance_samples: Vec<Performance>,
    pub(super) total_confirmed_blocks: u64,
    pub(super) total_pending_blocks: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Performance {
    pub(super) created: String,
    pub(super) workers: BTreeMap<String, WorkerRate>,
}

#[derive(Clone, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkerRate {
    pub(super) hashrate: f64,
    pub(super) shares_per_second: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BalanceChange {
    pub(super) pool_id: String,
    pub(super) address: String,
    pub(super) amount: Box<RawValue>,
    pub(super) usage: String,
    pub(super) created: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DailyEarning {
    pub(super) date: String,
    pub(super) amount: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PoolSample {
    pub(super) created: String,
    pub(super) pool_hashrate: f64,
    pub(super) connected_miners: u64,
    pub(super) valid_shares_per_second: f64,
    pub(super) network_hashrate: f64,
    pub(super) network_difficulty: f64,
}

/// The paged form of the second version of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paged<T> {
    pub(super) result: Vec<T>,
    pub(super) success: bool,
    pub(super) page_count: u64,
    pub(super) item_count: u64,
}
