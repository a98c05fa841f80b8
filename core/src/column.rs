//! Columns that fill row by row and become Arrow arrays: as narrow as what they have seen, wider on the way.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Decimal128Type, Int64Type};
use arrow_array::{Array, BinaryArray, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field};

use crate::arena::Arena;
use crate::number::{self, Number, NumberRange, Value, DIGITS_MAX, POWERS};

/// The type tags of DynamoDB, in the order in which one name's fields stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tag {
    S,
    N,
    B,
    Bool,
    Null,
    M,
    L,
    Ss,
    Ns,
    Bs,
}

pub const TAGS: [Tag; 10] = [Tag::S, Tag::N, Tag::B, Tag::Bool, Tag::Null, Tag::M, Tag::L, Tag::Ss, Tag::Ns, Tag::Bs];

impl Tag {
    pub fn name(self) -> &'static str {
        ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"][self as usize]
    }

    pub fn from_name(name: &[u8]) -> Option<Tag> {
        TAGS.into_iter().find(|tag| tag.name().as_bytes() == name)
    }

    pub fn has_numbers(self) -> bool {
        matches!(self, Tag::N | Tag::Ns)
    }

    pub fn is_set(self) -> bool {
        matches!(self, Tag::Ss | Tag::Ns | Tag::Bs)
    }
}

/// Bits by row, packed as Arrow has them. Rows behind the end are unset.
#[derive(Default)]
struct Bits {
    words: Vec<u64>,
}

impl Bits {
    #[inline(always)]
    fn set(&mut self, row: usize) {
        if row / 64 >= self.words.len() {
            self.words.resize(row / 64 + 64, 0);
        }
        self.words[row / 64] |= 1 << (row % 64);
    }

    fn unset(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64) {
            *word &= !(1 << (row % 64));
        }
    }

    fn set_first(rows: usize) -> Bits {
        let mut words = vec![u64::MAX; rows / 64];
        words.push((1u64 << (rows % 64)) - 1);
        Bits { words }
    }

    fn finish(mut self, rows: usize) -> BooleanBuffer {
        self.words.resize(rows.div_ceil(64), 0);
        BooleanBuffer::new(Buffer::from_vec(self.words), 0, rows)
    }
}

/// Texts one behind another; `ends` has an entry for each.
#[derive(Default)]
pub struct Texts {
    pub bytes: Arena,
    ends: Vec<i32>,
}

impl Texts {
    fn with_capacity(count: usize, bytes: usize) -> Texts {
        let mut ends = Vec::with_capacity(count + 1);
        ends.push(0);
        Texts { bytes: Arena::with_capacity(bytes), ends }
    }

    /// What was appended to `bytes` since the last text is one.
    #[inline(always)]
    pub fn close(&mut self) {
        self.ends.push(offset(self.bytes.len()));
    }

    fn pad(&mut self, count: usize) {
        self.ends.resize(count + 1, *self.ends.last().expect("begins with 0"));
    }

    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count + 1);
        self.bytes.truncate(*self.ends.last().expect("begins with 0") as usize);
    }

    fn get(&self, index: usize) -> &[u8] {
        &self.bytes.as_slice()[self.ends[index] as usize..self.ends[index + 1] as usize]
    }

    fn count(&self) -> usize {
        self.ends.len() - 1
    }

    fn finish(self, nulls: Option<NullBuffer>) -> ArrayData {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        BinaryArray::new(offsets, Buffer::from_vec(self.bytes.into_vec()), nulls).into_data()
    }
}

/// Batches are bounded, so this never ends the program in practice.
#[inline(always)]
fn offset(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a batch column below 2 GiB")
}

/// Numbers in the narrowest form that holds all of them.
enum Numbers {
    Whole(Vec<i64>),
    Decimal(u32, Vec<i128>),
    Text(Texts),
}

