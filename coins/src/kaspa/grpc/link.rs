//! One node's stream.
//!
//! A [`Link`] is the asking side, cheap to share; its [`Driver`] is a future that owns the connection: it connects,
//! introduces itself, matches answers to questions by id, asks for a sign of life once a second, and begins again
//! with a growing pause when anything breaks. Whoever holds the link learns of a break at once: every open question
//! is answered with an error. Queues are bounded; a full one is an error, never a wait without end.

use super::wire::{self, Answer, Ask};
use pool_core::coin::NodeError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// Questions waiting to be written. A pool asks a few dozen a second; more means the node does not read.
const QUEUE_MAX: usize = 512;
/// Questions without an answer. Above it the node is not answering and new ones fail at once.
const PENDING_MAX: usize = 1_024;
/// The largest answer: the coins of an address with some 800 000 of them.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How a link behaves.
#[derive(Clone, Debug)]
pub(crate) struct LinkRules {
    /// The network id the node must name, as in `devnet` or `testnet-10`.
    pub(crate) network_id: String,
    /// How long any answer may take.
    pub(crate) timeout: Duration,
    /// How often a sign of life is asked for.
    pub(crate) probe: Duration,
}

/// What is known of a node.
#[derive(Clone, Debug)]
pub(crate) enum LinkState {
    /// It answers.
    Up(wire::ServerFacts),
    /// It does not, for this reason.
    Down(Arc<str>),
}

/// The asking side of one node's stream.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: Arc<str>,
    calls: mpsc::Sender<Call>,
    state: watch::Receiver<LinkState>,
    /// Until when it is asked last, because it lied or answered garbage.
    benched: Mutex<Option<Instant>>,
    timeout: Duration,
}

#[derive(Debug)]
struct Call {
    ask: Ask,
    reply: oneshot::Sender<Result<Answer, NodeError>>,
}

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Reply {
    answer: oneshot::Receiver<Result<Answer, NodeError>>,
    deadline: Instant,
    name: Arc<str>,
}

/// What went wrong with a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// No usable answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node's own words.
    #[error("{0}")]
    Rpc(String),
}

impl From<CallError> for NodeError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Node(error) => error,
            // A node in the middle of something says so in words; it is not a verdict on what was asked.
            CallError::Rpc(reason) if reason.contains("transitional") => Self::NotSynced,
            CallError::Rpc(reason) => Self::Refused { reason },
        }
    }
}

pub(crate) fn unreachable(why: impl Into<String>) -> NodeError {
    NodeError::Unreachable(why.into().into())
}

impl Link {
    pub(crate) fn new(
        endpoint: &str,
        rules: LinkRules,
        news: watch::Sender<u64>,
    ) -> Result<(Self, Driver), NodeError> {
        let authority = endpoint.strip_prefix("grpc://").unwrap_or(endpoint);
        let uri =
            if authority.contains("://") { authority.to_owned() } else { format!("http://{authority}") };
        let endpoint = Endpoint::from_shared(uri)
            .map_err(|error| NodeError::Refused {
                reason: format!("bad node address {authority:?}: {error}"),
            })?
            .connect_timeout(rules.timeout)
            .tcp_nodelay(true)
            .keep_alive_while_idle(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(rules.timeout);
        let name: Arc<str> = authority.into();
        let (calls, queue) = mpsc::channel(QUEUE_MAX);
        let (state, state_seen) = watch::channel(LinkState::Down("not connected yet".into()));
        let link = Self {
            name: name.clone(),
            calls,
            state: state_seen,
            benched: Mutex::new(None),
            timeout: rules.timeout,
        };
        Ok((link, Driver { name, endpoint, rules, queue, state, news }))
    }

    pub(crate) fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Asked last from now on, for `length`.
    pub(crate) fn bench(&self, length: Duration) {
        *self.benched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + length);
    }

