//! Who may come in: limits in total and per host, a connect rate per host, and bans that are narrow and expire.
//!
//! A value with the clock as an argument; the server keeps it behind a lock. A place is taken *before* anything
//! expensive is done for a connection (a TLS handshake above all) and given back when it ends. A ban keeps new
//! connections of one [`Host`] out for a short while and says why; connections already open are never closed by it,
//! because behind one address there may be a farm of honest miners beside the broken one. Exempt ranges (loopback and
//! the trusted proxies) are only counted in total: a proxy must not be banned for what it carries.
//!
//! The table of hosts is bounded. When it is full, the host that would be forgotten soonest anyway makes room, and
//! never one that has connections open.

use super::host::{Cidr, Host};
use pool_core::limits::Limits;
use pool_core::time::{Micros, Moment};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What the door decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoorRules {
    /// Ranges that are neither banned nor limited per host; they count in total. Default: loopback.
    pub exempt: Vec<Cidr>,
    /// Connections one host may open at once after a quiet while. A farm behind one address reconnects together.
    pub connect_burst_max: u32,
    /// Connections per second that one host may open in the long run.
    pub connects_per_second_max: u32,
}

impl Default for DoorRules {
    fn default() -> Self {
        Self {
            exempt: vec![Cidr::LOOPBACK_V4, Cidr::LOOPBACK_V6],
            connect_burst_max: 2_048,
            connects_per_second_max: 64,
        }
    }
}

/// Why a host is banned: what it did on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Offence {
    /// Lines that are no stratum, again and again, or a line without end.
    #[error("garbage instead of stratum")]
    Garbage,
    /// A PROXY header from a peer that is no trusted proxy.
    #[error("PROXY header from an untrusted peer")]
    ForeignProxy,
}

impl Offence {
    /// The offence as a metric's label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::ForeignProxy => "foreign_proxy",
        }
    }
}

/// Why a connection is not let in. The text is told to the client where the protocol allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The pool has as many connections as it may hold.
    #[error("the pool is full, try again later")]
    Full,
    /// This host has as many connections as one host may hold.
    #[error("too many connections from your address")]
    HostFull,
    /// This host connects too often.
    #[error("your address connects too often, wait {wait_secs} s")]
    TooOften {
        /// Seconds until one connection would be let in.
        wait_secs: u64,
    },
    /// This host is banned for a while.
    #[error("your address is banned for {wait_secs} s: {offence}")]
    Banned {
        /// What it did.
        offence: Offence,
        /// Seconds until the ban ends.
        wait_secs: u64,
    },
}

impl Refusal {
    /// The refusal as a metric's label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::HostFull => "host_full",
            Self::TooOften { .. } => "too_often",
            Self::Banned { .. } => "banned",
        }
    }
}

/// A place behind the door: whose it is, so that it can be given back.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place must be given back with Door::leave"]
pub struct Place {
    host: Option<Host>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    open: usize,
    /// The token bucket as a point in time: when it will be full again. Full now if that lies in the past.
    full_at: Moment,
    ban: Option<(Offence, Moment)>,
}

impl Entry {
    /// When nothing is left to remember, once no connection is open.
    fn forget_at(&self) -> Moment {
        self.ban.map_or(self.full_at, |(_, until)| until.max(self.full_at))
    }
}

/// The door's state.
#[derive(Debug)]
pub struct Door {
    rules: DoorRules,
    connections_max: usize,
    connections_per_host_max: usize,
    hosts_tracked_max: usize,
    ban: Micros,
    open: usize,
    hosts: BTreeMap<Host, Entry>,
    /// Hosts without open connections, soonest forgotten first.
    idle: BTreeSet<(Moment, Host)>,
}

impl Door {
    /// A door with nobody behind it.
    #[must_use]
    pub const fn new(rules: DoorRules, limits: &Limits) -> Self {
        Self {
            rules,
            connections_max: limits.connections_max,
            connections_per_host_max: limits.connections_per_host_max,
            hosts_tracked_max: limits.hosts_tracked_max,
            ban: Micros::from_secs(limits.ban_secs),
            open: 0,
            hosts: BTreeMap::new(),
            idle: BTreeSet::new(),
        }
    }

    /// Connections that hold a place now.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// Hosts remembered now.
    #[must_use]
    pub fn hosts_tracked(&self) -> usize {
        self.hosts.len()
    }

    /// True when `address` is neither banned nor limited on its own.
    #[must_use]
    pub fn is_exempt(&self, address: IpAddr) -> bool {
        self.rules.exempt.iter().any(|range| range.contains(address))
    }

    /// Takes a place for a connection from `address`.
    ///
    /// # Errors
    /// [`Refusal`]: no place was taken; the refusal says what to tell the client.
    pub fn enter(&mut self, now: Moment, address: IpAddr) -> Result<Place, Refusal> {
        let place = self.reserve()?;
        self.settle(now, place, address)
    }

