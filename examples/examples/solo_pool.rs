//! A whole pool in one file: from a node's template to a miner's credited block.
//!
//! It is the straight line that `poold` runs in earnest, with everything left out that is not on it: a node, jobs,
//! a stratum server, the intake, the fate of blocks, the rewards. The node is the development node, which speaks
//! Kaspa's own protocol and checks real proofs at an easy target; the miner is the CPU miner, over real TCP. All records
//! are in memory (`Stores::memory()`), so the pool forgets everything when it ends, which it does after the first
//! block has matured and been credited.
//!
//! What keeps it honest even so small: a block is in the book before the node hears of it; a miner reads "accepted" only
//! after the share has its place in the log; money appears when the chain has paid, and not before.
//!
//! Run it: `cargo run -p poolwright-examples --example solo_pool`
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use anyhow::Context;
use async_trait::async_trait;
use pool_coins::kaspa::coin::KaspaJob;
use pool_coins::kaspa::devnode::{DevNode, DevNodeConfig, Weather, bits_of_work};
use pool_coins::kaspa::fate::FateRules;
use pool_coins::kaspa::miner::{MinerConfig, MinerCounters, mine};
use pool_coins::kaspa::node::{KaspaNode, KaspaNodeConfig};
use pool_coins::kaspa::wallet::{KaspaWallet, WalletKey};
use pool_coins::kaspa::{Kaspa, params::Network};
use pool_core::coin::{Coin, Node};
use pool_core::id::{CoinId, InstanceId, JobId, Worker};
use pool_core::intake::{Intake, Refusal, Submit};
use pool_core::ledger::Account;
use pool_core::limits::Limits;
use pool_core::ports::Stores;
use pool_core::share::Reject;
use pool_core::time::{Micros, Timestamp};
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_rewards::scheme::{Rule, SchemeParams};
use pool_rewards::settle::{self, Settler};
use pool_stratum::dialect::kaspa as dialect;
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::JobRing;
use pool_stratum::net::{Application, Caller, ListenerRules, Server, ServerRules, bind};
use pool_stratum::session::{Login, Outcome, SessionRules, Submission, split_user};
use std::sync::{Arc, atomic::Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};

type Dialect = dialect::Kaspa<KaspaJob>;

fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The pool as the stratum server sees it.
struct Pool(Arc<Intake<Kaspa>>);

impl Pool {
    async fn check(
        &self,
        Submission { job, solution, share_target, worker, .. }: Submission<Dialect>,
    ) -> Result<(), Refusal> {
        let submit = Submit { at: now(), job: &*job, solution: &solution, share_target, worker };
        let taken = self.0.take(submit).await?; // proved and judged; a block is in the book now
        if let Some(block) = taken.block {
            println!("found    block {}", block.id);
            if let Err(error) = self.0.submit_block(&block, now()).await {
                println!("waiting  the node did not take it ({error}); it stays open in the book");
            }
        }
        self.0.record(taken.share).await?; // and only now the share counts
        Ok(())
    }
}

#[async_trait]
impl Application<Dialect> for Pool {
    async fn login(&self, user: &str, _password: &str, _caller: Caller) -> Result<Login, String> {
        let (account, name) = split_user(user);
        let miner = self.0.coin.address(account).map_err(|error| error.to_string())?;
        Ok(Login { worker: Worker { miner, name }, start: None })
    }

    async fn submit(&self, submission: Submission<Dialect>) -> Outcome {
        match self.check(submission).await {
            Ok(()) => Outcome::Accepted,
            Err(Refusal::Reject(reject)) => Outcome::Rejected(reject),
            Err(Refusal::Store(_)) => Outcome::Rejected(Reject::Busy),
        }
    }

    async fn remember(&self, _worker: Worker, _work: Work) {}
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The chain: about 2^12 hashes a block, and somebody else's block every 50 ms.
    let config = DevNodeConfig {
        bits: bits_of_work(12),
        pace: Some(Duration::from_millis(50)),
        weather: Weather { late: 0, red: 0, lost: 0 },
        ..DevNodeConfig::default()
    };
    let maturity = config.maturity;
    let (chain, driver) = DevNode::open(config).await?;
    tokio::spawn(driver);