impl Numbers {
    fn of(range: NumberRange, count: usize) -> Numbers {
        if range.int64 {
            Numbers::Whole(Vec::with_capacity(count))
        } else if range.fits_decimal() {
            Numbers::Decimal(range.scale, Vec::with_capacity(count))
        } else {
            Numbers::Text(Texts::with_capacity(count, count * 8))
        }
    }

    fn count(&self) -> usize {
        match self {
            Numbers::Whole(values) => values.len(),
            Numbers::Decimal(_, values) => values.len(),
            Numbers::Text(texts) => texts.count(),
        }
    }

    fn truncate(&mut self, count: usize) {
        match self {
            Numbers::Whole(values) => values.truncate(count),
            Numbers::Decimal(_, values) => values.truncate(count),
            Numbers::Text(texts) => texts.truncate(count),
        }
    }

    fn pad(&mut self, count: usize) {
        match self {
            Numbers::Whole(values) => values.resize(count, 0),
            Numbers::Decimal(_, values) => values.resize(count, 0),
            Numbers::Text(texts) => texts.pad(count),
        }
    }

    /// An empty text stands for a null and is zero here.
    fn get(&self, index: usize) -> Number {
        match self {
            Numbers::Whole(values) => Number::from_i64(values[index]),
            Numbers::Decimal(scale, values) => Number::from_unscaled(values[index], *scale),
            Numbers::Text(texts) => number::parse(texts.get(index)).unwrap_or_default(),
        }
    }

    /// What whole numbers need of a column; the other forms keep account as they fill.
    fn whole_range(&self) -> NumberRange {
        match self {
            Numbers::Whole(values) => {
                let low = values.iter().copied().min().unwrap_or(0);
                let high = values.iter().copied().max().unwrap_or(0);
                number::range_of_whole(low.unsigned_abs().max(high.unsigned_abs()))
            }
            _ => NumberRange::default(),
        }
    }

    /// Take the form that a range asks for; everything must fit it.
    fn conform(&mut self, range: NumberRange) {
        let mut wanted = Numbers::of(range, self.count());
        match (&mut *self, &mut wanted) {
            (Numbers::Whole(_), Numbers::Whole(_)) | (Numbers::Text(_), Numbers::Text(_)) => return,
            (Numbers::Decimal(have, _), Numbers::Decimal(want, _)) if have == want => return,
            (Numbers::Whole(from), Numbers::Decimal(scale, to)) => {
                to.extend(from.iter().map(|&value| value as i128 * POWERS[*scale as usize]));
            }
            (Numbers::Decimal(have, from), Numbers::Decimal(want, to)) if *have < *want => {
                to.extend(from.iter().map(|&value| value * POWERS[(*want - *have) as usize]));
            }
            (from, Numbers::Decimal(scale, to)) => {
                to.extend((0..from.count()).map(|index| from.get(index).unscaled(*scale)));
            }
            (from, Numbers::Whole(to)) => {
                to.extend((0..from.count()).map(|index| from.get(index).as_i64().expect("fits, by its range")));
            }
            (from, Numbers::Text(to)) => {
                for index in 0..from.count() {
                    from.get(index).write_canonical(&mut to.bytes);
                    to.close();
                }
            }
        }
        *self = wanted;
    }

    fn finish(self, nulls: Option<NullBuffer>) -> ArrayData {
        fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> PrimitiveArray<T> {
            PrimitiveArray::new(ScalarBuffer::from(values), nulls)
        }
        match self {
            Numbers::Whole(values) => primitive::<Int64Type>(values, nulls).into_data(),
            Numbers::Decimal(scale, values) => primitive::<Decimal128Type>(values, nulls)
                .with_data_type(DataType::Decimal128(DIGITS_MAX as u8, scale as i8))
                .into_data(),
            Numbers::Text(texts) => texts.finish(nulls),
        }
    }
}

enum Values {
    Texts(Texts),
    Bools(Bits),
    Numbers(Numbers),
    TextLists(Vec<i32>, Texts),
    NumberLists(Vec<i32>, Numbers),
}

