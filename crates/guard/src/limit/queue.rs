//! A queue in which everybody takes turns.

use std::collections::{HashMap, VecDeque};

/// First in, first out within a lane; lanes take turns. Whoever waits with much does not make others wait longer.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    lanes: HashMap<Box<str>, VecDeque<T>>,
    turns: VecDeque<Box<str>>,
    len: usize,
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, lane: &str, item: T) {
        self.len += 1;
        if let Some(waiting) = self.lanes.get_mut(lane) {
            waiting.push_back(item);
            return;
        }
        self.lanes.insert(lane.into(), VecDeque::from([item]));
        self.turns.push_back(lane.into());
    }

    /// The first of the lane whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let lane = self.turns.pop_front()?;
        let waiting = self.lanes.get_mut(&lane)?;
        let item = waiting.pop_front();
        if waiting.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        self.len -= usize::from(item.is_some());
        item
    }

    /// Makes room for one more of `lane`: takes the last out of the longest lane. Not if that left it shorter than
    /// `lane` would become: then `lane` is the one that has too much.
    pub(super) fn shed_for(&mut self, lane: &str) -> Option<T> {
        let own = self.lanes.get(lane).map_or(0, VecDeque::len);
        let longest = self
            .lanes
            .values_mut()
            .max_by_key(|waiting| waiting.len())?;
        // What remains of it is never empty, so its turn stays.
        if longest.len() < own + 2 {
            return None;
        }
        self.len -= 1;
        longest.pop_back()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.lanes.retain(|_, waiting| {
            waiting.retain(&keep);
            !waiting.is_empty()
        });
        self.turns.retain(|lane| self.lanes.contains_key(lane));
        self.len = self.lanes.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drained(mut queue: FairQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn lanes_take_turns() {
        let mut queue = FairQueue::new();
        for item in [1, 2, 3] {
            queue.push("flood", item);
        }
        queue.push("ann", 10);
        queue.push("bob", 20);
        queue.push("bob", 21);
        assert_eq!(drained(queue), [1, 10, 20, 2, 21, 3]);
    }

    #[test]
    fn room_is_made_at_the_cost_of_who_waits_with_most() {
        let mut queue = FairQueue::new();
        for item in [1, 2, 3] {
            queue.push("flood", item);
        }
        assert_eq!(queue.shed_for("flood"), None);
        assert_eq!(queue.shed_for("ann"), Some(3));
        queue.push("ann", 10);
        assert_eq!(queue.shed_for("ann"), None, "it has its share");
        assert_eq!(drained(queue), [1, 10, 2]);
    }

    #[test]
    fn nobody_loses_the_only_place_they_have() {
        let mut queue = FairQueue::new();
        queue.push("ann", 1);
        queue.push("bob", 2);
        assert_eq!(queue.shed_for("cy"), None);
        assert_eq!(queue.len(), 2);
    }

    proptest! {
        #[test]
        fn length_and_turns_agree_with_what_waits(steps in prop::collection::vec((0_u8..4, 0_u8..5), 0..200)) {
            let mut queue = FairQueue::new();
            for (step, lane) in steps {
                let lane = lane.to_string();
                match step {
                    0 | 1 => queue.push(&lane, u32::from(step)),
                    2 => { queue.pop(); }
                    _ => { queue.shed_for(&lane); }
                }
                let waiting: usize = queue.lanes.values().map(VecDeque::len).sum();
                prop_assert_eq!(queue.len(), waiting);
                prop_assert_eq!(queue.turns.len(), queue.lanes.len());
            }
            queue.retain(|item| *item == 0);
            let left = queue.len();
            prop_assert_eq!(drained(queue).len(), left);
        }
    }
}
