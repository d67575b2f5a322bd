//! Web pages that the user has paired: `clients.json`, which only the user can read.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{Answer, Code, Refusal};
use super::id::Id;
use super::origin::Origin;
use super::proof::{Key, decode, encode};
use super::rendezvous::write_whole;
use crate::{Error, Result};

/// Pages that are kept; enough for every viewer that a person uses.
const MOST: usize = 64;
/// A page that has not come for so many seconds is forgotten: 90 days.
const FORGOTTEN_AFTER: u64 = 90 * 24 * 3600;

/// A paired page.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Client {
    client_id: Id,
    origin: Origin,
    label: String,
    /// 32 bytes in base64url.
    key: String,
    /// Seconds since 1970.
    created: u64,
    /// Seconds since 1970.
    last_used: u64,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    schema: u32,
    clients: Vec<Client>,
}

/// A paired web page, without its key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Client)]
pub(crate) struct View {
    /// 32 hexadecimal digits.
    #[schema(value_type = String)]
    pub(crate) client_id: Id,
    /// Where the page comes from.
    #[schema(value_type = String)]
    pub(crate) origin: Origin,
    /// What the page calls itself.
    pub(crate) label: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// When it last opened a session; seconds since 1970.
    pub(crate) last_used: u64,
}

/// All paired pages, in memory and on disk.
pub(crate) struct Clients {
    path: PathBuf,
    clients: Mutex<Vec<Client>>,
}

impl Clients {
    /// Reads the file; a missing one holds nobody.
    pub(crate) fn open(path: PathBuf) -> Result<Clients> {
        let mut clients = match std::fs::read(&path) {
            Ok(bytes) => {
                let document: Document = serde_json::from_slice(&bytes).map_err(|_| Error::Refused {
                    message: format!("`{}` does not hold what this program writes", path.display()),
                    hint: "remove it, then pair the web viewers again".to_owned(),
                })?;
                document.clients
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::read(&path, error)),
        };
        let now = now();
        clients.retain(|client| now.saturating_sub(client.last_used) < FORGOTTEN_AFTER);
        Ok(Clients { path, clients: Mutex::new(clients) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any page of `origin` is paired.
    pub(super) fn knows(&self, origin: &Origin) -> bool {
        self.lock().iter().any(|client| client.origin == *origin)
    }

    /// The key of a page, if it comes from where it was paired.
    pub(super) fn key(&self, id: &str, origin: &Origin) -> Option<(Id, Key)> {
        let clients = self.lock();
        let client =
            clients.iter().find(|client| client.client_id.as_str() == id && client.origin == *origin)?;
        Some((client.client_id.clone(), decode(&client.key)?))
    }

    /// All of them, without their keys.
    pub(crate) fn list(&self) -> Vec<View> {
        let view = |client: &Client| View {
            client_id: client.client_id.clone(),
            origin: client.origin.clone(),
            label: client.label.clone(),
            created: client.created,
            last_used: client.last_used,
        };
        self.lock().iter().map(view).collect()
    }

    /// Keeps a page that the user has allowed; it exists once it is on disk.
    pub(super) fn add(&self, origin: Origin, label: String, key: &Key) -> Answer<Id> {
        let client_id = Id::new().map_err(|_| Refusal::internal())?;
        let now = now();
        let client = Client {
            client_id: client_id.clone(),
            origin,
            label,
            key: encode(key),
            created: now,
            last_used: now,
        };
        self.change(|clients| {
            if clients.len() >= MOST {
                let message = format!("{MOST} web viewers are paired already");
                return Err(Refusal::new(
                    Code::Conflict,
                    message,
                    "`vesalius clients revoke ID` forgets one",
                ));
            }
            clients.push(client);
            Ok(())
        })?;
        Ok(client_id)
    }

    /// Forgets a page.
    pub(crate) fn remove(&self, id: &Id) -> Answer<()> {
        self.change(|clients| {
            let before = clients.len();
            clients.retain(|client| client.client_id != *id);
            if clients.len() < before { Ok(()) } else { Err(Refusal::not_found("web viewer")) }
        })
    }

    /// A page has opened a session.
    pub(super) fn used(&self, id: &Id) {
        let now = now();
        // A date that is not written down costs nobody anything.
        let _ = self.change(|clients| {
            clients
                .iter_mut()
                .filter(|client| client.client_id == *id)
                .for_each(|client| client.last_used = now);
            Ok(())
        });
    }

    /// Changes the file first, then what is in memory.
    fn change(&self, change: impl FnOnce(&mut Vec<Client>) -> Answer<()>) -> Answer<()> {
        let mut clients = self.lock();
        let mut document = Document { schema: 1, clients: clients.clone() };
        change(&mut document.clients)?;
        let bytes = serde_json::to_vec(&document).map_err(|_| Refusal::internal())?;
        write_whole(&self.path, &bytes).map_err(|error| Refusal::spool(&error))?;
        *clients = document.clients;
        Ok(())
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_kept_forgotten_and_bound_to_their_origin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.json");
        let (ours, other): (Origin, Origin) =
            ("https://viewer.example".parse().unwrap(), "https://viewer.example:8443".parse().unwrap());
        let clients = Clients::open(path.clone()).unwrap();
        let id = clients.add(ours.clone(), "OHIF".to_owned(), &[7; 32]).unwrap();
        let clients = Clients::open(path.clone()).unwrap();
        assert_eq!(clients.key(id.as_str(), &ours), Some((id.clone(), [7; 32])));
        assert_eq!(clients.key(id.as_str(), &other), None);
        assert!(clients.knows(&ours) && !clients.knows(&other));
        clients.remove(&id).unwrap();
        assert_eq!(clients.remove(&id).unwrap_err().code, Code::NotFound);
        assert!(!Clients::open(path.clone()).unwrap().knows(&ours));

        let id = clients.add(ours.clone(), "OHIF".to_owned(), &[7; 32]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let used = format!("\"last_used\":{}", clients.list()[0].last_used);
        assert!(text.contains(&used) && text.contains(id.as_str()));
        let old = format!("\"last_used\":{}", now() - FORGOTTEN_AFTER);
        std::fs::write(&path, text.replace(&used, &old)).unwrap();
        assert!(!Clients::open(path.clone()).unwrap().knows(&ours));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(Clients::open(path), Err(Error::Refused { .. })));
    }
}
