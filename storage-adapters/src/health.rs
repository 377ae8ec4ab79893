//! Whether a store still takes writes, as a value to show and a change to wait for.

use std::sync::Arc;

/// Whether a store still takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Sound,
    /// A write or a sync failed, for this reason. Nothing more is acknowledged: not ready, alarm, restart.
    Poisoned(Arc<str>),
}

impl Health {
    /// True while writes are taken.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        matches!(self, Self::Sound)
    }
}

/// A store's health, from outside of it. Holding one does not keep the store open.
#[derive(Clone, Debug)]
pub struct HealthWatch {
    #[cfg(feature = "sqlite")]
    changes: Option<tokio::sync::watch::Receiver<Health>>,
}

impl HealthWatch {
    /// Of a store that cannot fail.
    #[cfg(feature = "sqlite")]
    pub(crate) const fn always_sound() -> Self {
        Self {
            #[cfg(feature = "sqlite")]
            changes: None,
        }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) const fn of(changes: tokio::sync::watch::Receiver<Health>) -> Self {
        Self { changes: Some(changes) }
    }

    /// The health now: what a readiness probe answers by.
    #[must_use]
    pub fn now(&self) -> Health {
        #[cfg(feature = "sqlite")]
        if let Some(changes) = &self.changes {
            return changes.borrow().clone();
        }
        Health::Sound
    }

    /// Waits until the store is poisoned and says why: what an alarm waits for. Never returns for a store that stays
    /// sound, nor for one that was closed in good order. Cancel-safe.
    pub async fn poisoned(&mut self) -> Arc<str> {
        #[cfg(feature = "sqlite")]
        if let Some(changes) = &mut self.changes
            && let Ok(health) = changes.wait_for(|health| !health.is_sound()).await
            && let Health::Poisoned(reason) = &*health
        {
            return Arc::clone(reason);
        }
        std::future::pending().await
    }
}
