//! The one guarded HTTP client for everything the gateway fetches.
//!
//! A gateway that fetches what others name (key sets, metadata documents, servers) can be made to reach into its own
//! network. So every outbound connection goes through a [`Guard`]: `https` only, the name resolved here, every
//! resolved address checked, and the connection made to exactly the addresses that were checked. Nothing is
//! redirected, no cookie is kept and no proxy setting of the environment is read.
//!
//! ```
//! use gatewright_egress::{Class, Egress, FetchError, FetchLimits};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let egress = Egress::builder().build();
//! let inside = "https://169.254.169.254/latest/meta-data/".parse().unwrap();
//! let refused = egress.get(Class::Operator, &inside, FetchLimits::default()).await.unwrap_err();
//! assert!(matches!(refused, FetchError::Forbidden(_)));
//! # });
//! ```
//!
//! There are two [classes](Class) of URLs. What callers, servers or tenant administrators chose never leads to a
//! private address. What the operator configured does where a network was [allowed](EgressBuilder::allow).

mod address;
mod connector;
mod fetch;
mod guard;

pub use address::{is_global, is_loopback};
pub use connector::{ConnectError, Connector, GuardedTcp};
pub use fetch::{Egress, EgressBuilder, FetchError, FetchLimits, Fetched};
pub use guard::{Class, Forbidden, Guard};
pub use ipnet::IpNet;
