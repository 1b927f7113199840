//! Running ahead: what a step leaves in its cells for the one that follows it on the same worker.

use super::{Slice, SliceCell, StepEnd, StepStatus};

/// Bytes of writes and result up to which a step is followed: far below every limit for which the server could refuse
/// the end.
const BYTES_MAX: usize = 32 * 1024;

/// What a step that was shipped this leaves there. `None`: whatever follows must wait for the server, as the step did
/// something beside changing these cells, or may not be accepted as it is.
pub fn left_by(mut shipped: Slice, end: &StepEnd) -> Option<Slice> {
    let (StepStatus::Returned(result) | StepStatus::Raised(result)) = &end.status else { return None };
    let alone = end.ops.is_empty() && end.doom.is_none() && shipped.wholes.is_empty();
    let written: usize = end.writes.iter().map(|write| write.value.as_ref().map_or(0, Vec::len)).sum();
    if !alone || written + result.len() > BYTES_MAX {
        return None;
    }
    for write in &end.writes {
        let is_it = |cell: &&mut SliceCell| cell.field == write.field && cell.key == write.key;
        let cell = shipped.cells.iter_mut().find(is_it)?;
        cell.incarnation = match &write.value {
            Some(_) => write.incarnation.unwrap_or(cell.incarnation),
            None => 0,
        };
        cell.value.clone_from(&write.value);
    }
    Some(shipped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::{Op, OpKind, StepWrite};

    fn cell(field: &str, value: Option<u8>, incarnation: u64) -> SliceCell {
        SliceCell { field: field.to_owned(), key: None, value: value.map(|value| vec![value]), incarnation }
    }

    fn write(field: &str, value: Option<u8>, incarnation: Option<u64>) -> StepWrite {
        let value = value.map(|value| vec![value]);
        StepWrite { field: field.to_owned(), value, incarnation, ..StepWrite::default() }
    }

    fn returned(writes: Vec<StepWrite>) -> StepEnd {
        StepEnd { status: StepStatus::Returned(vec![1]), writes, ..StepEnd::default() }
    }

    #[test]
    fn writes_are_what_the_next_one_sees() {
        let shipped =
            Slice { cells: vec![cell("a", Some(1), 7), cell("b", None, 0), cell("c", Some(3), 9)], wholes: vec![] };
        let writes = vec![write("a", Some(2), None), write("b", Some(5), Some(4)), write("c", None, None)];
        let left = left_by(shipped, &returned(writes)).unwrap();
        assert_eq!(left.cells, [cell("a", Some(2), 7), cell("b", Some(5), 4), cell("c", None, 0)]);
    }

    #[test]
    fn nothing_follows_what_the_server_may_see_otherwise() {
        let shipped = || Slice { cells: vec![cell("a", Some(1), 0)], wholes: vec![] };
        let follows = |change: fn(&mut StepEnd)| {
            let mut end = returned(vec![write("a", Some(2), None)]);
            change(&mut end);
            left_by(shipped(), &end).is_some()
        };
        assert!(follows(|_| ()));
        assert!(follows(|end| end.status = StepStatus::Raised(vec![1])));
        assert!(!follows(|end| end.status = StepStatus::Suspended));
        assert!(!follows(|end| end.status = StepStatus::NotStorable(vec![1])));
        assert!(!follows(|end| end.status = StepStatus::Returned(vec![0; BYTES_MAX])));
        assert!(!follows(|end| end.writes[0].value = Some(vec![0; BYTES_MAX])));
        assert!(!follows(|end| end.writes.push(write("fetched", Some(1), None))));
        assert!(!follows(|end| end.doom = Some(vec![1])));
        assert!(!follows(|end| end.ops.push(Op { position: "0".into(), kind: OpKind::Begin })));
    }
}