/// One attribute's values of one tag, over a stream: what the current batch holds, and what was seen before.
pub struct Column {
    pub tag: Tag,
    /// Rows of the batch up to the last one with a value; those without one are null.
    rows: usize,
    /// Only when there are nulls.
    validity: Option<Bits>,
    values: Values,
    /// Set from outside: it has a field even if nothing is seen, and this range is the least that its type must hold.
    pub known: Option<NumberRange>,
    /// Of accepted rows in sealed batches.
    count: u64,
    seen: NumberRange,
    /// `seen` as it was before the row, should the row be rejected.
    undo: (usize, NumberRange),
    capacity: (usize, usize),
}

const NEVER: usize = usize::MAX;

impl Column {
    pub fn new(tag: Tag, known: Option<NumberRange>) -> Column {
        let mut column = Column {
            tag,
            rows: 0,
            validity: None,
            values: Values::Bools(Bits::default()),
            known,
            count: 0,
            seen: NumberRange::default(),
            undo: (NEVER, NumberRange::default()),
            capacity: (0, 0),
        };
        column.start();
        column
    }

    fn start(&mut self) {
        let (count, bytes) = self.capacity;
        let texts = || Texts::with_capacity(count, bytes);
        let range = self.range();
        self.rows = 0;
        self.validity = None;
        self.undo.0 = NEVER;
        self.values = match self.tag {
            Tag::S | Tag::B | Tag::M | Tag::L => Values::Texts(texts()),
            Tag::N => Values::Numbers(Numbers::of(range, count)),
            Tag::Ss | Tag::Bs => Values::TextLists(vec![0], texts()),
            Tag::Ns => Values::NumberLists(vec![0], Numbers::of(range, count)),
            Tag::Bool | Tag::Null => Values::Bools(Bits::default()),
        };
    }

    /// What the column's type must hold: all that was seen or known.
    fn range(&self) -> NumberRange {
        self.seen.join(self.known.unwrap_or_default())
    }

    pub fn has(&self, row: usize) -> bool {
        self.rows == row + 1
    }

    /// Make place for the row's value, which the caller appends next.
    #[inline(always)]
    fn open(&mut self, row: usize) {
        if self.rows != row {
            self.pad(row);
        }
        self.rows = row + 1;
        if let Some(validity) = &mut self.validity {
            validity.set(row);
        }
    }

    #[cold]
    #[inline(never)]
    fn pad(&mut self, rows: usize) {
        if self.validity.is_none() {
            self.validity = Some(Bits::set_first(self.rows));
        }
        match &mut self.values {
            Values::Texts(texts) => texts.pad(rows),
            Values::Bools(_) => {}
            Values::Numbers(numbers) => numbers.pad(rows),
            Values::TextLists(ends, _) | Values::NumberLists(ends, _) => {
                ends.resize(rows + 1, *ends.last().expect("begins with 0"));
            }
        }
        self.rows = rows;
    }

