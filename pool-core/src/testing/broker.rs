//! What a [`Broker`] promises.

use super::{ALL, at_once, hostile_texts};
use crate::id::Seq;
use crate::ports::{Broker, Message};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

fn payload(n: u64) -> Vec<u8> {
    format!("message {n}").into_bytes()
}

fn payloads(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.payload.clone()).unwrap()).collect()
}

async fn publish(broker: &Arc<dyn Broker>, topic: &str, numbers: impl IntoIterator<Item = u64>) -> Seq {
    broker.publish(topic, &numbers.into_iter().map(payload).collect::<Vec<_>>()).await.unwrap()
}

/// A topic nobody wrote to has no messages, and committing to it is no error.
pub async fn an_unknown_topic_is_empty(broker: Arc<dyn Broker>) {
    assert_eq!(broker.fetch("nothing", "group", ALL).await.unwrap(), vec![]);
    broker.commit("nothing", "group", Seq::new(0)).await.unwrap();
    assert_eq!(broker.fetch("nothing", "group", ALL).await.unwrap(), vec![]);
}

/// In the order of publishing; publish answers with the place of the batch's last message.
pub async fn messages_come_in_order(broker: Arc<dyn Broker>) {
    let mut told = Vec::new();
    for batch in [0..1, 1..4, 4..5, 5..9] {
        told.push((publish(&broker, "topic", batch.clone()).await, batch.end - 1));
    }
    let messages = broker.fetch("topic", "group", ALL).await.unwrap();
    assert_eq!(payloads(&messages), (0..9).map(|n| format!("message {n}")).collect::<Vec<_>>());
    assert!(messages.is_sorted_by(|a, b| a.seq < b.seq), "places grow");
    assert!(messages[0].seq >= Seq::new(1), "0 stands before all");
    for (seq, last) in told {
        assert_eq!(messages[usize::try_from(last).unwrap()].seq, seq);
    }
}

/// An empty batch changes nothing.
pub async fn an_empty_batch_adds_nothing(broker: Arc<dyn Broker>) {
    broker.publish("topic", &[]).await.unwrap();
    assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap(), vec![]);
    let last = publish(&broker, "topic", 0..2).await;
    assert_eq!(broker.publish("topic", &[]).await.unwrap(), last);
    assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap().len(), 2);
}

/// Fetching moves nothing; what was not committed is delivered again, in the same places.
pub async fn what_was_not_committed_comes_again(broker: Arc<dyn Broker>) {
    publish(&broker, "topic", 0..5).await;
    let first = broker.fetch("topic", "group", ALL).await.unwrap();
    assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap(), first);
    broker.commit("topic", "group", first[1].seq).await.unwrap();
    assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap(), first[2..]);
    assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap(), first[2..]);
    broker.commit("topic", "group", first[4].seq).await.unwrap();
    assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap(), vec![]);
    publish(&broker, "topic", 5..6).await;
    assert_eq!(payloads(&broker.fetch("topic", "group", ALL).await.unwrap()), ["message 5"]);
}

/// A late, lower commit (of a consumer who was replaced) delivers nothing twice.
pub async fn a_position_never_moves_back(broker: Arc<dyn Broker>) {
    publish(&broker, "topic", 0..5).await;
    let all = broker.fetch("topic", "group", ALL).await.unwrap();
    for upto in [all[3].seq, all[1].seq, Seq::new(0), all[3].seq] {
        broker.commit("topic", "group", upto).await.unwrap();
        assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap(), all[4..]);
    }
}

/// One group's commits are its own.
pub async fn groups_do_not_see_each_other(broker: Arc<dyn Broker>) {
    publish(&broker, "topic", 0..4).await;
    let all = broker.fetch("topic", "one", ALL).await.unwrap();
    broker.commit("topic", "one", all[3].seq).await.unwrap();
    broker.commit("topic", "two", all[0].seq).await.unwrap();
    assert_eq!(broker.fetch("topic", "one", ALL).await.unwrap(), vec![]);
    assert_eq!(broker.fetch("topic", "two", ALL).await.unwrap(), all[1..]);
    assert_eq!(broker.fetch("topic", "three", ALL).await.unwrap(), all);
}

/// A group that never committed has everything before it, however late it comes.
pub async fn a_late_group_begins_at_the_beginning(broker: Arc<dyn Broker>) {
    publish(&broker, "topic", 0..3).await;
    let all = broker.fetch("topic", "early", ALL).await.unwrap();
    broker.commit("topic", "early", all[2].seq).await.unwrap();
    publish(&broker, "topic", 3..4).await;
    assert_eq!(broker.fetch("topic", "late", ALL).await.unwrap().len(), 4);
}

/// One topic's messages and positions are its own.
pub async fn topics_do_not_see_each_other(broker: Arc<dyn Broker>) {
    publish(&broker, "one", 0..3).await;
    publish(&broker, "two", 3..5).await;
    let one = broker.fetch("one", "group", ALL).await.unwrap();
    assert_eq!(payloads(&one), ["message 0", "message 1", "message 2"]);
    broker.commit("one", "group", one[2].seq).await.unwrap();
    let two = broker.fetch("two", "group", ALL).await.unwrap();
    assert_eq!(payloads(&two), ["message 3", "message 4"]);
}

