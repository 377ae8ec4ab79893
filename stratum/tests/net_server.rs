//! The server over real sockets, with Kaspa's dialect.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "tests unwrap")]

mod net_rig;

use net_rig::{Desk, Miner, PATIENCE, Pool, Wish, job, loopback, proxied, submit, trusting};
use pool_core::limits::Limits;
use pool_stratum::net::door::DoorRules;
use pool_stratum::net::tls::{self, TlsFiles};
use pool_stratum::net::{Drained, Listener, ListenerRules, ProxyRule, bind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

fn short(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn a_miner_logs_in_mines_and_is_answered_when_its_share_is_on_record() {
    let pool = Pool::start(Wish { gate_open: false, ..Wish::default() });
    let mut miner = pool.miner().await;
    miner.submit(7, 1, 0xbeef).await;
    // A second request overtakes the share that waits for its record.
    miner.say(r#"{"id":8,"method":"mining.nonsense","params":[]}"#).await;
    assert!(miner.hear().await.unwrap().contains(r#""id":8,"#));
    assert!(pool.desk.recorded().is_empty());
    pool.desk.gate.add_permits(1);
    assert_eq!(miner.hear().await.unwrap(), r#"{"id":7,"result":true,"error":null}"#);
    assert_eq!(pool.desk.recorded(), [0xbeef]);
    assert_eq!(pool.shut_down().await, Drained { closed: 1, cut: 0 });
}

#[tokio::test]
async fn a_wrong_address_is_refused_with_words_for_the_screen() {
    let pool = Pool::start(Wish::default());
    let mut miner = pool.connect().await;
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1.0"]}"#).await;
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["bc1qxyz.rig","x"]}"#).await;
    assert!(miner.hear_about(r#""id":2,"#).await.contains("bc1qxyz is no Kaspa address"));
}

#[tokio::test]
async fn jobs_reach_a_thousand_miners() {
    let pool = Pool::start(Wish::default());
    // Two ends of each connection are in this process.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1_024_usize);
    let count = 1_000.min(files.saturating_sub(200) / 2);
    let mut miners = Vec::new();
    for _ in 0..count {
        miners.push(pool.miner().await);
    }
    assert_eq!(pool.server.connections(), count);
    for id in 2..=4 {
        pool.work.send_replace(job(id));
        for miner in &mut miners {
            miner.hear_about(&format!(r#""params":["{id}","#)).await;
        }
    }
}

#[tokio::test]
async fn every_connection_has_its_own_extranonce() {
    let pool = Pool::start(Wish::default());
    let mut prefixes = BTreeSet::new();
    for _ in 0..50 {
        let mut miner = pool.connect().await;
        miner.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1.0"]}"#).await;
        miner.say(r#"{"id":2,"method":"mining.authorize","params":["kaspa:test.rig","x"]}"#).await;
        prefixes.insert(miner.hear_about("mining.set_extranonce").await);
    }
    assert_eq!(prefixes.len(), 50);
}

#[tokio::test]
async fn submits_are_pipelined_and_none_is_refused_for_coming_fast() {
    let limits = short(|limits| limits.pending_submits_max = 8);
    let pool = Pool::start(Wish { limits, gate_open: false, ..Wish::default() });
    let mut miner = pool.miner().await;
    let lines: String = (0..500).map(|n| submit(100 + n, 1, n) + "\n").collect();
    miner.stream.write_all(lines.as_bytes()).await.unwrap();
    pool.desk.gate.add_permits(1);
    let mut answered = BTreeSet::new();
    while answered.len() < 500 {
        let line = miner.hear_about(r#""result":"#).await;
        assert!(line.contains(r#""result":true"#), "{line}");
        assert!(answered.insert(line));
    }
    assert_eq!(pool.desk.recorded(), (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn miners_are_told_when_there_is_no_work_and_when_there_is_again() {
    let pool = Pool::start(Wish::default());
    let mut miner = pool.miner().await;
    pool.work.send_replace(None);
    assert!(miner.hear().await.unwrap().contains("node is unavailable"));
    let mut late = pool.connect().await;
    late.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1.0"]}"#).await;
    late.say(r#"{"id":2,"method":"mining.authorize","params":["kaspa:test.rig","x"]}"#).await;
    late.hear_about("node is unavailable").await;
    pool.work.send_replace(job(9));
    miner.hear_about(r#""params":["9","#).await;
    late.hear_about(r#""params":["9","#).await;
}

// Who goes away, and how.

#[tokio::test]
async fn a_miner_that_closes_its_half_still_gets_its_replies() {
    let pool = Pool::start(Wish { gate_open: false, ..Wish::default() });
    let mut miner = pool.miner().await;
    miner.submit(7, 1, 5).await;
    miner.stream.shutdown().await.unwrap();
    pool.desk.gate.add_permits(1);
    assert_eq!(miner.hear_out().await, [r#"{"id":7,"result":true,"error":null}"#]);
    pool.until_connections(0).await;
}

#[tokio::test]
async fn what_a_miner_submitted_before_its_cable_was_cut_is_recorded() {
    let pool = Pool::start(Wish { gate_open: false, ..Wish::default() });
    let mut miner = pool.miner().await;
    for n in 0..5 {
        miner.submit(10 + n, 1, n).await;
    }
    miner.say(r#"{"id":8,"method":"mining.nonsense","params":[]}"#).await;
    miner.hear_about(r#""id":8,"#).await;
    socket2::SockRef::from(&miner.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(miner);
    pool.until_connections(0).await;
    pool.desk.gate.add_permits(1);
    let recorded = async {
        while pool.desk.recorded().len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, recorded).await.expect("shares under way are recorded");
    assert_eq!(pool.desk.recorded(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_drain_answers_everything_and_loses_no_share() {
    let mut pool = Pool::start(Wish { gate_open: false, ..Wish::default() });
    let mut miners = Vec::new();
    for who in 0..20_u64 {
        let mut miner = pool.miner().await;
        miner.submit(7, 1, who).await;
        miner.say(r#"{"id":8,"method":"mining.nonsense","params":[]}"#).await;
        miner.hear_about(r#""id":8,"#).await;
        miners.push(miner);
    }
    pool.begin_shutdown();
    for miner in &mut miners {
        miner.hear_about("client.reconnect").await;
    }
    // The door is closed, and nobody was cut off although nothing is recorded yet.
    assert!(TcpStream::connect(pool.address).await.is_err());
    assert_eq!(pool.server.connections(), 20);
    let desk = Arc::clone(&pool.desk);
    desk.gate.add_permits(1);
    for miner in &mut miners {
        let rest = miner.hear_out().await;
        assert!(rest.contains(&r#"{"id":7,"result":true,"error":null}"#.to_owned()), "{rest:?}");
    }
    drop(miners);
    assert_eq!(pool.shut_down().await, Drained { closed: 20, cut: 0 });
    assert_eq!(desk.recorded(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let limits = short(|limits| limits.write_ms_max = 100);
    let pool = Pool::start(Wish { gate_open: false, limits, ..Wish::default() });
    let mut miner = pool.miner().await;
    miner.submit(7, 1, 1).await;
    miner.say(r#"{"id":8,"method":"mining.nonsense","params":[]}"#).await;
    miner.hear_about(r#""id":8,"#).await;
    // The record never comes, and so does no "true".
    let desk = Arc::clone(&pool.desk);
    assert_eq!(pool.shut_down().await, Drained { closed: 0, cut: 1 });
    assert!(miner.hear_out().await.iter().all(|line| !line.contains(r#""id":7"#)));
    assert!(desk.recorded().is_empty());
}

// Peers that are slow, silent or senseless.

#[tokio::test]
async fn a_miner_that_does_not_read_is_dropped_and_the_others_get_their_jobs() {
    let limits = short(|limits| limits.write_ms_max = 200);
    let pool = Pool::start(Wish { limits, ..Wish::default() });
    let mut good = pool.miner().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut deaf = Miner::new(socket.connect(pool.address).await.unwrap());
    deaf.log_in().await;
    pool.until_connections(2).await;
    let mut last = 1;
    let dropped = async {
        while pool.server.connections() > 1 {
            last += 1;
            pool.work.send_replace(job(last));
            good.hear_about(&format!(r#""params":["{last}","#)).await;
        }
    };
    timeout(PATIENCE, dropped).await.expect("who does not read is dropped");
    pool.work.send_replace(job(last + 1));
    good.hear_about(&format!(r#""params":["{}","#, last + 1)).await;
}

#[tokio::test]
async fn a_line_that_is_not_finished_ends_the_connection() {
    let pool = Pool::start(Wish { limits: short(|limits| limits.line_ms_max = 200), ..Wish::default() });
    let mut miner = pool.miner().await;
    miner.stream.write_all(br#"{"id":9,"method":"mi"#).await.unwrap();
    assert_eq!(miner.hear_out().await, Vec::<String>::new());
    pool.until_connections(0).await;
}

#[tokio::test]
async fn a_byte_now_and_then_is_no_excuse() {
    let pool = Pool::start(Wish { limits: short(|limits| limits.line_ms_max = 300), ..Wish::default() });
    let mut miner = pool.connect().await;
    let dropped = async {
        loop {
            if miner.stream.write_all(b"x").await.is_err() {
                break;
            }
            let mut byte = [0];
            let wait = Duration::from_millis(20);
            if let Ok(Ok(0) | Err(_)) = timeout(wait, miner.stream.read(&mut byte)).await {
                break;
            }
        }
    };
    timeout(PATIENCE, dropped).await.expect("who never ends a line is dropped");
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_no_miner() {
    let pool = Pool::start(Wish { limits: short(|limits| limits.subscribe_ms_max = 200), ..Wish::default() });
    let mut silent = pool.connect().await;
    assert_eq!(silent.hear_out().await, Vec::<String>::new());
    pool.until_connections(0).await;
}

#[tokio::test]
async fn an_endless_line_is_told_so_and_bans() {
    let pool = Pool::start(Wish::strict(Limits::default()));
    let mut flood = pool.connect().await;
    flood.stream.write_all(&vec![b'x'; 8_193]).await.unwrap();
    let said = flood.hear_out().await.concat();
    assert!(said.contains("line longer than 8192 bytes"), "{said}");
    let mut again = pool.connect().await;
    assert!(again.hear_out().await.concat().contains("banned"));
}

#[tokio::test]
async fn garbage_bans_with_a_reason_and_the_ban_expires() {
    let pool = Pool::start(Wish::strict(short(|limits| limits.ban_secs = 2)));
    let mut good = pool.miner().await;
    let mut bad = pool.connect().await;
    for _ in 0..5 {
        bad.say("GET / HTTP/1.1").await;
    }
    let said = bad.hear_out().await;
    assert!(said[0].contains("malformed request"), "{said:?}");
    let mut banned = pool.connect().await;
    let said = banned.hear_out().await.concat();
    assert!(said.contains("your address is banned for ") && said.contains("garbage"), "{said}");
    // The neighbour behind the same address mines on.
    good.submit(7, 1, 1).await;
    assert!(good.hear_about(r#""id":7,"#).await.contains("true"));
    let expired = async {
        loop {
            let mut again = pool.connect().await;
            again.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1.0"]}"#).await;
            let answer = again.hear().await;
            if answer.is_some_and(|line| line.contains(r#""id":1,"#)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, expired).await.expect("a ban ends");
}

#[tokio::test]
async fn loopback_is_not_banned_unless_the_operator_wants_it() {
    let pool = Pool::start(Wish::default());
    for _ in 0..3 {
        let mut bad = pool.connect().await;
        for _ in 0..5 {
            bad.say("garbage").await;
        }
        assert!(bad.hear_out().await.concat().contains("malformed request"));
    }
    pool.miner().await;
}

// Limits.

#[tokio::test]
async fn one_host_gets_its_part_and_is_told_when_it_wants_more() {
    let pool = Pool::start(Wish::strict(short(|limits| limits.connections_per_host_max = 2)));
    let (first, _second) = (pool.miner().await, pool.miner().await);
    let mut third = pool.connect().await;
    assert!(third.hear_out().await.concat().contains("too many connections from your address"));
    drop(first);
    pool.until_connections(1).await;
    pool.miner().await;
}

#[tokio::test]
async fn a_full_pool_says_so() {
    let pool = Pool::start(Wish { limits: short(|limits| limits.connections_max = 1), ..Wish::default() });
    let _only = pool.miner().await;
    let mut second = pool.connect().await;
    assert!(second.hear_out().await.concat().contains("the pool is full"));
}

#[tokio::test]
async fn without_an_extranonce_left_the_pool_is_full() {
    let pool = Pool::start(Wish { extranonce_bytes: 1, ..Wish::default() });
    let mut miners = Vec::new();
    for _ in 0..255 {
        miners.push(pool.miner().await);
    }
    let mut late = pool.connect().await;
    assert!(late.hear_out().await.concat().contains("the pool is full"));
}

#[tokio::test]
async fn who_connects_too_often_is_told_to_wait() {
    let mut wish = Wish::strict(Limits::default());
    wish.rules.door = DoorRules { exempt: Vec::new(), connect_burst_max: 3, connects_per_second_max: 1 };
    let pool = Pool::start(wish);
    let mut said = String::new();
    for _ in 0..50 {
        let mut hasty = pool.connect().await;
        hasty.stream.shutdown().await.unwrap();
        said.push_str(&hasty.hear_out().await.concat());
    }
    assert!(said.contains("connects too often"), "{said}");
}

// TLS and proxies.

/// A listener with a new certificate, and a client that trusts it.
fn tls_pair(proxy: ProxyRule) -> (Listener, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(vec!["pool.test".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = tls::config(vec![made.cert.der().clone()], key).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Listener::from_std(socket, Some(server), proxy).unwrap(), TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn tls_carries_the_same_conversation() {
    let (listener, connector) = tls_pair(ProxyRule::Refused);
    let pool = Pool::start_on(Wish::default(), listener);
    let stream = TcpStream::connect(pool.address).await.unwrap();
    let stream = connector.connect("pool.test".try_into().unwrap(), stream).await.unwrap();
    let mut miner = Miner::new(stream);
    miner.log_in().await;
    miner.submit(7, 1, 3).await;
    assert!(miner.hear_about(r#""id":7,"#).await.contains("true"));
    pool.work.send_replace(job(2));
    miner.hear_about(r#""params":["2","#).await;
    assert!(pool.desk.callers.lock().unwrap()[0].tls);
}

#[tokio::test]
async fn certificates_come_from_files() {
    let folder = std::env::temp_dir().join(format!("pool-stratum-net-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["pool.test".to_owned()]).unwrap();
    let files = TlsFiles { certificates: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificates, made.cert.pem()).unwrap();
    let rules = ListenerRules { tls: Some(files.clone()), ..loopback() };
    assert!(bind(&rules).unwrap_err().to_string().contains("key.pem"));
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    assert!(bind(&rules).is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_handshake_that_stalls_gives_its_place_back() {
    let (listener, _connector) = tls_pair(ProxyRule::Refused);
    let mut wish = Wish::default();
    wish.rules.handshake_ms_max = 200;
    let pool = Pool::start_on(wish, listener);
    let mut stalled = TcpStream::connect(pool.address).await.unwrap();
    stalled.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    pool.until_connections(1).await;
    pool.until_connections(0).await;
}

fn caller(desk: &Desk) -> String {
    desk.callers.lock().unwrap().last().unwrap().address.to_string()
}

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 198.51.100.2 40000 3333\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x0a\xc6\x33\x64\x02\x9c\x40\x0d\x05";

#[tokio::test]
async fn a_proxy_header_names_the_miner_also_before_tls_and_in_pieces() {
    for (header, client) in [(V1, "203.0.113.9:40000"), (V2, "203.0.113.10:40000")] {
        let pool = Pool::start_on(trusting(Wish::default()), proxied(ProxyRule::Required));
        let mut miner = pool.connect().await;
        for byte in header {
            miner.stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        miner.log_in().await;
        assert_eq!(caller(&pool.desk), client);

        let (listener, connector) = tls_pair(ProxyRule::Accepted);
        let pool = Pool::start_on(trusting(Wish::default()), listener);
        let mut stream = TcpStream::connect(pool.address).await.unwrap();
        stream.write_all(header).await.unwrap();
        let stream = connector.connect("pool.test".try_into().unwrap(), stream).await.unwrap();
        Miner::new(stream).log_in().await;
        assert_eq!(caller(&pool.desk), client);
    }
}

#[tokio::test]
async fn a_required_header_is_required_and_an_accepted_one_is_not() {
    let pool = Pool::start_on(trusting(Wish::default()), proxied(ProxyRule::Required));
    let mut miner = pool.connect().await;
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1.0"]}"#).await;
    assert_eq!(miner.hear_out().await, Vec::<String>::new());

    let pool = Pool::start_on(trusting(Wish::default()), proxied(ProxyRule::Accepted));
    let mut miner = pool.miner().await;
    assert!(caller(&pool.desk).starts_with("127.0.0.1:"));
    miner.submit(7, 1, 3).await;
    assert!(miner.hear_about(r#""id":7,"#).await.contains("true"));
}

#[tokio::test]
async fn a_header_from_anyone_else_is_garbage() {
    for rule in [ProxyRule::Refused, ProxyRule::Required] {
        // Nobody is trusted, so the peer is served as itself, and a header is not for it to send.
        let pool = Pool::start_on(Wish::strict(Limits::default()), proxied(rule));
        let mut liar = pool.connect().await;
        liar.stream.write_all(V1).await.unwrap();
        liar.hear_out().await;
        let mut again = pool.connect().await;
        assert!(again.hear_out().await.concat().contains("PROXY header from an untrusted peer"));
        assert!(pool.desk.callers.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_trusted_header_that_is_broken_or_late_ends_the_connection_and_bans_nobody() {
    let mut wish = trusting(Wish::default());
    wish.rules.proxy_ms_max = 200;
    let pool = Pool::start_on(wish, proxied(ProxyRule::Accepted));
    for broken in [&b"PROXY TCP4 nonsense\r\n"[..], b"PROXY TCP4 1", b""] {
        let mut proxy = pool.connect().await;
        proxy.stream.write_all(broken).await.unwrap();
        assert_eq!(proxy.hear_out().await, Vec::<String>::new());
    }
    pool.until_connections(0).await;
    pool.miner().await;
}

#[tokio::test]
async fn a_ban_meets_the_carried_address_and_not_the_proxy() {
    let pool = Pool::start_on(trusting(Wish::strict(Limits::default())), proxied(ProxyRule::Required));
    let mut bad = pool.connect().await;
    bad.stream.write_all(V1).await.unwrap();
    for _ in 0..5 {
        bad.say("garbage").await;
    }
    bad.hear_out().await;
    let mut again = pool.connect().await;
    again.stream.write_all(V1).await.unwrap();
    assert!(again.hear_out().await.concat().contains("banned"));
    let mut other = pool.connect().await;
    other.stream.write_all(V2).await.unwrap();
    other.log_in().await;
    pool.until_connections(1).await;
}
