//! One node: its socket for miners, and its REST side.
//!
//! A [`Link`] is the asking side, cheap to share; its driver is a future that owns the connection. It connects, tells
//! the layout from the node's first words, keeps the newest templates, matches verdicts to blocks, asks by REST every
//! few seconds whether the node is ready and pays the pool, and begins again with a growing pause when anything breaks.
//! A node that pushes nothing for long is as good as gone: nodes repeat their templates every four seconds.

use super::address::PayTo;
use super::codec::Malformed;
use super::params::Network;
use super::rest::{Readiness, Rest};
use super::template::ChainTemplate;
use super::wire::{self, Frames, FromNode, Layout, Verdict};
use pool_core::coin::NodeError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Blocks waiting to be written or for their verdict. A pool finds one in seconds; more means the node does not read.
const QUEUE_MAX: usize = 64;
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How a link behaves.
#[derive(Clone, Debug)]
pub(crate) struct LinkRules {
    pub(crate) network: Network,
    pub(crate) pay_to: PayTo,
    /// The layout, if the operator knows it.
    pub(crate) layout: Option<Layout>,
    pub(crate) timeout: Duration,
    /// How long a node may push nothing.
    pub(crate) silence_max: Duration,
    /// How often readiness is asked for.
    pub(crate) probe: Duration,
}

/// The newest templates of a node.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    pub(crate) layout: Layout,
    pub(crate) templates: Arc<Vec<ChainTemplate>>,
}

/// Why there is nothing to be had: as an error that can be cloned.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Away(Arc<str>),
    Garbage(Arc<str>),
    NotSynced,
}

impl Trouble {
    fn away(why: impl Into<String>) -> Self {
        Self::Away(why.into().into())
    }

    pub(crate) fn error(&self, name: &str) -> NodeError {
        match self {
            Self::Away(why) => unreachable(format!("{name}: {why}")),
            Self::Garbage(why) => NodeError::Garbage(format!("{name}: {why}")),
            Self::NotSynced => NodeError::NotSynced,
        }
    }
}

impl From<NodeError> for Trouble {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::NotSynced => Self::NotSynced,
            NodeError::Garbage(why) => Self::Garbage(why.into()),
            NodeError::Unreachable(cause) => Self::away(cause.to_string()),
            other => Self::away(other.to_string()),
        }
    }
}

pub(crate) fn unreachable(why: impl Into<String>) -> NodeError {
    NodeError::Unreachable(why.into().into())
}

/// The asking side of one node.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) rest: Rest,
    jobs: watch::Receiver<Result<Jobs, Trouble>>,
    ready: watch::Receiver<Result<Readiness, Trouble>>,
    blocks: mpsc::Sender<Handover>,
    timeout: Duration,
}

#[derive(Debug)]
struct Handover {
    block: Vec<u8>,
    hash: [u8; 32],
    verdict: oneshot::Sender<bool>,
}

/// A verdict on its way.
#[derive(Debug)]
pub(crate) struct Pending {
    verdict: oneshot::Receiver<bool>,
    deadline: Instant,
}

impl Link {
    pub(crate) fn new(
        name: String,
        miner: String,
        rest: Rest,
        rules: LinkRules,
        news: watch::Sender<u64>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let nothing = || Trouble::away("not connected yet");
        let (jobs_in, jobs) = watch::channel(Err(nothing()));
        let (ready_in, ready) = watch::channel(Err(nothing()));
        let (blocks, queue) = mpsc::channel(QUEUE_MAX);
        let link = Arc::new(Self { name, rest, jobs, ready, blocks, timeout: rules.timeout });
        let prober = Arc::clone(&link);
        let (probe_rules, probe_news) = (rules.clone(), news.clone());
        let driver = async move {
            let socket = Socket { miner, rules, queue, jobs: jobs_in, news };
            tokio::join!(socket.run(), probe(&prober.rest, &probe_rules, &ready_in, &probe_news));
        };
        (link, driver)
    }

    /// The newest templates of a node that is ready and pays the pool.
    pub(crate) fn jobs(&self) -> Result<Jobs, NodeError> {
        self.readiness()?;
        self.jobs.borrow().clone().map_err(|trouble| trouble.error(&self.name))
    }

