//! Composition: from a configuration to running roles, and back to a clean stop.

use crate::clock::Clock;
use crate::config::{Config, KaspaConfig, SchemeConfig};
use crate::explain::reserve_blocks;
use crate::roles::gateway::{self, Gateway};
use crate::roles::jobs::Pace;
use crate::roles::stratum::{Checker, Dialect};
use crate::roles::{self, Base, Fatal, Stop};
use crate::status::Status;
use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pool_coins::kaspa::Kaspa;
use pool_coins::kaspa::coin::KaspaJob;
use pool_coins::kaspa::fate::FateRules;
use pool_coins::kaspa::node::{KaspaNode, KaspaNodeConfig};
use pool_coins::kaspa::wallet::{KaspaWallet, WalletKey, WalletRules, payout_limits};
use pool_core::coin::{Node, Wallet};
use pool_core::intake::Intake;
use pool_core::ports::Stores;
use pool_core::time::Micros;
use pool_core::units::{Amount, Units};
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_rewards::pay::PayRules;
use pool_rewards::plan::PlanRules;
use pool_rewards::scheme::{BlockValue, Fees, Rule, SchemeParams};
use pool_storage::HealthWatch;
use pool_stratum::dialect::kaspa as dialect;
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::JobRing;
use pool_stratum::net::tls::TlsFiles;
use pool_stratum::net::{Listener, ListenerRules, ProxyRule, Server, ServerRules, bind};
use pool_stratum::session::SessionRules;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a job may be answered, and so how long a nonce prefix rests after its connection ended.
const JOB_LIFE: Micros = Micros::from_secs(90);
/// A block of November 2026, in sompi. Source: the emission schedule at DAA score 598 000 000.
const SUBSIDY_LATE_2026: u128 = 194_454_365;
/// Between two looks at found blocks and payouts on a public chain.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What kind of chain the pool works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// One with peers: a node must have caught up before anyone mines on it.
    Public,
    /// A development chain, whose only node is always on its own.
    Development,
}

/// Runs a pool until `stop`, then stops it cleanly.
///
/// # Errors
/// What keeps it from starting, or the [`Fatal`] that ended it.
pub async fn run(config: Config, chain: Chain, stop: Stop) -> anyhow::Result<()> {
    let clock = Clock::start();
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics")?;
    let opened =
        pool_storage::open(&config.store).with_context(|| format!("cannot open {}", config.store))?;
    let base = Base { stores: opened.stores, status: Arc::default(), clock };
    let config = Arc::new(config);
    let kaspa = &config.kaspa;

    let http =
        TcpListener::bind(config.http).await.with_context(|| format!("cannot listen on {}", config.http))?;
    let listeners = listeners(kaspa)?;
    let (node, driver) = KaspaNode::open(node_config(kaspa, chain))?;
    let coin = Arc::new(Kaspa::new(kaspa.network));
    let shared: Arc<dyn Node<Kaspa>> = Arc::new(node.clone());
    let intake = Arc::new(Intake {
        coin: coin.clone(),
        node: shared.clone(),
        shares: base.stores.shares.clone(),
        blocks: base.stores.blocks.clone(),
        instance: config.instance,
        coin_id: kaspa.id.clone(),
        attest: None,
    });
    let recovered = intake.recover().await.context("cannot finish what an earlier run left")?;
    tracing::info!(open_blocks = recovered, "records are in order");

    let (work, jobs) = watch::channel(None);
    let checker = Arc::new(Checker::new(base.clone(), intake.clone()));
    let server = server(&config, checker.clone(), jobs)?;
    let params = scheme(kaspa)?;
    let payout = payout(kaspa, &node)?;
    let gateway = gateway_of(&config, &base, coin.clone(), metrics.clone());
    let look_every = if chain == Chain::Development { Duration::from_millis(500) } else { LOOK_EVERY };
    if let Some(line) = greeting(&config, &listeners) {
        tracing::info!("{line}");
    }

    let mut tasks: JoinSet<Result<(), Fatal>> = JoinSet::new();
    let id = kaspa.id.clone();
    let pace = Pace::new(Micros::from_millis(kaspa.job_interval_ms));
    // The driver and the pages outlive the miners, so that a drain can still submit blocks and be watched.
    let (late_sender, late) = Stop::channel();
    tasks.spawn(drive(driver, late.clone()));
    tasks.spawn(serve_pages(gateway, http, late.clone()));
    tasks.spawn(upkeep(metrics, base.clone(), opened.health, late.clone()));
    tasks.spawn(roles::processor::run(base.clone(), late.clone()));
    tasks.spawn(roles::blocks::run(
        base.clone(),
        id.clone(),
        intake,
        shared.clone(),
        look_every,
        late.clone(),
    ));
    tasks.spawn(roles::rewards::run(base.clone(), id, params, late.clone()));
    if let Some((rules, wallet)) = payout {
        tasks.spawn(roles::payouts::run(base.clone(), rules, wallet, look_every, late.clone()));
    }
    tasks.spawn(roles::jobs::run(base.clone(), coin, shared, pace, work, late));
    let mut miners = Box::pin(roles::stratum::run(server, checker, listeners, stop));

    let result = tokio::select! {
        ended = &mut miners => ended,
        Some(ended) = tasks.join_next() => Err(fault(ended)),
    };
    // First the miners, then everybody else; whoever does not end in time is dropped, which is safe at any point.
    drop(miners);
    late_sender.send_replace(true);
    let rest = async {
        while let Some(ended) = tasks.join_next().await {
            if !matches!(ended, Ok(Ok(()))) {
                tracing::error!(error = %fault(ended), "a role did not end well");
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), rest).await.is_err() {
        tracing::warn!("some roles did not end in ten seconds and were dropped");
    }
    tracing::info!("stopped");
    result.map_err(Into::into)
}

/// What a role's end means while the pool runs: none may end.
fn fault(ended: Result<Result<(), Fatal>, tokio::task::JoinError>) -> Fatal {
    match ended {
        Ok(Ok(())) => Fatal::new("pool", anyhow::anyhow!("a role ended by itself")),
        Ok(Err(fatal)) => fatal,
        Err(error) => Fatal::new("pool", error),
    }
}

async fn drive(driver: impl Future<Output = ()> + Send, mut stop: Stop) -> Result<(), Fatal> {
    tokio::select! {
        () = driver => Err(Fatal::new("node", anyhow::anyhow!("its connections ended"))),
        () = stop.requested() => Ok(()),
    }
}

async fn serve_pages(gateway: Gateway, listener: TcpListener, mut stop: Stop) -> Result<(), Fatal> {
    gateway::serve(gateway, listener, async move { stop.requested().await })
        .await
        .map_err(|error| Fatal::new("gateway", error))
}

/// Keeps the metrics' memory bounded and watches the store: one that takes nothing more ends the pool at once.
async fn upkeep(
    metrics: PrometheusHandle,
    base: Base,
    health: Option<HealthWatch>,
    mut stop: Stop,
) -> Result<(), Fatal> {
    let poisoned = async {
        match health {
            Some(mut health) => health.poisoned().await,
            // Memory has no writer that could fail.
            None => std::future::pending().await,
        }
    };
    tokio::pin!(poisoned);
    loop {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            reason = &mut poisoned => {
                let message = format!("the store takes nothing more: {reason}");
                base.alarm("store", message.clone()).await;
                return Err(Fatal::new("store", anyhow::anyhow!(message)));
            }
            () = tokio::time::sleep(Duration::from_secs(5)) => metrics.run_upkeep(),
        }
    }
}

