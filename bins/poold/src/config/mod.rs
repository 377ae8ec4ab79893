//! The pool's configuration: one TOML file, read once, every mistake told with its key and line.
//!
//! [`Config::read`] turns text into values that cannot be wrong in shape; [`explain`](crate::explain) says what
//! they mean. Secrets are named by file, never written here. Libraries below take typed values and read nothing.

mod reader;
mod reward;
pub(crate) mod value;

pub use reader::Mistake;
pub use reward::{Promise, RewardConfig};

use crate::chains::{self, CoinName, Facts};
use pool_core::id::{CoinId, InstanceId};
use pool_core::limits::Limits;
use pool_core::units::{Amount, Work};
use pool_stratum::net::ProofRules;
use pool_stratum::net::door::DoorRules;
use pool_stratum::net::host::Cidr;
use reader::Reader;
pub(crate) use reader::Section;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// All settings of one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name on pages and in the API.
    pub name: String,
    /// This share checker among several.
    pub instance: InstanceId,
    /// Threads that serve connections; `None`: one less than there are cores.
    pub threads: Option<usize>,
    /// The bounds of every queue and peer.
    pub limits: Limits,
    /// The pages, the API, the metrics.
    pub http: SocketAddr,
    /// How to log.
    pub log: LogConfig,
    /// The coins that are mined; at least one.
    pub coins: Vec<CoinConfig>,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// JSON lines instead of text.
    pub json: bool,
    /// A filter as in `info` or `info,pool_stratum=debug`.
    pub filter: String,
}

/// The pool of one coin: what all coins have, and [`CoinConfig::own`].
#[derive(Clone, Debug)]
pub struct CoinConfig {
    /// The coin's name in URLs and records.
    pub id: CoinId,
    /// Where the embedded database lies; every coin has its own.
    pub store: String,
    /// Nodes in the order of preference.
    pub nodes: Vec<String>,
    /// The file with the key behind the pool's address; without it nothing is paid out (where the wallet is the node's
    /// own, none is needed).
    pub key_file: Option<PathBuf>,
    /// The least time between two jobs, in milliseconds.
    pub job_interval_ms: u64,
    /// Depth at which a block's fate is final, in the coin's own measure.
    pub confirmations: u64,
    /// Coinbase maturity; `None`: the network's own. Only a development node has another.
    pub maturity: Option<u64>,
    /// Where miners connect.
    pub listen: Vec<ListenConfig>,
    /// How hard shares are.
    pub vardiff: VardiffConfig,
    /// Bytes of extranonce each connection gets.
    pub extranonce_bytes: u8,
    /// Of those, the high bits that tell instances apart.
    pub instance_bits: u8,
    /// What FPPS counts a block at before enough have matured.
    pub first_block_value: Amount,
    /// Threads and queue for proofs that are too dear for an I/O thread.
    pub proofs: ProofRules,
    /// Limits per host, beside [`Limits`].
    pub door: DoorRules,
    /// How rewards are split.
    pub reward: RewardConfig,
    /// How miners are paid.
    pub payout: PayoutConfig,
    /// What the operator expects, for advice only.
    pub expect: ExpectConfig,
    /// What only this coin has.
    pub own: chains::Settings,
}

/// One port for miners.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// Address and port.
    pub address: SocketAddr,
    /// Certificate chain and key, PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Proxies whose PROXY header (v1 or v2) is believed.
    pub proxies: Vec<Cidr>,
    /// Work by HTTP instead of stratum, for the coins that have such miners.
    pub getwork: bool,
}

/// How hard shares are.
#[derive(Clone, Debug)]
pub struct VardiffConfig {
    /// Wanted milliseconds between two shares of a worker.
    pub share_interval_ms: u64,
    /// The least work of a share.
    pub min: Work,
    /// The most work of a share.
    pub max: Work,
    /// Where a new worker starts.
    pub start: Work,
}

