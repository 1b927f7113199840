//! What every state has to do.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    faulty::Random,
    limits::STATE_KEY_BYTES_MAX,
    state::{State, StateError, Write},
};

/// Number of partitions that a harness has to make.
pub const PARTITIONS: u16 = 3;

/// Makes states of a backend, with [`PARTITIONS`] partitions. Each harness stands for one place.
pub trait StateHarness {
    /// Opens the state, an empty one at first.
    fn open(&mut self) -> Arc<dyn State>;

    /// Opens the state after its owner vanished; whatever was not checkpointed may be gone.
    fn reopen_after_crash(&mut self, vanished: Arc<dyn State>) -> Arc<dyn State>;
}

/// All rules, each with a place of its own.
pub fn all<H: StateHarness>(mut harness: impl FnMut() -> H) {
    empty(&mut harness());
    writes_and_position_go_together(&mut harness());
    position_never_goes_back(&mut harness());
    partitions_are_apart(&mut harness());
    last_write_holds(&mut harness());
    odd_keys(&mut harness());
    ranges(&mut harness());
    checkpoint_survives(&mut harness());
    snapshot_is_consistent(&mut harness());
    like_a_map(&mut harness());
}

fn put(key: &[u8], value: &[u8]) -> Write {
    (key.to_vec(), Some(value.to_vec()))
}

fn delete(key: &[u8]) -> Write {
    (key.to_vec(), None)
}

fn scan(state: &dyn State, partition: u16, from: &[u8], to: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    state.range(partition, from, to).unwrap().map(Result::unwrap).collect()
}

fn keys(state: &dyn State, from: &[u8], to: Option<&[u8]>) -> Vec<Vec<u8>> {
    scan(state, 0, from, to).into_iter().map(|(key, _)| key).collect()
}

/// A new state has nothing and knows its partitions.
pub fn empty(harness: &mut impl StateHarness) {
    let state = harness.open();
    assert_eq!(state.partitions(), PARTITIONS);
    for partition in 0..PARTITIONS {
        assert_eq!(state.applied(partition), Ok(0));
        assert_eq!(state.get(partition, b"key"), Ok(None));
        assert!(scan(&*state, partition, b"", None).is_empty());
    }
    let unknown = StateError::Partition { partition: PARTITIONS, partitions: PARTITIONS };
    assert_eq!(state.get(PARTITIONS, b"key"), Err(unknown.clone()));
    assert_eq!(state.apply(PARTITIONS, 1, &[]), Err(unknown));
}

/// The applied position belongs to the writes, also when there are none.
pub fn writes_and_position_go_together(harness: &mut impl StateHarness) {
    let state = harness.open();
    state.apply(1, 5, &[put(b"a", b"1"), put(b"b", b"2")]).unwrap();
    assert_eq!(state.applied(1), Ok(5));
    assert_eq!(state.get(1, b"b"), Ok(Some(b"2".to_vec())));
    state.apply(1, 6, &[]).unwrap();
    assert_eq!(state.applied(1), Ok(6));
    state.apply(1, 7, &[delete(b"a")]).unwrap();
    assert_eq!(state.get(1, b"a"), Ok(None));
    assert_eq!(state.get(1, b"b"), Ok(Some(b"2".to_vec())));
}

/// Going back is refused and changes nothing; advancing to a lower position does nothing.
pub fn position_never_goes_back(harness: &mut impl StateHarness) {
    let state = harness.open();
    state.apply(0, 9, &[put(b"k", b"new")]).unwrap();
    let refused = state.apply(0, 8, &[put(b"k", b"old")]);
    assert_eq!(refused, Err(StateError::Backwards { partition: 0, applied: 9, given: 8 }));
    assert_eq!(state.get(0, b"k"), Ok(Some(b"new".to_vec())));
    state.advance(0, 3).unwrap();
    assert_eq!(state.applied(0), Ok(9));
    state.advance(0, 30).unwrap();
    assert_eq!(state.applied(0), Ok(30));
}

/// Partitions share nothing.
pub fn partitions_are_apart(harness: &mut impl StateHarness) {
    let state = harness.open();
    for partition in 0..PARTITIONS {
        let value = [u8::try_from(partition).unwrap()];
        state.apply(partition, u64::from(partition) + 1, &[put(b"same", &value)]).unwrap();
    }
    for partition in 0..PARTITIONS {
        assert_eq!(scan(&*state, partition, b"", None), [(b"same".to_vec(), vec![u8::try_from(partition).unwrap()])]);
        assert_eq!(state.applied(partition), Ok(u64::from(partition) + 1));
    }
}

/// Of several writes to one key in one batch the last one holds.
pub fn last_write_holds(harness: &mut impl StateHarness) {
    let state = harness.open();
    state.apply(0, 1, &[put(b"a", b"1"), delete(b"a"), put(b"a", b"2"), put(b"b", b"1"), delete(b"b")]).unwrap();
    assert_eq!(scan(&*state, 0, b"", None), [(b"a".to_vec(), b"2".to_vec())]);
}

