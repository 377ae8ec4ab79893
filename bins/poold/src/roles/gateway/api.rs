//! `/api/pools…`: what existing front ends and scrapers ask for, read from the stores.
//!
//! Lists take `page` and `pageSize` (100 at most); the paths under `/api/v2` wrap them in a paged result. State is
//! never changed here.

use super::view;
use super::{Gateway, PoolView, problem};
use crate::chains::address_trouble;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use pool_core::block::{BlockFate, BookedBlock};
use pool_core::id::{MinerId, Seq};
use pool_core::ledger::{Account, Cause, LedgerEntry};
use pool_core::payout::{BookedPayout, TxFate};
use pool_core::ports::{BlockList, Bucket, RollupQuery, StoreError};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, Work};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Shared = State<Arc<Gateway>>;

/// Minutes over which a current hash rate is measured.
const RATE_MINUTES: u64 = 10;
/// The most rows one answer looks through.
const ROWS_MAX: usize = 100_000;
const PAGE_SIZE_MAX: usize = 100;

pub(super) fn routes() -> Router<Arc<Gateway>> {
    let miner = "/api/pools/{id}/miners/{address}";
    let paged = |path: &str| format!("/api/v2/pools/{{id}}/{path}");
    Router::new()
        .route("/api/health-check", get(|| async { "👍" }))
        .route("/api/help", get(help))
        .route("/api/pools", get(pools))
        .route("/api/blocks", get(all_blocks))
        .route("/api/pools/{id}", get(one_pool))
        .route("/api/pools/{id}/performance", get(pool_performance))
        .route("/api/pools/{id}/miners", get(miners))
        .route("/api/pools/{id}/blocks", get(blocks))
        .route("/api/pools/{id}/payments", get(payments))
        .route(miner, get(miner_stats))
        .route(&format!("{miner}/blocks"), get(miner_blocks))
        .route(&format!("{miner}/payments"), get(miner_payments))
        .route(&format!("{miner}/balancechanges"), get(balance_changes))
        .route(&format!("{miner}/earnings/daily"), get(daily_earnings))
        .route(&format!("{miner}/performance"), get(miner_performance))
        .route(&format!("{miner}/settings"), get(settings))
        .route(&paged("blocks"), get(blocks_paged))
        .route(&paged("payments"), get(payments_paged))
        .route(&paged("miners/{address}/payments"), get(miner_payments_paged))
        .route(&paged("miners/{address}/balancechanges"), get(balance_changes_paged))
}

/// What went wrong while answering.
enum Failure {
    Store(StoreError),
    NoPool,
    BadAddress(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Store(error) => {
                tracing::error!(%error, "a page could not be read");
                problem(StatusCode::SERVICE_UNAVAILABLE, "the records cannot be read now")
            }
            Self::NoPool => problem(StatusCode::NOT_FOUND, "no pool of that id; /api/pools lists them"),
            Self::BadAddress(text) => problem(StatusCode::BAD_REQUEST, &text),
        }
    }
}

type Answer<T> = Result<Json<T>, Failure>;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Page {
    page: usize,
    page_size: Option<usize>,
}

impl Page {
    fn size(&self) -> usize {
        self.page_size.unwrap_or(15).clamp(1, PAGE_SIZE_MAX)
    }

    fn cut<T>(&self, rows: Vec<T>) -> Vec<T> {
        let skip = self.page.saturating_mul(self.size());
        rows.into_iter().skip(skip).take(self.size()).collect()
    }

    fn rows(&self) -> usize {
        self.page.saturating_add(1).saturating_mul(self.size()).min(ROWS_MAX)
    }

    fn wrap<T>(&self, rows: Vec<T>) -> Json<view::Paged<T>> {
        let item_count = rows.len() as u64;
        let page_count = item_count.div_ceil(self.size() as u64);
        Json(view::Paged { result: self.cut(rows), success: true, page_count, item_count })
    }
}

async fn help() -> &'static str {
    include_str!("help.txt")
}

