//! The same log makes the same ledger: whatever fails, wherever the process ends, however often it starts again.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod faulty;

use faulty::{Ports, wait};
use pool_core::block::{BlockFate, FoundBlock, Placement};
use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, Seq, ShareSeq, Worker, WorkerName};
use pool_core::ledger::{Account, Cause, Entry, LedgerEntry, Posted, Posting};
use pool_core::ports::{BlockBook, BlockList, Ledger, ShareLog, StoreError};
use pool_core::share::{Candidate, Evidence, Proof, Share, Verdict, judge};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, BasisPoints, Target, U256, Units};
use pool_rewards::audit::{AuditReport, AuditStores, audit};
use pool_rewards::fold::{FoldError, PeriodMemo};
use pool_rewards::proof::accounts::Part;
use pool_rewards::proof::export::{Line, replay};
use pool_rewards::proof::statement::{PayProof, SignedStatement, Statement};
use pool_rewards::proof::{BadProof, Digest};
use pool_rewards::reference::{Reference, ReferenceBlock, reference_cause};
use pool_rewards::scheme::{BlockValue, Fees, Rule, SchemeParams, Underfilled, WindowEdge};
use pool_rewards::settle::{SettleError, Settler, Stores, record_reference, schedule};
use pool_rewards::split::Rounding;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

fn coin() -> CoinId {
    CoinId::new("kaspa").unwrap()
}

fn points(points: u16) -> BasisPoints {
    BasisPoints::new(points).unwrap()
}

fn miner(number: u32) -> MinerId {
    MinerId::new(&format!("miner-{number}")).unwrap()
}

fn window(eighths: u128) -> Units {
    Units::from_bits(eighths << 85)
}

/// A judged share: `1 / 2^easier` of a block, which it solves where `block` is given.
fn share(number: u64, miner_number: u32, easier: u32, millis: u64, block: Option<BlockId>) -> Share {
    let network = (U256::ONE << 180) - U256::ONE;
    let candidate = Candidate {
        instance: InstanceId::new(0),
        at: Timestamp::from_millis(millis),
        worker: Worker { miner: miner(miner_number), name: WorkerName::clean("rig") },
        share_target: Target::new((U256::ONE << (180 + easier as usize)) - U256::ONE),
        network_target: Target::new(network),
        chain: 0,
        evidence: Evidence::new(&number.to_be_bytes()).unwrap(),
        block: block.unwrap_or(BlockId::new([0xff; 32])),
    };
    let hash = if block.is_some() { network } else { network + U256::ONE };
    match judge(candidate, Proof::new(hash)) {
        Verdict::Accepted(share) => share,
        Verdict::Rejected(reject) => panic!("{reject}"),
    }
}

fn rule_of(seed: u64) -> SchemeParams {
    let window = window(u128::from(seed % 13) + 1);
    let underfilled = [Underfilled::Renormalise, Underfilled::OperatorKeeps][(seed % 2) as usize];
    let edge = [WindowEdge::Interval, WindowEdge::HopExact][(seed / 2 % 2) as usize];
    let pplns = Rule::Pplns { window, underfilled, edge };
    let overdraft = Amount::new(1 << 60);
    let rule = match seed % 9 {
        0 => Rule::Solo {},
        1 => Rule::Prop {},
        2 => Rule::Exponential { window, underfilled },
        3 => Rule::DoubleGeometric { average_fee: points(500), carry_over: points(8_000) },
        4 => Rule::Fpps {
            value: BlockValue::Realised { blocks: 5, trim: 1, start: Amount::new(900) },
            period_ms: 2_000,
            overdraft,
        },
        5 => Rule::Mixed { part: points(700), first: Box::new(Rule::Solo {}), rest: Box::new(Rule::Prop {}) },
        6 => Rule::PpsPlus { subsidy: Amount::new(500), window, underfilled, period_ms: 3_000, overdraft },
        _ => pplns,
    };
    let mut params = SchemeParams::new(rule);
    params.fees.pool = points((seed % 4 * 90) as u16);
    if !params.rule.pays_shares() && params.rule != (Rule::Solo {}) {
        params.fees.finder_bonus = points((seed % 3 * 50) as u16);
        if seed.is_multiple_of(5) {
            params.fees.tiers = BTreeMap::from([(miner(1), points(0)), (miner(2), points(1_000))]);
            params.fees.grace_ms = 5_000;
            params.fees.referral = points(2_500);
            params.fees.referrers = BTreeMap::from([(miner(2), miner(7)), (miner(3), miner(0))]);
        }
    }
    let rules = [
        Rounding::ResidualLedger,
        Rounding::ResidualLedger,
        Rounding::LargestRemainder,
        Rounding::CumulativeFloor,
        Rounding::FloorCarry,
    ];
    params.rounding = rules[(seed / 9 % 5) as usize];
    params
}

