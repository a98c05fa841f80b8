//! The latest row per key.

use std::cmp::Ordering;

use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use hashbrown::HashTable;

#[derive(Debug, PartialEq, Eq)]
pub enum FoldError {
    /// Two different rows, by number, have one key and one order key.
    Conflict(usize, usize),
    /// What the columns are instead of what they must be.
    Unsupported(String),
}

/// One column of one batch as bytes by row.
enum Column<'a> {
    Bytes(&'a [i32], &'a [u8]),
    LargeBytes(&'a [i64], &'a [u8]),
    Int64(&'a [i64]),
    Decimal(&'a [i128]),
}

struct Nullable<'a> {
    column: Column<'a>,
    array: &'a dyn Array,
    has_nulls: bool,
}

/// A value that can be hashed and compared; of one column all are of one form.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value<'a> {
    Null,
    Bytes(&'a [u8]),
    Number(i128),
}

impl<'a> Nullable<'a> {
    fn new(array: &'a dyn Array) -> Result<Self, FoldError> {
        let column = match array.data_type() {
            DataType::Utf8 => {
                Column::Bytes(array.as_string::<i32>().value_offsets(), array.as_string::<i32>().value_data())
            }
            DataType::Binary => {
                Column::Bytes(array.as_binary::<i32>().value_offsets(), array.as_binary::<i32>().value_data())
            }
            DataType::LargeUtf8 => {
                Column::LargeBytes(array.as_string::<i64>().value_offsets(), array.as_string::<i64>().value_data())
            }
            DataType::LargeBinary => {
                Column::LargeBytes(array.as_binary::<i64>().value_offsets(), array.as_binary::<i64>().value_data())
            }
            DataType::Int64 => Column::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::Decimal128(..) => Column::Decimal(array.as_primitive::<Decimal128Type>().values()),
            other => {
                return Err(FoldError::Unsupported(format!("a column of type {other} cannot be a key or an order")))
            }
        };
        Ok(Nullable { column, array, has_nulls: array.null_count() > 0 })
    }

    #[inline]
    fn get(&self, row: usize) -> Value<'a> {
        if self.has_nulls && self.array.is_null(row) {
            return Value::Null;
        }
        match self.column {
            Column::Bytes(ends, data) => Value::Bytes(&data[ends[row] as usize..ends[row + 1] as usize]),
            Column::LargeBytes(ends, data) => Value::Bytes(&data[ends[row] as usize..ends[row + 1] as usize]),
            Column::Int64(values) => Value::Number(values[row] as i128),
            Column::Decimal(values) => Value::Number(values[row]),
        }
    }
}

/// Rows of all batches by one number.
struct Table<'a> {
    batches: &'a [RecordBatch],
    starts: Vec<usize>,
    keys: Vec<Vec<Nullable<'a>>>,
    order: Vec<Nullable<'a>>,
}

impl<'a> Table<'a> {
    fn place(&self, row: usize) -> (usize, usize) {
        if self.starts.len() == 1 {
            return (0, row);
        }
        let batch = self.starts.partition_point(|&start| start <= row) - 1;
        (batch, row - self.starts[batch])
    }

    fn order(&self, row: usize) -> Value<'a> {
        let (batch, row) = self.place(row);
        self.order[batch].get(row)
    }

    fn same_key(&self, left: usize, right: (usize, usize)) -> bool {
        let (batch, row) = self.place(left);
        self.keys[batch].iter().zip(&self.keys[right.0]).all(|(a, b)| a.get(row) == b.get(right.1))
    }

    fn same_row(&self, left: usize, right: usize) -> bool {
        let ((left_batch, left), (right_batch, right)) = (self.place(left), self.place(right));
        let (left_batch, right_batch) = (&self.batches[left_batch], &self.batches[right_batch]);
        left_batch.columns().iter().zip(right_batch.columns()).all(|(a, b)| a.slice(left, 1) == b.slice(right, 1))
    }
}

/// Numbers of the rows that survive, in order: for each key the row with the greatest order key, of equal rows the first.
pub fn fold_latest(batches: &[RecordBatch], keys: &[usize], order: usize) -> Result<Vec<u64>, FoldError> {
    let columns = |batch: &'_ RecordBatch| batch.num_columns();
    if batches.iter().any(|batch| keys.iter().chain([&order]).any(|&column| column >= columns(batch))) {
        return Err(FoldError::Unsupported("there is no such column".into()));
    }
    let mut starts = Vec::with_capacity(batches.len());
    let mut rows = 0;
    for batch in batches {
        starts.push(rows);
        rows += batch.num_rows();
    }
    let table = Table {
        batches,
        starts,
        keys: batches
            .iter()
            .map(|batch| keys.iter().map(|&key| Nullable::new(batch.column(key).as_ref())).collect())
            .collect::<Result<_, _>>()?,
        order: batches.iter().map(|batch| Nullable::new(batch.column(order).as_ref())).collect::<Result<_, _>>()?,
    };
    fold(&table, rows)
}

