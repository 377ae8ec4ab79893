//! The development node's gRPC side: Kaspa's one streaming method, answered from the chain, with faults on demand.

use super::Faults;
use super::chain::{Chain, Refusal};
use crate::kaspa::grpc::wire::{self, Answer, Ask};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http;
use tonic_prost::ProstCodec;

/// Answers waiting for one client; one that does not read them is cut off.
const QUEUE_MAX: usize = 1_024;

/// The chain, and who waits for it to change.
#[derive(Debug)]
pub(super) struct Host {
    chain: Mutex<Chain>,
    network_id: String,
    /// Counted up with every change of the chain.
    changes: watch::Sender<u64>,
}

impl Host {
    pub(super) fn new(chain: Chain, network_id: String) -> Self {
        Self { chain: Mutex::new(chain), network_id, changes: watch::channel(0).0 }
    }
}

/// One socket to a chain, with faults of its own.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) host: Arc<Host>,
    pub(super) faults: Faults,
    /// Counted up to cut all streams.
    pub(super) cuts: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, faults: Faults::default(), cuts: watch::channel(0).0 }
    }

    pub(super) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.host.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the chain and tells everybody.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Chain) -> T) -> T {
        let outcome = change(&mut self.chain());
        self.host.changes.send_modify(|count| *count += 1);
        outcome
    }

    /// The answer to a question; `None` when it is to be lost.
    fn answer(&self, ask: Ask, now_ms: u64) -> Option<Answer> {
        let faults = &self.faults;
        Some(match ask {
            Ask::GetServerInfo(_) => Answer::GetServerInfo(wire::ServerFacts {
                rpc_api_version: 1,
                rpc_api_revision: 0,
                server_version: concat!("poolwright-devnode-", env!("CARGO_PKG_VERSION")).into(),
                network_id: self.host.network_id.clone(),
                has_utxo_index: true,
                is_synced: !faults.unsynced.load(Ordering::Relaxed),
                virtual_daa_score: self.chain().virtual_daa_score(),
                error: None,
            }),
            Ask::GetInfo(_) => Answer::GetInfo(wire::NodeFacts {
                p2p_id: String::new(),
                mempool_size: self.chain().mempool_len(),
                server_version: concat!("poolwright-devnode-", env!("CARGO_PKG_VERSION")).into(),
                is_utxo_indexed: true,
                is_synced: !faults.unsynced.load(Ordering::Relaxed),
                has_notify_command: true,
                has_message_id: true,
                error: None,
            }),
            Ask::GetBlockDagInfo(_) => {
                let chain = self.chain();
                Answer::GetBlockDagInfo(wire::BlockDagFacts {
                    network_name: self.host.network_id.clone(),
                    block_count: chain.block_count(),
                    header_count: chain.block_count(),
                    tip_hashes: chain.tip_hashes(),
                    difficulty: chain.difficulty(),
                    past_median_time: i64::try_from(now_ms).unwrap_or(i64::MAX),
                    virtual_parent_hashes: chain.tip_hashes(),
                    pruning_point_hash: chain.genesis_hash(),
                    virtual_daa_score: chain.virtual_daa_score(),
                    sink: chain.sink_hash(),
                    error: None,
                })
            }
            Ask::GetSink(_) => Answer::GetSink(wire::Sink { sink: self.chain().sink_hash(), error: None }),
            Ask::GetSinkBlueScore(_) => Answer::GetSinkBlueScore(wire::SinkBlueScore {
                blue_score: self.chain().sink_blue_score(),
                error: None,
            }),
            Ask::EstimateHashrate(_) => {
                // Half of the work is one unit of difficulty, ten blocks a second the chain's pace.
                let hashes = self.chain().difficulty() * 2.0 * 10.0;
                Answer::EstimateHashrate(wire::Hashrate { hashes_per_second: hashes as u64, error: None })
            }
            Ask::Ping(_) => Answer::Ping(wire::Nothing::default()),
            Ask::NotifyNewBlockTemplate(_) => Answer::NotifyNewBlockTemplate(wire::Nothing::default()),
            Ask::GetBlockTemplate(ask) => Answer::GetBlockTemplate(self.template(&ask, now_ms)),
            Ask::SubmitBlock(ask) => {
                let answer = self.submit_block(&ask.block, now_ms);
                if Faults::take(&faults.lost_block_answers) {
                    return None;
                }
                Answer::SubmitBlock(answer)
            }
            Ask::GetBlock(ask) => {
                let (block, error) = split(self.chain().block(&ask.hash, ask.include_transactions));
                Answer::GetBlock(wire::BlockAnswer { block, error })
            }
            Ask::GetBlockRewardInfo(ask) => {
                let (reward, error) = split(self.chain().reward(&ask.hash));
                Answer::GetBlockRewardInfo(wire::BlockReward { error, ..reward.unwrap_or_default() })
            }
            Ask::GetCurrentBlockColor(ask) => {
                let (blue, error) = split(self.chain().colour(&ask.hash));
                Answer::GetCurrentBlockColor(wire::BlockColor { blue: blue.unwrap_or_default(), error })
            }
            Ask::GetVirtualChain(ask) => {
                let (path, error) =
                    split(self.chain().virtual_chain(&ask.start_hash, ask.include_accepted_transaction_ids));
                Answer::GetVirtualChain(wire::VirtualChain { error, ..path.unwrap_or_default() })
            }
            Ask::GetVirtualChainV2(ask) => {
                let (path, error) = split(self.chain().virtual_chain_v2(&ask.start_hash));
                Answer::GetVirtualChainV2(wire::VirtualChainV2 { error, ..path.unwrap_or_default() })
            }
            Ask::GetUtxosByAddresses(ask) => {
                let (entries, error) = split(self.chain().utxos(&ask.addresses));
                Answer::GetUtxosByAddresses(wire::Utxos { entries: entries.unwrap_or_default(), error })
            }
            Ask::GetBalanceByAddress(ask) => {
                let (balance, error) = split(self.chain().balance(&ask.address));
                Answer::GetBalanceByAddress(wire::Balance { balance: balance.unwrap_or_default(), error })
            }
            Ask::GetMempoolEntry(ask) => {
                let (entry, error) = split(self.chain().mempool_entry(&ask.tx_id));
                Answer::GetMempoolEntry(wire::MempoolEntryAnswer { entry, error })
            }
            Ask::SubmitTransaction(ask) => {
                let answer = self.submit_transaction(&ask.transaction);
                if Faults::take(&faults.lost_transaction_answers) {
                    return None;
                }
                Answer::SubmitTransaction(answer)
            }
            Ask::GetFeeEstimate(_) => {
                let bucket = wire::FeeBucket { feerate: 100.0, estimated_seconds: 1.0 };
                Answer::GetFeeEstimate(wire::FeeEstimateAnswer {
                    estimate: Some(wire::FeeEstimate {
                        priority: Some(bucket),
                        normal: vec![bucket],
                        low: vec![bucket],
                    }),
                    error: None,
                })
            }
        })
    }

    fn template(&self, ask: &wire::GetBlockTemplate, now_ms: u64) -> wire::BlockTemplate {
        let faults = &self.faults;
        let pay_address = if faults.wrong_payee.load(Ordering::Relaxed) {
            self.chain().others_address()
        } else {
            ask.pay_address.clone()
        };
        let (block, error) = split(self.chain().template(&pay_address, ask.extra_data.as_bytes(), now_ms));
        let mut block = block.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default();
        if faults.garbage.load(Ordering::Relaxed) {
            // Half of a block, and what is left of it upside down.
            block.truncate(block.len() / 2);
            block.reverse();
        }
        wire::BlockTemplate { block, is_synced: !faults.unsynced.load(Ordering::Relaxed), error }
    }

    fn submit_block(&self, block: &[u8], now_ms: u64) -> wire::SubmitBlockAnswer {
        if self.faults.unsynced.load(Ordering::Relaxed) {
            return wire::SubmitBlockAnswer {
                reject_reason: wire::REJECT_IN_IBD,
                error: failure("Block was not submitted: node is in IBD"),
            };
        }
        if self.faults.refuse_blocks.load(Ordering::Relaxed) {
            return invalid("it does not want it");
        }
        match self.change(|chain| chain.submit(block, now_ms)) {
            // As the real node: a block it has is no error.
            Ok(_) => wire::SubmitBlockAnswer { reject_reason: wire::REJECT_NONE, error: None },
            Err(Refusal(why)) => invalid(&why),
        }
    }

    fn submit_transaction(&self, transaction: &[u8]) -> wire::SubmitTransactionAnswer {
        if self.faults.refuse_transactions.load(Ordering::Relaxed) {
            let error = failure(
                "Rejected transaction: transaction could not be added to the mempool because it's full",
            );
            return wire::SubmitTransactionAnswer { transaction_id: String::new(), error };
        }
        let (id, error) = split(self.change(|chain| chain.submit_transaction(transaction)));
        wire::SubmitTransactionAnswer { transaction_id: id.map(hex::encode).unwrap_or_default(), error }
    }
}