/// A pool's log and blocks, growing by chance.
struct Pool {
    random: ChaCha8Rng,
    ports: Ports,
    shares: u64,
    millis: u64,
    open: Vec<BlockId>,
    value: u128,
}

impl Pool {
    fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            ports: Ports::new(seed),
            shares: 0,
            millis: 1_000_000,
            open: Vec::new(),
            value: 1_000,
        }
    }

    fn stores(&self) -> Stores<'_> {
        Stores { shares: &self.ports, blocks: &self.ports, ledger: &self.ports }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis)
    }

    async fn mine(&mut self, solve: bool) {
        self.shares += 1;
        self.millis += self.random.random_range(0..700);
        let id = solve.then(|| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&self.shares.to_be_bytes());
            BlockId::new(bytes)
        });
        let (account, easier) = (self.random.random_range(0..6), self.random.random_range(2..9));
        let share = share(self.shares, account, easier, self.millis, id);
        if let Some(id) = id {
            let found = FoundBlock {
                id,
                coin: coin(),
                share: share.record().clone(),
                raw: Vec::new(),
                height: self.shares,
            };
            self.ports.blocks.record(&found).await.unwrap();
            self.open.push(id);
        }
        self.ports.shares.append(&[share]).await.unwrap();
    }

    async fn conclude(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let id = self.open.swap_remove(self.random.random_range(0..self.open.len()));
        let fate = if self.random.random_bool(0.2) {
            BlockFate::Lost { placement: Placement::Orphan, detail: String::new() }
        } else {
            let value = Amount::new(self.random.random_range(0..self.value));
            BlockFate::Matured { value, placement: Placement::Main, detail: String::new() }
        };
        self.ports.blocks.conclude(&id, &fate).await.unwrap();
    }

    async fn audit(&self) -> AuditReport {
        let stores = AuditStores { settled: self.stores(), payouts: &self.ports };
        audit(&coin(), stores).await.unwrap()
    }

    async fn entries(&self) -> Vec<LedgerEntry> {
        self.ports.ledger.entries(None, Seq::new(0), 100_000).await.unwrap()
    }
}

/// Settles everything there is, in fine weather.
async fn settle(settler: &mut Settler, stores: Stores<'_>, now: Timestamp) -> u64 {
    let mut replayed = 0;
    for _ in 0..4 {
        replayed += settler.step(stores, now).await.unwrap().replayed;
    }
    replayed
}

