//! Composition: from a configuration to running roles, and back to a clean stop.
//!
//! Every coin of the configuration becomes a pool of its own, with its own records, nodes, ports and threads for proofs;
//! they share the process, the pages and the metrics.

use crate::chains::{
    Addresses, Chain, Mined, Opened, Settings, Trouble, alephium, dynex, hypra, kaspa, nexa,
};
use crate::clock::Clock;
use crate::config::{CoinConfig, Config, ListenConfig};
use crate::explain::needed_reserve;
use crate::roles::gateway::{self, Gateway, PoolView};
use crate::roles::jobs::Pace;
use crate::roles::stratum::Checker;
use crate::roles::{self, Base, Fatal, Stop};
use crate::status::Status;
use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pool_core::coin::Cost;
use pool_core::intake::Intake;
use pool_core::limits::Limits;
use pool_core::time::Micros;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_rewards::pay::PayRules;
use pool_rewards::plan::PlanRules;
use pool_rewards::scheme::SchemeParams;
use pool_storage::HealthWatch;
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::jobs::JobRing;
use pool_stratum::net::getwork::{Getwork, GetworkRules};
use pool_stratum::net::tls::TlsFiles;
use pool_stratum::net::{Listener, ListenerRules, ProofPool, ProxyRule, Server, ServerRules, bind};
use pool_stratum::session::SessionRules;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between two looks at found blocks and payouts on a public chain.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two looks on a development chain, where somebody watches.
const LOOK_EVERY_DEVELOPMENT: Duration = Duration::from_millis(500);

/// A role's life: it ends with the pool, or takes the pool with it.
type Role = Result<(), Fatal>;

