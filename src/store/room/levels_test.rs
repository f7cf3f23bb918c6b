//! The maps keep what was put in, are few bases away from their roots, and do not grow faster than
//! they should.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::{Node, Path, REMOVED, decode, decode_list, encode, encode_list, get};

#[derive(Clone, Debug)]
struct Step {
    parent: prop::sample::Index,
    changes: Vec<(i64, i64)>,
}

fn step() -> impl Strategy<Value = Step> {
    let changes = prop::collection::vec((-5_i64..20, 0_i64..1000), 0..4);
    (any::<prop::sample::Index>(), changes).prop_map(|(parent, changes)| Step { parent, changes })
}

proptest! {
    #[test]
    fn a_tree_of_maps_keeps_what_was_put_in(
        forks in any::<bool>(),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let root = Arc::new(Node::root(1, vec![(3, 7)]));
        let first = (vec![root], BTreeMap::from([(3, 7)]));
        let mut maps: Vec<(Path, BTreeMap<i64, i64>)> = vec![first];
        for (number, step) in (2..).zip(steps) {
            let last = maps.len() - 1;
            let (parent, mut expected) =
                maps[if forks { step.parent.index(maps.len()) } else { last }].clone();
            for (key, value) in &step.changes {
                if *value == REMOVED {
                    expected.remove(key);
                } else {
                    expected.insert(*key, *value);
                }
            }
            let node = Arc::new(Node::child(number, &parent, step.changes));
            prop_assert_eq!(&decode(&encode(&node.delta)).unwrap(), &node.delta);
            maps.push((Node::path_of(&node, &parent), expected));
        }
        for (path, expected) in maps {
            prop_assert_eq!(u32::try_from(path.len()).unwrap(), path[0].depth.count_ones() + 1);
            for key in -5..20 {
                prop_assert_eq!(get(&path, key), expected.get(&key).copied());
            }
        }
    }

    #[test]
    fn packed_lists_come_back(numbers in prop::collection::vec(any::<i64>(), 0..20)) {
        prop_assert_eq!(decode_list(&encode_list(numbers.iter().copied())).unwrap(), numbers);
    }
}

#[test]
fn a_long_chain_stores_a_logarithmic_number_of_entries_for_each_change() {
    const LENGTH: i64 = 4096;
    let mut path: Path = vec![Arc::new(Node::root(1, Vec::new()))];
    let mut entries = 0;
    for change in 1..LENGTH {
        let node = Arc::new(Node::child(change + 1, &path, vec![(change, change)]));
        entries += node.delta.len();
        path = Node::path_of(&node, &path);
    }
    // n · log₂(n) / 2 is 6 a change.
    assert!(entries <= 7 * 4096, "{entries} entries for {LENGTH} changes");
}

#[test]
fn what_is_cut_off_is_an_error() {
    assert!(decode(&[0x80]).is_err());
    assert!(decode(&[2]).is_err());
}