async fn live(seed: u64) {
    let mut pool = Pool::new(seed);
    let mut params = rule_of(seed);
    let mut settler: Option<Settler> = None;
    let mut snapshot: Option<Vec<u8>> = None;
    for _ in 0..120 {
        match pool.random.random_range(0..20) {
            0..9 => pool.mine(false).await,
            9..11 => pool.mine(true).await,
            11..13 => pool.conclude().await,
            13..17 => {
                pool.ports.weather.odds(100);
                let (stores, now) = (pool.stores(), pool.now());
                let running = match settler.take() {
                    Some(running) => Ok(running),
                    None => match &snapshot {
                        Some(bytes) if seed.is_multiple_of(2) => {
                            Settler::resume(coin(), params.clone(), stores, now, bytes).await
                        }
                        _ => Settler::start(coin(), params.clone(), stores, now).await,
                    },
                };
                match running {
                    Ok(mut running) => {
                        if let Err(error) = running.step(stores, now).await {
                            assert!(error.is_transient(), "{error}");
                        }
                        settler = Some(running);
                    }
                    Err(error) => assert!(error.is_transient(), "seed {seed}: {error}"),
                }
                pool.ports.weather.odds(0);
            }
            17 => {
                if let Some(bytes) = settler.as_ref().and_then(Settler::snapshot) {
                    snapshot = Some(bytes);
                }
            }
            18 => settler = None,
            // The process dies, and sometimes it comes back with other parameters.
            _ => {
                settler = None;
                if seed.is_multiple_of(4) {
                    params.fees.pool = points(pool.random.random_range(0..500));
                    if let Rule::Pplns { window: length, .. } = &mut params.rule {
                        *length = window(pool.random.random_range(1..16));
                    } else if pool.random.random_bool(0.1) {
                        params = SchemeParams { rounding: params.rounding, ..pplns() };
                    }
                }
            }
        }
    }
    while !pool.open.is_empty() {
        pool.conclude().await;
    }
    let (stores, now) = (pool.stores(), pool.now());
    let mut last = Settler::start(coin(), params.clone(), stores, now).await.unwrap();
    settle(&mut last, stores, now).await;
    let report = pool.audit().await;
    assert!(report.agrees(), "seed {seed}: {:?}", report.differences);
    assert!(report.unfinished.is_empty(), "seed {seed}: {:?}", report.unfinished);
    assert_eq!(report.shares, pool.shares);

    // A start from nothing finds every entry there and changes none.
    let before = pool.entries().await;
    let mut again = Settler::start(coin(), params.clone(), stores, now).await.unwrap();
    let replayed = settle(&mut again, stores, now).await;
    assert_eq!(pool.entries().await, before, "seed {seed}");
    let on_record = schedule(&pool.ports).await.unwrap().len();
    assert_eq!(replayed as usize + on_record, before.len(), "seed {seed}");
    assert_eq!(again.snapshot(), last.snapshot(), "seed {seed}: equal logs make equal states");

    // The straight run on an empty ledger writes the same, entry by entry. (What FPPS pays depends on which
    // conclusions were known, so there the record decides, and the audit above has checked it.)
    let recorded = schedule(&pool.ports).await.unwrap();
    if recorded.iter().all(|entry| !entry.params.rule.pays_shares()) {
        let straight = Ports::new(0);
        let is_scheme = |row: &&LedgerEntry| matches!(&row.entry.cause, Cause::Adjustment(_));
        for row in before.iter().filter(is_scheme) {
            straight.ledger.post(&row.entry).await.unwrap();
        }
        let stores = Stores { shares: &pool.ports, blocks: &pool.ports, ledger: &straight };
        let mut settler = Settler::start(coin(), params.clone(), stores, now).await.unwrap();
        settle(&mut settler, stores, now).await;
        let content = |list: Vec<LedgerEntry>| -> Vec<_> {
            let settled = list.into_iter().filter(|row| !is_scheme(&row));
            settled.map(|row| (row.entry.cause, row.entry.postings, row.entry.memo)).collect()
        };
        let all = straight.ledger.entries(None, Seq::new(0), 100_000).await.unwrap();
        assert_eq!(content(all), content(before.clone()), "seed {seed}");
    }
    money_is_whole(&pool, seed).await;
    replays_to_the_byte(&pool, &before, seed).await;
}

/// What came from the chain is with miners, the operator, the reserve, in residues or carried.
async fn money_is_whole(pool: &Pool, seed: u64) {
    let balances = pool.ports.ledger.balances(None, 1_000).await.unwrap();
    let (mut debits, mut credits) = (0u128, 0u128);
    for (account, balance) in &balances {
        debits += balance.debits.get();
        credits += balance.credits.get();
        if !matches!(account, Account::Chain | Account::Reserve | Account::Operator) {
            assert!(balance.debits <= balance.credits, "seed {seed}: {account}");
        }
    }
    assert_eq!(debits, credits);
    let residue = pool.ports.ledger.balance(&Account::Residue).await.unwrap().owed().get();
    assert!(residue <= 40, "seed {seed}: {residue} units are held for fractions of a few accounts");
    let concluded = pool.ports.blocks.list(BlockList::Concluded(Seq::new(0)), 1_000).await.unwrap();
    let value: u128 = concluded.iter().map(|block| block.conclusion.as_ref().unwrap().1.value().get()).sum();
    let chain = pool.ports.ledger.balance(&Account::Chain).await.unwrap();
    assert_eq!(chain.debits.get(), value, "seed {seed}: every unit the chain paid is booked");
}

async fn export(pool: &Pool) -> Vec<String> {
    let schedule = schedule(&pool.ports).await.unwrap();
    let mut lines = vec![Line::Pool { coin: coin(), schedule }];
    lines.extend(
        pool.ports.shares.read(ShareSeq::new(0), 100_000).await.unwrap().into_iter().map(Line::Share),
    );
    for block in pool.ports.blocks.list(BlockList::Concluded(Seq::new(0)), 1_000).await.unwrap() {
        let (number, fate) = block.conclusion.unwrap();
        lines.push(Line::Conclusion { number, block: block.found.id, value: fate.value() });
    }
    lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect()
}