/// Page by page is the whole; a page of nothing is empty.
pub async fn messages_come_in_pages(broker: Arc<dyn Broker>) {
    publish(&broker, "topic", 0..20).await;
    let all = broker.fetch("topic", "whole", ALL).await.unwrap();
    assert_eq!(broker.fetch("topic", "whole", 0).await.unwrap(), vec![]);
    for limit in [1, 6, 20, 21] {
        let group = format!("pages of {limit}");
        let mut joined = Vec::new();
        loop {
            let page = broker.fetch("topic", &group, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            broker.commit("topic", &group, last.seq).await.unwrap();
            joined.extend(page);
        }
        assert_eq!(joined, all, "{group}");
    }
}

/// A message is any bytes: none, all values, many.
pub async fn payloads_are_any_bytes(broker: Arc<dyn Broker>) {
    let batch = [vec![], vec![0], (0..=255).collect(), vec![0xff; 1 << 20], vec![]];
    broker.publish("topic", &batch).await.unwrap();
    let messages = broker.fetch("topic", "group", ALL).await.unwrap();
    assert!(messages.iter().map(|message| &message.payload).eq(&batch));
}

/// Names of topics and groups that look alike to a careless store are different ones.
pub async fn hostile_names_stay_apart(broker: Arc<dyn Broker>) {
    let names = hostile_texts();
    for (n, name) in (0..).zip(&names) {
        publish(&broker, name, [n, n + 1_000]).await;
    }
    for (n, name) in (0..).zip(&names) {
        let messages = broker.fetch(name, name, ALL).await.unwrap();
        let expected = [format!("message {n}"), format!("message {}", n + 1_000)];
        assert_eq!(payloads(&messages), expected, "{name:?}");
        broker.commit(name, name, messages[0].seq).await.unwrap();
    }
    for name in &names {
        assert_eq!(broker.fetch(name, name, ALL).await.unwrap().len(), 1, "{name:?}");
        assert_eq!(broker.fetch(name, "nobody's", ALL).await.unwrap().len(), 2, "{name:?}");
    }
    // Topic and group are two names, not one joined text.
    publish(&broker, "ab", [1]).await;
    publish(&broker, "a", [2]).await;
    let last = broker.fetch("ab", "c", ALL).await.unwrap()[0].seq;
    broker.commit("ab", "c", last).await.unwrap();
    assert!(!broker.fetch("a", "bc", ALL).await.unwrap().is_empty());
}

/// Many publish to one topic: every message is there once per publishing, each batch in its order.
pub async fn no_message_of_many_publishers_is_lost(broker: Arc<dyn Broker>) {
    let publishers = (0..10).map(|publisher: u64| {
        let broker = Arc::clone(&broker);
        async move {
            let mut told = Vec::new();
            for round in 0..5 {
                let first = publisher * 100 + round * 10;
                told.push((publish(&broker, "topic", first..first + 3).await, first));
            }
            told
        }
    });
    let told = at_once(publishers).await;
    let messages = broker.fetch("topic", "group", ALL).await.unwrap();
    assert_eq!(messages.len(), 10 * 5 * 3);
    assert!(messages.is_sorted_by(|a, b| a.seq < b.seq), "places grow");
    let by_place: BTreeMap<Seq, &[u8]> =
        messages.iter().map(|message| (message.seq, message.payload.as_slice())).collect();
    let place = |n: u64| messages.iter().position(|message| message.payload == payload(n)).unwrap();
    for publisher in &told {
        assert!(publisher.is_sorted(), "one publisher's batches stand in the order he was told of them");
        for (last, first) in publisher {
            assert_eq!(by_place[last], payload(first + 2));
            assert!(place(*first) < place(first + 1) && place(first + 1) < place(first + 2), "batch {first}");
        }
    }
}

/// A consumer who commits what he read, beside publishers, sees every message once and in order.
pub async fn a_consumer_beside_publishers_misses_nothing(broker: Arc<dyn Broker>) {
    const PUBLISHERS: u64 = 4;
    const ROUNDS: u64 = 15;
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    publish(&broker, "topic", [publisher * 1_000 + round]).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut seen: Vec<Message> = Vec::new();
    while seen.len() < usize::try_from(PUBLISHERS * ROUNDS).unwrap() {
        let page = broker.fetch("topic", "group", 5).await.unwrap();
        if let Some(last) = page.last() {
            broker.commit("topic", "group", last.seq).await.unwrap();
        }
        seen.extend(page);
        tokio::task::yield_now().await;
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert!(seen.is_sorted_by(|a, b| a.seq < b.seq), "a message came late or twice");
    assert_eq!(broker.fetch("topic", "group", ALL).await.unwrap(), vec![]);
    assert_eq!(broker.fetch("topic", "another", ALL).await.unwrap(), seen);
}
