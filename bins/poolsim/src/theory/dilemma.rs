//! Two pools that infiltrate each other with miners who withhold their blocks.
//!
//! Pool `i` has a part `m_i` of all power and sends `x_ij` of it into the other, where it hands in shares and no block.
//! What the infiltrators earn there is shared at home. Each pool alone gains by a small attack; when both attack, both
//! lose. Source: Eyal 2015, "The Miner's Dilemma", re-derived.

use super::special::peak;

/// Two pools: their parts of all power and what each sends into the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rivals {
    /// Power of the pools, parts of all power.
    pub power: [f64; 2],
    /// What each sends into the other.
    pub sent: [f64; 2],
}

impl Rivals {
    /// Two pools that do not attack.
    #[must_use]
    pub const fn peaceful(first: f64, second: f64) -> Self {
        Self { power: [first, second], sent: [0.0, 0.0] }
    }

    /// Blocks found by each pool's honest power, over all power that finds blocks: `(m_i - x_ij) / (1 - x_12 - x_21)`.
    #[must_use]
    pub fn direct(&self) -> [f64; 2] {
        let active = 1.0 - self.sent[0] - self.sent[1];
        [(self.power[0] - self.sent[0]) / active, (self.power[1] - self.sent[1]) / active]
    }

    /// Income per power of each pool's own members, 1 in a world without withholding.
    #[must_use]
    pub fn income(&self) -> [f64; 2] {
        self.income_from(self.direct())
    }

    /// The same from given incomes of blocks: each pool's density is `r_i = (R_i + x_ij r_j) / (m_i + x_ji)`, solved.
    #[must_use]
    pub fn income_from(&self, direct: [f64; 2]) -> [f64; 2] {
        let ([m1, m2], [x12, x21]) = (self.power, self.sent);
        let [r1, r2] = direct;
        let both = m1 * m2 + m1 * x12 + m2 * x21;
        [(m2 * r1 + x12 * (r1 + r2)) / both, (m1 * r2 + x21 * (r1 + r2)) / both]
    }

    /// What pool `who` would best send, the other's infiltration given.
    #[must_use]
    pub fn best_reply(&self, who: usize) -> f64 {
        peak(0.0, self.power[who], |sent| {
            let mut tried = *self;
            tried.sent[who] = sent;
            tried.income()[who]
        })
    }

    /// Both reply in turn until neither moves.
    #[must_use]
    pub fn equilibrium(mut self) -> Self {
        for _ in 0..1000 {
            let before = self.sent;
            for who in 0..2 {
                self.sent[who] = self.best_reply(who);
            }
            if (0..2).all(|who| (self.sent[who] - before[who]).abs() < 1e-11) {
                break;
            }
        }
        self
    }
}
