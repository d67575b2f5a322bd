//! Sessions of paired web pages: a page proves its key, and gets a token that is worth something for its origin only.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::{Answer, Code, Refusal};
use super::id::Id;
use super::origin::Origin;
use super::proof::{Key, encode, is_proven, random};

/// Time to prove the key after the server has said its number.
const PROOF_WITHIN: Duration = Duration::from_secs(30);
/// A session that is not used for so long ends.
const IDLE_ENDS: Duration = Duration::from_secs(12 * 3600);
/// Every session ends after this.
const ALL_END: Duration = Duration::from_secs(24 * 3600);
/// Attempts of one page in [`PER`].
const MOST_ATTEMPTS: usize = 20;
/// See [`MOST_ATTEMPTS`].
const PER: Duration = Duration::from_secs(60);
/// Sessions of one page at a time: the oldest ends first.
const MOST_SESSIONS: usize = 16;

/// Somebody who has been told the server's number and has not answered yet.
struct Pending {
    client: Id,
    key: Key,
    origin: Origin,
    server_nonce: String,
    /// What is to be proven.
    text: String,
    began: Instant,
}

/// A session.
struct Session {
    client: Id,
    origin: Origin,
    /// SHA-256 of the token; the token itself is not kept.
    token: Key,
    began: Instant,
    used: Instant,
}

/// What is known of all pages.
#[derive(Default)]
struct Book {
    pending: Vec<Pending>,
    sessions: Vec<Session>,
    attempts: Vec<(Id, Instant)>,
}

impl Book {
    /// Forgets what is too old at `now`.
    fn clean(&mut self, now: Instant) {
        let since = |then: Instant| now.saturating_duration_since(then);
        self.pending.retain(|pending| since(pending.began) < PROOF_WITHIN);
        self.attempts.retain(|(_, then)| since(*then) < PER);
        self.sessions.retain(|session| since(session.used) < IDLE_ENDS && since(session.began) < ALL_END);
    }
}

/// All sessions of this server.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Book>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt of a page.
    pub(super) fn attempt(&self, client: &Id, now: Instant) -> Answer<()> {
        let mut book = self.lock();
        book.clean(now);
        if book.attempts.iter().filter(|(known, _)| known == client).count() >= MOST_ATTEMPTS {
            let message = format!("more than {MOST_ATTEMPTS} sessions were asked for within a minute");
            return Err(Refusal::new(Code::TooManyAttempts, message, "wait a minute"));
        }
        book.attempts.push((client.clone(), now));
        Ok(())
    }

    /// Remembers that a page of `origin` is to prove `text` with `key`.
    pub(super) fn expect(
        &self,
        (client, key): (Id, Key),
        origin: Origin,
        server_nonce: String,
        text: String,
        began: Instant,
    ) {
        self.lock().pending.push(Pending { client, key, origin, server_nonce, text, began });
    }

    /// Opens a session for the page that was told `server_nonce`, once; none when the proof is wrong or too late.
    pub(super) fn open(
        &self,
        server_nonce: &str,
        proof: &str,
        origin: &Origin,
        now: Instant,
    ) -> Answer<Option<(Id, String)>> {
        let mut book = self.lock();
        book.clean(now);
        let asked = |pending: &Pending| pending.server_nonce == server_nonce && pending.origin == *origin;
        let Some(place) = book.pending.iter().position(asked) else { return Ok(None) };
        let Pending { client, key, origin, text, .. } = book.pending.swap_remove(place);
        if !is_proven(&key, &text, proof)? {
            return Ok(None);
        }
        let token = encode(&random()?);
        if book.sessions.iter().filter(|session| session.client == client).count() >= MOST_SESSIONS
            && let Some(oldest) = book.sessions.iter().position(|session| session.client == client)
        {
            book.sessions.remove(oldest);
        }
        let digest = Sha256::digest(token.as_bytes()).into();
        book.sessions.push(Session { client: client.clone(), origin, token: digest, began: now, used: now });
        Ok(Some((client, token)))
    }

    /// Whose token has this SHA-256, when it comes from `origin`. All are compared, each to its last byte.
    pub(super) fn holder(&self, token: &Key, origin: &Origin, now: Instant) -> Option<Id> {
        let mut book = self.lock();
        book.clean(now);
        let mut found = None;
        for session in &mut book.sessions {
            if bool::from(session.token.ct_eq(token)) && session.origin == *origin {
                session.used = now;
                found = Some(session.client.clone());
            }
        }
        found
    }

    /// Ends all sessions of a page.
    pub(super) fn end(&self, client: &Id) {
        let mut book = self.lock();
        book.pending.retain(|pending| pending.client != *client);
        book.sessions.retain(|session| session.client != *client);
    }
}

