//! A stream of bytes to record batches: lines, their places, and what becomes of each.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use arrow_array::{Array, BinaryArray, BooleanArray, Int64Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::column::{Tag, TAGS};
use crate::fault::{Fault, Why};
use crate::inflate::{Corrupt, Inflater, HISTORY};
use crate::json::{blank_end, CHUNK};
use crate::number::NumberRange;
use crate::record::{Meta, Rows};
use crate::window::Window;

pub const ORDER_KEY_LENGTH: usize = 47;
const REJECTED_RAW_MAX: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Of one batch, whatever is asked for: a column of a batch must stay below 2 GiB.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// A line that cannot be represented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub line: u64,
    pub offset: u64,
    pub kind: &'static str,
    pub reason: String,
    pub raw: Vec<u8>,
    pub cut: bool,
}

/// How often an attribute held a tag, and what its numbers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    pub tag: Tag,
    pub count: u64,
    pub numbers: Option<NumberRange>,
}

/// Arrays of type Binary stand for fields of type Utf8: their bytes were checked as part of the input.
pub struct Batch {
    pub schema: SchemaRef,
    pub rows: usize,
    pub arrays: Vec<ArrayData>,
}

/// Everything of the meta fields in the current batch. Base rows differ in nothing, so they are written in bulk.
#[derive(Default)]
struct MetaColumns {
    rows: usize,
    ops: Vec<u8>,
    ts: Vec<i64>,
    has_ts: Vec<bool>,
    positions: Vec<u8>,
    expired: Vec<bool>,
}

impl MetaColumns {
    fn fill_with_base(&mut self, rows: usize, prefix: &[u8]) {
        if self.rows == rows {
            return;
        }
        let mut key = [b'0'; ORDER_KEY_LENGTH];
        key[..prefix.len()].copy_from_slice(prefix);
        self.ops.resize(rows, b'r');
        self.ts.resize(rows, 0);
        self.has_ts.resize(rows, false);
        self.expired.resize(rows, false);
        self.positions.reserve((rows - self.rows) * ORDER_KEY_LENGTH);
        (self.rows..rows).for_each(|_| self.positions.extend_from_slice(&key));
        self.rows = rows;
    }

    fn push(&mut self, meta: &Meta, prefix: &[u8]) {
        self.ops.push(meta.op);
        self.ts.push(meta.ts.unwrap_or(0));
        self.has_ts.push(meta.ts.is_some());
        self.expired.push(meta.expired);
        self.positions.extend_from_slice(prefix);
        let zeros = ORDER_KEY_LENGTH - prefix.len() - meta.position().len();
        self.positions.resize(self.positions.len() + zeros, b'0');
        self.positions.extend_from_slice(meta.position());
        self.rows += 1;
    }

    fn finish(self) -> [ArrayData; 4] {
        let texts = |bytes: Vec<u8>, width: usize| {
            let ends: Vec<i32> = (0..=self.rows).map(|row| i32::try_from(row * width).expect("bounded")).collect();
            BinaryArray::new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(bytes), None).into_data()
        };
        let nulls = Some(NullBuffer::from(self.has_ts)).filter(|nulls| nulls.null_count() > 0);
        [
            texts(self.ops, 1),
            Int64Array::new(ScalarBuffer::from(self.ts), nulls).into_data(),
            texts(self.positions, ORDER_KEY_LENGTH),
            BooleanArray::new(BooleanBuffer::from(self.expired), None).into_data(),
        ]
    }
}

/// A line that grows beyond what is permitted, and of which only the beginning is kept.
struct Overlong {
    offset: u64,
    raw: Vec<u8>,
}

/// Where lines lie: in the window, or in what was pushed. At least `CHUNK` bytes follow each.
#[derive(Clone, Copy)]
struct Text<'a> {
    bytes: &'a [u8],
    /// Position in the stream of the first byte.
    base: u64,
}

pub struct Decoder {
    prefix: Vec<u8>,
    batch_bytes: usize,
    line_bytes_max: usize,
    inflater: Inflater,
    window: Window,
    overlong: Option<Overlong>,
    rows: Rows,
    meta: MetaColumns,
    batch_rows: usize,
    batch_size: usize,
    /// Lines that ended.
    lines: u64,
    total_rows: u64,
    rejected: Vec<Rejected>,
    /// Columns by their place in the schema, and how many there were when this was worked out.
    order: Vec<(u32, Tag, usize)>,
    ordered_columns: usize,
    batches: Vec<Batch>,
    /// An error or the end came; nothing goes on.
    done: bool,
}

