//! The messages of Kaspa's gRPC protocol that a pool needs, and no more.
//!
//! One stream carries everything: [`Request`] goes out, [`Response`] comes back with the same `id`, notifications
//! come with id 0. Field numbers are the protocol's own; hashes and blobs are hexadecimal text. Written by hand, so
//! that a build needs no code generator. A block on its way from template to submit is declared `bytes`: the wire
//! cannot tell it from a message, and so fields unknown here survive.

// Both sides of the conversation are written down; without the development node only one of them is spoken.
#![cfg_attr(not(feature = "devnode"), allow(dead_code))]

use prost::{Message, Oneof};

/// The HTTP/2 path of the protocol's only method.
pub(crate) const METHOD: &str = "/protowire.RPC/MessageStream";
/// The service's name, for the server's side.
pub(crate) const SERVICE: &str = "protowire.RPC";

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(uint64, tag = "101")]
    pub(crate) id: u64,
    #[prost(
        oneof = "Ask",
        tags = "1003, 1005, 1012, 1014, 1020, 1025, 1029, 1035, 1052, 1054, 1063, 1072, 1077, 1081, 1088, 1092, 1106, 1110, 1114, 1116"
    )]
    pub(crate) ask: Option<Ask>,
}

/// What a client may ask.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Ask {
    #[prost(message, tag = "1003")]
    SubmitBlock(SubmitBlock),
    #[prost(message, tag = "1005")]
    GetBlockTemplate(GetBlockTemplate),
    #[prost(message, tag = "1012")]
    GetSink(Empty),
    #[prost(message, tag = "1014")]
    GetMempoolEntry(GetMempoolEntry),
    #[prost(message, tag = "1020")]
    SubmitTransaction(SubmitTransaction),
    #[prost(message, tag = "1025")]
    GetBlock(GetBlock),
    #[prost(message, tag = "1029")]
    GetVirtualChain(GetVirtualChain),
    #[prost(message, tag = "1035")]
    GetBlockDagInfo(Empty),
    #[prost(message, tag = "1052")]
    GetUtxosByAddresses(Addresses),
    #[prost(message, tag = "1054")]
    GetSinkBlueScore(Empty),
    #[prost(message, tag = "1063")]
    GetInfo(Empty),
    #[prost(message, tag = "1072")]
    EstimateHashrate(EstimateHashrate),
    #[prost(message, tag = "1077")]
    GetBalanceByAddress(OneAddress),
    #[prost(message, tag = "1081")]
    NotifyNewBlockTemplate(Notify),
    #[prost(message, tag = "1088")]
    Ping(Empty),
    #[prost(message, tag = "1092")]
    GetServerInfo(Empty),
    #[prost(message, tag = "1106")]
    GetFeeEstimate(Empty),
    #[prost(message, tag = "1110")]
    GetCurrentBlockColor(OneHash),
    #[prost(message, tag = "1114")]
    GetVirtualChainV2(GetVirtualChainV2),
    #[prost(message, tag = "1116")]
    GetBlockRewardInfo(OneHash),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    #[prost(uint64, tag = "101")]
    pub(crate) id: u64,
    #[prost(
        oneof = "Answer",
        tags = "1004, 1006, 1013, 1015, 1021, 1026, 1030, 1036, 1053, 1055, 1064, 1073, 1078, 1082, 1083, 1089, 1093, 1107, 1111, 1115, 1117"
    )]
    pub(crate) answer: Option<Answer>,
}

/// What a node may answer.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Answer {
    #[prost(message, tag = "1004")]
    SubmitBlock(SubmitBlockAnswer),
    #[prost(message, tag = "1006")]
    GetBlockTemplate(BlockTemplate),
    #[prost(message, tag = "1013")]
    GetSink(Sink),
    #[prost(message, tag = "1015")]
    GetMempoolEntry(MempoolEntryAnswer),
    #[prost(message, tag = "1021")]
    SubmitTransaction(SubmitTransactionAnswer),
    #[prost(message, tag = "1026")]
    GetBlock(BlockAnswer),
    #[prost(message, tag = "1030")]
    GetVirtualChain(VirtualChain),
    #[prost(message, tag = "1036")]
    GetBlockDagInfo(BlockDagFacts),
    #[prost(message, tag = "1053")]
    GetUtxosByAddresses(Utxos),
    #[prost(message, tag = "1055")]
    GetSinkBlueScore(SinkBlueScore),
    #[prost(message, tag = "1064")]
    GetInfo(NodeFacts),
    #[prost(message, tag = "1073")]
    EstimateHashrate(Hashrate),
    #[prost(message, tag = "1078")]
    GetBalanceByAddress(Balance),
    #[prost(message, tag = "1082")]
    NotifyNewBlockTemplate(Nothing),
    #[prost(message, tag = "1083")]
    NewBlockTemplate(Empty),
    #[prost(message, tag = "1089")]
    Ping(Nothing),
    #[prost(message, tag = "1093")]
    GetServerInfo(ServerFacts),
    #[prost(message, tag = "1107")]
    GetFeeEstimate(FeeEstimateAnswer),
    #[prost(message, tag = "1111")]
    GetCurrentBlockColor(BlockColor),
    #[prost(message, tag = "1115")]
    GetVirtualChainV2(VirtualChainV2),
    #[prost(message, tag = "1117")]
    GetBlockRewardInfo(BlockReward),
}