/// How miners are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutConfig {
    /// Whether to pay at all.
    pub enabled: bool,
    /// Seconds between two rounds of payouts.
    pub interval_secs: u64,
    /// What a miner must be owed, unless he chose another sum.
    pub threshold: Amount,
    /// Depth in DAA score at which a payout is final.
    pub confirmations: u64,
}

/// What the operator expects: used to explain the settings, never to decide anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectConfig {
    /// The pool's hash rate.
    pub pool: Work,
    /// The network's hash rate.
    pub network: Work,
    /// The fastest single connection.
    pub fastest: Work,
    /// The slowest worker that should be paid smoothly.
    pub slowest: Work,
    /// Connections.
    pub connections: u64,
}

/// Everything that is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadConfig {
    /// In the order of the file.
    pub mistakes: Vec<Mistake>,
}

impl std::fmt::Display for BadConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BadConfig {}

impl Config {
    /// Reads a whole file's text.
    ///
    /// # Errors
    /// [`BadConfig`] with every mistake in it.
    pub fn read(source: &str) -> Result<Self, BadConfig> {
        let reader = Reader::new(source);
        let document = reader.document();
        let root = Section::root(&reader, &document);
        let config = Self::from_root(&root);
        root.finish();
        drop(document);
        let mistakes = reader.into_mistakes();
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(BadConfig { mistakes }),
        }
    }

    fn from_root(root: &Section<'_, '_>) -> Option<Self> {
        let pool = root.section("pool");
        let name = pool.text("name").unwrap_or_else(|| "Poolwright".to_owned());
        let store = pool.parsed("store", store_url).unwrap_or_else(|| "sqlite:data/pool.db".to_owned());
        let instance = pool.number("instance", 0..=u64::from(u16::MAX), 0);
        let threads = pool.has("threads").then(|| pool.number("threads", 1..=1_024, 1));
        pool.finish();

        let http = root.section("http");
        let listen =
            http.parsed("listen", socket).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        http.finish();

        let log = root.section("log");
        let json = log.parsed("format", |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err("must be \"text\" or \"json\""),
        });
        let filter = log.text("filter").unwrap_or_else(|| "info".to_owned());
        log.finish();

        let limits = limits(&root.section("limits"));
        let present: Vec<_> = CoinName::ALL.into_iter().filter(|coin| root.has(coin.facts().id)).collect();
        let mut coins = Vec::new();
        for coin in CoinName::ALL {
            let section = root.section(coin.facts().id);
            if !section.is_present() {
                continue;
            }
            let store =
                if present.len() == 1 { store.clone() } else { store_beside(&store, coin.facts().id) };
            coins.extend(CoinConfig::from_section(coin, &section, store));
            section.finish();
        }
        if present.is_empty() {
            let names: Vec<_> = CoinName::ALL.iter().map(|coin| format!("[{}]", coin.facts().id)).collect();
            let text = format!("is missing: a pool needs a section of a coin, one of {}", names.join(", "));
            root.mistake(CoinName::ALL[0].facts().id, text);
        }
        for (place, coin) in coins.iter().enumerate() {
            if coin.store != "memory:" && coins[..place].iter().any(|other| other.store == coin.store) {
                let key = coin.own.coin().facts().id;
                root.mistake(key, "has the store of another coin: every coin needs its own, see `store`");
            }
        }
        Some(Self {
            name,
            instance: InstanceId::new(u16::try_from(instance).ok()?),
            threads: threads.and_then(|threads| usize::try_from(threads).ok()),
            limits,
            http: listen,
            log: LogConfig { json: json.unwrap_or(false), filter },
            coins,
        })
    }
}