    pub(crate) fn readiness(&self) -> Result<Readiness, NodeError> {
        self.ready.borrow().clone().map_err(|trouble| trouble.error(&self.name))
    }

    /// Puts a block on its way; it arrives even if the verdict is not awaited.
    pub(crate) fn hand_over(&self, block: &[u8], hash: [u8; 32]) -> Result<Pending, NodeError> {
        if let Err(trouble) = &*self.jobs.borrow() {
            return Err(trouble.error(&self.name));
        }
        let (verdict, answer) = oneshot::channel();
        self.blocks
            .try_send(Handover { block: block.to_vec(), hash, verdict })
            .map_err(|_| unreachable(format!("{}: too many blocks are waiting", self.name)))?;
        Ok(Pending { verdict: answer, deadline: Instant::now() + self.timeout })
    }

    /// Whether the node took it.
    pub(crate) async fn verdict(&self, pending: Pending) -> Result<bool, NodeError> {
        match tokio::time::timeout_at(pending.deadline, pending.verdict).await {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(_)) => Err(unreachable(format!("{}: connection lost", self.name))),
            Err(_) => Err(unreachable(format!("{}: no verdict in time", self.name))),
        }
    }
}

/// Asks again and again whether the node is ready.
async fn probe(
    rest: &Rest,
    rules: &LinkRules,
    ready: &watch::Sender<Result<Readiness, Trouble>>,
    news: &watch::Sender<u64>,
) {
    loop {
        let answer = rest.readiness().await.map_err(Trouble::from).and_then(|readiness| {
            match readiness.objection(rules.network, &rules.pay_to) {
                Some(objection) => Err(objection.into()),
                None => Ok(readiness),
            }
        });
        let good = answer.is_ok();
        let before = ready.send_replace(answer).is_ok();
        if good != before {
            news.send_modify(|count| *count += 1);
        }
        // Trouble is looked at more often: work waits for it to end.
        let pause = if good { rules.probe } else { rules.probe.min(Duration::from_millis(500)) };
        tokio::time::sleep(pause).await;
    }
}

/// The socket's side of a driver.
struct Socket {
    miner: String,
    rules: LinkRules,
    queue: mpsc::Receiver<Handover>,
    jobs: watch::Sender<Result<Jobs, Trouble>>,
    news: watch::Sender<u64>,
}

