//! The roles of the pool. Each is a loop around a step that the libraries provide; what a step does, they say.

pub mod blocks;
pub mod gateway;
pub mod jobs;
pub mod payouts;
pub mod processor;
pub mod proofs;
pub mod rewards;
pub mod stratum;

use crate::clock::Clock;
use crate::status::Status;
use pool_core::event::PoolEvent;
use pool_core::id::CoinId;
use pool_core::ports::{StoreError, Stores};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Tells every role to stop; cloned freely.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop signal and the hand that gives it.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Resolves when the process is to stop (or whoever could say so is gone).
    pub async fn requested(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// True once the process is to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// [`Stop::requested`], for who keeps the future.
    pub async fn heard(mut self) {
        self.requested().await;
    }

    /// Waits for `length`; false when the stop came first.
    pub async fn pause(&mut self, length: Duration) -> bool {
        tokio::select! {
            () = self.requested() => false,
            () = tokio::time::sleep(length) => true,
        }
    }
}

/// A role that cannot go on. The process stops and says so; started again it recovers from the records.
#[derive(Debug, thiserror::Error)]
#[error("{role}: {cause:#}")]
pub struct Fatal {
    /// Which role.
    pub role: &'static str,
    /// Why.
    pub cause: anyhow::Error,
}

impl Fatal {
    /// A role's last words.
    pub fn new(role: &'static str, cause: impl Into<anyhow::Error>) -> Self {
        Self { role, cause: cause.into() }
    }

    /// `Ok` for a store that may answer later, the error for one that never will.
    ///
    /// # Errors
    /// [`Fatal`] for every error that is not transient.
    pub fn unless_transient(role: &'static str, status: &Status, error: StoreError) -> Result<(), Self> {
        if error.is_transient() {
            tracing::warn!(role, %error, "storage did not answer, trying again");
            status.trouble(role, Some(error.to_string()));
            Ok(())
        } else {
            Err(Self::new(role, error))
        }
    }
}

/// What the roles of one coin share.
#[derive(Clone, Debug)]
pub struct Base {
    /// The coin, also as a label of metrics.
    pub coin: CoinId,
    /// The records.
    pub stores: Stores,
    /// Live facts.
    pub status: Arc<Status>,
    /// The time.
    pub clock: Clock,
}

impl Base {
    /// The coin as a metric's label.
    #[must_use]
    pub fn label(&self) -> String {
        self.coin.to_string()
    }

    /// Tells whoever listens; nothing depends on it.
    pub async fn tell(&self, event: PoolEvent) {
        if let Err(error) = self.stores.events.publish(&event).await {
            tracing::debug!(%error, "an event was not told");
        }
    }

    /// Tells the operator: in the log, on the pages, to listeners.
    pub async fn alarm(&self, part: &'static str, message: String) {
        tracing::error!(coin = %self.coin, part, message, "ALARM");
        self.status.trouble(part, Some(message.clone()));
        self.tell(PoolEvent::Alarm { message, at: self.clock.now() }).await;
    }
}