fn fold(table: &Table, rows: usize) -> Result<Vec<u64>, FoldError> {
    let hasher = RandomState::new();
    let mut index: HashTable<(u64, u32)> = HashTable::with_capacity(rows.min(1 << 16)); // hash and number of a group
    let mut latest: Vec<usize> = Vec::new(); // row by group
    let mut group_of: Vec<u32> = Vec::with_capacity(rows);
    let mut late: Vec<u32> = Vec::new(); // groups in which a row came after a greater one
    for (batch, columns) in table.keys.iter().enumerate() {
        for row in 0..table.batches[batch].num_rows() {
            let number = group_of.len();
            let hash = match &columns[..] {
                [key] => hasher.hash_one(key.get(row)),
                keys => keys.iter().fold(0, |hash, key| hasher.hash_one((hash, key.get(row)))),
            };
            let same =
                |&(other, group): &(u64, u32)| other == hash && table.same_key(latest[group as usize], (batch, row));
            if let Some(&(_, group)) = index.find(hash, same) {
                group_of.push(group);
                let before = latest[group as usize];
                match table.order[batch].get(row).cmp(&table.order(before)) {
                    Ordering::Greater => latest[group as usize] = number,
                    Ordering::Equal if !table.same_row(before, number) => {
                        return Err(FoldError::Conflict(before, number));
                    }
                    Ordering::Equal => {}
                    Ordering::Less => late.push(group),
                }
                continue;
            }
            let group =
                u32::try_from(latest.len()).map_err(|_| FoldError::Unsupported("more than 2^32 keys".into()))?;
            index.insert_unique(hash, (hash, group), |&(hash, _)| hash);
            latest.push(number);
            group_of.push(group);
        }
    }
    check_late(table, late, &group_of, latest.len())?;
    let mut survivors: Vec<u64> = latest.into_iter().map(|row| row as u64).collect();
    survivors.sort_unstable();
    Ok(survivors)
}

/// Rows that came in order were compared with the greatest so far, and that suffices for them. In the other groups
/// all are compared.
fn check_late(table: &Table, late: Vec<u32>, group_of: &[u32], groups: usize) -> Result<(), FoldError> {
    if late.is_empty() {
        return Ok(());
    }
    let mut is_late = vec![false; groups];
    late.into_iter().for_each(|group| is_late[group as usize] = true);
    let mut rows: Vec<usize> = (0..group_of.len()).filter(|&row| is_late[group_of[row] as usize]).collect();
    rows.sort_by(|&a, &b| group_of[a].cmp(&group_of[b]).then_with(|| table.order(a).cmp(&table.order(b))));
    for pair in rows.windows(2) {
        let &[a, b] = pair else { unreachable!("a pair") };
        if group_of[a] == group_of[b] && table.order(a) == table.order(b) && !table.same_row(a, b) {
            return Err(FoldError::Conflict(a.min(b), a.max(b)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(rows: &[(Option<&str>, i64, &str, i64)]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("key", Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()) as ArrayRef, true),
            ("number", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()) as ArrayRef, true),
            ("order", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()) as ArrayRef, true),
            ("value", Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[test]
    fn the_greatest_order_key_survives_across_batches() {
        let batches = [
            batch(&[(Some("a"), 1, "1", 0), (Some("b"), 1, "5", 0), (None, 1, "1", 0), (Some("a"), 2, "1", 0)]),
            batch(&[]),
            batch(&[(Some("a"), 1, "3", 1), (Some("b"), 1, "4", 1), (None, 1, "0", 1), (Some(""), 1, "1", 2)]),
        ];
        assert_eq!(fold_latest(&batches, &[0, 1], 2), Ok(vec![1, 2, 3, 4, 7]));
        assert_eq!(fold_latest(&batches, &[0], 2), Err(FoldError::Conflict(0, 3)));
        assert_eq!(fold_latest(&[], &[0], 2), Ok(vec![]));
    }

    #[test]
    fn of_a_repeated_row_the_first_survives_and_a_different_one_is_a_conflict() {
        let repeated =
            batch(&[(Some("a"), 1, "1", 7), (Some("a"), 1, "2", 8), (Some("a"), 1, "1", 7), (Some("a"), 1, "2", 8)]);
        assert_eq!(fold_latest(std::slice::from_ref(&repeated), &[0], 2), Ok(vec![1]));
        let other = batch(&[(Some("a"), 1, "1", 9)]);
        assert_eq!(fold_latest(&[repeated.clone(), other], &[0], 2), Err(FoldError::Conflict(2, 4)));
        let other = batch(&[(Some("a"), 1, "2", 9)]);
        assert_eq!(fold_latest(&[repeated, other], &[0], 2), Err(FoldError::Conflict(1, 4)));
    }

    #[test]
    fn a_column_that_is_not_there_is_an_error() {
        assert!(matches!(fold_latest(&[batch(&[])], &[0], 9), Err(FoldError::Unsupported(_))));
    }
}