fn node_config(kaspa: &KaspaConfig, chain: Chain) -> KaspaNodeConfig {
    let maturity = kaspa.maturity.unwrap_or_else(|| kaspa.network.coinbase_maturity());
    let development = chain == Chain::Development;
    KaspaNodeConfig {
        extra_data: kaspa.extra_data.clone(),
        mine_unsynced: development || kaspa.mine_unsynced,
        fate: FateRules { confirmations: kaspa.confirmations, maturity, ..FateRules::default() },
        ..KaspaNodeConfig::new(kaspa.nodes.clone(), kaspa.network, kaspa.address.clone())
    }
}

fn listeners(kaspa: &KaspaConfig) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for listen in &kaspa.listen {
        let rules = ListenerRules {
            address: listen.address,
            tls: listen.tls.clone().map(|(certificates, key)| TlsFiles { certificates, key }),
            proxy: if listen.proxies.is_empty() { ProxyRule::default() } else { ProxyRule::Required },
            reuse_port: false,
        };
        listeners.push(bind(&rules).with_context(|| format!("cannot listen on {}", listen.address))?);
    }
    Ok(listeners)
}

fn server(
    config: &Config,
    checker: Arc<Checker>,
    jobs: watch::Receiver<Option<Arc<KaspaJob>>>,
) -> anyhow::Result<Server<Dialect, Checker>> {
    let kaspa = &config.kaspa;
    let vardiff = VardiffRules::new(
        Micros::from_millis(kaspa.vardiff.share_interval_ms),
        WorkRange::new(kaspa.vardiff.min, kaspa.vardiff.max)?,
        kaspa.vardiff.start,
    )?;
    let ring = Arc::new(JobRing::new(config.limits.jobs_kept_max, JOB_LIFE));
    let dialect = dialect::Kaspa::new(kaspa.agents.clone());
    let sessions = SessionRules::new(dialect, config.limits.clone(), vardiff, ring);
    let space = ExtranonceSpace::new(SpaceRules {
        width: kaspa.extranonce_bytes,
        instance_bits: kaspa.instance_bits,
        instance: u32::from(config.instance.get()),
        rest: JOB_LIFE,
    })
    .context("kaspa.extranonce_bytes, kaspa.instance_bits and pool.instance do not fit together")?;
    let rules = ServerRules {
        pool: kaspa.id.to_string(),
        trusted_proxies: kaspa.listen.iter().flat_map(|listen| listen.proxies.clone()).collect(),
        door: kaspa.door.clone(),
        drain_ms: 2_000,
        ..ServerRules::default()
    };
    Ok(Server::new(rules, Arc::new(sessions), space, checker, jobs))
}

