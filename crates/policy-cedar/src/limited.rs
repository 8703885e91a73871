use std::{
    hash::{Hash, RandomState},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use hashbrown::{Equivalent, HashMap};

/// A map of bounded size for what is cheap to compute again: when it is full, it starts anew.
#[derive(Debug)]
pub(crate) struct Limited<K, V> {
    map: HashMap<K, V, RandomState>,
    most: usize,
}

impl<K: Eq + Hash, V> Limited<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            map: HashMap::default(),
            most,
        }
    }

    pub(crate) fn get(&self, key: &(impl Equivalent<K> + Hash + ?Sized)) -> Option<&V> {
        self.map.get(key)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn clear(&mut self) {
        self.map.clear();
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.map.len() >= self.most {
            self.map.clear();
        }
        self.map.insert(key, value);
    }
}

/// What these locks guard is whole after every statement, so a panic elsewhere spoils nothing.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// See [`read`].
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_limit() {
        let mut map = Limited::new(3);
        for key in 0..100 {
            map.insert(key, key);
            assert!(map.map.len() <= 3);
            assert_eq!(map.get(&key), Some(&key));
        }
    }
}
