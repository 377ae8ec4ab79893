//! A whole pool in one file: from a node's template to a miner's credited block.
//!
//! It is the straight line that `poold` runs in earnest: a node, jobs, a stratum server, the intake, the fate of blocks,
//! the rewards. The node is the development node, which speaks Kaspa's own protocol and checks real proofs at an easy
//! target; the miner is the CPU miner, over real TCP. All records are in memory, so the pool forgets everything when it
//! ends, which it does after the first block has matured and been credited.
//!
//! What keeps it honest even so small: a block is in the book before the node hears of it; a miner reads "accepted"
//! only after the share has its place in the log; money appears when the chain has paid, and not before.
//!
//! Run it: `cargo run -p poolwright-examples --example solo_pool`
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use anyhow::Context;
use pool_coins::kaspa::devnode::{DevNode, DevNodeConfig, bits_of_work};
use pool_coins::kaspa::wallet::{KaspaWallet, WalletKey};
use pool_coins::kaspa::{Kaspa, coin::KaspaJob, miner, node, params::Network};
use pool_core::coin::{Coin, Node};
use pool_core::intake::{Intake, Refusal, Submit};
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_core::{id, ledger::Account, limits::Limits, ports::Stores, share::Reject, time, units::Work};
use pool_rewards::scheme::{Rule, SchemeParams};
use pool_rewards::settle::{self, Settler};
use pool_stratum::net::{Application, Caller, ListenerRules, Server, ServerRules, bind};
use pool_stratum::session::{Login, Outcome, SessionRules, Submission, split_user};
use pool_stratum::{extranonce, jobs::JobRing};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{future::pending, sync::Arc};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

type Dialect = pool_stratum::dialect::kaspa::Kaspa<KaspaJob>;
const NETWORK: Network = Network::Devnet;

fn now() -> time::Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    time::Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The pool as the stratum server sees it.
struct Pool(Intake<Kaspa>);

#[async_trait::async_trait]
impl Application<Dialect> for Pool {
    async fn login(&self, user: &str, _password: &str, _caller: Caller) -> Result<Login, String> {
        let (account, name) = split_user(user);
        let miner = self.0.coin.address(account).map_err(|error| error.to_string())?;
        Ok(Login { worker: id::Worker { miner, name }, start: None })
    }

    async fn submit(&self, submission: Submission<Dialect>) -> Outcome {
        let Submission { job, solution, share_target, worker, .. } = submission;
        let submit = Submit { at: now(), job: &*job, solution: &solution, share_target, worker };
        let recorded = async {
            let taken = self.0.take(submit).await?; // proved and judged; a block is in the book now
            if let Some(block) = taken.block {
                println!("found    block {}: {:?}", block.id, self.0.submit_block(&block, now()).await);
            }
            self.0.record(taken.share).await?; // and only now the share counts
            Ok(())
        };
        match recorded.await {
            Ok(()) => Outcome::Accepted,
            Err(Refusal::Reject(reject)) => Outcome::Rejected(reject),
            Err(Refusal::Store(_)) => Outcome::Rejected(Reject::Busy),
        }
    }

    async fn remember(&self, _worker: id::Worker, _work: Work) {}
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The chain: about 2^12 hashes a block, and somebody else's block every 50 ms.
    let (pace, maturity) = (Some(Duration::from_millis(50)), 20);
    let config = DevNodeConfig { bits: bits_of_work(12), pace, maturity, ..DevNodeConfig::default() };
    let (chain, driver) = DevNode::open(config).await?;
    tokio::spawn(driver);

    // The pool's side of it: its own address, and what it calls final.
    let address = |byte| WalletKey::from_bytes(&[byte; 32]).map(|key| KaspaWallet::address_of(&key, NETWORK));
    let mut config = node::KaspaNodeConfig::new(vec![chain.address().to_string()], NETWORK, address(1)?);
    (config.mine_unsynced, config.fate.confirmations, config.fate.maturity) = (true, 10, maturity);
    let (node, driver) = node::KaspaNode::open(config)?;
    tokio::spawn(driver);
    let (coin, node): (_, Arc<dyn Node<Kaspa>>) = (Arc::new(Kaspa::new(NETWORK)), Arc::new(node));

