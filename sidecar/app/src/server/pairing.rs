//! Pairing with a web page: the user carries a code from this computer's screen to the page, the page proves that it
//! knows it, and the user allows it where the code was shown, never in the page. The code crosses no wire.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::clients::Clients;
use super::error::{Answer, Code, Refusal};
use super::id::Id;
use super::origin::Origin;
use super::proof::{Key, encode, is_proven, long_term_key, pairing_key, prove, random};

/// A code is good for so long, and the user may think for as long again.
const LASTS: Duration = Duration::from_secs(120);
/// Wrong proofs that a code survives.
const TRIES: u8 = 5;
/// Pages that may begin with one code.
const MOST_PAGES: usize = 8;
/// Crockford's digits: no I, L, O, U. Twelve of them are 60 bits, more than anybody can search through in time.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How far a pairing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PairingState)]
pub(crate) enum State {
    /// For a page that knows the code.
    Waiting,
    /// For the user's consent.
    Asking,
    /// The page is paired.
    Allowed,
    /// The user said no.
    Refused,
    /// Too late, too many wrong codes, or none begun.
    Expired,
}

/// How far a pairing is, for the program that shows the code and asks the user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Pairing)]
pub(crate) struct View {
    /// What is waited for, or how it ended.
    pub(crate) state: State,
    /// The page that wants in: show it to the user when asking.
    #[schema(value_type = Option<String>)]
    pub(crate) origin: Option<Origin>,
    /// What the page calls itself: its own words.
    pub(crate) label: Option<String>,
    /// Seconds that are left.
    pub(crate) expires_in: u64,
}

/// A code to show to the user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PairingCode)]
pub(crate) struct Shown {
    /// Port and code, as in `38917-K7QF-M2XD-9TRW`.
    pub(crate) code: String,
    /// Seconds that it is good for.
    pub(crate) expires_in: u64,
}

/// What a page is told when it begins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PairingBegun)]
pub(super) struct Begun {
    /// Of this attempt.
    #[schema(value_type = String)]
    pair_id: Id,
    /// 32 bytes in base64url.
    server_nonce: String,
    /// This run of the server.
    instance: String,
    /// Where it listens: the page checks that it dialled this one.
    port: u16,
}

/// What a page is told when it is paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Paired)]
pub(super) struct Paired {
    /// The page's name from now on.
    #[schema(value_type = String)]
    client_id: Id,
    /// That the server knew the code too.
    proof: String,
}

/// A page that has begun.
struct Attempt {
    id: Id,
    origin: Origin,
    label: String,
    key: Key,
}

/// The time in which a code is good.
struct Window {
    code: String,
    state: State,
    ends: Instant,
    tries: u8,
    /// Of different origins; the only one left has proven the code once that is so.
    attempts: Vec<Attempt>,
    paired: Option<Paired>,
}

impl Window {
    /// What is so at `now`.
    fn age(&mut self, now: Instant) {
        if now >= self.ends && matches!(self.state, State::Waiting | State::Asking) {
            self.state = State::Expired;
        }
    }
}

/// At most one pairing at a time.
pub(super) struct Pairing {
    window: Mutex<Option<Window>>,
    /// Told of every change.
    pub(super) changed: watch::Sender<()>,
}

