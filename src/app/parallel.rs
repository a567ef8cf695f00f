//! Work on large vectors and long lists, spread over the machine's cores. For CPU-bound code off the async threads.

use std::num::NonZero;

/// A part of a vector below which another thread costs more than it saves, in values.
const SMALLEST_PART: usize = 16 * 1024;

/// How many threads are worth starting.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Applies `work` to every item, in any order; the answers come in the order of the items.
///
/// # Panics
/// When `work` does.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let part = items.len().div_ceil(cores()).max(1);
    if part >= items.len() {
        return items.iter().map(work).collect();
    }
    let mut parts: Vec<Vec<R>> = Vec::new();
    parts.resize_with(items.len().div_ceil(part), Vec::new);
    std::thread::scope(|scope| {
        for (answers, items) in parts.iter_mut().zip(items.chunks(part)) {
            let work = &work;
            scope.spawn(move || *answers = items.iter().map(work).collect());
        }
    });
    parts.into_iter().flatten().collect()
}

/// Hands each core a part of `values`, with the position at which it begins.
///
/// # Panics
/// When `work` does.
pub fn parts<W: Send>(values: &mut [W], work: impl Fn(usize, &mut [W]) + Sync) {
    let part = values.len().div_ceil(cores()).max(SMALLEST_PART);
    if part >= values.len() {
        return work(0, values);
    }
    std::thread::scope(|scope| {
        for (i, values) in values.chunks_mut(part).enumerate() {
            let work = &work;
            scope.spawn(move || work(i * part, values));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items() {
        for n in [0, 1, 2, 3, 100, 101] {
            let items: Vec<usize> = (0..n).collect();
            assert_eq!(
                map(&items, |i| i * i),
                items.iter().map(|i| i * i).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn every_value_is_visited_once_at_its_own_position() {
        for n in [
            0,
            1,
            SMALLEST_PART,
            2 * SMALLEST_PART + 1,
            5 * SMALLEST_PART,
        ] {
            let mut values = vec![0; n];
            parts(&mut values, |at, part| {
                part.iter_mut()
                    .enumerate()
                    .for_each(|(i, v)| *v += at + i + 1);
            });
            assert!(values.iter().enumerate().all(|(i, v)| *v == i + 1));
        }
    }
}