/// A message without fields.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Empty {}

/// The error that any answer may carry.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct RpcError {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
}

/// An answer that carries nothing but perhaps an error.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Nothing {
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct OneHash {
    #[prost(string, tag = "1")]
    pub(crate) hash: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct OneAddress {
    #[prost(string, tag = "1")]
    pub(crate) address: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Addresses {
    #[prost(string, repeated, tag = "1")]
    pub(crate) addresses: Vec<String>,
}

/// `command` 0 starts, 1 stops.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Notify {
    #[prost(int32, tag = "101")]
    pub(crate) command: i32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SubmitBlock {
    /// An `RpcBlock`, untouched.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) block: Vec<u8>,
    #[prost(bool, tag = "3")]
    pub(crate) allow_non_daa_blocks: bool,
}

/// `reject_reason` of a block that was taken.
pub(crate) const REJECT_NONE: i32 = 0;
/// `reject_reason` of a block that breaks a rule, or that the node cannot place.
pub(crate) const REJECT_INVALID: i32 = 1;
/// `reject_reason` while the node catches up.
pub(crate) const REJECT_IN_IBD: i32 = 2;

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SubmitBlockAnswer {
    #[prost(int32, tag = "1")]
    pub(crate) reject_reason: i32,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct GetBlockTemplate {
    #[prost(string, tag = "1")]
    pub(crate) pay_address: String,
    #[prost(string, tag = "2")]
    pub(crate) extra_data: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct BlockTemplate {
    /// An `RpcBlock`, untouched.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) block: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub(crate) is_synced: bool,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Sink {
    #[prost(string, tag = "1")]
    pub(crate) sink: String,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Block {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Header>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) transactions: Vec<Transaction>,
    #[prost(message, optional, tag = "3")]
    pub(crate) verbose: Option<BlockVerbose>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Header {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(message, repeated, tag = "12")]
    pub(crate) parents: Vec<LevelParents>,
    #[prost(string, tag = "3")]
    pub(crate) hash_merkle_root: String,
    #[prost(string, tag = "4")]
    pub(crate) accepted_id_merkle_root: String,
    #[prost(string, tag = "5")]
    pub(crate) utxo_commitment: String,
    #[prost(int64, tag = "6")]
    pub(crate) timestamp: i64,
    #[prost(uint32, tag = "7")]
    pub(crate) bits: u32,
    #[prost(uint64, tag = "8")]
    pub(crate) nonce: u64,
    #[prost(uint64, tag = "9")]
    pub(crate) daa_score: u64,
    #[prost(string, tag = "10")]
    pub(crate) blue_work: String,
    #[prost(uint64, tag = "13")]
    pub(crate) blue_score: u64,
    #[prost(string, tag = "14")]
    pub(crate) pruning_point: String,
    #[prost(string, tag = "15")]
    pub(crate) hash: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct LevelParents {
    #[prost(string, repeated, tag = "1")]
    pub(crate) hashes: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockVerbose {
    #[prost(string, tag = "1")]
    pub(crate) hash: String,
    #[prost(double, tag = "11")]
    pub(crate) difficulty: f64,
    #[prost(string, tag = "13")]
    pub(crate) selected_parent: String,
    #[prost(string, repeated, tag = "14")]
    pub(crate) transaction_ids: Vec<String>,
    #[prost(bool, tag = "15")]
    pub(crate) is_header_only: bool,
    #[prost(uint64, tag = "16")]
    pub(crate) blue_score: u64,
    #[prost(string, repeated, tag = "17")]
    pub(crate) children: Vec<String>,
    #[prost(string, repeated, tag = "18")]
    pub(crate) merge_set_blues: Vec<String>,
    #[prost(string, repeated, tag = "19")]
    pub(crate) merge_set_reds: Vec<String>,
    #[prost(bool, tag = "20")]
    pub(crate) is_chain_block: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Transaction {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) inputs: Vec<TransactionInput>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) outputs: Vec<TransactionOutput>,
    #[prost(uint64, tag = "4")]
    pub(crate) lock_time: u64,
    #[prost(string, tag = "5")]
    pub(crate) subnetwork_id: String,
    #[prost(uint64, tag = "6")]
    pub(crate) gas: u64,
    #[prost(string, tag = "8")]
    pub(crate) payload: String,
    #[prost(message, optional, tag = "9")]
    pub(crate) verbose: Option<TransactionVerbose>,
    #[prost(uint64, tag = "10")]
    pub(crate) storage_mass: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct TransactionVerbose {
    #[prost(string, tag = "1")]
    pub(crate) transaction_id: String,
    #[prost(string, tag = "2")]
    pub(crate) hash: String,
    #[prost(uint64, tag = "4")]
    pub(crate) compute_mass: u64,
    #[prost(string, tag = "12")]
    pub(crate) block_hash: String,
    #[prost(uint64, tag = "14")]
    pub(crate) block_time: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct TransactionInput {
    #[prost(message, optional, tag = "1")]
    pub(crate) outpoint: Option<Outpoint>,
    #[prost(string, tag = "2")]
    pub(crate) signature_script: String,
    #[prost(uint64, tag = "3")]
    pub(crate) sequence: u64,
    #[prost(uint32, tag = "5")]
    pub(crate) sig_op_count: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) compute_budget: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Outpoint {
    #[prost(string, tag = "1")]
    pub(crate) transaction_id: String,
    #[prost(uint32, tag = "2")]
    pub(crate) index: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct TransactionOutput {
    #[prost(uint64, tag = "1")]
    pub(crate) amount: u64,
    #[prost(message, optional, tag = "2")]
    pub(crate) script: Option<Script>,
    #[prost(message, optional, tag = "4")]
    pub(crate) covenant: Option<Covenant>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Covenant {
    #[prost(uint32, tag = "1")]
    pub(crate) authorizing_input: u32,
    #[prost(string, tag = "2")]
    pub(crate) covenant_id: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Script {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(string, tag = "2")]
    pub(crate) script: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct GetMempoolEntry {
    #[prost(string, tag = "1")]
    pub(crate) tx_id: String,
    #[prost(bool, tag = "2")]
    pub(crate) include_orphan_pool: bool,
    #[prost(bool, tag = "3")]
    pub(crate) filter_transaction_pool: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct MempoolEntryAnswer {
    #[prost(message, optional, tag = "1")]
    pub(crate) entry: Option<MempoolEntry>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct MempoolEntry {
    #[prost(uint64, tag = "1")]
    pub(crate) fee: u64,
    #[prost(message, optional, tag = "3")]
    pub(crate) transaction: Option<Transaction>,
    #[prost(bool, tag = "4")]
    pub(crate) is_orphan: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SubmitTransaction {
    /// An `RpcTransaction`, untouched: what was signed is what is sent.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) transaction: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub(crate) allow_orphan: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SubmitTransactionAnswer {
    #[prost(string, tag = "1")]
    pub(crate) transaction_id: String,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct GetBlock {
    #[prost(string, tag = "1")]
    pub(crate) hash: String,
    #[prost(bool, tag = "3")]
    pub(crate) include_transactions: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockAnswer {
    #[prost(message, optional, tag = "3")]
    pub(crate) block: Option<Block>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct GetVirtualChain {
    #[prost(string, tag = "1")]
    pub(crate) start_hash: String,
    #[prost(bool, tag = "2")]
    pub(crate) include_accepted_transaction_ids: bool,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) min_confirmation_count: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct VirtualChain {
    #[prost(string, repeated, tag = "1")]
    pub(crate) removed: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) added: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) accepted: Vec<AcceptedIds>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct AcceptedIds {
    #[prost(string, tag = "1")]
    pub(crate) accepting_block: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) transaction_ids: Vec<String>,
}

/// The fullest `data_verbosity_level`: transactions with their inputs.
pub(crate) const VERBOSITY_FULL: i32 = 3;

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct GetVirtualChainV2 {
    #[prost(string, tag = "1")]
    pub(crate) start_hash: String,
    #[prost(int32, optional, tag = "2")]
    pub(crate) data_verbosity_level: Option<i32>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) min_confirmation_count: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct VirtualChainV2 {
    #[prost(string, repeated, tag = "1")]
    pub(crate) removed: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) added: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) accepted: Vec<AcceptedTransactions>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct AcceptedTransactions {
    #[prost(message, optional, tag = "2")]
    pub(crate) header: Option<SparseHeader>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) transactions: Vec<SparseTransaction>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SparseHeader {
    #[prost(string, optional, tag = "2")]
    pub(crate) hash: Option<String>,
    #[prost(uint64, optional, tag = "11")]
    pub(crate) daa_score: Option<u64>,
    #[prost(uint64, optional, tag = "13")]
    pub(crate) blue_score: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SparseTransaction {
    #[prost(message, repeated, tag = "3")]
    pub(crate) inputs: Vec<SparseInput>,
    #[prost(message, optional, tag = "10")]
    pub(crate) verbose: Option<SparseTransactionVerbose>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SparseTransactionVerbose {
    #[prost(string, optional, tag = "2")]
    pub(crate) transaction_id: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SparseInput {
    #[prost(message, optional, tag = "2")]
    pub(crate) outpoint: Option<SparseOutpoint>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SparseOutpoint {
    #[prost(string, optional, tag = "2")]
    pub(crate) transaction_id: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) index: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockDagFacts {
    #[prost(string, tag = "1")]
    pub(crate) network_name: String,
    #[prost(uint64, tag = "2")]
    pub(crate) block_count: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) header_count: u64,
    #[prost(string, repeated, tag = "4")]
    pub(crate) tip_hashes: Vec<String>,
    #[prost(double, tag = "5")]
    pub(crate) difficulty: f64,
    #[prost(int64, tag = "6")]
    pub(crate) past_median_time: i64,
    #[prost(string, repeated, tag = "7")]
    pub(crate) virtual_parent_hashes: Vec<String>,
    #[prost(string, tag = "8")]
    pub(crate) pruning_point_hash: String,
    #[prost(uint64, tag = "9")]
    pub(crate) virtual_daa_score: u64,
    #[prost(string, tag = "10")]
    pub(crate) sink: String,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Utxos {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<UtxoOfAddress>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct UtxoOfAddress {
    #[prost(string, tag = "1")]
    pub(crate) address: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) outpoint: Option<Outpoint>,
    #[prost(message, optional, tag = "3")]
    pub(crate) entry: Option<UtxoEntry>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct UtxoEntry {
    #[prost(uint64, tag = "1")]
    pub(crate) amount: u64,
    #[prost(message, optional, tag = "2")]
    pub(crate) script: Option<Script>,
    #[prost(uint64, tag = "3")]
    pub(crate) block_daa_score: u64,
    #[prost(bool, tag = "4")]
    pub(crate) is_coinbase: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SinkBlueScore {
    #[prost(uint64, tag = "1")]
    pub(crate) blue_score: u64,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct NodeFacts {
    #[prost(string, tag = "1")]
    pub(crate) p2p_id: String,
    #[prost(uint64, tag = "2")]
    pub(crate) mempool_size: u64,
    #[prost(string, tag = "3")]
    pub(crate) server_version: String,
    #[prost(bool, tag = "4")]
    pub(crate) is_utxo_indexed: bool,
    #[prost(bool, tag = "5")]
    pub(crate) is_synced: bool,
    #[prost(bool, tag = "11")]
    pub(crate) has_notify_command: bool,
    #[prost(bool, tag = "12")]
    pub(crate) has_message_id: bool,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct EstimateHashrate {
    #[prost(uint32, tag = "1")]
    pub(crate) window_size: u32,
    #[prost(string, tag = "2")]
    pub(crate) start_hash: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Hashrate {
    #[prost(uint64, tag = "1")]
    pub(crate) hashes_per_second: u64,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Balance {
    #[prost(uint64, tag = "1")]
    pub(crate) balance: u64,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ServerFacts {
    #[prost(uint32, tag = "1")]
    pub(crate) rpc_api_version: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) rpc_api_revision: u32,
    #[prost(string, tag = "3")]
    pub(crate) server_version: String,
    #[prost(string, tag = "4")]
    pub(crate) network_id: String,
    #[prost(bool, tag = "5")]
    pub(crate) has_utxo_index: bool,
    #[prost(bool, tag = "6")]
    pub(crate) is_synced: bool,
    #[prost(uint64, tag = "7")]
    pub(crate) virtual_daa_score: u64,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FeeEstimateAnswer {
    #[prost(message, optional, tag = "1")]
    pub(crate) estimate: Option<FeeEstimate>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FeeEstimate {
    #[prost(message, optional, tag = "1")]
    pub(crate) priority: Option<FeeBucket>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) normal: Vec<FeeBucket>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) low: Vec<FeeBucket>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct FeeBucket {
    /// Sompi per gram.
    #[prost(double, tag = "1")]
    pub(crate) feerate: f64,
    #[prost(double, tag = "2")]
    pub(crate) estimated_seconds: f64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct BlockColor {
    #[prost(bool, tag = "1")]
    pub(crate) blue: bool,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}

/// `colour` of a block that nothing on the chain has merged.
pub(crate) const COLOUR_UNKNOWN: i32 = 0;
/// `colour` of a block that is paid.
pub(crate) const COLOUR_BLUE: i32 = 1;
/// `colour` of a block whose reward goes to its merger.
pub(crate) const COLOUR_RED: i32 = 2;

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct BlockReward {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Header>,
    #[prost(int32, tag = "2")]
    pub(crate) colour: i32,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) confirmation_count: Option<u64>,
    #[prost(string, optional, tag = "4")]
    pub(crate) merging_chain_block: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) reward_amount: Option<u64>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) error: Option<RpcError>,
}