impl Socket {
    async fn run(mut self) {
        let mut pause = BACKOFF_MIN;
        loop {
            let trouble = self.connection().await;
            if self.jobs.send_replace(Err(trouble)).is_ok() {
                pause = BACKOFF_MIN;
            }
            self.news.send_modify(|count| *count += 1);
            // Whoever waits for a verdict learns now that none will come.
            while self.queue.try_recv().is_ok() {}
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    /// One connection from its beginning to its end, and why it ended.
    async fn connection(&mut self) -> Trouble {
        let connect = tokio::time::timeout(self.rules.timeout, TcpStream::connect(&self.miner));
        let stream = match connect.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Trouble::away(format!("cannot connect: {error}")),
            Err(_) => return Trouble::away("cannot connect in time"),
        };
        let _ = stream.set_nodelay(true);
        let (mut read, mut write) = stream.into_split();
        let mut frames = Frames::default();
        let mut layout = self.rules.layout;
        let mut waiting: VecDeque<([u8; 32], oneshot::Sender<bool>)> = VecDeque::new();
        let mut heard = Instant::now();
        loop {
            let silence = tokio::time::sleep_until(heard + self.rules.silence_max);
            tokio::select! {
                chunk = read_some(&mut read, &mut frames) => {
                    match chunk {
                        Ok(0) => return Trouble::away("the node closed the connection"),
                        Ok(_) => {}
                        Err(error) => return Trouble::away(format!("cannot read: {error}")),
                    }
                    if let Err(Malformed(why)) = self.take_in(&mut frames, &mut layout, &mut waiting, &mut heard) {
                        return Trouble::Garbage(why.into());
                    }
                }
                handover = self.queue.recv() => {
                    let Some(Handover { block, hash, verdict }) = handover else {
                        return Trouble::away("the pool has closed");
                    };
                    // Blocks are taken only once the node has spoken, so its layout is known.
                    let layout = layout.unwrap_or(Layout::Versioned);
                    if let Err(why) = write_block(&mut write, &block, layout, self.rules.timeout).await {
                        return why;
                    }
                    if waiting.len() >= QUEUE_MAX {
                        waiting.pop_front();
                    }
                    waiting.push_back((hash, verdict));
                }
                () = silence => return Trouble::away("the node sends no jobs any more"),
            }
        }
    }

    /// Every whole frame that came in.
    fn take_in(
        &self,
        frames: &mut Frames,
        layout: &mut Option<Layout>,
        waiting: &mut VecDeque<([u8; 32], oneshot::Sender<bool>)>,
        heard: &mut Instant,
    ) -> Result<(), Malformed> {
        while let Some(frame) = frames.next_frame()? {
            let spoken = match *layout {
                Some(known) => known,
                None => *layout.insert(wire::layout_of(frame)?),
            };
            match FromNode::read(frame, spoken)? {
                FromNode::Jobs(offers) => {
                    let templates =
                        offers.into_iter().map(ChainTemplate::check).collect::<Result<Vec<_>, _>>()?;
                    if templates.is_empty() {
                        return Err(Malformed("a node without any chain"));
                    }
                    *heard = Instant::now();
                    let _before =
                        self.jobs.send_replace(Ok(Jobs { layout: spoken, templates: Arc::new(templates) }));
                    self.news.send_modify(|count| *count += 1);
                }
                FromNode::Verdict(verdict) => settle(waiting, &verdict),
            }
        }
        Ok(())
    }
}

/// Gives a verdict to whom it belongs: by the block's hash, or, where the node does not say it, to the oldest block of
/// the chain.
fn settle(waiting: &mut VecDeque<([u8; 32], oneshot::Sender<bool>)>, verdict: &Verdict) {
    // A block may have been sent twice: whoever still waits for it learns it, and nobody else is in the way.
    waiting.retain(|(_, sender)| !sender.is_closed());
    let about = |hash: &[u8; 32]| match verdict.hash {
        Some(named) => named == *hash,
        None => super::chain::ChainIndex::of_hash(hash) == verdict.chain,
    };
    let Some(place) = waiting.iter().position(|(hash, _)| about(hash)) else { return };
    if let Some((_, sender)) = waiting.remove(place) {
        // Nobody waits any more: the block is where it should be all the same.
        let _ = sender.send(verdict.taken);
    }
}

async fn read_some(read: &mut OwnedReadHalf, frames: &mut Frames) -> std::io::Result<usize> {
    let mut chunk = [0; 16 << 10];
    let length = read.read(&mut chunk).await?;
    frames.push(&chunk[..length]);
    Ok(length)
}

async fn write_block(
    write: &mut OwnedWriteHalf,
    block: &[u8],
    layout: Layout,
    timeout: Duration,
) -> Result<(), Trouble> {
    let mut frame = Vec::with_capacity(block.len() + 16);
    wire::write_submit(block, layout, &mut frame);
    match tokio::time::timeout(timeout, write.write_all(&frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Trouble::away(format!("cannot write: {error}"))),
        Err(_) => Err(Trouble::away("the node does not read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alephium::chain::ChainIndex;

    #[test]
    fn a_verdict_finds_its_block_by_hash_or_by_chain() {
        let mut waiting = VecDeque::new();
        let mut expect = |byte: u8| {
            let (sender, receiver) = oneshot::channel();
            let mut hash = [byte; 32];
            hash[31] = 5;
            waiting.push_back((hash, sender));
            (hash, receiver)
        };
        let (_, mut first) = expect(1);
        let (second_hash, mut second) = expect(2);
        let chain = ChainIndex::of_place(5).unwrap();
        settle(&mut waiting, &Verdict { chain, hash: Some([9; 32]), taken: true });
        settle(&mut waiting, &Verdict { chain, hash: Some(second_hash), taken: false });
        assert_eq!(second.try_recv(), Ok(false));
        settle(&mut waiting, &Verdict { chain: ChainIndex::of_place(6).unwrap(), hash: None, taken: true });
        assert!(first.try_recv().is_err());
        settle(&mut waiting, &Verdict { chain, hash: None, taken: true });
        assert_eq!(first.try_recv(), Ok(true));
        assert!(waiting.is_empty());
    }
}
