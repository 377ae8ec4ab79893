//! One replication, in four fidelities.
//!
//! All of them move the same [`World`](world::World): who mines where, until when nothing changes by itself. They differ
//! in how work comes about between two such moments, and in who pays for it: float twins of the schemes where work is
//! a flow or a count, the production engines where it is shares.

pub mod books;
pub mod fluid;
pub mod journal;
pub mod net;
pub mod round;
pub mod rounds;
pub mod share;
pub mod twin;
pub mod world;