    /// Takes a place in total for a connection whose client is not known yet: a trusted proxy will name it.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn reserve(&mut self) -> Result<Place, Refusal> {
        if self.open >= self.connections_max {
            return Err(Refusal::Full);
        }
        self.open += 1;
        Ok(Place { host: None })
    }

    /// Puts the client's address to a reserved place.
    ///
    /// # Errors
    /// [`Refusal`]: the place was given back.
    pub fn settle(&mut self, now: Moment, place: Place, address: IpAddr) -> Result<Place, Refusal> {
        if self.is_exempt(address) {
            return Ok(place);
        }
        let host = Host::from(address);
        match self.admit(now, host) {
            Ok(()) => Ok(Place { host: Some(host) }),
            Err(refusal) => {
                self.leave(place);
                Err(refusal)
            }
        }
    }

    fn admit(&mut self, now: Moment, host: Host) -> Result<(), Refusal> {
        let mut entry = self.entry(now, host)?;
        if let Some((offence, until)) = entry.ban.filter(|(_, until)| *until > now) {
            return Err(Refusal::Banned { offence, wait_secs: secs_up(until.since(now)) });
        }
        if entry.open >= self.connections_per_host_max {
            return Err(Refusal::HostFull);
        }
        // Each connection moves "full again" one step further; a burst's worth of steps ahead of now, the bucket is
        // empty.
        let step = 1_000_000 / u64::from(self.rules.connects_per_second_max.max(1));
        let depth = step.saturating_mul(u64::from(self.rules.connect_burst_max.max(1)));
        let full_at = entry.full_at.max(now).after(Micros::new(step));
        let ahead = full_at.since(now).get();
        if ahead > depth {
            return Err(Refusal::TooOften { wait_secs: secs_up(Micros::new(ahead - depth)) });
        }
        entry.full_at = full_at;
        entry.open += 1;
        self.store(host, entry);
        Ok(())
    }

    /// Gives a place back.
    pub fn leave(&mut self, place: Place) {
        self.open = self.open.saturating_sub(1);
        if let Some(host) = place.host
            && let Some(mut entry) = self.hosts.get(&host).copied()
        {
            entry.open = entry.open.saturating_sub(1);
            self.store(host, entry);
        }
    }

    /// Keeps new connections of the host behind `place` out for [`Limits::ban_secs`]. Nothing happens to an exempt
    /// one. True when a ban stands.
    pub fn ban(&mut self, now: Moment, place: &Place, offence: Offence) -> bool {
        let Some(host) = place.host else { return false };
        let Some(mut entry) = self.hosts.get(&host).copied() else { return false };
        entry.ban = Some((offence, now.after(self.ban)));
        self.store(host, entry);
        true
    }

    /// Hosts that are banned now.
    #[must_use]
    pub fn banned(&self, now: Moment) -> usize {
        self.hosts.values().filter(|entry| entry.ban.is_some_and(|(_, until)| until > now)).count()
    }

    /// What is known of a host; room is made for one that is new.
    fn entry(&mut self, now: Moment, host: Host) -> Result<Entry, Refusal> {
        if let Some(entry) = self.hosts.get(&host) {
            return Ok(*entry);
        }
        while let Some(&(forget_at, oldest)) = self.idle.first()
            && (forget_at <= now || self.hosts.len() >= self.hosts_tracked_max)
        {
            self.idle.pop_first();
            self.hosts.remove(&oldest);
        }
        if self.hosts.len() >= self.hosts_tracked_max {
            return Err(Refusal::Full);
        }
        Ok(Entry { open: 0, full_at: now, ban: None })
    }

    fn store(&mut self, host: Host, entry: Entry) {
        if let Some(before) = self.hosts.insert(host, entry)
            && before.open == 0
        {
            self.idle.remove(&(before.forget_at(), host));
        }
        if entry.open == 0 {
            self.idle.insert((entry.forget_at(), host));
        }
    }
}