fn failure(words: &str) -> Option<wire::RpcError> {
    Some(wire::RpcError { message: words.into() })
}

/// The real node never says which rule a block broke; this one does, for whoever reads its log.
fn invalid(why: &str) -> wire::SubmitBlockAnswer {
    tracing::debug!(%why, "development node refuses a block");
    wire::SubmitBlockAnswer {
        reject_reason: wire::REJECT_INVALID,
        error: failure("Block was not submitted: block is invalid"),
    }
}

fn split<T>(outcome: Result<T, Refusal>) -> (Option<T>, Option<wire::RpcError>) {
    match outcome {
        Ok(value) => (Some(value), None),
        Err(Refusal(why)) => (None, failure(&why)),
    }
}

/// The HTTP/2 service.
#[derive(Clone, Debug)]
pub(super) struct Service(pub(super) Arc<Shared>);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl tonic::codegen::Service<http::Request<tonic::body::Body>> for Service {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let talk = Talk(self.0.clone());
        Box::pin(async move {
            if request.uri().path() != wire::METHOD {
                return Ok(tonic::Status::unimplemented("no such method").into_http());
            }
            let codec = ProstCodec::<wire::Response, wire::Request>::default();
            Ok(tonic::server::Grpc::new(codec).streaming(talk, request).await)
        })
    }
}