impl CoinConfig {
    /// What is known of the coin.
    #[must_use]
    pub const fn facts(&self) -> &'static Facts {
        self.own.coin().facts()
    }

    /// An amount for people.
    #[must_use]
    pub fn coins(&self, amount: Amount) -> String {
        amount.display(self.facts().decimals)
    }

    fn from_section(coin: CoinName, section: &Section<'_, '_>, store: String) -> Option<Self> {
        let facts = coin.facts();
        let own = chains::Settings::from_section(coin, section);
        let store = section.parsed("store", store_url).unwrap_or(store);
        let nodes = section.list("nodes", |text| chains::node_address(coin, text)).unwrap_or_default();
        if nodes.is_empty() {
            section.mistake("nodes", "must name at least one node, as in [\"127.0.0.1:16110\"]");
        }
        let key_file = section.text("key_file").map(PathBuf::from);
        let listen: Vec<_> = section
            .sections("listen")
            .iter()
            .filter_map(|port| ListenConfig::from_section(port, facts))
            .collect();
        if listen.is_empty() {
            section
                .mistake("listen", format!("must have at least one [[{}.listen]] with an address", facts.id));
        }
        let vardiff = VardiffConfig::from_section(&section.section("vardiff"), facts);
        let first_block_value = section.parsed("first_block_value", |text| coins(text, facts));
        let first_block_value = first_block_value.unwrap_or(Amount::new(facts.block_value));
        let reward = RewardConfig::from_section(&section.section("reward"), facts, first_block_value);
        let payout = PayoutConfig::from_section(&section.section("payout"), facts);
        if payout.enabled && key_file.is_none() && facts.signs {
            section.mistake(
                "key_file",
                "is missing: payouts need the key behind `address` (or payout.enabled = false)",
            );
        }
        let expect = ExpectConfig::from_section(&section.section("expect"), facts);
        let defaults = &facts.defaults;
        let extranonce_bytes = section.number("extranonce_bytes", 1..=4, defaults.extranonce_bytes.into());
        let proofs = proofs(&section.section("proofs"), defaults.proof_threads);
        Some(Self {
            id: CoinId::new(facts.id).ok()?,
            store,
            nodes,
            key_file,
            job_interval_ms: section.number("job_interval_ms", 50..=60_000, defaults.job_interval_ms),
            confirmations: section.number("confirmations", 1..=1_000_000, defaults.confirmations),
            maturity: section.has("maturity").then(|| section.number("maturity", 1..=1_000_000, 1_000)),
            listen,
            vardiff,
            extranonce_bytes: u8::try_from(extranonce_bytes).ok()?,
            instance_bits: u8::try_from(section.number("instance_bits", 0..=16, 0)).ok()?,
            first_block_value,
            proofs,
            door: door(&section.section("door")),
            reward,
            payout,
            expect,
            own: own?,
        })
    }
}

impl ListenConfig {
    fn from_section(section: &Section<'_, '_>, facts: &Facts) -> Option<Self> {
        let address = section.required("address", "where to listen, as in \"0.0.0.0:5555\"", socket);
        let certificate = section.text("tls_certificate").map(PathBuf::from);
        let key = section.text("tls_key").map(PathBuf::from);
        if certificate.is_some() != key.is_some() {
            section.mistake("tls_certificate", "tls_certificate and tls_key go together");
        }
        let proxies = section.list("proxies", Cidr::from_str).unwrap_or_default();
        let getwork = section.flag("getwork", false);
        if getwork && !facts.getwork {
            section.mistake("getwork", format!("miners of {} do not work by HTTP", facts.name));
        }
        if getwork && (certificate.is_some() || !proxies.is_empty()) {
            section.mistake(
                "getwork",
                "is plain HTTP: TLS and PROXY headers are for a web server in front of it",
            );
        }
        section.known();
        Some(Self { address: address?, tls: certificate.zip(key), proxies, getwork })
    }
}

impl VardiffConfig {
    fn from_section(section: &Section<'_, '_>, facts: &Facts) -> Self {
        let work = |key, default: &str| {
            let read = |text: &str| value::difficulty(text, facts.difficulty_one);
            section.parsed(key, read).or_else(|| read(default).ok()).unwrap_or(Work::ONE)
        };
        let [min, max, start] = facts.defaults.difficulty;
        let (min, max) = (work("min_difficulty", min), work("max_difficulty", max));
        let start = work("start_difficulty", start);
        if min > max {
            section.mistake("min_difficulty", "must not be above max_difficulty");
        }
        if start < min || start > max {
            section.mistake("start_difficulty", "must lie within min_difficulty and max_difficulty");
        }
        let share_interval_ms =
            section.number("share_interval_ms", 200..=120_000, facts.defaults.share_interval_ms);
        section.known();
        Self { share_interval_ms, min, max, start }
    }
}