impl Default for Pairing {
    fn default() -> Pairing {
        Pairing { window: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Pairing {
    /// The window as it is at `now`.
    fn lock(&self, now: Instant) -> MutexGuard<'_, Option<Window>> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = window.as_mut() {
            window.age(now);
        }
        window
    }

    /// Makes a new code; an earlier one is void.
    pub(super) fn open(&self, port: u16, now: Instant) -> Answer<Shown> {
        let code: String =
            random()?[..12].iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect();
        let shown = format!("{port}-{}-{}-{}", &code[..4], &code[4..8], &code[8..]);
        let attempts = Vec::new();
        let window =
            Window { code, state: State::Waiting, ends: now + LASTS, tries: TRIES, attempts, paired: None };
        *self.lock(now) = Some(window);
        self.changed.send_replace(());
        Ok(Shown { code: shown, expires_in: LASTS.as_secs() })
    }

    /// How far it is.
    pub(super) fn view(&self, now: Instant) -> View {
        let window = self.lock(now);
        let Some(window) = window.as_ref() else {
            return View { state: State::Expired, origin: None, label: None, expires_in: 0 };
        };
        let asked =
            window.attempts.first().filter(|_| matches!(window.state, State::Asking | State::Allowed));
        View {
            state: window.state,
            origin: asked.map(|attempt| attempt.origin.clone()),
            label: asked.map(|attempt| attempt.label.clone()),
            expires_in: window.ends.saturating_duration_since(now).as_secs(),
        }
    }

    /// Whether a page of `origin`, which may be paired, may know of this server: anyone while a code waits, afterwards
    /// only the one that had it right.
    pub(super) fn lets_in(&self, origin: &Origin, now: Instant) -> bool {
        self.lock(now).as_ref().is_some_and(|window| match window.state {
            State::Waiting => true,
            _ => now < window.ends + LASTS && window.attempts.iter().any(|attempt| attempt.origin == *origin),
        })
    }

    /// A page begins; `here` is this server's port and instance.
    pub(super) fn begin(
        &self,
        origin: &Origin,
        label: String,
        nonce: &str,
        (port, instance): (u16, &str),
        now: Instant,
    ) -> Answer<Begun> {
        let mut window = self.lock(now);
        let Some(window) = window.as_mut().filter(|window| window.state == State::Waiting) else {
            return Err(closed());
        };
        window.attempts.retain(|attempt| attempt.origin != *origin);
        if window.attempts.len() >= MOST_PAGES {
            let message = "too many pages try to pair";
            return Err(Refusal::new(
                Code::TooManyAttempts,
                message,
                "close other pages, then ask for a new code",
            ));
        }
        let (id, server_nonce) = (Id::new().map_err(|_| Refusal::internal())?, encode(&random()?));
        let key = pairing_key(&window.code, nonce, &server_nonce, &format!("{origin}|{port}|{instance}"))?;
        window.attempts.push(Attempt { id: id.clone(), origin: origin.clone(), label, key });
        Ok(Begun { pair_id: id, server_nonce, instance: instance.to_owned(), port })
    }

    /// A page proves that it knows the code; none while the user thinks.
    pub(super) fn confirm(
        &self,
        origin: &Origin,
        id: &Id,
        proof: &str,
        now: Instant,
    ) -> Answer<Option<Paired>> {
        let mut window = self.lock(now);
        let Some(window) = window.as_mut() else { return Err(closed()) };
        let mine = |attempt: &Attempt| attempt.id == *id && attempt.origin == *origin;
        let place = window.attempts.iter().position(mine).ok_or_else(closed)?;
        if !is_proven(&window.attempts[place].key, "pair-c", proof)? {
            return Err(wrong(window));
        }
        match window.state {
            State::Waiting => {
                // The code is used up: one page, one question to the user.
                window.attempts = vec![window.attempts.swap_remove(place)];
                (window.state, window.ends) = (State::Asking, now + LASTS);
                self.changed.send_replace(());
                Ok(None)
            }
            State::Asking => Ok(None),
            State::Allowed => Ok(window.paired.clone()),
            State::Refused => Err(Refusal::new(
                Code::PairingRefused,
                "the user did not allow this page",
                "ask for a new code",
            )),
            State::Expired => Err(closed()),
        }
    }

    /// The user's word. A `no` ends a pairing that still waits, too.
    pub(super) fn answer(&self, allow: bool, clients: &Clients, now: Instant) -> Answer<()> {
        let mut window = self.lock(now);
        let Some(window) = window.as_mut() else { return Err(closed()) };
        match (window.state, allow, window.attempts.first()) {
            (State::Asking, true, Some(Attempt { origin, label, key, .. })) => {
                let client_id = clients.add(origin.clone(), label.clone(), &long_term_key(key)?)?;
                window.paired = Some(Paired { client_id, proof: prove(key, "pair-s")? });
                window.state = State::Allowed;
            }
            (State::Waiting | State::Asking, false, _) => window.state = State::Refused,
            (State::Waiting, true, _) => {
                return Err(Refusal::new(
                    Code::Conflict,
                    "no page has shown that it knows the code",
                    "wait for it",
                ));
            }
            _ => return Err(closed()),
        }
        self.changed.send_replace(());
        Ok(())
    }
}

/// A wrong proof costs a try; the last one, the code.
fn wrong(window: &mut Window) -> Refusal {
    if window.state == State::Waiting {
        window.tries -= 1;
        if window.tries == 0 {
            window.state = State::Expired;
        }
    }
    let hint = if window.state == State::Waiting { "check the code" } else { "ask for a new code" };
    Refusal::new(Code::PairingFailed, "the code is wrong", hint)
}

fn closed() -> Refusal {
    Refusal::new(
        Code::PairingClosed,
        "no code waits for this page: it was used, or is older than two minutes",
        "run `vesalius pair`, or ask 3D Slicer's panel for a new code",
    )
}

/// What a page may call itself: it is shown to the user beside its origin, and must not be able to look like one.
pub(super) fn check_label(label: &str) -> Answer<()> {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, ' ' | '-' | '_' | '.');
    if (1..=40).contains(&label.len()) && label.chars().all(is_plain) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::BadRequest,
        "`label` is not 1 to 40 letters, digits, spaces, `-`, `_` or `.`",
        "send a name such as `OHIF`",
    ))
}

#[cfg(test)]
mod tests;
