//! How many requests each client may send a second. Clients of HTTP are told apart by
//! their address, those with a key by that.

use kernel::ReplicaId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Clients that are remembered. Those that sent little are forgotten first, which costs
/// them nothing.
const MOST_CLIENTS: usize = 65_536;
const SECOND_NS: u64 = 1_000_000_000;

/// What each client has left.
#[derive(Debug)]
pub(super) struct Rates {
    /// Requests a second; a client that was silent may send so many at once.
    per_s: Option<u32>,
    /// When a client that sends nothing more has its whole second's worth again.
    full_at_ns: RefCell<HashMap<IpAddr, u64>>,
    /// The same of clients with keys, of which there are few.
    of_keys_full_at_ns: RefCell<HashMap<ReplicaId, u64>>,
}

impl Rates {
    /// So many for each client; any number if `None`.
    pub(super) fn new(per_s: Option<u32>) -> Rates {
        Rates { per_s, full_at_ns: RefCell::default(), of_keys_full_at_ns: RefCell::default() }
    }

    /// Whether there is a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        self.per_s.is_some()
    }

    /// Takes a request of a client.
    ///
    /// # Errors
    /// If it is one too many: how many seconds to wait.
    pub(super) fn take(&self, client: IpAddr, now_ns: u64) -> Result<(), u64> {
        let Some(per_s) = self.per_s else { return Ok(()) };
        let mut clients = self.full_at_ns.borrow_mut();
        if clients.len() >= MOST_CLIENTS && !clients.contains_key(&client) {
            clients.retain(|_, full_at_ns| *full_at_ns > now_ns);
            if clients.len() >= MOST_CLIENTS {
                return Err(1);
            }
        }
        let full_at_ns = clients.entry(client).or_default();
        let next = now_ns.max(*full_at_ns) + SECOND_NS / u64::from(per_s.max(1));
        if next > now_ns + SECOND_NS {
            return Err((next - now_ns - SECOND_NS).div_ceil(SECOND_NS));
        }
        *full_at_ns = next;
        Ok(())
    }

    /// After so many requests of a client with a key: for how long no more of it are to be
    /// read. None of them is refused, as its link can be slowed down instead.
    pub(super) fn pause(&self, client: ReplicaId, requests: usize, now_ns: u64) -> Duration {
        let Some(per_s) = self.per_s else { return Duration::ZERO };
        let mut clients = self.of_keys_full_at_ns.borrow_mut();
        let full_at_ns = clients.entry(client).or_default();
        *full_at_ns = now_ns.max(*full_at_ns) + requests as u64 * SECOND_NS / u64::from(per_s.max(1));
        Duration::from_nanos(full_at_ns.saturating_sub(now_ns + SECOND_NS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_own_second_s_worth() {
        let rates = Rates::new(Some(4));
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let taken = |client, now, times| (0..times).filter(|_| rates.take(client, now).is_ok()).count();
        assert_eq!(taken(one, 0, 10), 4);
        assert_eq!(taken(other, 0, 10), 4, "whatever others send");
        assert_eq!(rates.take(one, 0), Err(1));
        assert_eq!(taken(one, SECOND_NS / 2, 10), 2);
        assert_eq!(taken(one, 100 * SECOND_NS, 10), 4, "no more than a second's worth is saved up");
        let own = ReplicaId(4);
        let ms = Duration::from_millis;
        assert_eq!((rates.pause(own, 4, 0), rates.pause(own, 2, 0)), (ms(0), ms(500)));
        assert_eq!(rates.pause(ReplicaId(5), 12, 0), ms(2_000), "whatever others send");
        assert_eq!(rates.pause(own, 0, SECOND_NS / 2), ms(0));
        let unlimited = Rates::new(None);
        assert_eq!(unlimited.pause(own, 1_000_000, 0), ms(0));
        assert!((0..1000).all(|_| unlimited.take(one, 0).is_ok()));
    }

    #[test]
    fn those_who_sent_little_are_forgotten_and_none_beyond_the_most_is_remembered() {
        let rates = Rates::new(Some(1));
        let client = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..MOST_CLIENTS as u32 {
            assert_eq!(rates.take(client(number), 0), Ok(()));
        }
        assert_eq!(rates.take(client(u32::MAX), 0), Err(1));
        assert_eq!(rates.take(client(u32::MAX), SECOND_NS), Ok(()));
        assert_eq!(rates.full_at_ns.borrow().len(), 1);
    }
}