/// Runs the pools of a configuration until `stop`, then stops them cleanly.
///
/// # Errors
/// What keeps them from starting, or the [`Fatal`] that ended them.
pub async fn run(config: Config, chain: Chain, stop: Stop) -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics")?;
    let http =
        TcpListener::bind(config.http).await.with_context(|| format!("cannot listen on {}", config.http))?;
    // The drivers and the pages outlive the miners, so that a drain can still submit blocks and be watched.
    let (late_sender, late) = Stop::channel();
    let mut house = House {
        clock: Clock::start(),
        chain,
        stop,
        late: late.clone(),
        miners: JoinSet::new(),
        tasks: JoinSet::new(),
        views: Vec::new(),
        ports: Vec::new(),
    };
    for coin in &config.coins {
        let name = coin.facts().name;
        match &coin.own {
            Settings::Kaspa(own) => house.open(&config, coin, kaspa::open(coin, own, chain)?).await,
            Settings::Alephium(own) => house.open(&config, coin, alephium::open(coin, own, chain)?).await,
            Settings::Nexa(own) => house.open(&config, coin, nexa::open(coin, own, chain)?).await,
            Settings::Hypra(own) => house.open(&config, coin, hypra::open(coin, own, chain)?).await,
            Settings::Dynex(own) => house.open(&config, coin, dynex::open(coin, own, chain)?).await,
        }
        .with_context(|| format!("{name} cannot start"))?;
    }
    let House { mut miners, mut tasks, views, ports, .. } = house;
    tracing::info!("{} is up: stratum on {}, pages on http://{}", config.name, ports.join(", "), config.http);
    let pages = Gateway { name: config.name.clone(), pools: views, metrics: metrics.clone() };
    tasks.spawn(serve_pages(pages, http, late.clone()));
    tasks.spawn(upkeep(metrics, late));

    let result = loop {
        tokio::select! {
            Some(ended) = miners.join_next() => match ended {
                // All of them were told to stop, and each ends in its time.
                Ok(Ok(())) if miners.is_empty() => break Ok(()),
                Ok(Ok(())) => {}
                ended => break Err(fault(ended)),
            },
            Some(ended) = tasks.join_next() => break Err(fault(ended)),
        }
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

/// The process that the pools share.
struct House {
    clock: Clock,
    chain: Chain,
    stop: Stop,
    late: Stop,
    /// What serves miners: told first to stop.
    miners: JoinSet<Role>,
    /// Everything else.
    tasks: JoinSet<Role>,
    views: Vec<PoolView>,
    /// Where miners may connect, for whoever started the process by hand.
    ports: Vec<String>,
}

impl House {
    /// Starts the pool of one coin.
    async fn open<C: Mined>(
        &mut self,
        config: &Config,
        coin: &CoinConfig,
        parts: Opened<C>,
    ) -> anyhow::Result<()> {
        let opened =
            pool_storage::open(&coin.store).with_context(|| format!("cannot open {}", coin.store))?;
        let base = Base {
            coin: coin.id.clone(),
            stores: opened.stores,
            status: Arc::<Status>::default(),
            clock: self.clock,
        };
        let (listeners, desks) = (listeners(coin)?, desk_listeners(coin).await?);
        self.ports.extend(coin.listen.iter().map(|listen| format!("{} ({})", listen.address, coin.id)));
        let intake = Arc::new(Intake {
            coin: parts.coin.clone(),
            node: parts.node.clone(),
            shares: base.stores.shares.clone(),
            blocks: base.stores.blocks.clone(),
            instance: config.instance,
            coin_id: coin.id.clone(),
            attest: parts.attest,
        });
        let recovered = intake.recover().await.context("cannot finish what an earlier run left")?;
        tracing::info!(coin = %coin.id, open_blocks = recovered, "records are in order");
        if let Some(expect) = parts.expect {
            for booked in base.stores.blocks.open().await.context("cannot read the open blocks")? {
                expect(booked.found.id, booked.found.height);
            }
        }

        let proofs = match C::COST {
            Cost::Light => None,
            Cost::Heavy => {
                Some(Arc::new(ProofPool::start(coin.facts().id, coin.proofs).context("threads for proofs")?))
            }
        };
        let (work, jobs) = watch::channel(None);
        let checker = Checker::new(base.clone(), intake.clone());
        let checker = Arc::new(checker.with_proofs(proofs.clone()).with_service(parts.service));
        let sessions = Arc::new(sessions(&config.limits, coin, parts.dialect)?);
        let server_rules = ServerRules {
            pool: coin.id.to_string(),
            trusted_proxies: coin.listen.iter().flat_map(|listen| listen.proxies.clone()).collect(),
            door: coin.door.clone(),
            drain_ms: 2_000,
            ..ServerRules::default()
        };
        let space = || space(config, coin);
        let server = Server::new(server_rules, sessions.clone(), space()?, checker.clone(), jobs);
        for listener in desks {
            let desks = Getwork::new(GetworkRules::default(), sessions.clone(), space()?, checker.clone());
            let router = Arc::new(desks).router().into_make_service_with_connect_info::<SocketAddr>();
            self.miners.spawn(serve_desks(router, listener, self.stop.clone()));
        }
        let params = scheme(coin)?;
        self.views.push(PoolView {
            rules: parts.coin.clone() as Arc<dyn Addresses>,
            config: Arc::new(coin.clone()),
            stores: base.stores.clone(),
            status: base.status.clone(),
            clock: base.clock,
        });

        let look_every = if self.chain == Chain::Development { LOOK_EVERY_DEVELOPMENT } else { LOOK_EVERY };
        let pace = Pace::new(Micros::from_millis(coin.job_interval_ms));
        let (tasks, late) = (&mut self.tasks, &self.late);
        tasks.spawn(drive(parts.driver, late.clone()));
        tasks.spawn(watch_store(base.clone(), opened.health, late.clone()));
        if let Some(trouble) = parts.trouble {
            tasks.spawn(watch_chain(base.clone(), trouble, late.clone()));
        }
        if let Some(proofs) = proofs {
            tasks.spawn(roles::proofs::run(base.clone(), proofs, late.clone()));
        }
        tasks.spawn(roles::processor::run(base.clone(), late.clone()));
        tasks.spawn(roles::blocks::run(base.clone(), intake, parts.node.clone(), look_every, late.clone()));
        let books =
            roles::rewards::Books { params, snapshot: snapshot_file(&coin.store), commit: parts.commit };
        tasks.spawn(roles::rewards::run(base.clone(), books, late.clone()));
        if let Some(wallet) = parts.wallet {
            let limits = parts.payout_limits;
            let plan = PlanRules {
                items_max: limits.items_max,
                amount_min: limits.amount_min,
                threshold: coin.payout.threshold,
                threshold_min: limits.amount_min,
            };
            let every = Micros::from_secs(coin.payout.interval_secs);
            let rules =
                PayRules { coin: coin.id.clone(), plan, every, open_max: coin.facts().payouts_open_max };
            tasks.spawn(roles::payouts::run(base.clone(), rules, wallet, look_every, late.clone()));
        }
        tasks.spawn(roles::jobs::run(base, parts.coin, parts.node, pace, work, late.clone()));
        self.miners.spawn(roles::stratum::run(server, checker, listeners, self.stop.clone()));
        Ok(())
    }
}

/// What a role's end means while the pool runs: none may end.
fn fault(ended: Result<Role, tokio::task::JoinError>) -> Fatal {
    match ended {
        Ok(Ok(())) => Fatal::new("pool", anyhow::anyhow!("a role ended by itself")),
        Ok(Err(fatal)) => fatal,
        Err(error) => Fatal::new("pool", error),
    }
}

async fn drive(driver: impl Future<Output = ()> + Send, mut stop: Stop) -> Role {
    tokio::select! {
        () = driver => Err(Fatal::new("node", anyhow::anyhow!("its connections ended"))),
        () = stop.requested() => Ok(()),
    }
}

async fn serve_pages(gateway: Gateway, listener: TcpListener, mut stop: Stop) -> Role {
    gateway::serve(gateway, listener, async move { stop.requested().await })
        .await
        .map_err(|error| Fatal::new("gateway", error))
}

async fn serve_desks(
    desks: axum::extract::connect_info::IntoMakeServiceWithConnectInfo<axum::Router, SocketAddr>,
    listener: TcpListener,
    stop: Stop,
) -> Role {
    let served = axum::serve(listener, desks).with_graceful_shutdown(stop.heard());
    served.await.map_err(|error| Fatal::new("getwork", error))
}

/// Keeps the metrics' memory bounded.
async fn upkeep(metrics: PrometheusHandle, mut stop: Stop) -> Role {
    while stop.pause(Duration::from_secs(5)).await {
        metrics.run_upkeep();
    }
    Ok(())
}

/// Shows what the coin's own part has to say to the operator.
async fn watch_chain(base: Base, trouble: Trouble, mut stop: Stop) -> Role {
    while stop.pause(Duration::from_secs(5)).await {
        base.status.trouble("chain", trouble());
    }
    Ok(())
}

/// Watches the store: one that takes nothing more ends the pool at once.
async fn watch_store(base: Base, health: Option<HealthWatch>, mut stop: Stop) -> Role {
    let poisoned = async {
        match health {
            Some(mut health) => health.poisoned().await,
            // Memory has no writer that could fail.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.requested() => Ok(()),
        reason = poisoned => {
            let message = format!("the store takes nothing more: {reason}");
            base.alarm("store", message.clone()).await;
            Err(Fatal::new("store", anyhow::anyhow!(message)))
        }
    }
}

fn listeners(coin: &CoinConfig) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for listen in coin.listen.iter().filter(|listen| !listen.getwork) {
        let ListenConfig { address, tls, proxies, .. } = listen;
        let rules = ListenerRules {
            address: *address,
            tls: tls.clone().map(|(certificates, key)| TlsFiles { certificates, key }),
            proxy: if proxies.is_empty() { ProxyRule::default() } else { ProxyRule::Required },
            reuse_port: false,
        };
        listeners.push(bind(&rules).with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(listeners)
}

async fn desk_listeners(coin: &CoinConfig) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for listen in coin.listen.iter().filter(|listen| listen.getwork) {
        let listener = TcpListener::bind(listen.address).await;
        listeners.push(listener.with_context(|| format!("cannot listen on {}", listen.address))?);
    }
    Ok(listeners)
}

fn sessions<D: pool_stratum::dialect::Dialect>(
    limits: &Limits,
    coin: &CoinConfig,
    dialect: D,
) -> anyhow::Result<SessionRules<D>> {
    let vardiff = VardiffRules::new(
        Micros::from_millis(coin.vardiff.share_interval_ms),
        WorkRange::new(coin.vardiff.min, coin.vardiff.max)?,
        coin.vardiff.start,
    )?;
    let ring = Arc::new(JobRing::new(limits.jobs_kept_max, job_life(coin)));
    let line_bytes_max = coin.facts().line_bytes.unwrap_or(0).max(limits.line_bytes_max);
    Ok(SessionRules::new(dialect, Limits { line_bytes_max, ..limits.clone() }, vardiff, ring))
}

/// How long a job may be answered.
fn job_life(coin: &CoinConfig) -> Micros {
    Micros::from_secs(coin.facts().job_life_secs)
}

fn space(config: &Config, coin: &CoinConfig) -> anyhow::Result<ExtranonceSpace> {
    let rules = SpaceRules {
        width: coin.extranonce_bytes,
        instance_bits: coin.instance_bits,
        instance: u32::from(config.instance.get()),
        rest: job_life(coin),
    };
    ExtranonceSpace::new(rules).with_context(|| {
        let id = &coin.id;
        format!("{id}.extranonce_bytes, {id}.instance_bits and pool.instance do not fit together")
    })
}

/// Where the settled state is kept between runs: beside the store, if that is a file.
fn snapshot_file(store: &str) -> Option<PathBuf> {
    store.strip_prefix("sqlite:").map(|path| PathBuf::from(format!("{path}.rewards")))
}

/// The scheme's parameters; a promise to pay per share is refused below its reserve.
fn scheme(coin: &CoinConfig) -> anyhow::Result<SchemeParams> {
    let reward = &coin.reward;
    if let Some(promise) = &reward.promise {
        let name = reward.params.rule.name();
        let needed = needed_reserve(coin, promise)
            .with_context(|| format!("{name} cannot be promised (reward.fee_bps)"))?;
        anyhow::ensure!(
            promise.reserve >= needed,
            "{name} with this fee and ruin_ppm needs a reserve of {} {symbol}; reward.reserve is {} {symbol}",
            coin.coins(needed),
            coin.coins(promise.reserve),
            symbol = coin.facts().symbol,
        );
    }
    Ok(reward.params.clone())
}