    /// Forget the row's value, if there is one: the row is rejected.
    pub fn undo(&mut self, row: usize) {
        if !self.has(row) {
            return;
        }
        self.rows = row;
        self.truncate(row);
        if let Some(validity) = &mut self.validity {
            validity.unset(row);
        }
        if self.undo.0 == row {
            self.seen = self.undo.1;
            self.undo.0 = NEVER;
        }
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Texts(texts) => texts.truncate(rows),
            Values::Bools(bits) => bits.unset(rows),
            Values::Numbers(numbers) => numbers.truncate(rows),
            Values::TextLists(ends, texts) => {
                ends.truncate(rows + 1);
                texts.truncate(*ends.last().expect("begins with 0") as usize);
            }
            Values::NumberLists(ends, numbers) => {
                ends.truncate(rows + 1);
                numbers.truncate(*ends.last().expect("begins with 0") as usize);
            }
        }
    }

    /// Append a value of S, B, M or L: `write` puts its bytes behind the others.
    #[inline(always)]
    pub fn push_text<T, E>(&mut self, row: usize, write: impl FnOnce(&mut Arena) -> Result<T, E>) -> Result<T, E> {
        self.open(row);
        let Values::Texts(texts) = &mut self.values else { unreachable!("the tag decides") };
        let result = write(&mut texts.bytes)?;
        texts.close();
        Ok(result)
    }

    pub fn push_bytes(&mut self, row: usize, bytes: &[u8]) {
        let Ok(()) = self.push_text(row, |out| {
            out.extend(bytes);
            Ok::<(), Infallible>(())
        });
    }

    #[inline(always)]
    pub fn push_bool(&mut self, row: usize, value: bool) {
        self.open(row);
        let Values::Bools(bits) = &mut self.values else { unreachable!("the tag decides") };
        if value {
            bits.set(row);
        }
    }

    #[inline(always)]
    pub fn push_number(&mut self, row: usize, value: Value) {
        self.open(row);
        let Values::Numbers(numbers) = &mut self.values else { unreachable!("the tag decides") };
        match (numbers, value) {
            (Numbers::Whole(values), Value::Whole(value)) => values.push(value),
            (Numbers::Decimal(scale, values), Value::Decimal { mantissa, scale: own, whole_digits })
                if whole_digits <= self.seen.whole_digits && own <= self.seen.scale && !self.seen.int64 =>
            {
                values.push(mantissa * POWERS[(*scale - own) as usize]);
            }
            (Numbers::Decimal(scale, values), Value::Whole(value))
                if (value.unsigned_abs() as i128) < POWERS[self.seen.whole_digits as usize] =>
            {
                values.push(value as i128 * POWERS[*scale as usize]);
            }
            _ => self.push_any(row, value),
        }
    }

    /// Append a set of texts, sorted by the caller.
    pub fn push_texts<'a>(&mut self, row: usize, members: impl Iterator<Item = &'a [u8]>) {
        self.open(row);
        let Values::TextLists(ends, texts) = &mut self.values else { unreachable!("the tag decides") };
        for member in members {
            texts.bytes.extend(member);
            texts.close();
        }
        ends.push(offset(texts.count()));
    }

    /// Append a set of numbers, sorted by the caller.
    pub fn push_numbers(&mut self, row: usize, members: impl Iterator<Item = Value>) {
        self.open(row);
        for member in members {
            self.push_any(row, member);
        }
        let Values::NumberLists(ends, numbers) = &mut self.values else { unreachable!("the tag decides") };
        ends.push(offset(numbers.count()));
    }

    #[inline(never)]
    fn push_any(&mut self, row: usize, value: Value) {
        if let (Some(Numbers::Whole(values)), Value::Whole(value)) = (self.numbers(), value) {
            return values.push(value);
        }
        let range = value.range();
        if self.seen.join(range) != self.seen || self.numbers().is_some_and(|n| matches!(n, Numbers::Whole(_))) {
            self.widen(row, range);
        }
        match (self.numbers().expect("the tag decides"), value) {
            // Possible after a rejected row had widened the column: it is narrow again now.
            (Numbers::Whole(values), value) => values.push(value.number().as_i64().expect("fits, by its range")),
            (Numbers::Decimal(scale, values), value) => values.push(value.number().unscaled(*scale)),
            (Numbers::Text(texts), value) => {
                value.number().write_canonical(&mut texts.bytes);
                texts.close();
            }
        }
    }

    fn numbers(&mut self) -> Option<&mut Numbers> {
        match &mut self.values {
            Values::Numbers(numbers) | Values::NumberLists(_, numbers) => Some(numbers),
            _ => None,
        }
    }

    /// Note that the row holds a number which needs more than those before it.
    #[cold]
    #[inline(never)]
    fn widen(&mut self, row: usize, range: NumberRange) {
        let whole = self.numbers().expect("the tag decides").whole_range();
        self.seen = self.seen.join(whole);
        if self.undo.0 != row {
            self.undo = (row, self.seen);
        }
        self.seen = self.seen.join(range);
        let range = self.range();
        self.numbers().expect("the tag decides").conform(range);
    }

    /// Whether the row holds this text.
    pub fn is_text(&self, row: usize, text: &[u8]) -> bool {
        self.has(row) && matches!(&self.values, Values::Texts(texts) if texts.get(row) == text)
    }

    /// Whether the row holds this number.
    pub fn is_number(&self, row: usize, number: Number) -> bool {
        self.has(row) && matches!(&self.values, Values::Numbers(numbers) if numbers.get(row) == number)
    }

    /// How many values were seen, and what their numbers need.
    pub fn seen(&mut self) -> (u64, NumberRange) {
        let whole = self.numbers().map_or(NumberRange::default(), |numbers| numbers.whole_range());
        (self.count + self.batch_count(), self.seen.join(whole))
    }

    fn batch_count(&self) -> u64 {
        match &self.validity {
            None => self.rows as u64,
            Some(bits) => bits.words.iter().map(|word| word.count_ones() as u64).sum(),
        }
    }

    /// End the batch. The array has type Binary where `field` says Utf8: what it holds was checked as input.
    /// `None`: nothing was ever seen here, and nothing known.
    pub fn seal(&mut self, rows: usize) -> Option<ArrayData> {
        (self.count, self.seen) = self.seen();
        if self.count == 0 && self.known.is_none() {
            self.start();
            return None;
        }
        if self.rows != rows {
            self.pad(rows);
        }
        let range = self.range();
        if let Some(numbers) = self.numbers() {
            numbers.conform(range);
        }
        let values = mem::replace(&mut self.values, Values::Bools(Bits::default()));
        let nulls = self.validity.take().map(|bits| NullBuffer::new(bits.finish(rows)));
        let lists = |ends: Vec<i32>, members: ArrayData, nulls: Option<NullBuffer>| {
            let field = Arc::new(Field::new_list_field(members.data_type().clone(), true));
            ArrayData::builder(DataType::List(field))
                .len(rows)
                .add_buffer(Buffer::from_vec(ends))
                .add_child_data(members)
                .nulls(nulls)
                .build()
                .expect("offsets are made in order")
        };
        self.capacity = match &values {
            Values::Texts(texts) => (rows + rows / 8, texts.bytes.len() + texts.bytes.len() / 8),
            Values::TextLists(_, texts) => (texts.count() * 9 / 8, texts.bytes.len() * 9 / 8),
            Values::Numbers(_) => (rows + rows / 8, 0),
            Values::NumberLists(_, numbers) => (numbers.count() * 9 / 8, 0),
            Values::Bools(_) => (0, 0),
        };
        let array = match values {
            Values::Texts(texts) => texts.finish(nulls),
            Values::Bools(bits) => BooleanArray::new(bits.finish(rows), nulls).into_data(),
            Values::Numbers(numbers) => numbers.finish(nulls),
            Values::TextLists(ends, texts) => lists(ends, texts.finish(None), nulls),
            Values::NumberLists(ends, numbers) => lists(ends, numbers.finish(None), nulls),
        };
        self.start();
        Some(array)
    }

    /// The Arrow type of the last sealed batch.
    pub fn data_type(&self) -> DataType {
        let list = |member| DataType::List(Arc::new(Field::new_list_field(member, true)));
        let range = self.range();
        let number = if range.int64 {
            DataType::Int64
        } else if range.fits_decimal() {
            DataType::Decimal128(DIGITS_MAX as u8, range.scale as i8)
        } else {
            DataType::Utf8
        };
        match self.tag {
            Tag::S | Tag::M | Tag::L => DataType::Utf8,
            Tag::N => number,
            Tag::B => DataType::Binary,
            Tag::Bool | Tag::Null => DataType::Boolean,
            Tag::Ss => list(DataType::Utf8),
            Tag::Ns => list(number),
            Tag::Bs => list(DataType::Binary),
        }
    }
}
