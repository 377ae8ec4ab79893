//! What one submit costs without its proof: a line in, the decision, the outcome in, the reply out.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pool_core::id::{JobId, MinerId, Worker, WorkerName};
use pool_core::limits::Limits;
use pool_core::time::{Micros, Moment};
use pool_core::units::Work;
use pool_core::vardiff::{VardiffRules, WorkRange};
use pool_stratum::dialect::kaspa::{Kaspa, KaspaWork};
use pool_stratum::extranonce::{ExtranonceSpace, SpaceRules};
use pool_stratum::frame::LineBuffer;
use pool_stratum::jobs::JobRing;
use pool_stratum::session::{Action, Input, Login, Outcome, Session, SessionRules};
use std::hint::black_box;
use std::sync::Arc;

fn job(id: u64) -> Arc<KaspaWork> {
    Arc::new(KaspaWork { id: JobId::new(id), pre_pow: [id as u8; 32], timestamp: id, clean: false })
}

fn mining(ring: &Arc<JobRing<Kaspa>>) -> Session<Kaspa> {
    let work = |whole: u128| Work::new(whole << 32).expect("not zero");
    let range = WorkRange::new(work(1), work(1 << 30)).expect("a range");
    let vardiff = VardiffRules::new(Micros::from_secs(3), range, work(8192)).expect("rules");
    let rules = Arc::new(SessionRules::new(Kaspa::default(), Limits::default(), vardiff, Arc::clone(ring)));
    let space = SpaceRules { width: 2, instance_bits: 0, instance: 0, rest: Micros::from_secs(300) };
    let lease = ExtranonceSpace::new(space).expect("a space").take(Moment::ZERO).expect("a lease");
    let mut session = Session::new(rules, lease, Moment::ZERO);
    session
        .handle(Moment::ZERO, Input::Frame(br#"{"id":1,"method":"mining.subscribe","params":["lolMiner"]}"#));
    session.handle(
        Moment::ZERO,
        Input::Frame(br#"{"id":2,"method":"mining.authorize","params":["a.b","d=8192"]}"#),
    );
    let worker = Worker { miner: MinerId::new("a").expect("a name"), name: WorkerName::clean("b") };
    while let Some(action) = session.poll() {
        if let Action::Login { ticket, .. } = action {
            let result = Ok(Login { worker: worker.clone(), start: None });
            session.handle(Moment::ZERO, Input::LoggedIn { ticket, result });
        }
    }
    session.handle(Moment::ZERO.after(Micros::from_millis(100)), Input::Tick);
    while session.poll().is_some() {}
    session
}

fn benches(c: &mut Criterion) {
    let ring = Arc::new(JobRing::new(300, Micros::from_secs(1 << 30)));
    ring.publish(Moment::ZERO, job(1)).expect("the first job");
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(1));

    let (mut session, mut nonce, mut now, mut id) = (mining(&ring), 0u64, Moment::ZERO, 1);
    let mut lines = LineBuffer::new(8192);
    group.bench_function("submit round trip, accepted", |b| {
        b.iter(|| {
            nonce += 1;
            now = now.after(Micros::from_secs(3));
            if nonce.is_multiple_of(16) {
                id += 1;
                let posted = ring.publish(now, job(id)).expect("ids grow");
                session.handle(now, Input::Job(posted));
                while session.poll().is_some() {}
            }
            let line = format!("{{\"id\":{nonce},\"method\":\"mining.submit\",\"params\":[\"kaspa:qqq.rig0\",\"{id}\",\"{nonce:012x}\"]}}\n");
            lines.push(now, line.as_bytes());
            let line = lines.line().expect("short").expect("whole");
            session.handle(now, Input::Frame(line));
            let Some(Action::Prove(submission)) = session.poll() else { panic!("no proof was asked for") };
            session.handle(now, Input::Settled { ticket: submission.ticket, outcome: Outcome::Accepted });
            while let Some(action) = session.poll() {
                black_box(action);
            }
            assert_eq!(lines.line().map(|line| line.is_none()), Ok(true));
        });
    });

    let (mut session, now) = (mining(&ring), now);
    group.bench_function("job to one connection", |b| {
        b.iter(|| {
            id += 1;
            let posted = ring.publish(now, job(id)).expect("ids grow");
            session.handle(now, Input::Job(posted));
            while let Some(action) = session.poll() {
                black_box(action);
            }
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
