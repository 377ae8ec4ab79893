//! The development node's two doors: the miners' protocol and REST, answered from the chains, with faults on demand.

use super::chain::{Chain, Refusal, Templates};
use super::{DevNodeConfig, Faults, unix_ms};
use crate::alephium::address::{Address, PayTo};
use crate::alephium::chain::{ChainIndex, GROUPS};
use crate::alephium::params::Network;
use crate::alephium::wire::{self, Frames, FromNode, Layout, Verdict};
use crate::devnode_http::{RestAnswer, RestRequest, RpcFault, RpcHandler};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How often templates are pushed when nothing changes.
const REPEAT: Duration = Duration::from_secs(4);

/// The chains, and who waits for them to change.
#[derive(Debug)]
pub(super) struct Host {
    chain: Mutex<Chain>,
    /// Counted up with every change of a chain.
    changes: watch::Sender<u64>,
}

impl Host {
    pub(super) fn new(chain: Chain) -> Self {
        Self { chain: Mutex::new(chain), changes: watch::channel(0).0 }
    }
}

/// One node: sockets, templates and faults of its own.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) host: Arc<Host>,
    pub(super) faults: Faults,
    /// Counted up to cut all connections of miners.
    pub(super) cuts: watch::Sender<u64>,
    templates: Mutex<Templates>,
    pay_to: PayTo,
    network: Network,
    layout: Layout,
    push: Duration,
}

impl Shared {
    pub(super) fn new(host: Arc<Host>, config: &DevNodeConfig) -> Self {
        Self {
            host,
            faults: Faults::default(),
            cuts: watch::channel(0).0,
            templates: Mutex::default(),
            pay_to: config.pay_to.clone(),
            network: config.network,
            layout: config.layout,
            push: config.push,
        }
    }

    pub(super) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.host.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the chains and tells everybody.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Chain) -> T) -> T {
        let outcome = change(&mut self.chain());
        self.host.changes.send_modify(|count| *count += 1);
        outcome
    }

    fn templates(&self) -> MutexGuard<'_, Templates> {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The frame of the newest templates.
    fn jobs(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.faults.garbage.load(Ordering::Relaxed) {
            wire::write_submit(b"these are no jobs", self.layout, &mut out);
            return out;
        }
        let chain = self.chain();
        let offers = chain.offers(&mut self.templates(), &self.pay_to, unix_ms());
        FromNode::Jobs(offers).write(self.layout, &mut out);
        out
    }

    /// A miner's block, and the frame of the verdict, unless it is to be lost.
    fn take_block(&self, frame: &[u8]) -> Result<Option<Vec<u8>>, crate::alephium::codec::Malformed> {
        let block = wire::read_submit(frame, self.layout)?;
        let refused =
            self.faults.refuse_blocks.load(Ordering::Relaxed) || self.faults.unsynced.load(Ordering::Relaxed);
        let (_, blob, _) = crate::alephium::header::split_block(block)?;
        let verdict = if refused {
            let (nonce, _, _) = crate::alephium::header::split_block(block)?;
            let hash = blob.hash(&nonce);
            Some((ChainIndex::of_hash(&hash), hash, false))
        } else {
            self.change(|chain| chain.submit(&mut self.templates(), block, unix_ms()))
        };
        let Some((chain, hash, taken)) = verdict else { return Ok(None) };
        if taken && Faults::take(&self.faults.lost_block_answers) {
            return Ok(None);
        }
        let mut out = Vec::new();
        FromNode::Verdict(Verdict { chain, hash: Some(hash), taken }).write(self.layout, &mut out);
        Ok(Some(out))
    }
}

/// Serves miners for as long as it is polled; dropping it ends every connection.
pub(super) async fn serve_miners(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(shared.clone(), stream));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let (mut read, mut write) = stream.into_split();
    let mut cuts = shared.cuts.subscribe();
    let mut changes = shared.host.changes.subscribe();
    let mut frames = Frames::default();
    let mut chunk = [0; 4096];
    // The newest jobs are sent at once.
    let mut next_push = tokio::time::Instant::now();
    loop {
        let due = tokio::time::sleep_until(next_push);
        tokio::select! {
            _ = cuts.changed() => return,
            length = read.read(&mut chunk) => {
                let Ok(length) = length else { return };
                if length == 0 {
                    return;
                }
                frames.push(&chunk[..length]);
                loop {
                    let frame = match frames.next_frame() {
                        Ok(Some(frame)) => frame,
                        Ok(None) => break,
                        Err(_) => return,
                    };
                    let Ok(verdict) = shared.take_block(frame) else { return };
                    if let Some(verdict) = verdict
                        && !shared.faults.stalled.load(Ordering::Relaxed)
                        && write.write_all(&verdict).await.is_err()
                    {
                        return;
                    }
                }
            }
            () = due => {
                changes.mark_unchanged();
                if !shared.faults.stalled.load(Ordering::Relaxed) && write.write_all(&shared.jobs()).await.is_err() {
                    return;
                }
                let pushed = tokio::time::Instant::now();
                next_push = pushed + REPEAT;
                // Something new is pushed sooner, but not at once: a burst of blocks is one push.
                tokio::time::sleep(shared.push).await;
            }
            _ = changes.changed() => next_push = tokio::time::Instant::now(),
        }
    }
}