async fn replays_to_the_byte(pool: &Pool, entries: &[LedgerEntry], seed: u64) {
    let lines = export(pool).await;
    let replayed = replay(lines.iter().map(String::as_str)).unwrap();
    let statements: Vec<(&Cause, &String)> = entries
        .iter()
        .filter(|row| matches!(row.entry.cause, Cause::BlockReward(_)))
        .map(|row| (&row.entry.cause, &row.entry.memo))
        .collect();
    assert_eq!(statements.len(), replayed.len());
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let public = *key.verifying_key().as_bytes();
    let mut previous = Digest::default();
    for ((cause, memo), again) in statements.into_iter().zip(&replayed) {
        assert_eq!((cause, memo), (&Cause::BlockReward(again.block), &again.statement), "seed {seed}");
        let statement = Statement::parse(memo).unwrap();
        for parts in &again.parts {
            let by_name = |pair: &[Part]| (&pair[0].miner, pair[0].fee) < (&pair[1].miner, pair[1].fee);
            assert!(parts.windows(2).all(by_name), "accounts stand by name, whoever came first");
        }
        assert_eq!(statement.previous, previous, "statements are one chain");
        previous = statement.hash();
        let signed = SignedStatement::sign(memo.clone(), &key);
        assert_eq!(signed.verify(Some(&public)), Ok(statement.clone()));
        // Each miner's proof says what the ledger credited him for this block.
        let entry = entries.iter().find(|row| row.entry.cause == *cause).unwrap();
        for number in 0..6 {
            let Some(proof) = again.prove(signed.clone(), &miner(number)) else { continue };
            let text = serde_json::to_string(&proof).unwrap();
            assert!(text.len() < 8_192, "a proof is a few kilobytes");
            let pay = serde_json::from_str::<PayProof>(&text).unwrap().verify(Some(&public)).unwrap();
            let account = Account::Miner(miner(number));
            let referred: u128 = again
                .award
                .splits
                .iter()
                .flat_map(|split| &split.referrals)
                .filter(|(referrer, _)| *referrer == miner(number))
                .map(|(_, amount)| amount.get())
                .sum();
            let credited: u128 = entry
                .entry
                .postings
                .iter()
                .filter(|posting| *posting.credit() == account)
                .map(|posting| posting.amount().get())
                .sum();
            assert_eq!(pay.net.get() + referred, credited, "seed {seed}");
            let mut greedy = proof.clone();
            greedy.parts[0].part.gross = Amount::new(greedy.parts[0].part.gross.get() + 1);
            assert_eq!(greedy.verify(None), Err(BadProof::Part { part: 0, fault: Box::new(BadProof::Root) }));
        }
        let mut forged = signed.clone();
        forged.statement = forged.statement.replacen("\"fee\":", "\"fee\": ", 1);
        assert_eq!(forged.verify(None), Err(BadProof::Signature));
        assert_eq!(signed.verify(Some(&[9; 32])), Err(BadProof::Key));
    }
}

#[test]
fn any_history_of_crashes_makes_the_same_ledger() {
    for seed in 0..270 {
        wait(live(seed));
    }
}

async fn small_pool(params: &SchemeParams) -> Pool {
    let mut pool = Pool::new(99);
    for number in 0..60 {
        pool.mine(number % 6 == 5).await;
        if number % 8 == 7 {
            pool.conclude().await;
        }
    }
    let (stores, now) = (pool.stores(), pool.now());
    let mut settler = Settler::start(coin(), params.clone(), stores, now).await.unwrap();
    settle(&mut settler, stores, now).await;
    pool
}

fn pplns() -> SchemeParams {
    let rule =
        Rule::Pplns { window: window(8), underfilled: Underfilled::Renormalise, edge: WindowEdge::Interval };
    let fees = Fees { pool: points(100), finder_bonus: points(50), ..Fees::default() };
    SchemeParams { rule, fees, rounding: Rounding::ResidualLedger }
}