/// How long a token is good for when it is used now and then.
pub(super) fn lasts() -> u64 {
    IDLE_ENDS.as_secs()
}

#[cfg(test)]
mod tests {
    use super::super::proof::prove;
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    /// A session of a page at `began`, and what it takes to use it.
    fn opened(sessions: &Sessions, client: &Id, began: Instant) -> Key {
        let page = origin("https://viewer.example");
        sessions.expect((client.clone(), [1; 32]), page.clone(), "s".into(), "cli1".into(), began);
        let proof = prove(&[1; 32], "cli1").unwrap();
        let (_, token) = sessions.open("s", &proof, &page, began).unwrap().unwrap();
        // Once only.
        assert!(sessions.open("s", &proof, &page, began).unwrap().is_none());
        Sha256::digest(token.as_bytes()).into()
    }

    #[test]
    fn tokens_end_and_are_bound_to_their_origin() {
        let (sessions, client, began) = (Sessions::default(), Id::new().unwrap(), Instant::now());
        let page = origin("https://viewer.example");
        let token = opened(&sessions, &client, began);
        assert_eq!(sessions.holder(&token, &page, began), Some(client.clone()));
        assert_eq!(sessions.holder(&token, &origin("https://other.example"), began), None);
        assert_eq!(sessions.holder(&[0; 32], &page, began), None);
        // Used in time it stays, but no longer than a day.
        for hours in [11, 22] {
            assert!(
                sessions.holder(&token, &page, began + Duration::from_secs(hours * 3600)).is_some(),
                "{hours}"
            );
        }
        assert!(sessions.holder(&token, &page, began + ALL_END).is_none());
        let token = opened(&sessions, &client, began);
        assert!(sessions.holder(&token, &page, began + IDLE_ENDS).is_none());
        let token = opened(&sessions, &client, began);
        sessions.end(&client);
        assert!(sessions.holder(&token, &page, began).is_none());
    }

    #[test]
    fn proofs_come_in_time_from_the_same_page_or_not_at_all() {
        let (sessions, client, began) = (Sessions::default(), Id::new().unwrap(), Instant::now());
        let (page, proof) = (origin("https://viewer.example"), prove(&[1; 32], "cli1").unwrap());
        let expect =
            || sessions.expect((client.clone(), [1; 32]), page.clone(), "s".into(), "cli1".into(), began);
        expect();
        assert!(sessions.open("s", &proof, &origin("https://other.example"), began).unwrap().is_none());
        assert!(sessions.open("s", &prove(&[2; 32], "cli1").unwrap(), &page, began).unwrap().is_none());
        assert!(sessions.open("s", &proof, &page, began).unwrap().is_none(), "one wrong proof uses it up");
        expect();
        assert!(sessions.open("s", &proof, &page, began + PROOF_WITHIN).unwrap().is_none());
        for _ in 0..MOST_ATTEMPTS {
            sessions.attempt(&client, began).unwrap();
        }
        assert_eq!(sessions.attempt(&client, began).unwrap_err().code, Code::TooManyAttempts);
        sessions.attempt(&Id::new().unwrap(), began).unwrap();
        sessions.attempt(&client, began + PER).unwrap();
    }
}