/// An answer in words under a status.
fn said(status: u16, words: &str) -> RestAnswer {
    RestAnswer::json(status, &json!({ "detail": words }))
}

fn found<T: serde::Serialize>(value: Option<T>, what: &str) -> RestAnswer {
    match value.map(serde_json::to_value) {
        Some(Ok(value)) => RestAnswer::json(200, &value),
        Some(Err(error)) => said(500, &error.to_string()),
        None => said(404, &format!("{what} not found")),
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

#[async_trait::async_trait]
impl RpcHandler for Shared {
    async fn call(&self, method: &str, _params: Value) -> Result<Value, RpcFault> {
        Err(RpcFault::no_method(method))
    }

    async fn rest(&self, request: RestRequest) -> RestAnswer {
        if self.faults.stalled.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let chain = || {
            let group = |name| request.of_query(name)?.parse::<u32>().ok();
            ChainIndex::of_numbers(group("fromGroup")?, group("toGroup")?)
        };
        let path = request.path.as_str();
        let synced = !self.faults.unsynced.load(Ordering::Relaxed);
        match (request.method.as_str(), path) {
            ("GET", "/infos/version") => RestAnswer::json(
                200,
                &json!({ "version": concat!("poolwright-devnode-", env!("CARGO_PKG_VERSION")) }),
            ),
            ("GET", "/infos/self-clique") => RestAnswer::json(
                200,
                &json!({ "cliqueId": "00", "nodes": [], "selfReady": true, "synced": synced }),
            ),
            ("GET", "/infos/chain-params") => RestAnswer::json(
                200,
                &json!({ "networkId": self.network.id(), "groupNumPerBroker": GROUPS, "groups": GROUPS }),
            ),
            ("GET", "/infos/current-difficulty") => {
                RestAnswer::json(200, &json!({ "difficulty": self.chain().difficulty().to_string() }))
            }
            ("GET", "/miners/addresses") => {
                let mut pays: Vec<String> = self.pay_to.all().iter().map(ToString::to_string).collect();
                if self.faults.wrong_payee.load(Ordering::Relaxed) {
                    pays.reverse();
                }
                RestAnswer::json(200, &json!({ "addresses": pays }))
            }
            ("GET", "/blockflow/chain-info") => {
                found(chain().map(|chain| json!({ "currentHeight": self.chain().height(chain) })), "chain")
            }
            ("GET", "/blockflow/hashes") => {
                let height = request.of_query("height").and_then(|text| text.parse().ok());
                let hashes = chain().zip(height).map(|(chain, height)| self.chain().hashes(chain, height));
                found(hashes.map(|hashes| json!({ "headers": hashes })), "chain")
            }
            ("GET", "/blockflow/is-block-in-main-chain") => {
                let hash = request.of_query("blockHash").and_then(hash);
                found(hash.and_then(|hash| self.chain().on_chain(&hash)), "block")
            }
            ("GET", "/transactions/status") => found(
                request.of_query("txId").and_then(hash).map(|id| self.chain().status(&id)),
                "transaction",
            ),
            ("POST", "/transactions/submit") => self.take_transaction(&request.body).await,
            ("GET", _) => self.resource(path),
            _ => said(404, "nothing here"),
        }
    }
}

impl Shared {
    /// A thing whose name is in its path.
    fn resource(&self, path: &str) -> RestAnswer {
        if let Some(name) = path.strip_prefix("/blockflow/blocks/") {
            return found(hash(name).and_then(|hash| self.chain().entry(&hash)), "block");
        }
        if let Some(name) = path.strip_prefix("/blockflow/main-chain-block-by-ghost-uncle/") {
            let by = hash(name).and_then(|hash| self.chain().named_by(&hash));
            return found(by, "The mainchain block that references the ghost uncle block");
        }
        let address = |suffix| {
            let text = path.strip_prefix("/addresses/")?.strip_suffix(suffix)?;
            Address::parse(text).ok()
        };
        if let Some(address) = address("/group") {
            return RestAnswer::json(200, &json!({ "group": address.group().get() }));
        }
        if let Some(address) = address("/balance") {
            return RestAnswer::json(200, &json!({ "balance": self.chain().balance(&address).to_string() }));
        }
        if let Some(address) = address("/utxos") {
            let utxos = self.chain().utxos(&address);
            return found(Some(json!({ "utxos": utxos })), "address");
        }
        said(404, "nothing here")
    }

    async fn take_transaction(&self, body: &Value) -> RestAnswer {
        let bytes = |name: &str| body[name].as_str().and_then(|text| hex::decode(text).ok());
        let signature = bytes("signature").and_then(|signature| signature.try_into().ok());
        let (Some(unsigned), Some(signature)) = (bytes("unsignedTx"), signature) else {
            return said(400, "unsignedTx and signature must be hexadecimal");
        };
        if self.faults.refuse_transactions.load(Ordering::Relaxed) {
            return said(400, "transaction refused");
        }
        match self.change(|chain| chain.transfer(&unsigned, signature, unix_ms())) {
            Ok(_) if Faults::take(&self.faults.lost_transaction_answers) => std::future::pending().await,
            Ok(id) => RestAnswer::json(200, &json!({ "txId": hex::encode(id) })),
            Err(Refusal(why)) => said(400, &why),
        }
    }
}
