//! A sorted map whose copies share what they do not change.
//!
//! A copy costs nothing, and so does what is done to the one that is left when the others are gone: it is changed in place. What is done
//! to a map while there are others is kept beside what they share.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

/// Keys are text; `V` is what belongs to each.
#[derive(Clone, Debug)]
pub(crate) struct SharedMap<V> {
    shared: Arc<BTreeMap<SmolStr, V>>,
    /// Stands for what is shared under the same keys; none is taken out.
    changed: BTreeMap<SmolStr, Option<V>>,
}

impl<V> Default for SharedMap<V> {
    fn default() -> SharedMap<V> {
        SharedMap { shared: Arc::default(), changed: BTreeMap::new() }
    }
}

impl<V: Clone + Default> SharedMap<V> {
    /// What belongs to a key.
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.changed.get(key).map_or_else(|| self.shared.get(key), Option::as_ref)
    }

    /// The same, to be changed; the default value if there is none.
    pub(crate) fn get_mut(&mut self, key: &str) -> &mut V {
        if self.is_last() {
            return self.own().entry(key.into()).or_default();
        }
        let shared = || self.shared.get(key).cloned();
        self.changed.entry(key.into()).or_insert_with(shared).get_or_insert_default()
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: &str) {
        if self.is_last() {
            self.own().remove(key);
        } else {
            self.changed.insert(key.into(), None);
        }
    }

    fn is_last(&mut self) -> bool {
        Arc::get_mut(&mut self.shared).is_some()
    }

    /// What is shared with nobody, with all that was changed.
    fn own(&mut self) -> &mut BTreeMap<SmolStr, V> {
        // Not copied, as nobody else has it.
        let own = Arc::make_mut(&mut self.shared);
        for (key, value) in std::mem::take(&mut self.changed) {
            match value {
                Some(value) => drop(own.insert(key, value)),
                None => drop(own.remove(&key)),
            }
        }
        own
    }

    /// All entries, in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.with_prefix("", None)
    }

    /// The entries whose keys begin with `prefix` and come after `after`, in order.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a V)> {
        let from = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let mut changed = self.changed.range::<str, _>((from, Bound::Unbounded)).peekable();
        let mut shared = self.shared.range::<str, _>((from, Bound::Unbounded)).peekable();
        let entries = std::iter::from_fn(move || {
            let order = match (changed.peek(), shared.peek()) {
                (Some((one, _)), Some((other, _))) => one.cmp(other),
                (None, _) => Ordering::Greater,
                (_, None) => Ordering::Less,
            };
            if order.is_eq() {
                shared.next();
            }
            match order {
                Ordering::Greater => shared.next().map(|(key, value)| (key.as_str(), Some(value))),
                _ => changed.next().map(|(key, value)| (key.as_str(), value.as_ref())),
            }
        });
        let with_prefix = entries.take_while(move |(key, _)| key.starts_with(prefix));
        with_prefix.filter_map(|(key, value)| Some((key, value?)))
    }
}

impl<V: Clone + Default + PartialEq> PartialEq for SharedMap<V> {
    fn eq(&self, other: &SharedMap<V>) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<V: Clone + Default + Eq> Eq for SharedMap<V> {}

impl<V: Clone + Default + Hash> Hash for SharedMap<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|entry| entry.hash(state));
        // Where it ends.
        state.write_u8(0xff);
    }
}

impl<V: Clone + Default + Serialize> Serialize for SharedMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.iter().collect::<BTreeMap<&str, &V>>().serialize(serializer)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for SharedMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedMap<V>, D::Error> {
        let entries = BTreeMap::<String, V>::deserialize(deserializer)?;
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Ok(SharedMap { shared: Arc::new(entries), changed: BTreeMap::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::hash_map::DefaultHasher;

    fn hashed(value: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_copy_is_changed_alone_and_the_last_one_in_place() {
        let mut one = SharedMap::<i32>::default();
        *one.get_mut("a") += 1;
        *one.get_mut("c") += 3;
        let mut copy = one.clone();
        *copy.get_mut("a") += 10;
        *copy.get_mut("b") += 20;
        assert_eq!(one.iter().collect::<Vec<_>>(), [("a", &1), ("c", &3)]);
        assert_eq!(copy.iter().collect::<Vec<_>>(), [("a", &11), ("b", &20), ("c", &3)]);
        assert_eq!((copy.get("a"), copy.get("c"), copy.get("d")), (Some(&11), Some(&3), None));
        assert!(Arc::ptr_eq(&one.shared, &copy.shared), "nothing was copied");
        drop(one);
        *copy.get_mut("c") += 1;
        assert!(copy.changed.is_empty());
        assert_eq!(copy.iter().collect::<Vec<_>>(), [("a", &11), ("b", &20), ("c", &4)]);
    }

    #[test]
    fn what_is_taken_out_of_a_copy_is_gone_from_it_alone() {
        let mut one = SharedMap::<i32>::default();
        for key in ["a", "b"] {
            *one.get_mut(key) += 1;
        }
        let mut copy = one.clone();
        copy.remove("a");
        copy.remove("c");
        assert_eq!((copy.get("a"), one.get("a")), (None, Some(&1)));
        assert_eq!(copy.iter().collect::<Vec<_>>(), [("b", &1)]);
        *copy.get_mut("a") += 5;
        assert_eq!(copy.get("a"), Some(&5), "it begins anew");
        copy.remove("a");
        drop(one);
        copy.remove("b");
        assert_eq!((copy.iter().count(), copy.shared.len(), copy.changed.len()), (0, 0, 0));
    }

    proptest! {
        /// Whatever is done to a map and to copies of it, each is as a map that shares nothing.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..3_usize, 0..6_u8, 0..9_i32, any::<bool>()), 0..60)) {
            let mut maps = vec![(SharedMap::<i32>::default(), BTreeMap::<String, i32>::new())];
            for (which, key, value, is_copy) in steps {
                let which = which % maps.len();
                if is_copy {
                    let copy = maps[which].clone();
                    maps.push(copy);
                    if maps.len() > 3 {
                        maps.remove(0);
                    }
                    continue;
                }
                let (map, model) = &mut maps[which];
                if value == 0 {
                    map.remove(&key.to_string());
                    model.remove(&key.to_string());
                } else {
                    *map.get_mut(&key.to_string()) += value;
                    *model.entry(key.to_string()).or_default() += value;
                }
                let after = key.to_string();
                for (map, model) in &maps {
                    prop_assert!(map.iter().eq(model.iter().map(|(key, value)| (key.as_str(), value))));
                    let later = model.iter().filter(|(key, _)| **key > after);
                    prop_assert!(map.with_prefix("", Some(&after)).eq(later.map(|(key, value)| (key.as_str(), value))));
                    prop_assert!(map.with_prefix(&after, None).map(|(_, value)| value).eq(model.get(&after)));
                    prop_assert!((0..6).map(|key: u8| key.to_string()).all(|key| map.get(&key) == model.get(&key)));
                }
            }
            for (map, model) in &maps {
                let bytes = postcard::to_stdvec(map).unwrap();
                prop_assert_eq!(&bytes, &postcard::to_stdvec(model).unwrap());
                let read: SharedMap<i32> = postcard::from_bytes(&bytes).unwrap();
                prop_assert_eq!(hashed(&read), hashed(map));
                prop_assert_eq!(&read, map);
                for (other, of_other) in &maps {
                    prop_assert_eq!(map == other, model == of_other);
                }
            }
        }
    }
}