impl PayoutConfig {
    fn from_section(section: &Section<'_, '_>, facts: &Facts) -> Self {
        let config = Self {
            enabled: section.flag("enabled", true),
            interval_secs: section.number("interval_secs", 1..=604_800, 3_600),
            threshold: section
                .parsed("threshold", |text| coins(text, facts))
                .unwrap_or(Amount::new(facts.defaults.threshold)),
            confirmations: section.number("confirmations", 1..=100_000, facts.defaults.payout_confirmations),
        };
        section.known();
        config
    }
}

impl ExpectConfig {
    fn from_section(section: &Section<'_, '_>, facts: &Facts) -> Self {
        let rate = |key, default: u128| {
            section.parsed(key, value::hash_rate).unwrap_or_else(|| Work::new(default).unwrap_or(Work::ONE))
        };
        let config = Self {
            pool: rate("pool_hashrate", facts.defaults.rates[0]),
            network: rate("network_hashrate", facts.defaults.rates[1]),
            fastest: rate("fastest_miner", facts.defaults.rates[2]),
            slowest: rate("slowest_miner", facts.defaults.rates[3]),
            connections: section.number("connections", 1..=10_000_000, 1_000),
        };
        section.known();
        config
    }
}

fn limits(section: &Section<'_, '_>) -> Limits {
    let base = Limits::default();
    let size = |key, range, default: usize| {
        usize::try_from(section.number(key, range, default as u64)).unwrap_or(default)
    };
    let limits = Limits {
        line_bytes_max: size("line_bytes_max", 512..=1_048_576, base.line_bytes_max),
        json_depth_max: size("json_depth_max", 3..=64, base.json_depth_max),
        id_bytes_max: size("id_bytes_max", 8..=1_024, base.id_bytes_max),
        connections_max: size("connections_max", 1..=1_000_000, base.connections_max),
        connections_per_host_max: size(
            "connections_per_host_max",
            1..=1_000_000,
            base.connections_per_host_max,
        ),
        subscribe_ms_max: section.number("subscribe_ms_max", 100..=600_000, base.subscribe_ms_max),
        authorize_ms_max: section.number("authorize_ms_max", 100..=600_000, base.authorize_ms_max),
        idle_ms_max: section.number("idle_ms_max", 1_000..=86_400_000, base.idle_ms_max),
        line_ms_max: section.number("line_ms_max", 100..=600_000, base.line_ms_max),
        write_ms_max: section.number("write_ms_max", 100..=600_000, base.write_ms_max),
        send_bytes_max: size("send_bytes_max", 4_096..=16_777_216, base.send_bytes_max),
        pending_submits_max: size("pending_submits_max", 1..=65_536, base.pending_submits_max),
        jobs_kept_max: size("jobs_kept_max", 2..=10_000, base.jobs_kept_max),
        duplicates_kept_max: size("duplicates_kept_max", 16..=1_048_576, base.duplicates_kept_max),
        workers_per_connection_max: size(
            "workers_per_connection_max",
            1..=1_024,
            base.workers_per_connection_max,
        ),
        garbage_lines_max: u32::try_from(section.number(
            "garbage_lines_max",
            1..=1_000,
            base.garbage_lines_max.into(),
        ))
        .unwrap_or(base.garbage_lines_max),
        ban_secs: section.number("ban_secs", 0..=86_400, base.ban_secs),
        hosts_tracked_max: size("hosts_tracked_max", 16..=10_000_000, base.hosts_tracked_max),
    };
    section.known();
    limits
}