impl Decoder {
    /// `prefix` is shorter than an order key.
    pub fn new(prefix: &[u8], batch_bytes: usize, line_bytes_max: usize) -> Decoder {
        Decoder {
            prefix: prefix.to_vec(),
            batch_bytes: batch_bytes.min(BATCH_BYTES_MAX),
            line_bytes_max,
            inflater: Inflater::default(),
            window: Window::new(HISTORY),
            overlong: None,
            rows: Rows::new(ORDER_KEY_LENGTH - prefix.len()),
            meta: MetaColumns::default(),
            batch_rows: 0,
            batch_size: 0,
            lines: 0,
            total_rows: 0,
            rejected: Vec::new(),
            order: Vec::new(),
            ordered_columns: 0,
            batches: Vec::new(),
            done: false,
        }
    }

    /// What is pushed is plain already, and never looked at as gzip.
    pub fn take_plain(&mut self) {
        self.inflater = Inflater::plain();
    }

    /// An attribute of the table's key.
    pub fn require_key(&mut self, name: &str, tag: Tag) {
        self.rows.require_key(name, tag);
    }

    /// A column that every batch has, and for numbers what it must at least hold.
    pub fn know(&mut self, name: &str, tag: Tag, range: NumberRange) {
        self.rows.know(name, tag, range);
    }

    /// Good lines so far.
    pub fn rows(&self) -> u64 {
        self.total_rows
    }

    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// Take more bytes; gives the batches that became full.
    pub fn push(&mut self, data: &[u8]) -> Result<Vec<Batch>, Corrupt> {
        self.go_on()?;
        let mut used = 0;
        if self.inflater.is_plain() {
            used = self.push_plain(data)?;
        }
        self.push_through_window(&data[used..])?;
        self.done = false;
        Ok(mem::take(&mut self.batches))
    }

    fn push_through_window(&mut self, data: &[u8]) -> Result<(), Corrupt> {
        let mut used = 0;
        while used < data.len() || self.inflater.more {
            self.window.make_room();
            used += self.inflater.fill(&data[used..], &mut self.window)?;
            self.read_lines();
        }
        Ok(())
    }

    /// Read lines where they lie, without a copy, except for the first, which may have begun before, and the last ones,
    /// behind which there are too few bytes. Gives how much of the data was read.
    fn push_plain(&mut self, data: &[u8]) -> Result<usize, Corrupt> {
        let Some(first) = memchr::memchr(b'\n', data) else { return Ok(0) };
        let start = first + 1;
        self.push_through_window(&data[..start])?;
        let behind = data.len().saturating_sub(CHUNK).max(start);
        let Some(last) = memchr::memrchr(b'\n', &data[start..behind]) else { return Ok(start) };
        let end = start + last + 1;
        let base = self.window.position(self.window.end()) - start as u64;
        self.read_whole_lines(Text { bytes: data, base }, start, end);
        self.window.pass_by(end - start);
        Ok(end)
    }

    /// The input has ended; gives what is left.
    pub fn finish(&mut self) -> Result<Vec<Batch>, Corrupt> {
        self.go_on()?;
        self.window.make_room();
        self.inflater.finish(&mut self.window)?;
        self.read_lines();
        if self.window.end() > self.window.start() || self.overlong.is_some() {
            self.window.push(b'\n');
            self.read_lines();
        }
        if self.batch_rows > 0 {
            self.seal();
        }
        Ok(mem::take(&mut self.batches))
    }

    /// Until `push` comes to its end, an error or a panic leaves the decoder unusable.
    fn go_on(&mut self) -> Result<(), Corrupt> {
        if mem::replace(&mut self.done, true) {
            return Err(Corrupt("The stream has ended or failed before".into()));
        }
        Ok(())
    }

    /// Read all lines that have ended, and see to one that never does.
    fn read_lines(&mut self) {
        let (start, end) = (self.window.start(), self.window.end());
        if let Some(last) = memchr::memrchr(b'\n', &self.window.text()[start..end]) {
            let end = start + last + 1;
            let window = mem::take(&mut self.window);
            self.read_whole_lines(Text { bytes: window.text(), base: window.base() }, start, end);
            self.window = window;
            self.window.read_to(end);
        }
        self.hold_overlong();
    }