#[test]
fn an_audit_finds_what_was_tampered_with() {
    wait(async {
        let pool = small_pool(&pplns()).await;
        assert!(pool.audit().await.agrees());
        let entries = pool.entries().await;
        let with = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut list: Vec<Entry> = entries.iter().map(|row| row.entry.clone()).collect();
            change(&mut list);
            list
        };
        let rewards: Vec<usize> = (0..entries.len())
            .filter(|index| {
                matches!(entries[*index].entry.cause, Cause::BlockReward(_))
                    && !entries[*index].entry.postings.is_empty()
            })
            .collect();
        let (first, last) = (rewards[0], rewards[rewards.len() - 1]);
        let one_more = |posting: &Posting| {
            let amount = Amount::new(posting.amount().get() + 1);
            Posting::new(posting.debit().clone(), posting.credit().clone(), amount).unwrap()
        };
        let taken_twice = Entry {
            coin: coin(),
            cause: Cause::PayoutSettled(pool_core::id::PayoutId::new(&coin(), 1)),
            at: Timestamp::from_millis(1),
            postings: vec![Posting::new(Account::InFlight, Account::Chain, Amount::new(1)).unwrap()],
            memo: String::new(),
        };
        let invented = Entry { cause: Cause::BlockReward(BlockId::new([0xee; 32])), ..taken_twice.clone() };
        let cases: [(&str, Vec<Entry>); 7] = [
            ("one unit too much", with(&|list| list[first].postings[0] = one_more(&list[first].postings[0]))),
            ("a posting is gone", with(&|list| drop(list[last].postings.pop()))),
            ("another memo", with(&|list| list[first].memo = list[last].memo.clone())),
            ("an entry is gone", with(&|list| drop(list.remove(first)))),
            ("an entry too many", with(&|list| list.push(invented.clone()))),
            ("money without a payout", with(&|list| list.push(taken_twice.clone()))),
            ("another coin", with(&|list| list[last].coin = CoinId::new("nexa").unwrap())),
        ];
        for (what, list) in cases {
            let other = Ports::new(0);
            for entry in &list {
                other.ledger.post(entry).await.unwrap();
            }
            let settled = Stores { shares: &pool.ports, blocks: &pool.ports, ledger: &other };
            let report = audit(&coin(), AuditStores { settled, payouts: &other }).await.unwrap();
            assert!(!report.agrees(), "{what}");
        }
        // What is merely not written yet is no difference; what was corrected by hand is listed.
        let other = Ports::new(0);
        for entry in &entries[..last] {
            other.ledger.post(&entry.entry).await.unwrap();
        }
        let by_hand = Entry { cause: Cause::Adjustment("ticket/7".into()), ..taken_twice };
        let by_hand = Entry {
            postings: vec![Posting::new(Account::Chain, Account::Reserve, Amount::new(5)).unwrap()],
            ..by_hand
        };
        other.ledger.post(&by_hand).await.unwrap();
        let settled = Stores { shares: &pool.ports, blocks: &pool.ports, ledger: &other };
        let report = audit(&coin(), AuditStores { settled, payouts: &other }).await.unwrap();
        assert!(report.agrees(), "{:?}", report.differences);
        assert!(!report.unfinished.is_empty());
        assert_eq!(report.adjustments, ["ticket/7"]);
    });
}

#[test]
fn another_content_under_a_cause_stops_the_settler() {
    wait(async {
        let mut pool = Pool::new(5);
        pool.mine(true).await;
        let id = pool.open[0];
        let fate =
            BlockFate::Matured { value: Amount::new(10), placement: Placement::Main, detail: String::new() };
        pool.ports.blocks.conclude(&id, &fate).await.unwrap();
        let forged = Entry {
            coin: coin(),
            cause: Cause::BlockReward(id),
            at: Timestamp::from_millis(1),
            postings: Vec::new(),
            memo: String::new(),
        };
        pool.ports.ledger.post(&forged).await.unwrap();
        let (stores, now) = (pool.stores(), pool.now());
        let mut settler = Settler::start(coin(), pplns(), stores, now).await.unwrap();
        let error = settler.step(stores, now).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
    });
}

#[test]
fn a_pruned_log_needs_a_snapshot_and_says_which_shares_are_gone() {
    wait(async {
        let mut pool = small_pool(&pplns()).await;
        let (stores, now) = (pool.stores(), pool.now());
        let mut settler = Settler::start(coin(), pplns(), stores, now).await.unwrap();
        settle(&mut settler, stores, now).await;
        let bytes = settler.snapshot().unwrap();
        pool.ports.shares.prune(ShareSeq::new(60)).await.unwrap();
        for number in 0..20 {
            pool.mine(number % 5 == 4).await;
        }
        while !pool.open.is_empty() {
            pool.conclude().await;
        }
        let (stores, now) = (pool.stores(), pool.now());
        let mut fresh = Settler::start(coin(), pplns(), stores, now).await.unwrap();
        let error = fresh.step(stores, now).await.unwrap_err();
        let (from, upto) = (ShareSeq::new(1), ShareSeq::new(60));
        assert!(
            matches!(&error, SettleError::Fold(found) if *found == FoldError::Pruned { from, upto }),
            "{error}"
        );
        assert!(error.to_string().contains("shares 1 to 60"));
        let mut resumed = Settler::resume(coin(), pplns(), stores, now, &bytes).await.unwrap();
        settle(&mut resumed, stores, now).await;
        let entries = pool.entries().await;
        let rewards = entries.iter().filter(|row| matches!(row.entry.cause, Cause::BlockReward(_))).count();
        assert_eq!(rewards, 14);
        // Bytes that were bent, of another coin, or ahead of the log are refused.
        let mut bent = bytes.clone();
        bent[40] ^= 1;
        for bad in [&bent[..], &bytes[..20], &[]] {
            let error = Settler::resume(coin(), pplns(), stores, now, bad).await.unwrap_err();
            assert!(matches!(error, SettleError::Snapshot(_)), "{error}");
        }
        let other = Settler::resume(CoinId::new("nexa").unwrap(), pplns(), stores, now, &bytes).await;
        assert!(matches!(other, Err(SettleError::Snapshot(_))));
        let empty = Ports::new(0);
        let behind = Stores { shares: &empty, blocks: &empty, ledger: &pool.ports };
        let error = Settler::resume(coin(), pplns(), behind, now, &bytes).await.unwrap_err();
        assert!(error.to_string().contains("ahead of the log"), "{error}");
    });
}

