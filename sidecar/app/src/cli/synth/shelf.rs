//! What takes time to make is kept while there is room, so that memory does not grow with the study.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

/// Things by key; when they take more than `room` bytes, those that nobody asked for the longest go.
#[derive(Debug)]
pub(super) struct Shelf<K, T> {
    room: usize,
    things: Mutex<Things<K, T>>,
}

#[derive(Debug)]
struct Things<K, T> {
    by_key: HashMap<K, Thing<T>>,
    /// Bytes of all.
    held: usize,
    /// Questions so far.
    now: u64,
}

#[derive(Debug)]
struct Thing<T> {
    thing: Arc<T>,
    bytes: usize,
    asked: u64,
}

impl<K: Hash + Eq + Copy, T> Shelf<K, T> {
    /// An empty one.
    pub(super) fn new(room: usize) -> Shelf<K, T> {
        Shelf { room, things: Mutex::new(Things { by_key: HashMap::new(), held: 0, now: 0 }) }
    }

    /// The thing of a key, made if it is not there; `make` also tells its bytes. Two that ask at once may both make it.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> Result<(T, usize)>) -> Result<Arc<T>> {
        if let Some(found) = self.things.lock().unwrap_or_else(PoisonError::into_inner).find(&key) {
            return Ok(found);
        }
        let (thing, bytes) = make()?;
        let thing = Arc::new(thing);
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        things.keep(key, Arc::clone(&thing), bytes, self.room);
        Ok(thing)
    }
}

impl<K: Hash + Eq + Copy, T> Things<K, T> {
    fn find(&mut self, key: &K) -> Option<Arc<T>> {
        self.now += 1;
        let thing = self.by_key.get_mut(key)?;
        thing.asked = self.now;
        Some(Arc::clone(&thing.thing))
    }

    fn keep(&mut self, key: K, thing: Arc<T>, bytes: usize, room: usize) {
        let before = self.by_key.insert(key, Thing { thing, bytes, asked: self.now });
        self.held = self.held + bytes - before.map_or(0, |before| before.bytes);
        while self.held > room {
            let Some(oldest) = self.by_key.iter().min_by_key(|(_, one)| one.asked).map(|(key, _)| *key)
            else {
                return;
            };
            self.held -= self.by_key.remove(&oldest).map_or(0, |gone| gone.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_asked_for_the_longest_goes() {
        let shelf = Shelf::new(25);
        let made = std::cell::Cell::new(0);
        let ask = |key: u8| {
            let make = || {
                made.set(made.get() + 1);
                Ok((key, 10))
            };
            *shelf.get(key, make).unwrap()
        };
        for (key, so_far) in [(1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4), (3, 5)] {
            assert_eq!((ask(key), made.get()), (key, so_far));
        }
        // What is larger than the shelf is made each time, and nothing else is held for it.
        let large = Shelf::new(5);
        assert_eq!(*large.get(1, || Ok((1, 10))).unwrap(), 1);
        assert_eq!(*large.get(1, || Ok((2, 10))).unwrap(), 2);
        assert_eq!(large.things.lock().unwrap().held, 0);
    }
}