    fn hold_overlong(&mut self) {
        let (start, end) = (self.window.start(), self.window.end());
        // Of the first line as much must be there that it is enough without a byte order mark.
        let mark = if self.lines == 0 { BYTE_ORDER_MARK.len() } else { 0 };
        if self.overlong.is_none() && end - start > self.line_bytes_max + mark {
            self.overlong =
                Some(Overlong { offset: self.window.position(start), raw: self.raw(&self.window.text()[start..end]) });
        }
        if self.overlong.is_some() {
            self.window.read_to(end);
        }
    }

    /// The beginning of a line, as it is kept of a rejected one.
    fn raw(&self, line: &[u8]) -> Vec<u8> {
        let line = if self.lines == 0 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        line[..line.len().min(self.line_bytes_max).min(REJECTED_RAW_MAX)].to_vec()
    }

    fn read_whole_lines(&mut self, text: Text, mut start: usize, end: usize) {
        if let Some(overlong) = self.overlong.take() {
            start += memchr::memchr(b'\n', &text.bytes[start..end]).expect("a line ends") + 1;
            self.lines += 1;
            self.reject(overlong.offset, Why::LineTooLong.kind(), Why::LineTooLong.reason().into(), overlong.raw, true);
            self.end_line(0);
        }
        let good = simdutf8::basic::from_utf8(&text.bytes[start..end]).is_ok();
        while start < end {
            let is_utf8 = good || {
                let line = &text.bytes[start..end];
                simdutf8::basic::from_utf8(&line[..memchr::memchr(b'\n', line).expect("a line ends")]).is_ok()
            };
            start = self.read_line(text, start, is_utf8);
        }
    }

    /// Read the line that begins at `start`; gives where the next one does.
    #[inline]
    fn read_line(&mut self, place: Text, start: usize, is_utf8: bool) -> usize {
        let text = place.bytes;
        let mut at = start;
        if self.lines == 0 && text[at..].starts_with(BYTE_ORDER_MARK) {
            at += BYTE_ORDER_MARK.len();
        }
        at = blank_end(text, at);
        let row = self.batch_rows;
        if is_utf8 && text[at] != b'\n' {
            if let Ok(end) = self.rows.read(text, at, row) {
                if end - start <= self.line_bytes_max {
                    self.lines += 1;
                    self.keep();
                    self.end_line(end - at);
                    return end + 1;
                }
            }
        }
        self.read_odd_line(place, start, at)
    }

    #[inline(always)]
    fn keep(&mut self) {
        self.rows.keep();
        if self.rows.meta.op != b'r' {
            self.meta.fill_with_base(self.batch_rows, &self.prefix);
            self.meta.push(&self.rows.meta, &self.prefix);
        }
        self.batch_rows += 1;
        self.total_rows += 1;
    }

    #[inline(always)]
    fn end_line(&mut self, size: usize) {
        self.batch_size += size;
        if self.batch_size >= self.batch_bytes && self.batch_rows > 0 {
            self.seal();
        }
    }

    /// A line that is blank, too long, bad, or good in a way that reading it in one pass does not see. `at`: behind white
    /// space at its start.
    #[cold]
    #[inline(never)]
    fn read_odd_line(&mut self, place: Text, start: usize, at: usize) -> usize {
        let row = self.batch_rows;
        let text = place.bytes;
        let end = start + memchr::memchr(b'\n', &text[start..]).expect("a line ends");
        let size = end - at;
        let offset = place.base + start as u64;
        let result = if end - start > self.line_bytes_max {
            Err(Why::LineTooLong.at(at))
        } else if at == end {
            self.lines += 1;
            return end + 1;
        } else if let Err(error) = std::str::from_utf8(&text[at..end]) {
            Err(Why::InvalidUtf8.at(at + error.valid_up_to()))
        } else {
            self.rows.undo(row);
            self.rows.diagnose(text, at, row)
        };
        let raw = result.is_err().then(|| self.raw(&text[start..end]));
        self.lines += 1;
        match result {
            Ok(_) => self.keep(),
            Err(fault) => {
                self.rows.undo(row);
                let too_long = fault.why == Why::LineTooLong;
                let reason = reason(fault, text, at, end);
                self.reject(
                    offset,
                    fault.why.kind(),
                    reason,
                    raw.expect("made for errors"),
                    too_long || end - start > REJECTED_RAW_MAX,
                );
            }
        }
        self.end_line(size);
        end + 1
    }