#[test]
fn new_parameters_work_forward_only() {
    wait(async {
        let mut pool = Pool::new(11);
        for _ in 0..10 {
            pool.mine(false).await;
        }
        pool.mine(true).await;
        let (stores, now) = (pool.stores(), pool.now());
        let mut settler = Settler::start(coin(), pplns(), stores, now).await.unwrap();
        settler.step(stores, now).await.unwrap();
        // The block above stays under the old fee although it settles later.
        let dearer = SchemeParams { fees: Fees { pool: points(2_000), ..Fees::default() }, ..pplns() };
        let mut settler = Settler::start(coin(), dearer.clone(), stores, now).await.unwrap();
        settler.step(stores, now).await.unwrap();
        pool.mine(true).await;
        let (old, new) = (pool.open[0], pool.open[1]);
        for id in [new, old] {
            let fate = BlockFate::Matured {
                value: Amount::new(1_000),
                placement: Placement::Main,
                detail: String::new(),
            };
            pool.ports.blocks.conclude(&id, &fate).await.unwrap();
        }
        let (stores, now) = (pool.stores(), pool.now());
        settle(&mut settler, stores, now).await;
        for (id, fee) in [(old, 10), (new, 200)] {
            let entry = pool.ports.ledger.entry(&Cause::BlockReward(id)).await.unwrap().unwrap().entry;
            assert_eq!(entry.postings[0].amount(), Amount::new(fee));
        }
        let recorded = schedule(&pool.ports).await.unwrap();
        assert_eq!(recorded.iter().map(|entry| entry.from.get()).collect::<Vec<_>>(), [1, 12]);
        assert!(pool.audit().await.agrees());
        let mut again = Settler::start(coin(), dearer, stores, now).await.unwrap();
        let before = pool.entries().await;
        settle(&mut again, stores, now).await;
        assert_eq!(pool.entries().await, before);
    });
}

#[test]
fn an_empty_reserve_stops_share_pay_until_it_is_filled() {
    wait(async {
        let rule = Rule::Pps { value: Amount::new(1_000_000), period_ms: 1_000, overdraft: Amount::new(100) };
        let params =
            SchemeParams { fees: Fees { pool: points(200), ..Fees::default() }, ..SchemeParams::new(rule) };
        let mut pool = Pool::new(3);
        for _ in 0..30 {
            pool.mine(false).await;
        }
        pool.mine(true).await;
        let (stores, now) = (pool.stores(), pool.now());
        let mut settler = Settler::start(coin(), params, stores, now).await.unwrap();
        let progress = settler.step(stores, now).await.unwrap();
        assert!(progress.reserve_short.is_some_and(|short| !short.is_zero()));
        let paid = |entries: Vec<LedgerEntry>| {
            entries.iter().filter(|row| matches!(row.entry.cause, Cause::ShareCredit(_))).count()
        };
        assert_eq!(paid(pool.entries().await), 0);
        let id = pool.open[0];
        let fate = BlockFate::Matured {
            value: Amount::new(9_000_000),
            placement: Placement::Main,
            detail: String::new(),
        };
        pool.ports.blocks.conclude(&id, &fate).await.unwrap();
        let progress = settler.step(stores, now).await.unwrap();
        assert_eq!(progress.reserve_short, None);
        assert!(paid(pool.entries().await) > 3);
        let reserve = pool.ports.ledger.balance(&Account::Reserve).await.unwrap();
        assert_eq!(
            reserve.credits,
            Amount::new(9_000_000),
            "no fee off a block whose shares are paid less the fee"
        );
        // What shares earned is their work at the fixed value less the fee, to the unit.
        let memo = pool.entries().await.iter().rev().find_map(|row| match &row.entry.cause {
            Cause::ShareCredit(upto) => Some((*upto, row.entry.memo.clone())),
            _ => None,
        });
        let (upto, _) = memo.unwrap();
        let shares = pool.ports.shares.read(ShareSeq::new(0), 100).await.unwrap();
        let mut exact: BTreeMap<MinerId, u128> = BTreeMap::new();
        for share in shares.iter().filter(|share| share.seq <= upto) {
            // All units here are powers of two above 2^-9, so this is exact in 2^-20.
            *exact.entry(share.record.worker.miner.clone()).or_default() +=
                share.record.units.to_bits() >> 68;
        }
        for (miner, units) in exact {
            let owed = pool.ports.ledger.balance(&Account::Miner(miner)).await.unwrap().owed().get();
            let due = units * 1_000_000 * 9_800 / 10_000;
            // Two roundings of residues at 2^-64 may leave the last unit for the next period.
            assert!(owed == due >> 20 || owed + 1 == due >> 20, "{owed} for {}", due >> 20);
        }
        assert!(pool.audit().await.agrees());
    });
}