    pub(crate) fn is_benched(&self) -> bool {
        let until = *self.benched.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now())
    }

    /// Puts a question on its way; the answer may be awaited later, and the question arrives even if it is not.
    pub(crate) fn begin(&self, ask: Ask) -> Result<Reply, NodeError> {
        if let LinkState::Down(why) = &*self.state.borrow() {
            return Err(unreachable(format!("{}: {why}", self.name)));
        }
        let (reply, answer) = oneshot::channel();
        self.calls
            .try_send(Call { ask, reply })
            .map_err(|_| unreachable(format!("{}: too many questions are waiting", self.name)))?;
        Ok(Reply { answer, deadline: Instant::now() + self.timeout, name: self.name.clone() })
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, NodeError> {
        self.begin(ask)?.wait().await
    }
}

impl Reply {
    pub(crate) async fn wait(self) -> Result<Answer, NodeError> {
        match tokio::time::timeout_at(self.deadline, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unreachable(format!("{}: connection lost", self.name))),
            Err(_) => Err(unreachable(format!("{}: no answer in time", self.name))),
        }
    }
}

/// Answers, each read as the one that was asked for, with the node's own error lifted out.
macro_rules! readers {
    ($($(#[$when:meta])* $name:ident: $variant:ident -> $out:ty;)*) => {
        pub(crate) mod read {
            use super::{Answer, CallError, NodeError, wire};
            $(
                $(#[$when])*
                pub(crate) fn $name(answer: Answer) -> Result<$out, CallError> {
                    match answer {
                        Answer::$variant(mut answer) => match answer.error.take() {
                            Some(error) => Err(CallError::Rpc(error.message)),
                            None => Ok(answer),
                        },
                        _ => Err(NodeError::Garbage("the answer is to another question".into()).into()),
                    }
                }
            )*
        }
    };
}

readers! {
    block_template: GetBlockTemplate -> wire::BlockTemplate;
    block: GetBlock -> wire::BlockAnswer;
    block_reward: GetBlockRewardInfo -> wire::BlockReward;
    dag: GetBlockDagInfo -> wire::BlockDagFacts;
    sink_blue_score: GetSinkBlueScore -> wire::SinkBlueScore;
    hashrate: EstimateHashrate -> wire::Hashrate;
    #[cfg(feature = "wallet")]
    virtual_chain: GetVirtualChain -> wire::VirtualChain;
    #[cfg(feature = "wallet")]
    virtual_chain_v2: GetVirtualChainV2 -> wire::VirtualChainV2;
    #[cfg(feature = "wallet")]
    utxos: GetUtxosByAddresses -> wire::Utxos;
    #[cfg(feature = "wallet")]
    mempool_entry: GetMempoolEntry -> wire::MempoolEntryAnswer;
    #[cfg(feature = "wallet")]
    submit_transaction: SubmitTransaction -> wire::SubmitTransactionAnswer;
    #[cfg(feature = "wallet")]
    fee_estimate: GetFeeEstimate -> wire::FeeEstimateAnswer;
}

/// The questions that must be asked of one node and no other.
macro_rules! questions {
    ($($name:ident: $variant:ident($in:ty) -> $out:ty;)*) => {
        impl Link {
            $(
                pub(crate) async fn $name(&self, ask: $in) -> Result<$out, CallError> {
                    read::$name(self.ask(Ask::$variant(ask)).await?)
                }
            )*
        }
    };
}

questions! {
    block_template: GetBlockTemplate(wire::GetBlockTemplate) -> wire::BlockTemplate;
    block: GetBlock(wire::GetBlock) -> wire::BlockAnswer;
    block_reward: GetBlockRewardInfo(wire::OneHash) -> wire::BlockReward;
    dag: GetBlockDagInfo(wire::Empty) -> wire::BlockDagFacts;
    sink_blue_score: GetSinkBlueScore(wire::Empty) -> wire::SinkBlueScore;
}

#[cfg(feature = "wallet")]
questions! {
    utxos: GetUtxosByAddresses(wire::Addresses) -> wire::Utxos;
}

/// Owns one connection and keeps it alive for as long as it is polled.
#[derive(Debug)]
pub(crate) struct Driver {
    name: Arc<str>,
    endpoint: Endpoint,
    rules: LinkRules,
    queue: mpsc::Receiver<Call>,
    state: watch::Sender<LinkState>,
    /// Counted up whenever a newer template may be had.
    news: watch::Sender<u64>,
}

/// What an id is waiting for.
enum Waiting {
    Caller(oneshot::Sender<Result<Answer, NodeError>>),
    /// The driver's own sign of life, asked at this moment.
    Probe(Instant),
}

/// The open questions of one connection.
#[derive(Default)]
struct Open {
    last_id: u64,
    waiting: HashMap<u64, Waiting>,
}

impl Open {
    fn number(&mut self, waiting: Waiting) -> u64 {
        self.last_id += 1;
        self.waiting.insert(self.last_id, waiting);
        self.last_id
    }

    /// Forgets callers that gave up.
    fn sweep(&mut self) {
        self.waiting.retain(|_, waiting| match waiting {
            Waiting::Caller(reply) => !reply.is_closed(),
            Waiting::Probe(_) => true,
        });
    }

    fn oldest_probe(&self) -> Option<Instant> {
        self.waiting
            .values()
            .filter_map(|waiting| match waiting {
                Waiting::Probe(asked) => Some(*asked),
                Waiting::Caller(_) => None,
            })
            .min()
    }
}

impl Driver {
    /// Runs until the link is dropped.
    pub(crate) async fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let mut open = Open::default();
            let Some(why) = self.session(&mut open).await else { return };
            if matches!(&*self.state.borrow(), LinkState::Up(_)) {
                backoff = BACKOFF_MIN;
                tracing::warn!(node = %self.name, %why, "node connection lost");
            } else {
                tracing::debug!(node = %self.name, %why, "node not reachable");
            }
            let why: Arc<str> = why.into();
            self.state.send_replace(LinkState::Down(why.clone()));
            self.news.send_modify(|version| *version += 1);
            for (_, waiting) in open.waiting.drain() {
                if let Waiting::Caller(reply) = waiting {
                    // A caller that gave up does not mind.
                    let _ = reply.send(Err(unreachable(format!("{}: {why}", self.name))));
                }
            }
            if !self.pause(backoff, &why).await {
                return;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Waits, and answers what slipped into the queue meanwhile. False when the link is gone.
    async fn pause(&mut self, length: Duration, why: &str) -> bool {
        let until = Instant::now() + length;
        loop {
            match tokio::time::timeout_at(until, self.queue.recv()).await {
                Err(_) => return true,
                Ok(None) => return false,
                Ok(Some(call)) => {
                    let _ = call.reply.send(Err(unreachable(format!("{}: {why}", self.name))));
                }
            }
        }
    }

    /// One connection's life. `None` when the link is gone, else why it ended.
    async fn session(&mut self, open: &mut Open) -> Option<String> {
        let connected = tokio::time::timeout(self.rules.timeout, self.connect()).await;
        let (outbound, mut inbound, facts) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(why)) => return Some(why),
            Err(_) => return Some("no answer to the greeting in time".into()),
        };
        tracing::info!(node = %self.name, version = %facts.server_version, network = %facts.network_id,
            synced = facts.is_synced, "node connected");
        open.last_id = GREETING_IDS;
        self.state.send_replace(LinkState::Up(facts));
        self.news.send_modify(|version| *version += 1);
        let mut probe = tokio::time::interval_at(Instant::now() + self.rules.probe, self.rules.probe);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                call = self.queue.recv() => {
                    let Call { ask, reply } = call?;
                    if open.waiting.len() >= PENDING_MAX {
                        let _ = reply.send(Err(unreachable(format!("{}: too many open questions", self.name))));
                        continue;
                    }
                    let id = open.number(Waiting::Caller(reply));
                    if outbound.try_send(wire::Request { id, ask: Some(ask) }).is_err() {
                        return Some("it does not read what it is sent".into());
                    }
                }
                message = inbound.message() => match message {
                    Ok(Some(message)) => {
                        if let Err(why) = self.receive(open, message) {
                            return Some(why);
                        }
                    }
                    Ok(None) => return Some("it closed the stream".into()),
                    Err(status) => return Some(format!("stream broken: {}", status.message())),
                },
                _ = probe.tick() => {
                    open.sweep();
                    if open.oldest_probe().is_some_and(|asked| asked.elapsed() > self.rules.timeout) {
                        return Some("it stopped answering".into());
                    }
                    let id = open.number(Waiting::Probe(Instant::now()));
                    let ask = Some(Ask::GetServerInfo(wire::Empty {}));
                    if outbound.try_send(wire::Request { id, ask }).is_err() {
                        return Some("it does not read what it is sent".into());
                    }
                }
            }
        }
    }

    async fn connect(
        &self,
    ) -> Result<(mpsc::Sender<wire::Request>, tonic::Streaming<wire::Response>, wire::ServerFacts), String>
    {
        let channel: Channel = self.endpoint.connect().await.map_err(|error| with_source(&error))?;
        let mut grpc = Grpc::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        grpc.ready().await.map_err(|error| with_source(&error))?;
        let (outbound, requests) = mpsc::channel(QUEUE_MAX + PENDING_MAX);
        let greeting =
            [Ask::GetServerInfo(wire::Empty {}), Ask::NotifyNewBlockTemplate(wire::Notify { command: 0 })];
        for (id, ask) in (1..).zip(greeting) {
            outbound
                .try_send(wire::Request { id, ask: Some(ask) })
                .expect("an empty queue takes the greeting");
        }
        let mut inbound = grpc
            .streaming(
                tonic::Request::new(ReceiverStream::new(requests)),
                PathAndQuery::from_static(wire::METHOD),
                ProstCodec::<wire::Request, wire::Response>::default(),
            )
            .await
            .map_err(|status| format!("refused the stream: {}", status.message()))?
            .into_inner();
        let mut facts = None;
        let mut notified = false;
        while facts.is_none() || !notified {
            match inbound.message().await.map_err(|status| format!("stream broken: {}", status.message()))? {
                Some(wire::Response { answer: Some(Answer::GetServerInfo(answer)), .. }) => {
                    facts = Some(answer)
                }
                Some(wire::Response { answer: Some(Answer::NotifyNewBlockTemplate(answer)), .. }) => {
                    if let Some(error) = answer.error {
                        return Err(format!("no template notifications: {}", error.message));
                    }
                    notified = true;
                }
                Some(_) => {}
                None => return Err("it closed the stream".into()),
            }
        }
        let facts = facts.expect("the loop ends with the node's facts");
        self.check(&facts)?;
        Ok((outbound, inbound, facts))
    }

    fn check(&self, facts: &wire::ServerFacts) -> Result<(), String> {
        if let Some(error) = &facts.error {
            return Err(format!("will not introduce itself: {}", error.message));
        }
        if facts.network_id != self.rules.network_id {
            return Err(format!("is on {:?}, not on {:?}", facts.network_id, self.rules.network_id));
        }
        Ok(())
    }

    fn receive(&self, open: &mut Open, message: wire::Response) -> Result<(), String> {
        let Some(answer) = message.answer else {
            // An answer of a kind we never ask for, or an empty one to a question of ours.
            if let Some(Waiting::Caller(reply)) = open.waiting.remove(&message.id) {
                let _ = reply.send(Err(NodeError::Garbage("an empty answer".into())));
            }
            return Ok(());
        };
        if matches!(answer, Answer::NewBlockTemplate(_)) {
            self.news.send_modify(|version| *version += 1);
            return Ok(());
        }
        match open.waiting.remove(&message.id) {
            Some(Waiting::Caller(reply)) => {
                let _ = reply.send(Ok(answer));
            }
            Some(Waiting::Probe(_)) => {
                let Answer::GetServerInfo(facts) = answer else {
                    return Err("answers another question than it was asked".into());
                };
                self.check(&facts)?;
                let was_synced = matches!(&*self.state.borrow(), LinkState::Up(old) if old.is_synced);
                if was_synced != facts.is_synced {
                    tracing::info!(node = %self.name, synced = facts.is_synced, "node's synchronisation changed");
                    self.news.send_modify(|version| *version += 1);
                }
                self.state.send_replace(LinkState::Up(facts));
            }
            // Late, or never asked: a caller that gave up was swept.
            None => {}
        }
        Ok(())
    }
}

/// Ids 1 and 2 are the greeting's.
const GREETING_IDS: u64 = 2;

/// An error with what caused it: a transport error's own text says next to nothing.
fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