/// Empty keys and values, zero bytes, the longest key, one byte more.
pub fn odd_keys(harness: &mut impl StateHarness) {
    let state = harness.open();
    let longest = vec![255; STATE_KEY_BYTES_MAX];
    let odd: [&[u8]; 5] = [b"", b"\0", b"\0\0", b"\xff\xff", &longest];
    state.apply(0, 1, &odd.map(|key| put(key, b""))).unwrap();
    for key in odd {
        assert_eq!(state.get(0, key), Ok(Some(Vec::new())));
    }
    assert_eq!(keys(&*state, b"", None), odd.map(<[u8]>::to_vec));
    let limit = STATE_KEY_BYTES_MAX;
    let refused = state.apply(0, 2, &[put(b"fine", b""), put(&vec![0; limit + 1], b"")]);
    assert_eq!(refused, Err(StateError::KeyTooLarge { bytes: limit + 1, limit }));
    assert_eq!((state.applied(0), state.get(0, b"fine")), (Ok(1), Ok(None)), "all or nothing");
}

/// Ranges are ascending, with the lower bound and without the upper one.
pub fn ranges(harness: &mut impl StateHarness) {
    let state = harness.open();
    let all: [&[u8]; 5] = [b"a", b"ab", b"b", b"b\0", b"c"];
    state.apply(0, 1, &all.map(|key| put(key, key))).unwrap();
    assert_eq!(keys(&*state, b"", None), all.map(<[u8]>::to_vec));
    assert_eq!(keys(&*state, b"ab", Some(b"b\0")), [b"ab".to_vec(), b"b".to_vec()]);
    assert_eq!(keys(&*state, b"b", Some(b"b")), Vec::<Vec<u8>>::new());
    assert_eq!(keys(&*state, b"c", Some(b"a")), Vec::<Vec<u8>>::new());
    assert_eq!(keys(&*state, b"bz", None), [b"c".to_vec()]);
}

/// What was checkpointed survives; what comes after it may, but only whole batches in their order.
pub fn checkpoint_survives(harness: &mut impl StateHarness) {
    let state = harness.open();
    state.apply(0, 1, &[put(b"kept", b"1")]).unwrap();
    state.advance(1, 1).unwrap();
    state.checkpoint().unwrap();
    state.apply(0, 2, &[put(b"a", b"2"), put(b"b", b"2")]).unwrap();
    state.apply(0, 3, &[put(b"a", b"3"), delete(b"b")]).unwrap();
    let state = harness.reopen_after_crash(state);
    assert_eq!(state.get(0, b"kept"), Ok(Some(b"1".to_vec())));
    assert_eq!(state.applied(1), Ok(1));
    let rest = (state.get(0, b"a").unwrap(), state.get(0, b"b").unwrap());
    let two = Some(b"2".to_vec());
    match state.applied(0).unwrap() {
        1 => assert_eq!(rest, (None, None)),
        2 => assert_eq!(rest, (two.clone(), two)),
        3 => assert_eq!(rest, (Some(b"3".to_vec()), None)),
        applied => panic!("position {applied} was never applied"),
    }
}

/// A snapshot stays as it was and knows its position.
pub fn snapshot_is_consistent(harness: &mut impl StateHarness) {
    let state = harness.open();
    state.apply(0, 1, &[put(b"a", b"1"), put(b"b", b"1")]).unwrap();
    let snapshot = state.snapshot(0).unwrap();
    state.apply(0, 2, &[put(b"a", b"2"), delete(b"b"), put(b"c", b"2")]).unwrap();
    assert_eq!(snapshot.applied, 1);
    let entries: Vec<_> = snapshot.entries.map(Result::unwrap).collect();
    assert_eq!(entries, [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"1".to_vec())]);
}

/// Random writes, deletes and scans agree with a map.
pub fn like_a_map(harness: &mut impl StateHarness) {
    let state = harness.open();
    let mut random = Random::new(1);
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let key = |random: &mut Random| vec![b'k', u8::try_from(random.below(40)).unwrap()];
    for position in 1..300 {
        let mut writes = Vec::new();
        for _ in 0..random.below(6) {
            let key = key(&mut random);
            let value = (random.below(3) > 0).then(|| random.next_u64().to_le_bytes().to_vec());
            match &value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(&key),
            };
            writes.push((key, value));
        }
        state.apply(2, position, &writes).unwrap();
        let (from, to) = (key(&mut random), key(&mut random));
        let expected: Vec<_> = if from < to {
            model.range(from.clone()..to.clone()).map(|(key, value)| (key.clone(), value.clone())).collect()
        } else {
            Vec::new()
        };
        assert_eq!(scan(&*state, 2, &from, Some(&to)), expected);
    }
    assert_eq!(scan(&*state, 2, b"", None), model.into_iter().collect::<Vec<_>>());
}
