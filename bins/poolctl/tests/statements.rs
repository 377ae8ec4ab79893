//! From a pool's database to a miner who checks his pay: the commands around statements, run as people run them.
#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

use pool_core::block::{BlockFate, FoundBlock, Placement};
use pool_core::id::{BlockId, CoinId, InstanceId, MinerId, Worker, WorkerName};
use pool_core::ledger::{Account, Cause};
use pool_core::ports::Stores;
use pool_core::share::{Candidate, Evidence, Proof, Share, Verdict, judge};
use pool_core::time::Timestamp;
use pool_core::units::{Amount, BasisPoints, Target, U256, Units};
use pool_rewards::proof::log::Peaks;
use pool_rewards::scheme::{Rule, SchemeParams, Underfilled, WindowEdge};
use pool_rewards::settle::{self, SettleError, Settler};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

fn coin() -> CoinId {
    CoinId::new("kaspa").unwrap()
}

fn block_id(number: u64) -> BlockId {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    BlockId::new(bytes)
}

/// A judged share of a quarter of a block, of one of three miners in turn.
fn share(number: u64, solves: bool) -> Share {
    let network = (U256::ONE << 180) - U256::ONE;
    let miner = MinerId::new(&format!("kaspa:miner-{}", number % 3)).unwrap();
    let candidate = Candidate {
        instance: InstanceId::new((number % 2) as u16),
        at: Timestamp::from_millis(1_000 * number),
        worker: Worker { miner, name: WorkerName::clean("rig") },
        share_target: Target::new((U256::ONE << 182) - U256::ONE),
        network_target: Target::new(network),
        chain: 0,
        evidence: Evidence::new(&number.to_be_bytes()).unwrap(),
        block: block_id(number),
    };
    let hash = if solves { network } else { network + U256::ONE };
    match judge(candidate, Proof::new(hash)) {
        Verdict::Accepted(share) => share,
        Verdict::Rejected(reject) => panic!("{reject}"),
    }
}

fn params() -> SchemeParams {
    let window = Units::from_bits(3 << 87);
    let rule = Rule::Pplns { window, underfilled: Underfilled::Renormalise, edge: WindowEdge::Interval };
    let mut params = SchemeParams::new(rule);
    params.fees.pool = BasisPoints::new(100).unwrap();
    params.fees.finder_bonus = BasisPoints::new(50).unwrap();
    params
}

/// Adds shares `from..=upto`, each sixth of which solves a block; every third block is lost.
async fn mine(stores: &Stores, from: u64, upto: u64) {
    for number in from..=upto {
        let share = share(number, number % 6 == 0);
        if let Some(id) = share.block() {
            let record = share.record().clone();
            let found = FoundBlock { id, coin: coin(), share: record, raw: Vec::new(), height: number };
            stores.blocks.record(&found).await.unwrap();
        }
        stores.shares.append(&[share]).await.unwrap();
        if number % 6 == 0 {
            let detail = String::new();
            let fate = if number % 18 == 0 {
                BlockFate::Lost { placement: Placement::Orphan, detail }
            } else {
                let value = Amount::new(50_000_000_001 + u128::from(number));
                BlockFate::Matured { value, placement: Placement::Main, detail }
            };
            stores.blocks.conclude(&block_id(number), &fate).await.unwrap();
        }
    }
}

fn ports(stores: &Stores) -> settle::Stores<'_> {
    settle::Stores { shares: &*stores.shares, blocks: &*stores.blocks, ledger: &*stores.ledger }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A pool's database of 30 shares and 5 blocks, settled, and a folder around it.
struct Pool {
    folder: tempfile::TempDir,
    /// What miner 1 was credited for block 30.
    credited: u128,
}