async fn pools(State(gateway): Shared) -> Answer<view::Pools> {
    let mut pools = Vec::new();
    for view in &gateway.pools {
        pools.push(pool(view).await?);
    }
    Ok(Json(view::Pools { pools }))
}

async fn one_pool(State(gateway): Shared, Path(id): Path<String>) -> Answer<view::OnePool> {
    let gateway = known(&gateway, &id)?;
    Ok(Json(view::OnePool { pool: pool(gateway).await? }))
}

async fn miners(
    State(gateway): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Answer<Vec<view::MinerRow>> {
    let gateway = known(&gateway, &id)?;
    Ok(Json(page.cut(miner_rows(gateway, ROWS_MAX).await?)))
}

async fn blocks(
    State(gateway): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Answer<Vec<view::Block>> {
    let gateway = known(&gateway, &id)?;
    let booked = gateway.stores.blocks.list(BlockList::Newest(None), page.rows()).await?;
    Ok(Json(page.cut(booked).iter().map(|booked| block(gateway, booked)).collect()))
}

async fn all_blocks(State(gateway): Shared, Query(page): Query<Page>) -> Answer<Vec<view::Block>> {
    let mut rows = Vec::new();
    for pool in &gateway.pools {
        let booked = pool.stores.blocks.list(BlockList::Newest(None), page.rows()).await?;
        rows.extend(booked.iter().map(|booked| (booked.found.share.at, block(pool, booked))));
    }
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(Json(page.cut(rows.into_iter().map(|(_, row)| row).collect())))
}

async fn blocks_paged(
    State(gateway): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Answer<view::Paged<view::Block>> {
    let gateway = known(&gateway, &id)?;
    let booked = gateway.stores.blocks.list(BlockList::Newest(None), ROWS_MAX).await?;
    Ok(page.wrap(booked.iter().map(|booked| block(gateway, booked)).collect()))
}

async fn payments(
    State(gateway): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Answer<Vec<view::Payment>> {
    let gateway = known(&gateway, &id)?;
    Ok(Json(page.cut(payment_rows(gateway, None).await?)))
}

async fn payments_paged(
    State(gateway): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Answer<view::Paged<view::Payment>> {
    let gateway = known(&gateway, &id)?;
    Ok(page.wrap(payment_rows(gateway, None).await?))
}

async fn pool_performance(State(gateway): Shared, Path(id): Path<String>) -> Answer<serde_json::Value> {
    let gateway = known(&gateway, &id)?;
    let now = gateway.clock.now();
    let mut stats = Vec::new();
    for (hour, buckets) in by_hour(gateway, None, now, 24).await? {
        let miners: BTreeSet<_> = buckets.iter().map(|bucket| &bucket.worker.miner).collect();
        let (work, shares) = totals(gateway, &buckets);
        let template = gateway.status.current_template();
        let network =
            template.map_or(0.0, |template| template.target.work().get() as f64 * gateway.hashes_per_work());
        stats.push(view::PoolSample {
            created: Timestamp::from_millis(hour * 3_600_000).to_string(),
            pool_hashrate: work / 3_600.0,
            connected_miners: miners.len() as u64,
            valid_shares_per_second: shares / 3_600.0,
            network_hashrate: network * blocks_per_second(gateway),
            network_difficulty: network / gateway.config.facts().network_difficulty_one,
        });
    }
    Ok(Json(serde_json::json!({ "stats": stats })))
}

async fn miner_stats(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
) -> Answer<view::MinerStats> {
    let gateway = known(&gateway, &id)?;
    let miner = parse(gateway, &address)?;
    let now = gateway.clock.now();
    let today = now.millis() / 86_400_000 * 86_400_000;
    let balance = gateway.stores.ledger.balance(&Account::Miner(miner.clone())).await?;
    let entries = entries(gateway, &miner).await?;
    let payments = payment_rows(gateway, Some(&miner)).await?;
    let mut today_paid = Amount::ZERO;
    for entry in entries.iter().filter(|entry| entry.entry.at.millis() >= today) {
        if matches!(entry.entry.cause, Cause::Payout(_)) {
            today_paid = today_paid.checked_add(moved(entry, &miner).1).unwrap_or(today_paid);
        }
    }
    let confirmed = |entry: &&LedgerEntry| matches!(entry.entry.cause, Cause::BlockReward(_));
    let settings = gateway.stores.directory.miner(&miner).await?;
    let threshold = settings.and_then(|miner| miner.threshold).unwrap_or(gateway.config.payout.threshold);
    let recent = buckets(gateway, Some(&miner), now, RATE_MINUTES).await?;
    let hour = buckets(gateway, Some(&miner), now, 60).await?;
    let open = gateway.stores.blocks.open().await?;
    let pending = open.iter().filter(|booked| booked.found.share.worker.miner == miner).count();
    let samples = by_hour(gateway, Some(&miner), now, 24).await?;
    Ok(Json(view::MinerStats {
        pending_shares: totals(gateway, &hour).0 / (gateway.difficulty_one() * gateway.hashes_per_work()),
        pending_balance: gateway.money(balance.owed()),
        total_paid: gateway.money(balance.debits),
        today_paid: gateway.money(today_paid),
        last_payment: payments.first().map(|payment| payment.created.clone()),
        last_payment_link: payments.first().and_then(|payment| payment.transaction_info_link.clone()),
        minimum_payment: gateway.money(threshold),
        performance: performance(gateway, now, &recent, RATE_MINUTES * 60),
        performance_samples: samples
            .iter()
            .map(|(hour, buckets)| {
                performance(gateway, Timestamp::from_millis(hour * 3_600_000), buckets, 3_600)
            })
            .collect(),
        total_confirmed_blocks: entries.iter().filter(confirmed).count() as u64,
        total_pending_blocks: pending as u64,
    }))
}

async fn miner_blocks(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<Vec<view::Block>> {
    let gateway = known(&gateway, &id)?;
    let miner = parse(gateway, &address)?;
    let booked = gateway.stores.blocks.list(BlockList::Newest(None), ROWS_MAX).await?;
    let own = booked.iter().filter(|booked| booked.found.share.worker.miner == miner);
    Ok(Json(page.cut(own.map(|booked| block(gateway, booked)).collect())))
}

async fn miner_payments(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<Vec<view::Payment>> {
    let gateway = known(&gateway, &id)?;
    let miner = parse(gateway, &address)?;
    Ok(Json(page.cut(payment_rows(gateway, Some(&miner)).await?)))
}

async fn miner_payments_paged(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<view::Paged<view::Payment>> {
    let gateway = known(&gateway, &id)?;
    let miner = parse(gateway, &address)?;
    Ok(page.wrap(payment_rows(gateway, Some(&miner)).await?))
}

async fn balance_changes(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<Vec<view::BalanceChange>> {
    let gateway = known(&gateway, &id)?;
    Ok(Json(page.cut(change_rows(gateway, &address).await?)))
}

async fn balance_changes_paged(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<view::Paged<view::BalanceChange>> {
    let gateway = known(&gateway, &id)?;
    Ok(page.wrap(change_rows(gateway, &address).await?))
}

async fn daily_earnings(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<Vec<view::DailyEarning>> {
    let gateway = known(&gateway, &id)?;
    let miner = parse(gateway, &address)?;
    let mut days: BTreeMap<u64, Amount> = BTreeMap::new();
    for entry in entries(gateway, &miner).await? {
        if matches!(entry.entry.cause, Cause::BlockReward(_) | Cause::ShareCredit(_)) {
            let day = days.entry(entry.entry.at.millis() / 86_400_000).or_default();
            *day = day.checked_add(moved(&entry, &miner).0).unwrap_or(*day);
        }
    }
    let rows = days.into_iter().rev().map(|(day, amount)| view::DailyEarning {
        date: Timestamp::from_millis(day * 86_400_000).to_string()[..10].to_owned(),
        amount: gateway.money(amount),
    });
    Ok(Json(page.cut(rows.collect())))
}

async fn miner_performance(
    State(gateway): Shared,
    Path((id, address)): Path<(String, String)>,
) -> Answer<Vec<view::Performance>> {
    let gateway = known(&gateway, &id)?;
    let miner = parse(gateway, &address)?;
    let samples = by_hour(gateway, Some(&miner), gateway.clock.now(), 24).await?;
    let sample = |(hour, buckets): &(u64, Vec<Bucket>)| {
        performance(gateway, Timestamp::from_millis(hour * 3_600_000), buckets, 3_600)
    };
    Ok(Json(samples.iter().map(sample).collect()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    payment_threshold: Box<serde_json::value::RawValue>,
}

async fn settings(State(gateway): Shared, Path((id, address)): Path<(String, String)>) -> Answer<Settings> {
    let gateway = known(&gateway, &id)?;
    let miner = gateway.stores.directory.miner(&parse(gateway, &address)?).await?;
    let threshold = miner.and_then(|miner| miner.threshold).unwrap_or(gateway.config.payout.threshold);
    Ok(Json(Settings { payment_threshold: gateway.money(threshold) }))
}

fn known<'a>(gateway: &'a Gateway, id: &str) -> Result<&'a PoolView, Failure> {
    gateway.pools.iter().find(|pool| pool.config.id.as_str() == id).ok_or(Failure::NoPool)
}

fn parse(gateway: &PoolView, address: &str) -> Result<MinerId, Failure> {
    let trouble = |error: String| address_trouble(gateway.config.id.as_str(), address, &error);
    gateway.rules.account(address).map_err(|error| Failure::BadAddress(trouble(error)))
}

fn blocks_per_second(gateway: &PoolView) -> f64 {
    gateway.config.own.blocks_per_second()
}

/// The buckets of the last `minutes` whole minutes and the present one.
async fn buckets(
    gateway: &PoolView,
    miner: Option<&MinerId>,
    now: Timestamp,
    minutes: u64,
) -> Result<Vec<Bucket>, StoreError> {
    let to = now.millis() / 60_000 + 1;
    let query = RollupQuery { miner: miner.cloned(), from: to.saturating_sub(minutes), to };
    gateway.stores.rollups.series(&query).await
}

async fn by_hour(
    gateway: &PoolView,
    miner: Option<&MinerId>,
    now: Timestamp,
    hours: u64,
) -> Result<Vec<(u64, Vec<Bucket>)>, StoreError> {
    let mut hourly: BTreeMap<u64, Vec<Bucket>> = BTreeMap::new();
    for bucket in buckets(gateway, miner, now, hours * 60).await? {
        hourly.entry(bucket.minute / 60).or_default().push(bucket);
    }
    Ok(hourly.into_iter().collect())
}

/// Work in hashes and count of shares, for the screen.
fn totals(gateway: &PoolView, buckets: &[Bucket]) -> (f64, f64) {
    let work: u128 = buckets.iter().map(|bucket| bucket.work).sum();
    let shares: u64 = buckets.iter().map(|bucket| bucket.shares).sum();
    (work as f64 * gateway.hashes_per_work(), shares as f64)
}

fn performance(gateway: &PoolView, at: Timestamp, buckets: &[Bucket], seconds: u64) -> view::Performance {
    let mut workers: BTreeMap<String, view::WorkerRate> = BTreeMap::new();
    for bucket in buckets {
        let rate = workers.entry(bucket.worker.name.to_string()).or_default();
        rate.hashrate += bucket.work as f64 * gateway.hashes_per_work() / seconds as f64;
        rate.shares_per_second += bucket.shares as f64 / seconds as f64;
    }
    view::Performance { created: at.to_string(), workers }
}

async fn miner_rows(gateway: &PoolView, limit: usize) -> Result<Vec<view::MinerRow>, StoreError> {
    let recent = buckets(gateway, None, gateway.clock.now(), RATE_MINUTES).await?;
    let mut sums: BTreeMap<&MinerId, (u128, u64)> = BTreeMap::new();
    for bucket in &recent {
        let sum = sums.entry(&bucket.worker.miner).or_default();
        sum.0 += bucket.work;
        sum.1 += bucket.shares;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(miner, (work, _))| (std::cmp::Reverse(*work), (*miner).clone()));
    let seconds = (RATE_MINUTES * 60) as f64;
    let mut rows = Vec::new();
    for (miner, (work, shares)) in sums.into_iter().take(limit) {
        let balance = gateway.stores.ledger.balance(&Account::Miner(miner.clone())).await?;
        rows.push(view::MinerRow {
            miner: miner.to_string(),
            hashrate: work as f64 * gateway.hashes_per_work() / seconds,
            shares_per_second: shares as f64 / seconds,
            pending_balance: gateway.money(balance.owed()),
        });
    }
    Ok(rows)
}

async fn pool(gateway: &PoolView) -> Result<view::Pool, StoreError> {
    let (config, now) = (&*gateway.config, gateway.clock.now());
    let facts = config.facts();
    let recent = buckets(gateway, None, now, RATE_MINUTES).await?;
    let (work, shares) = totals(gateway, &recent);
    let seconds = (RATE_MINUTES * 60) as f64;
    let booked = gateway.stores.blocks.list(BlockList::Newest(None), ROWS_MAX).await?;
    let count = |wanted: fn(&BlockFate) -> bool| {
        booked
            .iter()
            .filter(|booked| booked.conclusion.as_ref().is_some_and(|(_, fate)| wanted(fate)))
            .count() as u64
    };
    let confirmed = count(|fate| matches!(fate, BlockFate::Matured { .. }));
    let lost = count(|fate| matches!(fate, BlockFate::Lost { .. }));
    let last = booked.first();
    let last_time = last.map(|booked| booked.found.share.at.to_string());
    let template = gateway.status.current_template();
    let network =
        template.map_or(0.0, |template| template.target.work().get() as f64 * gateway.hashes_per_work());
    let since_last: u128 = recent
        .iter()
        .filter(|bucket| last.is_none_or(|last| bucket.minute * 60_000 >= last.found.share.at.millis()))
        .map(|bucket| bucket.work)
        .sum();
    let in_flight = gateway.stores.ledger.balance(&Account::InFlight).await?;
    let last_value = booked.iter().find_map(|booked| match &booked.conclusion {
        Some((_, BlockFate::Matured { value, .. })) => Some(gateway.money(*value)),
        _ => None,
    });
    let workers: BTreeSet<_> = recent.iter().map(|bucket| &bucket.worker).collect();
    let top = miner_rows(gateway, 15).await?;
    Ok(view::Pool {
        id: config.id.to_string(),
        coin: view::Coin {
            kind: facts.symbol,
            name: facts.name,
            symbol: facts.symbol,
            website: facts.website,
            family: facts.id,
            algorithm: facts.algorithm,
            canonical_name: facts.name,
        },
        ports: ports(gateway),
        payment_processing: payment_processing(gateway),
        pool_fee_percent: config.reward.fee_percent(),
        address: config.own.address(),
        address_info_link: address_link(gateway, &config.own.address()),
        pool_stats: view::PoolStats {
            last_pool_block_time: last_time.clone(),
            connected_miners: workers.iter().map(|worker| &worker.miner).collect::<BTreeSet<_>>().len()
                as u64,
            connected_workers: workers.len() as u64,
            pool_hashrate: work / seconds,
            shares_per_second: shares / seconds,
        },
        network_stats: view::NetworkStats {
            network_type: config.own.network(),
            network_hashrate: network * blocks_per_second(gateway),
            network_difficulty: network / gateway.config.facts().network_difficulty_one,
            last_network_block_time: template.map(|template| template.at.to_string()),
            block_height: template.map_or(0, |template| template.height),
            connected_peers: 0,
            reward_type: "POW",
        },
        top_miners: top,
        total_paid: gateway.money(in_flight.debits),
        total_blocks: booked.len() as u64,
        total_confirmed_blocks: confirmed,
        total_pending_blocks: booked.len() as u64 - confirmed - lost,
        total_lost_blocks: lost,
        block_reward: last_value,
        last_pool_block_time: last_time,
        pool_effort: if network > 0.0 { since_last as f64 / network } else { 0.0 },
    })
}

fn ports(gateway: &PoolView) -> BTreeMap<u16, view::Port> {
    let config = &*gateway.config;
    let port = |listen: &crate::config::ListenConfig| view::Port {
        listen_address: listen.address.ip().to_string(),
        name: format!("{} {}", config.own.network(), if listen.tls.is_some() { "TLS" } else { "TCP" }),
        difficulty: gateway.difficulty(config.vardiff.start),
        tls: listen.tls.is_some(),
        var_diff: view::VarDiff {
            min_diff: gateway.difficulty(config.vardiff.min),
            max_diff: gateway.difficulty(config.vardiff.max),
            target_time: config.vardiff.share_interval_ms as f64 / 1_000.0,
        },
    };
    config.listen.iter().map(|listen| (listen.address.port(), port(listen))).collect()
}

fn payment_processing(gateway: &PoolView) -> view::PaymentProcessing {
    let config = &*gateway.config;
    let rule = &config.reward.params.rule;
    let parameters = serde_json::to_value(rule).unwrap_or_default();
    view::PaymentProcessing {
        enabled: config.payout.enabled,
        minimum_payment: gateway.money(config.payout.threshold),
        payout_scheme: rule.name(),
        payout_scheme_config: parameters,
    }
}

fn block(gateway: &PoolView, booked: &BookedBlock) -> view::Block {
    let (status, placement, value, detail) = match &booked.conclusion {
        Some((_, BlockFate::Matured { value, placement, detail })) => {
            ("confirmed", Some(placement), *value, Some(detail))
        }
        Some((_, BlockFate::Lost { placement, detail })) => {
            ("orphaned", Some(placement), Amount::ZERO, Some(detail))
        }
        Some((_, BlockFate::Unknown | BlockFate::Pending { .. })) | None => {
            ("pending", None, Amount::ZERO, None)
        }
    };
    let share = &booked.found.share;
    let hash = booked.found.id.to_string();
    view::Block {
        pool_id: gateway.config.id.to_string(),
        block_height: booked.found.height,
        // A share's units are its work in network blocks, so the network's work is one divided by the other.
        network_difficulty: network_work(share.work.get(), share.units.to_bits())
            / gateway.config.facts().network_difficulty_one,
        status,
        placement: placement.map(|placement| format!("{placement:?}").to_lowercase()),
        confirmation_progress: if booked.conclusion.is_some() { 1.0 } else { 0.0 },
        effort: None,
        transaction_confirmation_data: hash.clone(),
        reward: gateway.money(value),
        info_link: format!("{}{hash}", gateway.config.facts().block_link),
        hash,
        miner: share.worker.miner.to_string(),
        worker: share.worker.name.to_string(),
        source: format!("instance-{}", share.instance),
        created: share.at.to_string(),
        detail: detail.cloned(),
    }
}

impl PoolView {
    /// A JSON number of whole coins with all its decimals, never through a float.
    fn money(&self, amount: Amount) -> Box<serde_json::value::RawValue> {
        view::coins(amount, self.config.facts().decimals)
    }

    /// Stratum difficulty for the screen.
    fn difficulty(&self, work: Work) -> f64 {
        work.get() as f64 / self.difficulty_one()
    }

    /// Target work of stratum difficulty 1.
    fn difficulty_one(&self) -> f64 {
        self.config.facts().difficulty_one as f64
    }

    /// Hashes behind one unit of target work, for hash rates.
    fn hashes_per_work(&self) -> f64 {
        self.config.facts().hashes_per_work as f64
    }
}

fn network_work(work: u128, units: u128) -> f64 {
    if units == 0 { 0.0 } else { work as f64 / (units as f64 / 2f64.powi(88)) }
}

async fn payment_rows(gateway: &PoolView, miner: Option<&MinerId>) -> Result<Vec<view::Payment>, StoreError> {
    let mut rows = Vec::new();
    let mut before = None;
    loop {
        let payouts = gateway.stores.payouts.list(before, 1_000).await?;
        let Some(last) = payouts.last() else { break };
        before = Some(last.batch.id.number());
        for payout in &payouts {
            let items =
                payout.batch.items.iter().filter(|item| miner.is_none_or(|miner| item.miner == *miner));
            rows.extend(items.map(|item| payment(gateway, payout, &item.miner, item.amount)));
        }
        if rows.len() >= ROWS_MAX {
            break;
        }
    }
    Ok(rows)
}

fn payment(gateway: &PoolView, payout: &BookedPayout, miner: &MinerId, amount: Amount) -> view::Payment {
    let txid = payout.signed.as_ref().map(|signed| signed.id.to_string());
    view::Payment {
        coin: gateway.config.facts().symbol,
        address: miner.to_string(),
        address_info_link: address_link(gateway, miner.as_str()),
        amount: gateway.money(amount),
        transaction_info_link: txid.as_ref().map(|id| format!("{}{id}", gateway.config.facts().tx_link)),
        transaction_confirmation_data: txid,
        payout: payout.batch.id.to_string(),
        status: match (&payout.conclusion, &payout.signed) {
            (Some(TxFate::Settled { .. }), _) => "settled",
            (Some(_), _) => "void",
            (None, Some(_)) => "sent",
            (None, None) => "prepared",
        },
        created: payout.batch.at.to_string(),
    }
}

fn address_link(gateway: &PoolView, address: &str) -> String {
    format!("{}{address}", gateway.config.facts().address_link)
}

/// All entries of a miner, newest first.
async fn entries(gateway: &PoolView, miner: &MinerId) -> Result<Vec<LedgerEntry>, StoreError> {
    let account = Account::Miner(miner.clone());
    let (mut all, mut after) = (Vec::new(), Seq::new(0));
    loop {
        let page = gateway.stores.ledger.entries(Some(&account), after, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        all.extend(page);
        if all.len() >= ROWS_MAX {
            break;
        }
    }
    all.reverse();
    Ok(all)
}

/// What an entry moved to and from a miner.
fn moved(entry: &LedgerEntry, miner: &MinerId) -> (Amount, Amount) {
    let account = Account::Miner(miner.clone());
    let sum = |side: fn(&pool_core::ledger::Posting) -> &Account| {
        let postings = entry.entry.postings.iter().filter(|posting| *side(posting) == account);
        Amount::checked_sum(postings.map(pool_core::ledger::Posting::amount)).unwrap_or_default()
    };
    (sum(pool_core::ledger::Posting::credit), sum(pool_core::ledger::Posting::debit))
}

async fn change_rows(gateway: &PoolView, address: &str) -> Result<Vec<view::BalanceChange>, Failure> {
    let miner = parse(gateway, address)?;
    let mut rows = Vec::new();
    for entry in entries(gateway, &miner).await? {
        let (credited, debited) = moved(&entry, &miner);
        let amount = if credited >= debited {
            credited.saturating_sub(debited).display(gateway.config.facts().decimals)
        } else {
            format!("-{}", debited.saturating_sub(credited).display(gateway.config.facts().decimals))
        };
        rows.push(view::BalanceChange {
            pool_id: gateway.config.id.to_string(),
            address: miner.to_string(),
            amount: serde_json::value::RawValue::from_string(amount).expect("a decimal is a JSON number"),
            usage: entry.entry.cause.to_string(),
            created: entry.entry.at.to_string(),
        });
    }
    Ok(rows)
}