/// The scheme's parameters; FPPS below its reserve is refused.
fn scheme(kaspa: &KaspaConfig) -> anyhow::Result<SchemeParams> {
    let fees = Fees { pool: kaspa.reward.fee, finder_bonus: kaspa.reward.finder_bonus, ..Fees::default() };
    let rule = match kaspa.reward.scheme {
        SchemeConfig::Prop => Rule::Prop {},
        SchemeConfig::Solo => Rule::Solo {},
        SchemeConfig::Pplns { window_milli } => {
            let window = Units::from_ratio(u128::from(window_milli), 1_000)
                .context("kaspa.reward.window_blocks is too large")?;
            Rule::Pplns { window, underfilled: Default::default(), edge: Default::default() }
        }
        SchemeConfig::Fpps { reserve, ruin_ppm, period_secs } => {
            let start = kaspa.block_value();
            let fee = f64::from(kaspa.reward.fee.get()) / 10_000.0;
            let blocks = reserve_blocks(fee, ruin_ppm as f64 / 1e6).context(
                "FPPS needs a fee: without one every reserve is lost in the end (kaspa.reward.fee_bps)",
            )?;
            let needed =
                start.mul_div(blocks.ceil() as u128, 1).context("the reserve is too large to count")?;
            anyhow::ensure!(
                reserve >= needed,
                "FPPS with this fee and ruin_ppm needs a reserve of {} KAS; kaspa.reward.reserve is {} KAS",
                needed.display(KaspaConfig::DECIMALS),
                reserve.display(KaspaConfig::DECIMALS),
            );
            let overdraft = reserve;
            Rule::Fpps {
                value: BlockValue::Realised { blocks: 1_000, trim: 0, start },
                period_ms: period_secs * 1_000,
                overdraft,
            }
        }
    };
    let params = SchemeParams { fees, ..SchemeParams::new(rule) };
    params.validate()?;
    Ok(params)
}

type Payout = (PayRules, Arc<dyn Wallet>);

/// The only place where a key is read.
fn payout(kaspa: &KaspaConfig, node: &KaspaNode) -> anyhow::Result<Option<Payout>> {
    let Some(path) = kaspa.key_file.as_ref().filter(|_| kaspa.payout.enabled) else { return Ok(None) };
    let key =
        WalletKey::from_file(path).with_context(|| format!("cannot read the key in {}", path.display()))?;
    let maturity = kaspa.maturity.unwrap_or_else(|| kaspa.network.coinbase_maturity());
    let rules = WalletRules {
        maturity,
        change_age: maturity.min(WalletRules::default().change_age),
        settle_depth: kaspa.payout.confirmations,
        ..WalletRules::default()
    };
    let wallet = KaspaWallet::new(key, node, rules).context("kaspa.key_file")?;
    let threshold = kaspa.payout.threshold;
    let limits = payout_limits(threshold);
    let plan = PlanRules {
        items_max: limits.items_max,
        amount_min: limits.amount_min,
        threshold,
        threshold_min: limits.amount_min,
    };
    let every = Micros::from_secs(kaspa.payout.interval_secs);
    Ok(Some((PayRules { coin: kaspa.id.clone(), plan, every, open_max: 4 }, Arc::new(wallet))))
}

fn gateway_of(config: &Arc<Config>, base: &Base, coin: Arc<Kaspa>, metrics: PrometheusHandle) -> Gateway {
    let (stores, status, clock): (Stores, Arc<Status>, Clock) =
        (base.stores.clone(), base.status.clone(), base.clock);
    Gateway { coin, config: config.clone(), stores, status, clock, metrics }
}

/// Where everything is, for whoever started it by hand.
fn greeting(config: &Config, listeners: &[Listener]) -> Option<String> {
    let ports: Vec<String> =
        listeners.iter().filter_map(|listener| listener.address().ok()).map(|a| a.to_string()).collect();
    Some(format!("{} is up: stratum on {}, pages on http://{}", config.name, ports.join(", "), config.http))
}

/// Amounts that a configuration implies.
impl KaspaConfig {
    /// What a block brings, roughly: where FPPS begins before blocks have matured.
    #[must_use]
    pub fn block_value(&self) -> Amount {
        self.first_block_value.unwrap_or_else(|| Amount::new(SUBSIDY_LATE_2026))
    }
}