impl Pool {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("pool.db").display());
        let credited = wait(async {
            let opened = pool_storage::open(&url).unwrap();
            mine(&opened.stores, 1, 30).await;
            let (stores, now) = (ports(&opened.stores), Timestamp::from_millis(99_000));
            let mut settler = Settler::start(coin(), params(), stores, now).await.unwrap();
            while settler.step(stores, now).await.unwrap().more {}
            let row = opened.stores.ledger.entry(&Cause::BlockReward(block_id(30))).await.unwrap().unwrap();
            let account = Account::Miner(MinerId::new("kaspa:miner-1").unwrap());
            let own = row.entry.postings.iter().filter(|posting| *posting.credit() == account);
            own.map(|posting| posting.amount().get()).sum()
        });
        let pool = Self { folder, credited };
        pool.ok(&["export", &url, "--log", "log.jsonl", "--statements", "bare.jsonl"]);
        let public = pool.ok(&["sign-key", "key"]);
        std::fs::write(pool.path("public"), &public).unwrap();
        pool.ok(&["statement", "--store", &url, "--key", "key", "--out", "signed.jsonl"]);
        let block = block_id(30).to_string();
        let signed = pool.ok(&["statement", &block, "--store", &url, "--key", "key"]);
        std::fs::write(pool.path("signed.json"), signed).unwrap();
        pool.ok(&[
            "prove",
            "log.jsonl",
            "--statement",
            "signed.json",
            "--miner",
            "kaspa:miner-1",
            "--out",
            "proof.json",
        ]);
        pool
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path("pool.db").display())
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file as another one, changed.
    fn change(&self, from: &str, to: &str, change: impl FnOnce(String) -> String) {
        std::fs::write(self.path(to), change(self.read(from))).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let program = Command::new(env!("CARGO_BIN_EXE_poolctl"))
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (program.status.code(), text(program.stdout), text(program.stderr))
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let (status, out, errors) = self.run(arguments);
        assert_eq!(status, Some(0), "{arguments:?}: {out}{errors}");
        out
    }

    /// The command fails and says `words`.
    fn fails(&self, arguments: &[&str], words: &[&str]) {
        let (status, out, errors) = self.run(arguments);
        assert_eq!(status, Some(1), "{arguments:?}: {out}{errors}");
        for word in words {
            assert!(format!("{out}{errors}").contains(word), "{arguments:?}: no {word:?} in: {out}{errors}");
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A signed statement with another text inside.
fn with_statement(signed: &str, change: impl FnOnce(&str) -> String) -> String {
    let mut value = json(signed);
    let text = change(value["statement"].as_str().unwrap());
    value["statement"] = text.into();
    value.to_string()
}

#[test]
fn a_log_leads_to_its_statements_and_a_miner_checks_his_pay() {
    let pool = Pool::new();
    assert_eq!(pool.read("log.jsonl").lines().count(), 1 + 30 + 5);
    assert_eq!(pool.read("bare.jsonl").lines().count(), 5);
    for statements in ["bare.jsonl", "signed.jsonl", "signed.json"] {
        pool.ok(&["replay", "log.jsonl", "--statement", statements]);
        pool.ok(&["replay", &pool.url(), "--statement", statements]);
    }
    let out = pool.ok(&["replay", "log.jsonl", "--statement", "signed.jsonl", "--key", "public"]);
    assert_eq!(out.matches(": equal, ").count(), 5, "{out}");
    let block = block_id(30).to_string();
    let out = pool.ok(&["replay", "log.jsonl", "--statement", "bare.jsonl", "--block", &block]);
    assert_eq!(out.matches(": equal, ").count(), 1, "{out}");
    // The key's file is its owner's alone, and the key is made once.
    assert_eq!(pool.ok(&["sign-key", "key"]), pool.read("public"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(pool.path("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    let proof = pool.read("proof.json");
    assert!(proof.len() < 4_096, "a proof is a few kilobytes: {}", proof.len());
    // The proof and the published statement are all that is needed: nothing else is in this folder.
    let alone = tempfile::tempdir().unwrap();
    for name in ["proof.json", "signed.json", "public"] {
        std::fs::copy(pool.path(name), alone.path().join(name)).unwrap();
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_poolctl"))
        .args([
            "verify",
            "proof.json",
            "--statement",
            "signed.json",
            "--key",
            "public",
            "--miner",
            "kaspa:miner-1",
        ])
        .current_dir(alone.path())
        .output()
        .unwrap();
    assert!(checked.status.success());
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        said.starts_with(&format!("proved: kaspa:miner-1 gets {} units of kaspa block", pool.credited)),
        "{said}"
    );
    pool.ok(&["verify", "proof.json"]);
    pool.ok(&["verify", "proof.json", "--statement", "bare.jsonl", "--key", "public"]);
}

#[test]
fn whatever_is_tampered_with_is_named() {
    let pool = Pool::new();
    let replay = |log: &'static str, statement: &'static str, words: &[&str]| {
        pool.fails(&["replay", log, "--statement", statement], words);
    };
    // The statement.
    let more = |text: &str| text.replacen("\"value\":\"50000000031\"", "\"value\":\"50000000032\"", 1);
    pool.change("bare.jsonl", "more.jsonl", |text| more(&text));
    assert_ne!(pool.read("more.jsonl"), pool.read("bare.jsonl"));
    replay("log.jsonl", "more.jsonl", &["DIFFERENT at value", "\"50000000031\"", "\"50000000032\""]);
    pool.change("signed.json", "forged.json", |text| with_statement(&text, more));
    replay("log.jsonl", "forged.json", &["forged.json: the signature is not valid", "DIFFERENT at value"]);
    pool.change("bare.jsonl", "spaced.jsonl", |text| text.replacen("\"format\":", "\"format\": ", 1));
    replay("log.jsonl", "spaced.jsonl", &["DIFFERENT at byte 10 of the text"]);
    let nobody = "00".repeat(32);
    let key = ["replay", "log.jsonl", "--statement", "signed.json", "--key", &nobody];
    pool.fails(&key, &["signed by another key"]);
    let unsigned = ["replay", "log.jsonl", "--statement", "bare.jsonl", "--key", "public"];
    pool.fails(&unsigned, &["bare.jsonl: statement 1: the statement is not signed"]);
    let unknown = block_id(999).to_string();
    pool.fails(
        &["replay", "log.jsonl", "--statement", "bare.jsonl", "--block", &unknown],
        &["no statement of it"],
    );
    // The log.
    let edit = |name: &'static str, edit: &dyn Fn(&mut Vec<String>)| {
        pool.change("log.jsonl", name, |text| {
            let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
            edit(&mut lines);
            lines.join("\n")
        });
    };
    let last = |lines: &[String], key: &str| {
        lines.iter().rposition(|line| line.starts_with(&format!("{{\"{key}\""))).unwrap()
    };
    edit("stolen.jsonl", &|lines| {
        let place = last(lines, "share") - 1;
        assert!(lines[place].contains("miner-2"));
        lines[place] = lines[place].replace("miner-2", "miner-1");
    });
    replay("stolen.jsonl", "signed.json", &["DIFFERENT at log.root"]);
    edit("paid.jsonl", &|lines| {
        let place = last(lines, "conclusion");
        lines[place] = lines[place].replace("50000000031", "50000000033");
    });
    // The first difference in the order of names is the bonus that this value makes.
    replay("paid.jsonl", "signed.json", &["DIFFERENT at "]);
    edit("other-fee.jsonl", &|lines| lines[0] = lines[0].replacen("\"pool\":100", "\"pool\":101", 1));
    replay("other-fee.jsonl", "signed.json", &["line 1: parameters 1: the hash is not theirs"]);
    edit("gap.jsonl", &|lines| drop(lines.remove(4)));
    replay("gap.jsonl", "signed.json", &["gap.jsonl", "line 5: shares 4 to 4 were pruned"]);
    edit("twice.jsonl", &|lines| lines.insert(4, lines[3].clone()));
    replay("twice.jsonl", "signed.json", &["line 5: log: share 3 cannot follow share 3"]);
    edit("cut.jsonl", &|lines| lines.truncate(20));
    replay("cut.jsonl", "signed.json", &["the log concludes no such block"]);
    edit("garbage.jsonl", &|lines| lines[7] = "{\"share\":7}".into());
    replay("garbage.jsonl", "signed.json", &["line 8: "]);
    edit("headless.jsonl", &|lines| drop(lines.remove(0)));
    replay("headless.jsonl", "signed.json", &["line 1: the pool and its parameters"]);
    std::fs::write(pool.path("empty.jsonl"), "").unwrap();
    replay("empty.jsonl", "signed.json", &["empty.jsonl: it is empty"]);
    replay("nowhere.jsonl", "signed.json", &["cannot read nowhere.jsonl"]);
    // The proof.
    let bend = |name: &'static str, bend: &dyn Fn(&mut Value)| {
        pool.change("proof.json", name, |text| {
            let mut proof = json(&text);
            bend(&mut proof);
            proof.to_string()
        });
    };
    let verify = |name: &'static str, words: &[&str]| pool.fails(&["verify", name, "--key", "public"], words);
    bend("greedy.json", &|proof| {
        let gross: u128 = proof["parts"][0]["part"]["gross"].as_str().unwrap().parse().unwrap();
        proof["parts"][0]["part"]["gross"] = (gross + 1).to_string().into();
    });
    verify("greedy.json", &["NOT PROVED", "part 0: the hashes do not lead to the root"]);
    bend("doubled.json", &|proof| {
        let part = proof["parts"][0].clone();
        proof["parts"].as_array_mut().unwrap().push(part);
    });
    verify("doubled.json", &["part 1: it is another account's, or there twice"]);
    bend("nobody.json", &|proof| proof["parts"] = Value::Array(Vec::new()));
    verify("nobody.json", &["it has no part"]);
    bend("elsewhere.json", &|proof| proof["parts"][0]["split"] = 9.into());
    verify("elsewhere.json", &["part 0: the statement has no such split"]);
    bend("retold.json", &|proof| {
        let text = more(proof["signed"]["statement"].as_str().unwrap());
        proof["signed"]["statement"] = text.into();
    });
    verify("retold.json", &["the signature is not valid"]);
    pool.fails(&["verify", "proof.json", "--key", &nobody], &["signed by another key"]);
    pool.fails(
        &["verify", "proof.json", "--miner", "kaspa:miner-2"],
        &["it is of kaspa:miner-1 and not of kaspa:miner-2"],
    );
    pool.fails(
        &["verify", "proof.json", "--statement", "forged.json"],
        &["another statement: at value forged.json says"],
    );
    pool.fails(&["verify", "signed.json"], &["signed.json: not a proof of pay"]);
    // What cannot be proved.
    let prove = |log: &str, statement: &str, miner: &str, words: &[&str]| {
        pool.fails(&["prove", log, "--statement", statement, "--miner", miner], words);
    };
    prove("log.jsonl", "signed.json", "kaspa:miner-9", &["kaspa:miner-9 has no part in it"]);
    prove("log.jsonl", "bare.jsonl", "kaspa:miner-1", &["5 statements fit: name one block"]);
    prove("stolen.jsonl", "signed.json", "kaspa:miner-1", &["the statement is not this log's: at log.root"]);
    pool.change("bare.jsonl", "one.jsonl", |text| text.lines().last().unwrap().to_owned());
    prove("log.jsonl", "one.jsonl", "kaspa:miner-1", &["the statement is not signed"]);
    let (url, unknown) = (pool.url(), block_id(1).to_string());
    pool.fails(&["statement", &unknown, "--store", &url, "--key", "key"], &["no reward of block"]);
    pool.fails(&["statement", "--store", &url, "--key", "public.json"], &["cannot read public.json"]);
    pool.fails(&["export", "sqlite:nowhere.db", "--log", "x"], &["nowhere.db"]);
}

#[test]
fn a_root_that_a_block_committed_to_is_found_in_the_log() {
    let pool = Pool::new();
    let mut peaks = Peaks::default();
    for number in 1..=17 {
        let record = share(number, number % 6 == 0).record().clone();
        let seq = pool_core::id::ShareSeq::new(number);
        peaks.push(&pool_core::share::LoggedShare { seq, record }).unwrap();
    }
    let root = peaks.root().root.to_string();
    let out = pool.ok(&["replay", "log.jsonl", "--root", &root]);
    assert!(out.contains("the log's after 17 shares"), "{out}");
    let never = "ab".repeat(32);
    pool.fails(&["replay", "log.jsonl", "--root", &never, "--root", &root], &["the log never had it"]);
}

/// Opens a database that was open just now: its writer ends, and lets go of the lock, on a thread of its own.
fn open_again(url: &str) -> pool_storage::Opened {
    for _ in 0..1_000 {
        match pool_storage::open(url) {
            Ok(opened) => return opened,
            Err(error) if error.to_string().contains("in use") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the lock was never let go of");
}

#[test]
fn a_database_whose_log_was_pruned_is_gone_on_with_from_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("pool.db").display());
    let now = Timestamp::from_millis(99_000);
    let settle_all = async |settler: &mut Settler, stores: settle::Stores<'_>| {
        while settler.step(stores, now).await.unwrap().more {}
    };
    let snapshot = wait(async {
        let opened = pool_storage::open(&url).unwrap();
        mine(&opened.stores, 1, 20).await;
        let stores = ports(&opened.stores);
        let mut settler = Settler::start(coin(), params(), stores, now).await.unwrap();
        settle_all(&mut settler, stores).await;
        let snapshot = settler.snapshot().unwrap();
        let folded = settler.fold().shares();
        opened.stores.shares.prune(folded).await.unwrap();
        mine(&opened.stores, 21, 30).await;
        snapshot
    });
    let gone_on = wait(async {
        let opened = open_again(&url);
        let stores = ports(&opened.stores);
        let mut anew = Settler::start(coin(), params(), stores, now).await.unwrap();
        let error = anew.step(stores, now).await.unwrap_err();
        assert!(!error.is_transient());
        assert_eq!(
            error.to_string(),
            "shares 1 to 20 were pruned and are needed: resume from a snapshot or keep the log longer"
        );
        let damaged: Vec<u8> = snapshot.iter().map(|byte| byte ^ 1).collect();
        for bytes in [&damaged[..], &snapshot[..40], &[]] {
            let refused = Settler::resume(coin(), params(), stores, now, bytes).await;
            assert!(matches!(refused, Err(SettleError::Snapshot(_))), "{refused:?}");
        }
        let mut settler = Settler::resume(coin(), params(), stores, now, &snapshot).await.unwrap();
        settle_all(&mut settler, stores).await;
        opened.stores.ledger.entries(None, pool_core::id::Seq::new(0), 100).await.unwrap()
    });
    let straight = wait(async {
        let stores = Stores::memory();
        mine(&stores, 1, 30).await;
        let stores_of = ports(&stores);
        let mut settler = Settler::start(coin(), params(), stores_of, now).await.unwrap();
        settle_all(&mut settler, stores_of).await;
        stores.ledger.entries(None, pool_core::id::Seq::new(0), 100).await.unwrap()
    });
    assert_eq!(gone_on, straight, "the same ledger as if nothing had been pruned");
    // Nobody can replay a log without its beginning, and the export says so.
    let refused = Command::new(env!("CARGO_BIN_EXE_poolctl"))
        .args(["export", &url, "--log", "-"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("shares 1 to 20 were pruned"));
}

#[test]
fn a_list_of_blocks_is_priced_or_refused_by_name() {
    let pool = Pool::new();
    let block = |number: u8, subsidy: u64, fees: u64| {
        serde_json::json!({
            "id": BlockId::new([number; 32]).to_string(), "height": number,
            "subsidy": subsidy.to_string(), "fees": fees.to_string()
        })
    };
    let write = |name: &str, blocks: &[Value]| {
        let list = serde_json::json!({ "period_ms": 86_400_000, "number": 20_000, "blocks": blocks });
        std::fs::write(pool.path(name), list.to_string()).unwrap();
    };
    write("day.json", &[block(1, 100, 7), block(2, 100, 900), block(3, 0, 0), block(4, 100, 11)]);
    let out = pool.ok(&["reference", "day.json", "--trim", "1"]);
    assert!(out.contains("adjustment/reference/86400000/20000"), "{out}");
    assert!(out.contains("2 blocks without 1 at each end paid 218 units"), "{out}");
    assert!(out.contains("worth 109 units"), "{out}");
    pool.fails(&["reference", "day.json", "--trim", "2"], &["day.json", "4 blocks, of which 2 are dropped"]);
    write("twice.json", &[block(1, 100, 7), block(1, 100, 900)]);
    pool.fails(&["reference", "twice.json"], &["twice.json", "is in the list twice"]);
    pool.fails(&["reference", "proof.json"], &["proof.json: not a list of blocks"]);
}