fn door(section: &Section<'_, '_>) -> DoorRules {
    let base = DoorRules::default();
    let count = |key, default: u32| {
        u32::try_from(section.number(key, 1..=1_000_000, default.into())).unwrap_or(default)
    };
    let rules = DoorRules {
        exempt: section.list("exempt", Cidr::from_str).unwrap_or_else(|| base.exempt.clone()),
        connect_burst_max: count("connect_burst_max", base.connect_burst_max),
        connects_per_second_max: count("connects_per_second_max", base.connects_per_second_max),
    };
    section.known();
    rules
}

fn proofs(section: &Section<'_, '_>, threads: u64) -> ProofRules {
    let size = |key, range, default: u64| usize::try_from(section.number(key, range, default)).unwrap_or(1);
    let rules = ProofRules {
        threads: size("threads", 1..=256, threads),
        queue_max: size("queue_max", 1..=1_000_000, 1_024),
    };
    section.known();
    rules
}

fn coins(text: &str, facts: &Facts) -> Result<Amount, String> {
    value::coins(text, facts.symbol, facts.decimals)
}

fn milli(text: &str) -> Result<u64, String> {
    let milli =
        value::coins(text, "blocks", 3).map_err(|_| "must be a number of blocks such as \"10000\"")?;
    let milli = u64::try_from(milli.get()).map_err(|_| "is too large")?;
    if (100..=1_000_000_000_000).contains(&milli) {
        Ok(milli)
    } else {
        Err("must be within 0.1 and 1000000000".into())
    }
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("is {text:?}, must be an address and a port such as \"127.0.0.1:8080\""))
}

fn store_url(text: &str) -> Result<String, String> {
    if text.starts_with("sqlite:") || text == "memory:" {
        Ok(text.to_owned())
    } else {
        Err(format!("is {text:?}, must be \"sqlite:PATH\" or \"memory:\""))
    }
}