    // The pool's side of it: its own address, and what it calls final.
    let address = |byte| {
        Ok::<_, anyhow::Error>(KaspaWallet::address_of(&WalletKey::from_bytes(&[byte; 32])?, Network::Devnet))
    };
    let config = KaspaNodeConfig {
        mine_unsynced: true,
        fate: FateRules { confirmations: 10, maturity, ..FateRules::default() },
        ..KaspaNodeConfig::new(vec![chain.address().to_string()], Network::Devnet, address(1)?)
    };
    let (node, driver) = KaspaNode::open(config)?;
    tokio::spawn(driver);
    let (coin, node): (_, Arc<dyn Node<Kaspa>>) = (Arc::new(Kaspa::new(Network::Devnet)), Arc::new(node));
    let (stores, coin_id) = (Stores::memory(), CoinId::new("kaspa")?);
    let (shares, blocks) = (stores.shares.clone(), stores.blocks.clone());
    let intake = Intake {
        coin: coin.clone(),
        node: node.clone(),
        shares,
        blocks,
        instance: InstanceId::new(0),
        coin_id: coin_id.clone(),
        chain: 0,
    };

    // Jobs: one per template, the same for all miners, at most four a second.
    let (work, jobs) = watch::channel(None);
    let source = node.clone();
    tokio::spawn(async move {
        for id in 1.. {
            match source.template().await {
                Ok(template) => drop(work.send_replace(Some(coin.job(JobId::new(id), Arc::new(template))))),
                Err(error) => println!("waiting  no template: {error}"),
            }
            tokio::join!(source.changed(), tokio::time::sleep(Duration::from_millis(250)));
        }
    });

    // Stratum: who may speak, for how long, at which difficulty.
    let (limits, life) = (Limits::default(), Micros::from_secs(90));
    let range = WorkRange::new(Work::new(1)?, Work::new(1 << 60)?)?;
    let vardiff = VardiffRules::new(Micros::from_millis(500), range, Work::new(512)?)?;
    let ring = Arc::new(JobRing::new(limits.jobs_kept_max, life));
    let sessions = Arc::new(SessionRules::new(Dialect::default(), limits, vardiff, ring));
    let space = ExtranonceSpace::new(SpaceRules { width: 2, instance_bits: 0, instance: 0, rest: life })?;
    let listener = bind(&ListenerRules::plain(([127, 0, 0, 1], 0).into()))?;
    let port = listener.address()?.to_string();
    let server = Server::new(
        ServerRules { drain_ms: 100, ..ServerRules::default() },
        sessions,
        space,
        Arc::new(Pool(Arc::new(intake))),
        jobs,
    );
    let (stop, stopped) = watch::channel(false);
    let until =
        |mut stopped: watch::Receiver<bool>| async move { drop(stopped.wait_for(|stop| *stop).await) };
    let serving = tokio::spawn({
        let until = until(stopped.clone());
        async move { server.serve(vec![listener], until).await }
    });
    println!("serving  stratum on {port}, node on {}", chain.address());

    // One miner with one thread.
    let (user, counters) = (address(2)?, Arc::new(MinerCounters::default()));
    let config = MinerConfig {
        pool: port,
        user: format!("{user}.cpu"),
        password: "x".into(),
        agent: "example".into(),
        threads: 1,
        hashes_per_second_max: None,
    };
    let mining = tokio::spawn(mine(config, counters.clone(), mpsc::channel(64).0, until(stopped)));

    // Rewards: the finder gets his block, when the chain says what it paid.
    let view = settle::Stores { shares: &*stores.shares, blocks: &*stores.blocks, ledger: &*stores.ledger };
    let mut settler = Settler::start(coin_id, SchemeParams::new(Rule::Solo {}), view, now()).await?;
    let miner = Account::Miner(Kaspa::new(Network::Devnet).address(&user.to_string())?);
    let credited = async {
        loop {
            for open in stores.blocks.open().await? {
                let fate = node.fate(&open.found.id).await?;
                if fate.is_final() {
                    stores.blocks.conclude(&open.found.id, &fate).await?;
                    println!("matured  block {}: {} KAS", open.found.id, fate.value().display(8));
                }
            }
            settler.step(view, now()).await?;
            let balance = stores.ledger.balance(&miner).await?.owed();
            if !balance.is_zero() {
                return Ok::<_, anyhow::Error>(balance);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let credit =
        tokio::time::timeout(Duration::from_secs(60), credited).await.context("no block in a minute")??;
    println!(
        "credited {} KAS to {user}, for {} accepted shares",
        credit.display(8),
        counters.accepted.load(Ordering::Relaxed)
    );
    stop.send_replace(true);
    mining.await?;
    let drained = serving.await?;
    println!("done: {} connections drained", drained.closed + drained.cut);
    Ok(())
}
