use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use gatewright_core::{OpenError, Purpose, ReferenceId, SealError, Sealer, Timestamp};

/// How many tickets are out at a time; the oldest is void when there is one more.
const TICKETS: usize = 1_000;

/// Seals by keeping: whoever brings a ticket back gets what was left for it, if it is theirs and still good.
///
/// It serves one process. Where there are several, what a ticket stands for must be in the ticket, encrypted.
#[derive(Default)]
pub(crate) struct Cloakroom(Mutex<VecDeque<Ticket>>);

struct Ticket {
    number: String,
    purpose: Purpose,
    bound: Vec<String>,
    expires: Timestamp,
    left: Vec<u8>,
}

impl Sealer for Cloakroom {
    fn seal(
        &self,
        purpose: Purpose,
        bound: &[&str],
        expires: Timestamp,
        plaintext: &[u8],
    ) -> Result<String, SealError> {
        let number = ReferenceId::random().to_string();
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= TICKETS {
            tickets.pop_front();
        }
        tickets.push_back(Ticket {
            number: number.clone(),
            purpose,
            bound: bound.iter().copied().map(str::to_owned).collect(),
            expires,
            left: plaintext.to_vec(),
        });
        Ok(number)
    }

    fn open(
        &self,
        purpose: Purpose,
        bound: &[&str],
        now: Timestamp,
        sealed: &str,
    ) -> Result<Vec<u8>, OpenError> {
        let tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = tickets.iter().find(|ticket| {
            ticket.number == sealed
                && ticket.purpose == purpose
                && ticket.bound == bound
                && now < ticket.expires
        });
        ticket.map(|ticket| ticket.left.clone()).ok_or(OpenError)
    }
}

impl fmt::Debug for Cloakroom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloakroom").finish_non_exhaustive()
    }
}