    fn reject(&mut self, offset: u64, kind: &'static str, reason: String, raw: Vec<u8>, cut: bool) {
        self.rejected.push(Rejected { line: self.lines, offset, kind, reason, raw, cut });
    }

    /// End the batch.
    fn seal(&mut self) {
        let rows = mem::take(&mut self.batch_rows);
        self.batch_size = 0;
        self.rows.attributes.cheer();
        let mut meta = mem::take(&mut self.meta);
        meta.fill_with_base(rows, &self.prefix);
        let mut arrays = Vec::from(meta.finish());
        let mut fields = vec![
            Field::new("_tr_op", DataType::Utf8, true),
            Field::new("_tr_ts", DataType::Int64, true),
            Field::new("_tr_pos", DataType::Utf8, true),
            Field::new("_tr_expired", DataType::Boolean, true),
        ];
        self.put_in_order();
        for &(attribute, tag, column) in &self.order {
            let column = &mut self.rows.columns[column];
            if let Some(array) = column.seal(rows) {
                let name = &self.rows.attributes.all[attribute as usize].name;
                let name = std::str::from_utf8(name).expect("names are UTF-8");
                let metadata = HashMap::from([("tag".to_string(), tag.name().to_string())]);
                fields.push(Field::new(name, column.data_type(), true).with_metadata(metadata));
                arrays.push(array);
            }
        }
        self.batches.push(Batch { schema: Arc::new(Schema::new(fields)), rows, arrays });
    }

    fn put_in_order(&mut self) {
        if self.ordered_columns == self.rows.columns.len() {
            return;
        }
        self.ordered_columns = self.rows.columns.len();
        self.order.clear();
        for (attribute, entry) in self.rows.attributes.all.iter().enumerate() {
            for (tag, &column) in TAGS.iter().zip(&entry.columns) {
                if column != crate::attributes::NONE {
                    self.order.push((attribute as u32, *tag, column as usize));
                }
            }
        }
        let names = &self.rows.attributes.all;
        self.order.sort_by(|a, b| names[a.0 as usize].name.cmp(&names[b.0 as usize].name).then(a.1.cmp(&b.1)));
    }

    /// What accepted rows held, by attribute and tag.
    pub fn seen(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for attribute in &self.rows.attributes.all {
            let name = String::from_utf8_lossy(&attribute.name);
            for (tag, &column) in TAGS.iter().zip(&attribute.columns) {
                let (count, range) = match self.rows.columns.get_mut(column as usize) {
                    _ if *tag == Tag::Null => (attribute.nulls, NumberRange::default()),
                    Some(column) => column.seen(),
                    None => continue,
                };
                if count > 0 {
                    let numbers = tag.has_numbers().then_some(range);
                    seen.push(Seen { name: name.clone().into_owned(), tag: *tag, count, numbers });
                }
            }
        }
        seen
    }
}