const fn secs_up(length: Micros) -> u64 {
    length.get().div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Moment = Moment::new(1_000_000_000);

    fn limits() -> Limits {
        Limits {
            connections_max: 10,
            connections_per_host_max: 3,
            hosts_tracked_max: 5,
            ban_secs: 60,
            ..Limits::default()
        }
    }

    fn door() -> Door {
        Door::new(
            DoorRules { connect_burst_max: 4, connects_per_second_max: 1, ..DoorRules::default() },
            &limits(),
        )
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn later(secs: u64) -> Moment {
        START.after(Micros::from_secs(secs))
    }

    #[test]
    fn one_host_gets_no_more_than_its_part_and_a_64_is_one_host() {
        for [a, b, other] in [
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"],
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"],
        ] {
            let mut door = door();
            let first = door.enter(START, ip(a)).unwrap();
            for _ in 0..2 {
                let _ = door.enter(START, ip(b)).unwrap();
            }
            assert_eq!(door.enter(START, ip(a)), Err(Refusal::HostFull));
            assert!(door.enter(START, ip(other)).is_ok());
            door.leave(first);
            assert!(door.enter(later(1), ip(b)).is_ok());
        }
    }

    #[test]
    fn the_total_is_kept_for_exempt_hosts_too() {
        let mut door = door();
        for _ in 0..10 {
            let _ = door.enter(START, ip("127.0.0.1")).unwrap();
        }
        assert_eq!(door.enter(START, ip("127.0.0.1")), Err(Refusal::Full));
        assert_eq!(door.enter(START, ip("192.0.2.1")), Err(Refusal::Full));
        assert_eq!(door.hosts_tracked(), 0);
    }

    #[test]
    fn a_burst_is_let_in_and_then_the_rate_holds() {
        let mut door = door();
        for _ in 0..4 {
            let place = door.enter(START, ip("192.0.2.1")).unwrap();
            door.leave(place);
        }
        assert_eq!(door.enter(START, ip("192.0.2.1")), Err(Refusal::TooOften { wait_secs: 1 }));
        let place = door.enter(later(1), ip("192.0.2.1")).unwrap();
        door.leave(place);
        assert_eq!(door.enter(later(1), ip("192.0.2.1")), Err(Refusal::TooOften { wait_secs: 1 }));
        assert!(door.enter(later(100), ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_ban_says_why_expires_and_touches_nobody_else() {
        let mut door = door();
        let place = door.enter(START, ip("192.0.2.1")).unwrap();
        assert!(door.ban(START, &place, Offence::Garbage));
        let refused = door.enter(later(18), ip("192.0.2.1")).unwrap_err();
        assert_eq!(refused, Refusal::Banned { offence: Offence::Garbage, wait_secs: 42 });
        assert_eq!(refused.to_string(), "your address is banned for 42 s: garbage instead of stratum");
        assert!(door.enter(START, ip("192.0.2.2")).is_ok());
        assert_eq!(door.open(), 2);
        assert_eq!(door.banned(later(59)), 1);
        assert!(door.enter(later(60), ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn exempt_hosts_are_never_banned_but_what_a_proxy_carries_is() {
        let mut door = door();
        let place = door.enter(START, ip("127.0.0.1")).unwrap();
        assert!(!door.ban(START, &place, Offence::Garbage));
        let reserved = door.reserve().unwrap();
        let carried = door.settle(START, reserved, ip("192.0.2.9")).unwrap();
        assert!(door.ban(START, &carried, Offence::Garbage));
        assert!(door.enter(START, ip("127.0.0.1")).is_ok());
        let reserved = door.reserve().unwrap();
        assert!(matches!(door.settle(START, reserved, ip("192.0.2.9")), Err(Refusal::Banned { .. })));
        // The refused one gave its place back: the two exempt ones and the carried one remain.
        assert_eq!(door.open(), 3);
    }

    #[test]
    fn a_full_table_forgets_the_idle_and_never_the_open() {
        let mut door = door();
        let open: Vec<_> = (1..=4).map(|n| door.enter(START, ip(&format!("192.0.2.{n}"))).unwrap()).collect();
        let banned = door.enter(START, ip("192.0.2.5")).unwrap();
        door.ban(START, &banned, Offence::Garbage);
        assert_eq!(door.enter(START, ip("192.0.2.6")), Err(Refusal::Full));
        door.leave(banned);
        assert!(door.enter(START, ip("192.0.2.6")).is_ok());
        assert_eq!(door.hosts_tracked(), 5);
        assert_eq!(door.open(), 5);
        drop(open);
    }

    proptest! {
        #[test]
        fn counts_stay_within_their_limits_and_return_to_nothing(
            steps in proptest::collection::vec((0u8..4, 0u8..9, 0u64..20_000_000), 1..300),
        ) {
            let mut door = door();
            let mut inside: Vec<(u8, Place)> = Vec::new();
            let mut now = START;
            for (what, host, micros) in steps {
                now = now.after(Micros::new(micros));
                match what {
                    0 if !inside.is_empty() => {
                        let (_, place) = inside.swap_remove(usize::from(host) % inside.len());
                        door.leave(place);
                    }
                    1 if !inside.is_empty() => {
                        let (_, place) = &inside[usize::from(host) % inside.len()];
                        prop_assert!(door.ban(now, place, Offence::ForeignProxy));
                    }
                    _ => match door.enter(now, IpAddr::from([192, 0, 2, host])) {
                        Ok(place) => inside.push((host, place)),
                        Err(Refusal::HostFull) => {
                            prop_assert_eq!(inside.iter().filter(|(h, _)| *h == host).count(), 3);
                        }
                        Err(Refusal::Banned { wait_secs, .. }) => prop_assert!((1..=60).contains(&wait_secs)),
                        Err(_) => {}
                    },
                }
                prop_assert_eq!(door.open(), inside.len());
                prop_assert!(door.hosts_tracked() <= 5);
                for host in 0..9 {
                    prop_assert!(inside.iter().filter(|(h, _)| *h == host).count() <= 3);
                }
            }
            for (_, place) in inside {
                door.leave(place);
            }
            prop_assert_eq!(door.open(), 0);
            // An hour later everything is forgotten as soon as somebody new comes.
            let end = now.after(Micros::from_secs(3_600));
            prop_assert!(door.enter(end, ip("203.0.113.1")).is_ok());
            prop_assert_eq!(door.hosts_tracked(), 1);
        }
    }
}