fn reference_block(number: u8, subsidy: u128, fees: u128) -> ReferenceBlock {
    let (subsidy, fees) = (Amount::new(subsidy), Amount::new(fees));
    ReferenceBlock { id: BlockId::new([number; 32]), height: number.into(), subsidy, fees }
}

#[test]
fn a_days_shares_wait_for_the_days_blocks() {
    wait(async {
        let overdraft = Amount::new(1 << 60);
        let rule = Rule::Fpps { value: BlockValue::Reference { trim: 1 }, period_ms: 10_000, overdraft };
        let params =
            SchemeParams { fees: Fees { pool: points(200), ..Fees::default() }, ..SchemeParams::new(rule) };
        let mut pool = Pool::new(5);
        for _ in 0..100 {
            pool.mine(false).await;
        }
        let (stores, now) = (pool.stores(), pool.now());
        let mut settler = Settler::start(coin(), params.clone(), stores, now).await.unwrap();
        let missing = |number: u64| Some(reference_cause(10_000, number));
        let progress = settler.step(stores, now).await.unwrap();
        assert_eq!((progress.reference_missing, progress.posted.len()), (missing(100), 0));
        let day = |number, fees| {
            let blocks = vec![
                reference_block(1, 900_000, 0),
                reference_block(2, 900_000, fees),
                // A red block, an uncle, and a fee that nobody will see again.
                reference_block(3, 0, 0),
                reference_block(4, 700_000, 100_000),
                reference_block(5, 900_000, 9_000_000_000),
            ];
            Reference::new(10_000, number, blocks).unwrap()
        };
        let first = day(100, 60_000);
        let posted = record_reference(&coin(), &first, stores.ledger, now).await.unwrap();
        assert!(matches!(posted, Posted::Now(_)));
        let progress = settler.step(stores, now).await.unwrap();
        assert_eq!((progress.reference_missing, progress.posted.len()), (missing(101), 1));
        let posted = record_reference(&coin(), &first, stores.ledger, now).await.unwrap();
        assert!(matches!(posted, Posted::Before(_)), "the same list again changes nothing");
        let other = record_reference(&coin(), &day(100, 60_001), stores.ledger, now).await;
        assert!(matches!(other, Err(StoreError::Conflict(_))), "{other:?}");
        // The entry says by which list, and what it made of it: the block of height 1 goes for its fees and height.
        let Cause::ShareCredit(upto) = &progress.posted[0] else { panic!("{:?}", progress.posted) };
        let row = pool.ports.ledger.entry(&progress.posted[0]).await.unwrap().unwrap();
        let memo: PeriodMemo = serde_json::from_str(&row.entry.memo).unwrap();
        assert_eq!(memo.reference, Some(first.hash()));
        assert_eq!((memo.value, memo.blocks), (Amount::new(960_000 + 800_000), 3));
        let shares = pool.ports.shares.read(ShareSeq::new(0), 200).await.unwrap();
        let bits: u128 =
            shares.iter().filter(|share| share.seq <= *upto).map(|share| share.record.units.to_bits()).sum();
        let paid: u128 = row.entry.postings.iter().map(|posting| posting.amount().get()).sum();
        // Units are powers of two from 2^79 bits on.
        let due = ((bits >> 68) * 1_760_000 * 98 / (3 * 100)) >> 20;
        assert!(paid <= due && due < paid + 6, "{paid} of {due}");
        assert!(pool.audit().await.agrees());
        // A settler that starts again pays the same by the same list, and waits where the other did.
        let mut again = Settler::start(coin(), params.clone(), stores, now).await.unwrap();
        let progress = again.step(stores, now).await.unwrap();
        assert_eq!((progress.reference_missing, progress.replayed), (missing(101), 1));
        // A list that is another period's, or nobody's, stops the pool and says where.
        let entry = Entry {
            coin: coin(),
            cause: reference_cause(10_000, 101),
            at: now,
            postings: Vec::new(),
            memo: first.canonical(),
        };
        pool.ports.ledger.post(&entry).await.unwrap();
        let error = again.step(stores, now).await.unwrap_err();
        assert!(!error.is_transient());
        assert_eq!(
            error.to_string(),
            "ledger entry adjustment/reference/10000/101 has a memo that is none: it is another period's"
        );
    });
}