/// What quarantine shows: why, where in the line, and what stands there.
fn reason(fault: Fault, text: &[u8], start: usize, end: usize) -> String {
    const SHOWN: usize = 40;
    let (reason, at) = (fault.why.reason(), fault.at as usize);
    if fault.why == Why::LineTooLong {
        return reason.into();
    }
    let line = &text[start..end];
    let ion = if fault.why == Why::NotJson && line.starts_with(b"$ion") {
        " (this looks like Ion: export with ExportFormat DYNAMODB_JSON)"
    } else {
        ""
    };
    let at = at.clamp(start, end) - start;
    if at == 0 {
        return format!("{reason}{ion}");
    }
    let near = String::from_utf8_lossy(&line[at..line.len().min(at + SHOWN)]);
    format!("{reason}{ion}: byte {at} of the line, {near:?}")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Outcome {
        rows: usize,
        types: Vec<(String, DataType)>,
        rejected: Vec<(u64, u64, &'static str)>,
        seen: Vec<(String, &'static str, u64)>,
    }

    fn decode(data: &[u8], step: usize) -> Result<Outcome, Corrupt> {
        let mut decoder = Decoder::new(b"0001|1|", 1 << 20, 200);
        let mut batches = Vec::new();
        for piece in data.chunks(step) {
            batches.extend(decoder.push(piece)?);
        }
        batches.extend(decoder.finish()?);
        for batch in &batches {
            batch.arrays.iter().for_each(|array| array.validate_full().unwrap());
            assert!(batch.arrays.iter().all(|array| array.len() == batch.rows));
        }
        let fields = batches.last().map_or(Vec::new(), |batch| batch.schema.fields().to_vec());
        Ok(Outcome {
            rows: batches.iter().map(|batch| batch.rows).sum(),
            types: fields[4.min(fields.len())..]
                .iter()
                .map(|field| (format!("{}:{}", field.name(), field.metadata()["tag"]), field.data_type().clone()))
                .collect(),
            rejected: decoder.rejected().iter().map(|line| (line.line, line.offset, line.kind)).collect(),
            seen: decoder.seen().into_iter().map(|seen| (seen.name, seen.tag.name(), seen.count)).collect(),
        })
    }

    const STEPS: [usize; 6] = [1, 2, 7, 61, 1000, usize::MAX];

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_and_their_places_do_not_depend_on_wrapping_and_pieces() {
        let long = "y".repeat(300);
        let lines = format!(
            "\u{feff}{{\"Item\":{{\"a\":{{\"S\":\"1\"}}}}}}\n\n oops\r\n{{\"Item\":{{\"a\":{{\"S\":\"{long}\"}}}}}}\n\
             {{\"Item\":{{\"a\":{{\"N\":\"1\"}},\"b\":{{\"NULL\":true}}}}}}\nlast"
        );
        let zipped = gzip(lines.as_bytes());
        for step in STEPS {
            for data in [lines.as_bytes(), &zipped] {
                let outcome = decode(data, step).unwrap();
                assert_eq!(outcome.rows, 2, "{step}");
                assert_eq!(outcome.rejected, [(3, 29, "not_json"), (4, 36, "line_too_long"), (6, 403, "not_json")]);
                assert_eq!(
                    outcome.seen,
                    [("a".into(), "S", 1), ("a".into(), "N", 1), ("b".into(), "NULL", 1)],
                    "{step}"
                );
            }
        }
    }

    #[test]
    fn a_rejected_line_neither_widens_a_column_nor_makes_one() {
        let item = |number: &str, rest: &str| format!("{{\"Item\":{{\"a\":{{\"N\":\"{number}\"}}{rest}}}}}\n");
        let good = item("1", "") + &item("0.5", ",\"x\":{\"S\":\"y\"},\"bad\":{\"B\":\"?\"}") + &item("2", "");
        for step in STEPS {
            let outcome = decode(good.as_bytes(), step).unwrap();
            assert_eq!((outcome.rows, &outcome.types[..]), (2, &[("a:N".to_string(), DataType::Int64)][..]));
            assert_eq!(outcome.rejected[0].2, "bad_base64");
        }
        let wider = good + &item("0.25", "");
        assert_eq!(decode(wider.as_bytes(), 50).unwrap().types[0].1, DataType::Decimal128(38, 2));
        let text = wider + &item("9E125", "");
        assert_eq!(decode(text.as_bytes(), 50).unwrap().types[0].1, DataType::Utf8);
    }

    #[test]
    fn a_damaged_stream_is_an_error_and_ends_the_decoder() {
        let zipped = gzip(b"{\"Item\":{}}\n");
        for length in 2..zipped.len() {
            assert!(decode(&zipped[..length], 5).is_err(), "{length}");
        }
        let mut decoder = Decoder::new(b"0001|1|", 1, 100);
        assert!(decoder.push(&[&zipped[..], b"garbage"].concat()).is_err());
        assert!(decoder.push(b"").is_err());
    }

    #[test]
    fn changes_need_their_key_and_their_event() {
        let change = |event: &str, image: &str| {
            format!(
                "{{\"Metadata\":{{\"SequenceNumber\":{{\"S\":\"12\"}},\"EventName\":{{\"S\":\"{event}\"}}}},\
                 \"Keys\":{{\"k\":{{\"N\":\"1.0\"}}}}{image}}}\n"
            )
        };
        let kind = |line: String| decode(line.as_bytes(), 9).unwrap().rejected.first().map(|line| line.2);
        assert_eq!(kind(change("INSERT", ",\"NewImage\":{\"k\":{\"N\":\"1\"}}")), None);
        assert_eq!(kind(change("REMOVE", "")), None);
        assert_eq!(kind(change("INSERT", ",\"NewImage\":{\"k\":{\"N\":\"2\"}}")), Some("key_mismatch"));
        assert_eq!(kind(change("REMOVE", ",\"NewImage\":{}")), Some("bad_event"));
        assert_eq!(kind(change("MODIFY", "")), Some("missing_image"));
        assert_eq!(kind(change("MERGE", "")), Some("bad_metadata"));
    }
}
