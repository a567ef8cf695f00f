//! Batches of one shape: each record has a place, and places without a record hold blanks, of zeros.
//!
//! A runtime chooses how it computes by shapes. In batches that all have the same one, what it makes of a record follows from
//! the record and its place, whatever stands at the other places. Which place a record has follows from its number in the dataset.

use crate::failure::Failure;
use crate::guard::Port;
use delta_domain::tensor::{DType, Tensor, TensorData, element_count};

/// The row at each place of a batch; `None`: a blank.
pub(super) type Places = Vec<Option<usize>>;

/// Cuts rows into batches of `size`; the last one is filled up with blanks if all must have one shape.
pub(super) fn cut(rows: &[usize], size: usize, fixed: bool) -> impl Iterator<Item = Places> {
    rows.chunks(size.max(1)).map(move |some| {
        let mut places: Places = some.iter().copied().map(Some).collect();
        if fixed {
            places.resize(size.max(1), None);
        }
        places
    })
}

/// The rows of a batch in two halves: where all batches have one shape, each row at its place.
pub(super) fn halves(places: &[Option<usize>], fixed: bool) -> [Places; 2] {
    let middle = places.iter().flatten().count() / 2;
    let mut seen = 0;
    let mut parts = [Places::new(), Places::new()];
    for place in places {
        let first = seen < middle;
        seen += usize::from(place.is_some());
        for (part, here) in parts.iter_mut().zip([first, !first]) {
            if here {
                part.push(*place);
            } else if fixed {
                part.push(None);
            }
        }
    }
    parts
}

/// Rows that were read, each at its place.
pub(super) fn spread(read: Tensor, places: &[Option<usize>]) -> Result<Tensor, Failure> {
    let block = read.shape().get(1..).unwrap_or_default();
    let shape: Vec<usize> = std::iter::once(places.len())
        .chain(block.iter().copied())
        .collect();
    if read.shape() == shape {
        return Ok(read);
    }
    let block = element_count(block).unwrap_or(0);
    let data = match read.data() {
        TensorData::F32(v) => TensorData::F32(spread_blocks(v, block, places)),
        TensorData::F64(v) => TensorData::F64(spread_blocks(v, block, places)),
        TensorData::I32(v) => TensorData::I32(spread_blocks(v, block, places)),
        TensorData::I64(v) => TensorData::I64(spread_blocks(v, block, places)),
        TensorData::U8(v) => TensorData::U8(spread_blocks(v, block, places)),
        TensorData::Bool(v) => TensorData::Bool(spread_blocks(v, block, places)),
    };
    Tensor::new(shape, data).map_err(|e| Failure::internal(e.to_string()))
}

fn spread_blocks<T: Copy + Default>(read: &[T], block: usize, places: &[Option<usize>]) -> Vec<T> {
    let mut all = vec![T::default(); places.len().saturating_mul(block)];
    let taken = all
        .chunks_mut(block.max(1))
        .zip(places)
        .filter(|(_, place)| place.is_some());
    for ((to, _), from) in taken.zip(read.chunks(block.max(1))) {
        to.copy_from_slice(from);
    }
    all
}

/// Blanks at all places of an input; `None` where the graph does not declare how long a record is.
pub(super) fn blank(port: &Port, size: usize) -> Option<Tensor> {
    let (_, block) = port.dims.as_ref()?.split_first()?;
    let block: Option<Vec<usize>> = block.iter().copied().collect();
    let shape: Vec<usize> = std::iter::once(size).chain(block?).collect();
    let count = element_count(&shape)?;
    let data = match port.dtype {
        DType::F32 => TensorData::F32(vec![0.0; count]),
        DType::F64 => TensorData::F64(vec![0.0; count]),
        DType::I32 => TensorData::I32(vec![0; count]),
        DType::I64 => TensorData::I64(vec![0; count]),
        DType::U8 => TensorData::U8(vec![0; count]),
        DType::Bool => TensorData::Bool(vec![false; count]),
    };
    Tensor::new(shape, data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_has_the_same_length_and_each_row_its_place() {
        let rows = [4, 5, 6, 7, 8];
        let free: Vec<Places> = cut(&rows, 3, false).collect();
        assert_eq!(
            free,
            [vec![Some(4), Some(5), Some(6)], vec![Some(7), Some(8)]]
        );
        let fixed: Vec<Places> = cut(&rows, 3, true).collect();
        assert_eq!(fixed[1], [Some(7), Some(8), None]);
        assert_eq!(
            halves(&fixed[1], true),
            [vec![Some(7), None, None], vec![None, Some(8), None]]
        );
        assert_eq!(halves(&fixed[0], true)[1], [None, Some(5), Some(6)]);
        assert_eq!(
            halves(&free[0], false),
            [vec![Some(4)], vec![Some(5), Some(6)]]
        );
    }

    #[test]
    fn rows_go_to_their_places() {
        let read = Tensor::new(vec![2, 2], TensorData::I32(vec![1, 2, 3, 4])).unwrap();
        let spread_out = spread(read.clone(), &[None, Some(7), None, Some(9)]).unwrap();
        assert_eq!(spread_out.shape(), [4, 2]);
        assert_eq!(
            spread_out.data(),
            &TensorData::I32(vec![0, 0, 1, 2, 0, 0, 3, 4])
        );
        assert_eq!(spread(read.clone(), &[Some(1), Some(0)]).unwrap(), read);
        let single = Tensor::new(vec![1], TensorData::Bool(vec![true])).unwrap();
        let single = spread(single, &[None, Some(3)]).unwrap();
        assert_eq!(single.data(), &TensorData::Bool(vec![false, true]));
    }

    #[test]
    fn blanks_need_known_lengths() {
        let mut port = Port {
            name: "x".to_owned(),
            dtype: DType::I64,
            dims: Some(vec![None, Some(3)]),
        };
        assert_eq!(blank(&port, 4).unwrap().shape(), [4, 3]);
        port.dims = Some(vec![None, None]);
        assert!(blank(&port, 4).is_none());
        port.dims = None;
        assert!(blank(&port, 4).is_none());
    }
}