impl tonic::server::NamedService for Service {
    const NAME: &'static str = wire::SERVICE;
}

/// One client's stream.
struct Talk(Arc<Shared>);

type Answers = ReceiverStream<Result<wire::Response, tonic::Status>>;

impl tonic::server::StreamingService<wire::Request> for Talk {
    type Response = wire::Response;
    type ResponseStream = Answers;
    type Future = BoxFuture<Result<tonic::Response<Answers>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<tonic::Streaming<wire::Request>>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let (answers, stream) = mpsc::channel(QUEUE_MAX);
            // Lives as long as the client's half of the stream, or until it is cut.
            tokio::spawn(talk(shared, request.into_inner(), answers));
            Ok(tonic::Response::new(ReceiverStream::new(stream)))
        })
    }
}

async fn talk(
    shared: Arc<Shared>,
    mut questions: tonic::Streaming<wire::Request>,
    answers: mpsc::Sender<Result<wire::Response, tonic::Status>>,
) {
    let mut changes = shared.host.changes.subscribe();
    let mut cuts = shared.cuts.subscribe();
    let mut wants_news = false;
    loop {
        let response = tokio::select! {
            _ = cuts.changed() => return,
            question = questions.message() => match question {
                Ok(Some(wire::Request { id, ask })) => {
                    if let Some(Ask::NotifyNewBlockTemplate(notify)) = &ask {
                        wants_news = notify.command == 0;
                    }
                    if shared.faults.stalled.load(Ordering::Relaxed) {
                        continue;
                    }
                    let answer = ask.and_then(|ask| shared.answer(ask, super::unix_ms()));
                    let Some(answer) = answer else { continue };
                    wire::Response { id, answer: Some(answer) }
                }
                Ok(None) | Err(_) => return,
            },
            _ = changes.changed() => {
                if !wants_news || shared.faults.stalled.load(Ordering::Relaxed) {
                    continue;
                }
                wire::Response { id: 0, answer: Some(Answer::NewBlockTemplate(wire::Empty {})) }
            }
        };
        if answers.try_send(Ok(response)).is_err() {
            return;
        }
    }
}
