//! What an [`EventBus`] promises. It may lose what a slow listener has not heard; a listener who listens misses
//! nothing as long as he is less than a hundred events behind.

use super::{at, at_once, block_id, coin, hostile_texts, miner};
use crate::event::PoolEvent;
use crate::id::PayoutId;
use crate::ports::{EventBus, Subscription};
use crate::units::Amount;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

fn alarm(message: impl ToString) -> PoolEvent {
    PoolEvent::Alarm { message: message.to_string(), at: at(0) }
}

async fn tell(bus: &Arc<dyn EventBus>, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        bus.publish(&alarm(n)).await.unwrap();
    }
}

/// The next alarm's message.
async fn hear(subscription: &mut Box<dyn Subscription>) -> String {
    match subscription.next().await {
        Some(PoolEvent::Alarm { message, .. }) => message,
        other => panic!("expected an alarm, heard {other:?}"),
    }
}

async fn hear_all(subscription: &mut Box<dyn Subscription>, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        assert_eq!(hear(subscription).await, n.to_string());
    }
}

/// Telling nobody is no error.
pub async fn nobody_need_listen(bus: Arc<dyn EventBus>) {
    tell(&bus, 0..10).await;
}

/// Each listener hears each event, in the order of telling.
pub async fn every_listener_hears_every_event_in_order(bus: Arc<dyn EventBus>) {
    let mut listeners = Vec::new();
    for _ in 0..5 {
        listeners.push(bus.subscribe().await.unwrap());
    }
    for round in 0..3 {
        tell(&bus, round * 10..round * 10 + 10).await;
        for listener in &mut listeners {
            hear_all(listener, round * 10..round * 10 + 10).await;
        }
    }
}

/// Listening begins with the subscription.
pub async fn nothing_from_before_is_heard(bus: Arc<dyn EventBus>) {
    tell(&bus, 0..5).await;
    let mut early = bus.subscribe().await.unwrap();
    tell(&bus, 5..6).await;
    let mut late = bus.subscribe().await.unwrap();
    tell(&bus, 6..7).await;
    hear_all(&mut early, [5, 6]).await;
    hear_all(&mut late, [6]).await;
}

/// What is heard is what was told: all kinds, whole ranges, all words.
pub async fn every_kind_of_event_comes_through(bus: Arc<dyn EventBus>) {
    let mut listener = bus.subscribe().await.unwrap();
    let (coin, block, at, most) = (coin(), block_id(1), at(1), Amount::new(u128::MAX));
    let mut events = Vec::from([
        PoolEvent::BlockFound { coin: coin.clone(), block, miner: miner(1), at },
        PoolEvent::BlockConcluded { coin: coin.clone(), block, value: Amount::ZERO, at },
        PoolEvent::BlockConcluded { coin: coin.clone(), block, value: most, at },
        PoolEvent::PayoutSettled {
            coin: coin.clone(),
            payout: PayoutId::new(&coin, u64::MAX),
            total: most,
            at,
        },
    ]);
    events.extend(hostile_texts().into_iter().filter(|text| text.len() < 1_000).map(alarm));
    for event in events {
        bus.publish(&event).await.unwrap();
        assert_eq!(listener.next().await, Some(event));
    }
}

/// Who goes is forgotten, and the others hear on.
pub async fn a_listener_who_leaves_disturbs_nobody(bus: Arc<dyn EventBus>) {
    let leaving = bus.subscribe().await.unwrap();
    let mut staying = bus.subscribe().await.unwrap();
    tell(&bus, 0..2).await;
    drop(leaving);
    tell(&bus, 2..4).await;
    hear_all(&mut staying, 0..4).await;
}

/// A publisher waits for nobody: the sleeper misses the oldest, hears what is left in order, and the newest surely.
pub async fn a_listener_who_sleeps_delays_nobody_and_hears_the_newest(bus: Arc<dyn EventBus>) {
    const EVENTS: u64 = 5_000;
    let mut sleeping = bus.subscribe().await.unwrap();
    let mut awake = bus.subscribe().await.unwrap();
    for n in 0..EVENTS {
        bus.publish(&alarm(n)).await.unwrap();
        hear_all(&mut awake, [n]).await;
    }
    let mut last = None;
    while last != Some(EVENTS - 1) {
        let heard: u64 = hear(&mut sleeping).await.parse().unwrap();
        assert!(last.is_none_or(|last| heard > last), "{heard} behind {last:?}");
        last = Some(heard);
    }
}

/// `next` is cancel-safe: a wait that was given up takes no event with it.
pub async fn giving_up_waiting_loses_no_event(bus: Arc<dyn EventBus>) {
    let mut listener = bus.subscribe().await.unwrap();
    for n in 0..10 {
        {
            let mut next = pin!(listener.next());
            let polled = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
            assert!(polled.is_pending(), "heard {polled:?} before anybody told it");
            tell(&bus, [n]).await;
            // Given up here, with the event on its way.
        }
        hear_all(&mut listener, [n]).await;
    }
}

/// A listener who waits is woken by the event.
pub async fn a_waiting_listener_is_woken(bus: Arc<dyn EventBus>) {
    for round in 0..20 {
        let mut listener = bus.subscribe().await.unwrap();
        let waiting = tokio::spawn(async move { hear(&mut listener).await });
        tokio::task::yield_now().await;
        tell(&bus, [round]).await;
        assert_eq!(waiting.await.unwrap(), round.to_string());
    }
}

/// Many tell at once: a listener who keeps up hears each publisher's events in their order.
pub async fn many_publishers_are_all_heard(bus: Arc<dyn EventBus>) {
    let mut listener = bus.subscribe().await.unwrap();
    let publishers = (0..8).map(|publisher: u64| {
        let bus = Arc::clone(&bus);
        async move {
            for n in 0..10 {
                bus.publish(&alarm(format!("{publisher} {n}"))).await.unwrap();
            }
        }
    });
    at_once(publishers).await;
    let mut next = [0u64; 8];
    for _ in 0..80 {
        let heard = hear(&mut listener).await;
        let (publisher, n) = heard.split_once(' ').unwrap();
        let publisher: usize = publisher.parse().unwrap();
        assert_eq!(n.parse(), Ok(next[publisher]), "publisher {publisher}");
        next[publisher] += 1;
    }
    assert_eq!(next, [10; 8]);
}