    // Jobs: one per template, the same for all miners, at most four a second.
    let (work, jobs) = watch::channel(None);
    let (rules, source) = (coin.clone(), node.clone());
    tokio::spawn(async move {
        for id in 1.. {
            let template = source.template().await.ok().map(Arc::new);
            work.send_replace(template.map(|template| rules.job(id::JobId::new(id), template)));
            tokio::join!(source.changed(), sleep(Duration::from_millis(250)));
        }
    });

    // The intake: where a solution becomes a share on record.
    let Stores { shares, blocks, ledger, .. } = Stores::memory();
    let view = settle::Stores { shares: &*shares, blocks: &*blocks, ledger: &*ledger };
    let (coin_id, instance) = (id::CoinId::new("kaspa")?, id::InstanceId::new(0));
    let (name, source, shares, book) = (coin_id.clone(), node.clone(), shares.clone(), blocks.clone());
    let intake = Intake { coin, node: source, shares, blocks: book, instance, coin_id: name, attest: None };

    // Stratum: who may speak, for how long, at which difficulty.
    let (limits, life) = (Limits::default(), time::Micros::from_secs(90));
    let range = WorkRange::new(Work::new(1)?, Work::new(1 << 60)?)?;
    let vardiff = VardiffRules::new(time::Micros::from_millis(500), range, Work::new(512)?)?;
    let ring = Arc::new(JobRing::new(limits.jobs_kept_max, life));
    let sessions = Arc::new(SessionRules::new(Dialect::default(), limits, vardiff, ring));
    let nonces = extranonce::SpaceRules { width: 2, instance_bits: 0, instance: 0, rest: life };
    let space = extranonce::ExtranonceSpace::new(nonces)?;
    let server = Server::new(ServerRules::default(), sessions, space, Arc::new(Pool(intake)), jobs);
    let listener = bind(&ListenerRules::plain(([127, 0, 0, 1], 0).into()))?;
    let pool = listener.address()?.to_string();
    println!("serving  stratum on {pool}, node on {}", chain.address());

    // Rewards: solo, so the finder gets his block, when the chain says what it paid.
    let user = address(2)?.to_string();
    let account = Account::Miner(Kaspa::new(NETWORK).address(&user)?);
    let mut settler = Settler::start(coin_id, SchemeParams::new(Rule::Solo {}), view, now()).await?;
    let credited = async {
        loop {
            for open in blocks.open().await? {
                let fate = node.fate(&open.found.id).await?;
                if fate.is_final() {
                    blocks.conclude(&open.found.id, &fate).await?;
                    println!("final    block {}: {} KAS", open.found.id, fate.value().display(8));
                }
            }
            settler.step(view, now()).await?;
            match ledger.balance(&account).await?.owed() {
                owed if owed.is_zero() => sleep(Duration::from_millis(100)).await,
                owed => return anyhow::Ok(owed),
            }
        }
    };

    // A miner, and all of it together until there is something to show. Each future may be dropped at any point.
    let (user, password, agent) = (format!("{user}.cpu"), "x".to_owned(), "example".to_owned());
    let config = miner::MinerConfig { pool, user, password, agent, threads: 1, hashes_per_second_max: None };
    let credit = tokio::select! {
        credit = timeout(Duration::from_secs(60), credited) => credit.context("nothing in a minute")??,
        _ = server.serve(vec![listener], pending()) => anyhow::bail!("the server ended"),
        () = miner::mine(config, Arc::default(), mpsc::channel(64).0, pending()) => anyhow::bail!("the miner ended"),
    };
    println!("done: {} KAS are credited in the ledger as {account}", credit.display(8));
    Ok(())
}