/// The store of one coin among several: the coin's name goes into the file's name.
fn store_beside(store: &str, coin: &str) -> String {
    match store.strip_suffix(".db") {
        Some(stem) => format!("{stem}-{coin}.db"),
        None if store == "memory:" => store.to_owned(),
        None => format!("{store}-{coin}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../pool.example.toml");

    /// The example with every default written out: what follows `# ` on a line that begins with a key.
    fn uncommented() -> String {
        let is_setting = |line: &str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            line.contains(" = ")
                && !key.is_empty()
                && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        let line = |line: &str| match line.strip_prefix("# ") {
            Some(setting) if is_setting(setting) || setting.starts_with("[[") => setting.to_owned(),
            _ => line.to_owned(),
        };
        EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_is_a_configuration() {
        let config = Config::read(EXAMPLE).unwrap();
        assert_eq!((config.coins.len(), config.coins[0].own.network()), (1, "mainnet"));
        assert_eq!(config.coins[0].listen.len(), 1);
    }

    #[test]
    fn the_examples_commented_defaults_are_the_defaults() {
        let (bare, full) = (Config::read(EXAMPLE).unwrap(), Config::read(&uncommented()).unwrap());
        assert_eq!(full.coins[0].listen.len(), 2, "the TLS port");
        assert_eq!(bare.limits, full.limits);
        assert_eq!(bare.coins[0].door, full.coins[0].door);
        assert_eq!(bare.coins[0].reward, full.coins[0].reward);
        assert_eq!(bare.coins[0].payout, full.coins[0].payout);
        assert_eq!(bare.coins[0].expect, full.coins[0].expect);
        let plain = |config: &Config| {
            let k = &config.coins[0];
            (k.job_interval_ms, k.extranonce_bytes, k.instance_bits, k.confirmations, config.http)
        };
        assert_eq!(plain(&bare), plain(&full));
        let vardiff = |config: &Config| {
            let v = &config.coins[0].vardiff;
            (v.share_interval_ms, v.min, v.max, v.start)
        };
        assert_eq!(vardiff(&bare), vardiff(&full));
    }

    /// The examples of the operators' page, as they stand and with every default written out.
    #[test]
    fn the_sections_of_every_coin_are_configurations() {
        let page = include_str!("../../../../docs/coins.md");
        let sections: Vec<&str> =
            page.split("```toml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
        assert_eq!(sections.len() + 1, CoinName::ALL.len());
        let key = |rest: &str| rest.split(['=', ']']).next().is_some_and(|key| !key.trim().contains(' '));
        for section in &sections {
            let full: Vec<_> = section
                .lines()
                .map(|line| {
                    line.strip_prefix("# ")
                        .filter(|rest| key(rest) && (rest.contains(" = ") || rest.starts_with("[[")))
                        .unwrap_or(line)
                })
                .collect();
            let bare = Config::read(section).unwrap_or_else(|bad| panic!("{bad}\n{section}"));
            let full = full.join("\n");
            let full = Config::read(&full).unwrap_or_else(|bad| panic!("{bad}\n{full}"));
            let (bare, full) = (&bare.coins[0], &full.coins[0]);
            assert_eq!(
                (&bare.reward, &bare.payout, bare.confirmations),
                (&full.reward, &full.payout, full.confirmations)
            );
        }
        let together = sections.concat();
        let stores: Vec<_> =
            Config::read(&together).unwrap().coins.into_iter().map(|coin| coin.store).collect();
        assert_eq!(stores[0], "sqlite:data/pool-alephium.db");
    }

    #[test]
    fn every_mistake_is_told_with_its_key_and_line() {
        let source = r#"
[pool]
stor = "sqlite:x"
[http]
listen = "nowhere"
[kaspa]
network = "mainet"
nodes = ["localhost"]
address = "kaspa:qqqq"
job_interval_ms = 5
[[kaspa.listen]]
address = "0.0.0.0:5555"
tls_key = "k.pem"
[kaspa.vardiff]
min_difficulty = 8
max_difficulty = 4
start_difficulty = 4
[kaspa.reward]
scheme = "ppnls"
fee_bps = 10001
[kaspa.payout]
threshold = "a lot"
[kaspa.expect]
pool_hashrate = "fast"
"#;
        let mistakes = Config::read(source).unwrap_err().mistakes;
        let told: Vec<(&str, usize)> =
            mistakes.iter().map(|mistake| (mistake.key.as_str(), mistake.line)).collect();
        for expected in [
            ("pool.stor", 3),
            ("http.listen", 5),
            ("kaspa.network", 7),
            ("kaspa.nodes", 8),
            ("kaspa.address", 9),
            ("kaspa.job_interval_ms", 10),
            ("kaspa.vardiff.min_difficulty", 15),
            ("kaspa.reward.scheme", 19),
            ("kaspa.reward.fee_bps", 20),
            ("kaspa.payout.threshold", 22),
            ("kaspa.expect.pool_hashrate", 24),
        ] {
            assert!(told.contains(&expected), "{expected:?} is not among {told:?}");
        }
        assert!(told.iter().any(|(key, _)| key.ends_with("tls_certificate")), "{told:?}");
        assert!(told.iter().any(|(key, _)| *key == "kaspa.key_file"), "{told:?}");
    }

    #[test]
    fn a_node_a_store_and_a_port_without_sense_are_told() {
        let source = EXAMPLE.replace("[[kaspa.listen]]\n", "[[kaspa.listen]]\ngetwork = true\n");
        let mistakes = Config::read(&source).unwrap_err().mistakes;
        assert!(mistakes.iter().any(|mistake| mistake.key.ends_with("getwork")), "{mistakes:?}");
    }

    #[test]
    fn nonsense_is_told_and_never_breaks_the_reader() {
        for source in [
            "",
            "[",
            "kaspa = 3",
            "[kaspa]\nlisten = 1",
            "[[kaspa]]",
            "\u{0}",
            "a = 1e400",
            "[kaspa.reward]\nscheme = []",
        ] {
            assert!(Config::read(source).is_err(), "{source:?}");
        }
    }
}