#[test]
fn a_list_that_trims_away_stops_the_pool_by_name() {
    wait(async {
        let rule = Rule::Fpps {
            value: BlockValue::Reference { trim: 2 },
            period_ms: 10_000,
            overdraft: Amount::new(1 << 60),
        };
        let mut pool = Pool::new(5);
        for _ in 0..60 {
            pool.mine(false).await;
        }
        let (stores, now) = (pool.stores(), pool.now());
        let mut settler = Settler::start(coin(), SchemeParams::new(rule), stores, now).await.unwrap();
        let list = Reference::new(10_000, 100, vec![reference_block(1, 5, 5)]).unwrap();
        record_reference(&coin(), &list, stores.ledger, now).await.unwrap();
        assert_eq!(
            settler.step(stores, now).await.unwrap_err().to_string(),
            "adjustment/reference/10000/100: 1 blocks, of which 2 are dropped at each end: none is left"
        );
    });
}

#[test]
fn the_clock_of_shares_may_go_back_and_a_missing_share_is_waited_for() {
    wait(async {
        let mut pool = Pool::new(4);
        pool.mine(false).await;
        let solved = share(77, 2, 3, 5, Some(BlockId::new([5; 32])));
        let found = FoundBlock {
            id: BlockId::new([5; 32]),
            coin: coin(),
            share: solved.record().clone(),
            raw: Vec::new(),
            height: 1,
        };
        pool.ports.blocks.record(&found).await.unwrap();
        let fate =
            BlockFate::Matured { value: Amount::new(77), placement: Placement::Main, detail: String::new() };
        pool.ports.blocks.conclude(&found.id, &fate).await.unwrap();
        let (stores, now) = (pool.stores(), pool.now());
        let mut settler = Settler::start(coin(), pplns(), stores, now).await.unwrap();
        let progress = settler.step(stores, now).await.unwrap();
        assert_eq!(progress.waiting, Some(found.id));
        assert!(pool.ports.ledger.entry(&Cause::BlockReward(found.id)).await.unwrap().is_none());
        // The intake was interrupted between book and log; its share comes after all, with an old time.
        pool.ports.shares.append(&[solved]).await.unwrap();
        let progress = settler.step(stores, now).await.unwrap();
        assert_eq!((progress.waiting, progress.posted.len()), (None, 1));
        assert!(settler.preview(Amount::new(100)).is_some_and(|(list, _)| list.len() == 2));
    });
}

#[test]
fn bad_exports_name_their_line() {
    wait(async {
        let pool = small_pool(&pplns()).await;
        let lines = export(&pool).await;
        let try_lines = |lines: &[String]| replay(lines.iter().map(String::as_str)).map(|list| list.len());
        assert!(try_lines(&lines).is_ok());
        let fault = |lines: &[String]| try_lines(lines).unwrap_err().line;
        assert_eq!(fault(&lines[1..]), 1, "no header");
        let mut twice = lines.clone();
        twice.insert(3, lines[0].clone());
        assert_eq!(fault(&twice), 4, "two headers");
        let mut gap = lines.clone();
        gap.remove(10);
        assert_eq!(fault(&gap), 11, "a share is missing");
        let mut repeated = lines.clone();
        repeated.insert(10, lines[9].clone());
        assert_eq!(fault(&repeated), 11, "a share twice");
        let mut early = lines.clone();
        let conclusion = early.iter().position(|line| line.contains("\"conclusion\"")).unwrap();
        let line = early.remove(conclusion);
        early.insert(2, line);
        assert_eq!(fault(&early), 3, "a conclusion before its share");
        let mut garbage = lines.clone();
        garbage[5] = "{\"share\":{}}".into();
        assert_eq!(fault(&garbage), 6);
        let mut last_twice = lines.clone();
        last_twice.push(lines[lines.len() - 1].clone());
        assert_eq!(fault(&last_twice), lines.len() + 1, "a conclusion twice");
    });
}
