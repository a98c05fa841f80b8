//! One line to one row: records, images and typed values, in one pass and straight into columns.
//!
//! `read` goes through a line once and hopes for the best. Where anything is amiss, `diagnose` says what, part by part
//! and in the order of the contract; it may also find that the line is good after all.

use std::mem;

use crate::arena::Arena;
use crate::attributes::{self, Attributes, NONE};
use crate::base64;
use crate::column::{Column, Tag};
use crate::fault::{Fault, Parsed, Why};
use crate::json::{self, blank_end, expect, Checker, Name};
use crate::number::{self, Number, NumberRange, Value};

const VALUE_DEPTH_MAX: usize = 64;
const POSITION_DIGITS: usize = 40;
/// Containers around the value of a member at the top.
const MEMBER_DEPTH: usize = 2;

/// What one accepted line says beside its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    pub op: u8,
    pub ts: Option<i64>,
    pub expired: bool,
    /// Digits, without the padding; of no meaning for a base row, like all but `op`.
    position: [u8; POSITION_DIGITS],
    position_length: u8,
}

impl Meta {
    const BASE: Meta = Meta { op: b'r', ts: None, expired: false, position: [0; POSITION_DIGITS], position_length: 0 };

    pub fn position(&self) -> &[u8] {
        &self.position[..self.position_length as usize]
    }
}

/// Metadata, checked as far as it can be without the rest.
#[derive(Clone, Copy)]
struct Metadata {
    ts: Option<i64>,
    position: Option<([u8; POSITION_DIGITS], u8)>,
    event: Option<u8>,
    expired: bool,
}

const NO_METADATA: Metadata = Metadata { ts: None, position: None, event: None, expired: false };

/// One attribute of `Keys`.
struct Key {
    attribute: u32,
    tag: Tag,
    start: usize,
    end: usize,
    number: Option<Value>,
}

/// The columns of a stream and all that it takes to fill them.
pub struct Rows {
    pub attributes: Attributes,
    pub columns: Vec<Column>,
    /// Of the row that was read last.
    pub meta: Meta,
    /// (attribute, tag) of the key, where the decoder was given it.
    schema: Vec<(u32, Tag)>,
    position_digits: usize,
    image: u64,
    /// Attributes that hold NULL in this row.
    nulls: Vec<u32>,
    keys: Vec<Key>,
    key_bytes: Arena,
    names: Arena,
    nested: Nested,
    checker: Checker,
}

/// Which members stand at the top of a record, and where their values begin.
#[derive(Clone, Copy, Default)]
struct Members {
    item: Option<usize>,
    keys: Option<usize>,
    image: Option<usize>,
    metadata: Option<usize>,
}

impl Rows {
    pub fn new(position_digits: usize) -> Rows {
        Rows {
            attributes: Attributes::default(),
            columns: Vec::new(),
            meta: Meta::BASE,
            schema: Vec::new(),
            position_digits,
            image: 0,
            nulls: Vec::new(),
            keys: Vec::new(),
            key_bytes: Arena::default(),
            names: Arena::default(),
            nested: Nested::default(),
            checker: Checker::default(),
        }
    }

    fn attribute(&mut self, name: &str) -> u32 {
        let mut text = name.as_bytes().to_vec();
        text.resize(name.len() + json::CHUNK, 0);
        self.attributes.find(&text, 0, name.len())
    }

    pub fn require_key(&mut self, name: &str, tag: Tag) {
        let attribute = self.attribute(name);
        self.schema.push((attribute, tag));
    }

    pub fn know(&mut self, name: &str, tag: Tag, range: NumberRange) {
        let attribute = self.attribute(name);
        let column = self.column(attribute, tag);
        self.columns[column] = Column::new(tag, Some(range));
    }

    /// The number of the column for an attribute's values of a tag.
    #[inline(always)]
    fn column(&mut self, attribute: u32, tag: Tag) -> usize {
        let column = self.attributes.all[attribute as usize].columns[tag as usize];
        if column != NONE {
            column as usize
        } else {
            self.new_column(attribute, tag)
        }
    }

    #[cold]
    #[inline(never)]
    fn new_column(&mut self, attribute: u32, tag: Tag) -> usize {
        let column = self.columns.len();
        self.columns.push(Column::new(tag, None));
        self.attributes.all[attribute as usize].columns[tag as usize] = column as u32;
        column
    }

    /// The row was accepted.
    #[inline(always)]
    pub fn keep(&mut self) {
        if !self.nulls.is_empty() {
            for attribute in self.nulls.drain(..) {
                self.attributes.all[attribute as usize].nulls += 1;
            }
        }
    }

    /// The row was rejected: nothing of it stays.
    pub fn undo(&mut self, row: usize) {
        self.nulls.clear();
        for column in &mut self.columns {
            column.undo(row);
        }
    }

    /// Read the record that begins at `at` into row `row`; gives the place behind it and its white space, a newline.
    /// After an error: `undo`, then `diagnose`.
    #[inline]
    pub fn read(&mut self, text: &[u8], at: usize, row: usize) -> Parsed<usize> {
        const ITEM: &[u8] = br#"{"Item":{"#;
        if text[at..].starts_with(ITEM) {
            let end = self.image(text, at + ITEM.len() - 1, row)?;
            if text[end] == b'}' {
                let end = blank_end(text, end + 1);
                if text[end] == b'\n' {
                    let found = Members { item: Some(at), ..Members::default() };
                    self.finish(at, row, found, &NO_METADATA)?;
                    return Ok(end);
                }
            }
            self.undo(row); // more members follow
        }
        self.read_members(text, at, row)
    }

    fn read_members(&mut self, text: &[u8], at: usize, row: usize) -> Parsed<usize> {
        let (mut found, mut metadata) = (Members::default(), NO_METADATA);
        let mut others: Vec<Name> = Vec::new();
        let end = members(text, at, &mut Arena::default(), |names, name, at| {
            let bytes = name.bytes(text, names);
            let place = match bytes {
                b"Item" => &mut found.item,
                b"Keys" => &mut found.keys,
                b"NewImage" => &mut found.image,
                b"Metadata" => &mut found.metadata,
                _ => {
                    if others.iter().any(|other| other.bytes(text, names) == bytes) || others.len() > 16 {
                        return Err(Why::DuplicateName.at(at)); // or too many to look at here
                    }
                    others.push(name);
                    return self.checker.skip(text, at, MEMBER_DEPTH);
                }
            };
            if place.replace(at).is_some() {
                return Err(Why::DuplicateName.at(at));
            }
            match bytes {
                b"Item" | b"NewImage" if found.item.is_some() && found.image.is_some() => Err(Why::ItemOrKeys.at(at)),
                b"Item" | b"NewImage" => self.image(text, at, row),
                b"Keys" => self.keys(text, at),
                _ => {
                    let end;
                    (metadata, end) = self.metadata(text, at)?;
                    Ok(end)
                }
            }
        })?;
        let end = blank_end(text, end);
        if text[end] != b'\n' {
            return Err(Why::NotJson.at(end));
        }
        self.finish(at, row, found, &metadata)?;
        Ok(end)
    }

    /// Why a record is rejected; or, where `read` gave up too early, the record.
    #[cold]
    #[inline(never)]
    pub fn diagnose(&mut self, text: &[u8], at: usize, row: usize) -> Parsed<usize> {
        let end = self.checker.check(text, at)?;
        if text[at] != b'{' {
            return Err(Why::NoObject.at(at));
        }
        let mut found = Members::default();
        members(text, at, &mut Arena::default(), |names, name, at| {
            match name.bytes(text, names) {
                b"Item" => found.item = Some(at),
                b"Keys" => found.keys = Some(at),
                b"NewImage" => found.image = Some(at),
                b"Metadata" => found.metadata = Some(at),
                _ => {}
            }
            self.checker.skip(text, at, MEMBER_DEPTH)
        })?;
        let mut metadata = NO_METADATA;
        match (found.item, found.keys) {
            (Some(item), None) => {
                self.image(text, item, row)?;
            }
            (None, Some(keys)) => {
                if let Some(at) = found.metadata {
                    (metadata, _) = self.metadata(text, at)?;
                }
                let meta = meta(at, found, &metadata, self.position_digits)?;
                self.keys(text, keys)?;
                if let (Some(image), true) = (found.image, meta.op != b'd') {
                    self.image(text, image, row)?;
                }
            }
            _ => {}
        }
        self.finish(at, row, found, &metadata)?;
        Ok(end)
    }

    /// What can be said only when all members are known.
    fn finish(&mut self, at: usize, row: usize, found: Members, metadata: &Metadata) -> Parsed<()> {
        if found.item.is_some() == found.keys.is_some() {
            return Err(Why::ItemOrKeys.at(at));
        }
        if found.item.is_some() {
            if !self.schema.iter().all(|&(attribute, tag)| self.has(attribute, tag, row)) {
                return Err(Why::KeyMissing.at(at));
            }
            self.meta.op = b'r';
            return Ok(());
        }
        self.meta = meta(at, found, metadata, self.position_digits)?;
        if !matches!(self.keys.len(), 1 | 2) {
            return Err(Why::KeyShape.at(at));
        }
        let fits = |&(attribute, tag): &(u32, Tag)| self.keys.iter().any(|k| k.attribute == attribute && k.tag == tag);
        if !self.schema.is_empty() && (self.keys.len() != self.schema.len() || !self.schema.iter().all(fits)) {
            return Err(Why::KeyMissing.at(at));
        }
        if self.meta.op == b'd' {
            self.keys_to_columns(row);
        } else if !self.keys.iter().all(|key| self.holds(key, row)) {
            return Err(Why::KeyDiffers.at(at));
        }
        Ok(())
    }

    fn has(&self, attribute: u32, tag: Tag, row: usize) -> bool {
        let column = self.attributes.all[attribute as usize].columns[tag as usize];
        column != NONE && self.columns[column as usize].has(row)
    }

    /// Read an image into the row's columns. `at` is where its value begins; gives the place behind it.
    #[inline]
    fn image(&mut self, text: &[u8], at: usize, row: usize) -> Parsed<usize> {
        if text[at] != b'{' {
            return Err(Why::NoImage.at(at));
        }
        self.image += 1;
        self.attributes.begin();
        let mut at = blank_end(text, at + 1);
        if text[at] == b'}' {
            return Ok(at + 1);
        }
        loop {
            if text[at] != b'"' {
                return Err(Why::NotJson.at(at));
            }
            let (attribute, quote) = self.attribute_at(text, at + 1)?;
            let end = self.value(text, quote, row, attribute)?;
            if text[end] == b',' && text[end + 1] == b'"' {
                at = end + 1;
                continue;
            }
            at = blank_end(text, end);
            match text[at] {
                b',' => at = blank_end(text, at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err(Why::NotJson.at(at)),
            }
        }
    }

    /// The attribute named at `at`, behind the opening quote, and where the closing quote stands.
    #[inline(always)]
    fn attribute_at(&mut self, text: &[u8], at: usize) -> Parsed<(u32, usize)> {
        let (attribute, end) = match self.attributes.guess(text, at) {
            Some(guess) => guess,
            None => {
                let end = json::plain_end(text, at);
                if text[end] == b'"' {
                    if end == at {
                        return Err(Why::EmptyName.at(at));
                    }
                    (self.attributes.find(text, at, end - at), end)
                } else {
                    self.escaped_attribute(text, at)?
                }
            }
        };
        let image = &mut self.attributes.all[attribute as usize].image;
        if *image == self.image {
            return Err(Why::DuplicateName.at(at));
        }
        *image = self.image;
        Ok((attribute, end))
    }

    #[cold]
    #[inline(never)]
    fn escaped_attribute(&mut self, text: &[u8], at: usize) -> Parsed<(u32, usize)> {
        let mut name = Arena::default();
        let end = json::string(text, at, &mut name)?;
        let length = name.len();
        name.extend(&[0; json::CHUNK]);
        Ok((self.attributes.find(name.as_slice(), 0, length), end - 1))
    }

    /// Read an attribute's typed value into its column. `at` is the closing quote of the name.
    #[inline(always)]
    fn value(&mut self, text: &[u8], at: usize, row: usize, attribute: u32) -> Parsed<usize> {
        let (tag, inner) = tag_at(text, at)?;
        let end = match tag {
            Tag::S => {
                let at = inner + 1;
                if text[inner] != b'"' {
                    return Err(Why::NoString.at(inner));
                }
                let column = self.column(attribute, Tag::S);
                self.columns[column].push_text(row, |out| json::string(text, at, out))?
            }
            Tag::N => {
                let column = self.column(attribute, Tag::N);
                match (text[inner] == b'"').then(|| number::quick(text, inner + 1)).flatten() {
                    Some((value, end)) => {
                        self.columns[column].push_number(row, value);
                        end + 1
                    }
                    None => self.odd_number(text, inner, row, column)?,
                }
            }
            Tag::Bool => {
                let (value, end) = bool_at(text, inner)?;
                let column = self.column(attribute, Tag::Bool);
                self.columns[column].push_bool(row, value);
                end
            }
            Tag::Null => {
                let end = null_at(text, inner)?;
                self.nulls.push(attribute);
                end
            }
            Tag::B => {
                let column = self.column(attribute, Tag::B);
                let names = &mut self.names;
                self.columns[column].push_text(row, |out| binary_at(text, inner, names, out))?
            }
            Tag::M | Tag::L => {
                let column = self.column(attribute, tag);
                let nested = &mut self.nested;
                self.columns[column].push_text(row, |out| nested.write(text, inner, tag, out))?
            }
            Tag::Ss | Tag::Ns | Tag::Bs => {
                let end = self.nested.set.read(text, inner, tag)?;
                let column = self.column(attribute, tag);
                let set = &self.nested.set;
                match tag {
                    Tag::Ns => self.columns[column].push_numbers(row, set.numbers.iter().map(|&n| Value::of(n))),
                    _ => self.columns[column].push_texts(row, set.texts()),
                }
                end
            }
        };
        close(text, end)
    }

    /// Apart, so that the numbers that are quick to read need not go through memory.
    #[inline(never)]
    fn odd_number(&mut self, text: &[u8], at: usize, row: usize, column: usize) -> Parsed<usize> {
        let (value, end) = number_at(text, at, &mut self.names)?;
        self.columns[column].push_number(row, value);
        Ok(end)
    }

    /// Read `Keys` aside.
    fn keys(&mut self, text: &[u8], at: usize) -> Parsed<usize> {
        if text[at] != b'{' {
            return Err(Why::NoImage.at(at));
        }
        self.keys.clear();
        self.key_bytes.clear();
        self.image += 1;
        self.attributes.begin();
        let mut at = blank_end(text, at + 1);
        if text[at] == b'}' {
            return Ok(at + 1);
        }
        loop {
            if text[at] != b'"' {
                return Err(Why::NotJson.at(at));
            }
            let (attribute, quote) = self.attribute_at(text, at + 1)?;
            let (tag, inner) = tag_at(text, quote)?;
            let (start, mut number) = (self.key_bytes.len(), None);
            let end = match tag {
                Tag::S => string_at(text, inner, &mut self.key_bytes)?,
                Tag::B => binary_at(text, inner, &mut self.names, &mut self.key_bytes)?,
                Tag::N => {
                    let (value, end) = number_at(text, inner, &mut self.names)?;
                    number = Some(value);
                    end
                }
                _ => {
                    // Its value may be bad as well, which comes first.
                    self.nested.write(text, inner, tag, &mut Arena::default())?;
                    return Err(Why::KeyShape.at(at));
                }
            };
            self.keys.push(Key { attribute, tag, start, end: self.key_bytes.len(), number });
            at = blank_end(text, close(text, end)?);
            match text[at] {
                b',' => at = blank_end(text, at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err(Why::NotJson.at(at)),
            }
        }
    }

    fn keys_to_columns(&mut self, row: usize) {
        for i in 0..self.keys.len() {
            let Key { attribute, tag, start, end, number } = self.keys[i];
            let column = self.column(attribute, tag);
            match number {
                Some(value) => self.columns[column].push_number(row, value),
                None => {
                    let bytes = &self.key_bytes.as_slice()[start..end];
                    self.columns[column].push_bytes(row, bytes);
                }
            }
        }
    }

    /// Whether the row's image holds the same value for a key attribute.
    fn holds(&self, key: &Key, row: usize) -> bool {
        let column = self.attributes.all[key.attribute as usize].columns[key.tag as usize];
        let Some(column) = self.columns.get(column as usize) else { return false };
        match key.number {
            Some(value) => column.is_number(row, value.number()),
            None => column.is_text(row, &self.key_bytes.as_slice()[key.start..key.end]),
        }
    }

    fn metadata(&mut self, text: &[u8], at: usize) -> Parsed<(Metadata, usize)> {
        if text[at] != b'{' {
            return Err(Why::NoMetadata.at(at));
        }
        let mut metadata = NO_METADATA;
        let mut seen: Vec<Name> = Vec::with_capacity(4);
        let checker = &mut self.checker;
        let scratch = &mut self.names;
        scratch.clear();
        let end = members(text, at, &mut Arena::default(), |names, name, at| {
            let bytes = name.bytes(text, names);
            if seen.iter().any(|other| other.bytes(text, names) == bytes) || seen.len() > 16 {
                return Err(Why::DuplicateName.at(at)); // or too many to look at here
            }
            seen.push(name);
            scratch.clear();
            match bytes {
                b"SequenceNumber" => {
                    let inner = wrapped(text, at, b"S")?;
                    let end = string_at(text, inner, scratch).map_err(|f| f.unless_json(Why::SequenceNumber))?;
                    metadata.position = Some(digits(scratch.as_slice()).ok_or(Why::SequenceNumber.at(at))?);
                    close_metadata(text, end)
                }
                b"WriteTimestampMicros" => {
                    let end = match text[at] {
                        b'{' => {
                            let inner = wrapped(text, at, b"N")?;
                            let end = string_at(text, inner, scratch).map_err(|f| f.unless_json(Why::Micros))?;
                            close_metadata(text, end)?
                        }
                        b'"' => json::string(text, at + 1, scratch)?,
                        b'-' | b'0'..=b'9' => {
                            let end = json::number(text, at)?;
                            scratch.extend(&text[at..end]);
                            end
                        }
                        _ => return Err(Why::Micros.at(at)),
                    };
                    metadata.ts = Some(micros(scratch.as_slice()).map_err(|why| why.at(at))?);
                    Ok(end)
                }
                b"EventName" => {
                    let inner = wrapped(text, at, b"S")?;
                    let end = string_at(text, inner, scratch).map_err(|f| f.unless_json(Why::EventName))?;
                    metadata.event = Some(match scratch.as_slice() {
                        b"INSERT" => b'c',
                        b"MODIFY" => b'u',
                        b"REMOVE" => b'd',
                        _ => return Err(Why::EventName.at(at)),
                    });
                    close_metadata(text, end)
                }
                b"Expired" => {
                    let inner = wrapped(text, at, b"BOOL")?;
                    let end;
                    (metadata.expired, end) = bool_at(text, inner).map_err(|_| Why::Expired.at(inner))?;
                    close_metadata(text, end)
                }
                _ => checker.skip(text, at, MEMBER_DEPTH + 1),
            }
        })?;
        Ok((metadata, end))
    }
}

/// What Metadata and the members of a change say together.
fn meta(at: usize, found: Members, metadata: &Metadata, position_digits: usize) -> Parsed<Meta> {
    let op = match (metadata.event, found.image.is_some()) {
        (None, true) => b'u',
        (None, false) => b'd',
        (Some(b'd'), true) => return Err(Why::RemoveWithImage.at(at)),
        (Some(op), false) if op != b'd' => return Err(Why::MissingImage.at(at)),
        (Some(op), _) => op,
    };
    let (position, position_length) = match (metadata.position, metadata.ts) {
        (Some(position), _) => position,
        (None, Some(ts)) => {
            let (text, mut digits) = (ts.to_string(), [0; POSITION_DIGITS]);
            digits[..text.len()].copy_from_slice(text.as_bytes());
            (digits, text.len() as u8)
        }
        (None, None) => return Err(Why::NoPosition.at(at)),
    };
    if position_length as usize > position_digits {
        return Err(Why::LongPosition.at(at));
    }
    Ok(Meta { op, ts: metadata.ts, expired: metadata.expired, position, position_length })
}

/// Walk over the members of the object at `at`; `visit` gets a place for escaped names, the name and where its value
/// begins, and gives the place behind the value. Repeated names are the caller's business.
fn members(
    text: &[u8],
    at: usize,
    names: &mut Arena,
    mut visit: impl FnMut(&Arena, Name, usize) -> Parsed<usize>,
) -> Parsed<usize> {
    if text[at] != b'{' {
        return Err(Why::NoObject.at(at));
    }
    let mut at = blank_end(text, at + 1);
    if text[at] == b'}' {
        return Ok(at + 1);
    }
    loop {
        if text[at] != b'"' {
            return Err(Why::NotJson.at(at));
        }
        let (name, end) = json::name(text, at + 1, names)?;
        at = visit(names, name, expect(text, end, b':')?)?;
        at = blank_end(text, at);
        match text[at] {
            b',' => at = blank_end(text, at + 1),
            b'}' => return Ok(at + 1),
            _ => return Err(Why::NotJson.at(at)),
        }
    }
}

/// The digits of a position without leading zeros, at least one.
fn digits(text: &[u8]) -> Option<([u8; POSITION_DIGITS], u8)> {
    if text.is_empty() || text.len() > POSITION_DIGITS || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = text[..text.len() - 1].iter().take_while(|&&digit| digit == b'0').count();
    let (text, mut position) = (&text[zeros..], [0; POSITION_DIGITS]);
    position[..text.len()].copy_from_slice(text);
    Some((position, text.len() as u8))
}

fn micros(text: &[u8]) -> Result<i64, Why> {
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return Err(Why::Micros);
    }
    let value = text.iter().fold(0u64, |value, digit| value * 10 + (digit - b'0') as u64);
    i64::try_from(value).map_err(|_| Why::MicrosRange)
}

/// Where the value of `{tag: value}` in Metadata begins.
fn wrapped(text: &[u8], at: usize, tag: &[u8]) -> Parsed<usize> {
    if text[at] != b'{' {
        return Err(Why::Wrapped.at(at));
    }
    let at = blank_end(text, at + 1);
    if text[at] != b'"' {
        return Err(Why::Wrapped.at(at));
    }
    let mut names = Arena::default();
    let (name, end) = json::name(text, at + 1, &mut names)?;
    if name.bytes(text, &names) != tag {
        return Err(Why::Wrapped.at(at));
    }
    expect(text, end, b':')
}

fn close_metadata(text: &[u8], at: usize) -> Parsed<usize> {
    close(text, at).map_err(|fault| Why::Wrapped.at(fault.at as usize))
}

// ---- typed values -------------------------------------------------------------------------------------------

/// The tag of a typed value and where its inner value begins. `at` is the closing quote of the name before it.
#[inline(always)]
fn tag_at(text: &[u8], at: usize) -> Parsed<(Tag, usize)> {
    const S: u64 = u64::from_le_bytes(*br#"":{"S":""#);
    const N: u64 = u64::from_le_bytes(*br#"":{"N":""#);
    const B: u64 = u64::from_le_bytes(*br#"":{"B":""#);
    const M: u64 = u64::from_le_bytes(*br#"":{"M":{"#);
    const L: u64 = u64::from_le_bytes(*br#"":{"L":["#);
    const BOOL: u64 = u64::from_le_bytes(*br#"":{"BOOL"#);
    const NULL: u64 = u64::from_le_bytes(*br#"":{"NULL"#);
    const SS: u64 = u64::from_le_bytes(*br#"":{"SS":"#);
    const NS: u64 = u64::from_le_bytes(*br#"":{"NS":"#);
    const BS: u64 = u64::from_le_bytes(*br#"":{"BS":"#);
    match u64::from_le_bytes(text[at..at + 8].try_into().expect("8 bytes")) {
        S => Ok((Tag::S, at + 7)),
        N => Ok((Tag::N, at + 7)),
        M => Ok((Tag::M, at + 7)),
        L => Ok((Tag::L, at + 7)),
        B => Ok((Tag::B, at + 7)),
        SS => Ok((Tag::Ss, blank_end(text, at + 8))),
        NS => Ok((Tag::Ns, blank_end(text, at + 8))),
        BS => Ok((Tag::Bs, blank_end(text, at + 8))),
        BOOL if text[at + 8] == b'"' && text[at + 9] == b':' => Ok((Tag::Bool, blank_end(text, at + 10))),
        NULL if text[at + 8] == b'"' && text[at + 9] == b':' => Ok((Tag::Null, blank_end(text, at + 10))),
        _ => spaced_tag_at(text, expect(text, at + 1, b':')?),
    }
}

/// `at` is where the typed value begins, in any spelling.
#[inline(never)]
fn spaced_tag_at(text: &[u8], at: usize) -> Parsed<(Tag, usize)> {
    if text[at] != b'{' {
        return Err(Why::NoTypedValue.at(at));
    }
    let at = blank_end(text, at + 1);
    if text[at] != b'"' {
        return Err(Why::NoTypedValue.at(at));
    }
    let end = json::plain_end(text, at + 1);
    let (tag, end) = if text[end] == b'"' {
        (Tag::from_name(&text[at + 1..end]), end + 1)
    } else {
        let mut name = Arena::default();
        let end = json::string(text, at + 1, &mut name)?;
        (Tag::from_name(name.as_slice()), end)
    };
    Ok((tag.ok_or(Why::UnknownTag.at(at))?, expect(text, end, b':')?))
}

/// The end of a typed value, behind its inner one.
#[inline(always)]
fn close(text: &[u8], at: usize) -> Parsed<usize> {
    let at = if text[at] == b'}' { at } else { blank_end(text, at) };
    if text[at] != b'}' {
        return Err(Why::NoTypedValue.at(at));
    }
    Ok(at + 1)
}

#[inline(always)]
fn string_at(text: &[u8], at: usize, out: &mut Arena) -> Parsed<usize> {
    if text[at] != b'"' {
        return Err(Why::NoString.at(at));
    }
    json::string(text, at + 1, out)
}

#[inline(always)]
fn number_at(text: &[u8], at: usize, scratch: &mut Arena) -> Parsed<(Value, usize)> {
    if text[at] != b'"' {
        return Err(Why::NoString.at(at));
    }
    if let Some((value, end)) = number::quick(text, at + 1) {
        return Ok((value, end + 1));
    }
    long_number_at(text, at, scratch)
}

#[inline(never)]
fn long_number_at(text: &[u8], at: usize, scratch: &mut Arena) -> Parsed<(Value, usize)> {
    let end = json::plain_end(text, at + 1);
    let (number, end) = if text[end] == b'"' {
        (number::parse(&text[at + 1..end]), end + 1)
    } else {
        scratch.clear();
        let end = json::string(text, at + 1, scratch)?;
        (number::parse(scratch.as_slice()), end)
    };
    Ok((Value::of(number.map_err(|why| why.at(at))?), end))
}

#[inline(always)]
fn bool_at(text: &[u8], at: usize) -> Parsed<(bool, usize)> {
    if text[at..at + 4] == *b"true" {
        Ok((true, at + 4))
    } else if text[at..at + 5] == *b"false" {
        Ok((false, at + 5))
    } else {
        Err(Why::NoBool.at(at))
    }
}

#[inline(always)]
fn null_at(text: &[u8], at: usize) -> Parsed<usize> {
    if text[at..at + 4] == *b"true" {
        Ok(at + 4)
    } else {
        Err(Why::NoNull.at(at))
    }
}

fn binary_at(text: &[u8], at: usize, scratch: &mut Arena, out: &mut Arena) -> Parsed<usize> {
    if text[at] != b'"' {
        return Err(Why::NoString.at(at));
    }
    let end = json::plain_end(text, at + 1);
    if text[end] == b'"' {
        base64::decode(&text[at + 1..end], out).ok_or(Why::Base64.at(at))?;
        return Ok(end + 1);
    }
    scratch.clear();
    let end = json::string(text, at + 1, scratch)?;
    base64::decode(scratch.as_slice(), out).ok_or(Why::Base64.at(at))?;
    Ok(end)
}

/// The members of one set, decoded and sorted.
#[derive(Default)]
struct Set {
    bytes: Arena,
    spans: Vec<(usize, usize)>,
    numbers: Vec<Number>,
    scratch: Arena,
}

impl Set {
    fn read(&mut self, text: &[u8], at: usize, tag: Tag) -> Parsed<usize> {
        if text[at] != b'[' {
            return Err(Why::NoSet.at(at));
        }
        self.bytes.clear();
        self.spans.clear();
        self.numbers.clear();
        let first = at;
        let mut at = blank_end(text, at + 1);
        if text[at] == b']' {
            return Ok(at + 1);
        }
        loop {
            let start = self.bytes.len();
            at = match tag {
                Tag::Ss => string_at(text, at, &mut self.bytes)?,
                Tag::Bs => binary_at(text, at, &mut self.scratch, &mut self.bytes)?,
                _ => {
                    let (value, end) = number_at(text, at, &mut self.scratch)?;
                    self.numbers.push(value.number());
                    end
                }
            };
            self.spans.push((start, self.bytes.len()));
            at = blank_end(text, at);
            match text[at] {
                b',' => at = blank_end(text, at + 1),
                b']' => break,
                _ => return Err(Why::NotJson.at(at)),
            }
        }
        if self.sort_and_compare(tag) {
            return Err(Why::SetMember.at(first));
        }
        Ok(at + 1)
    }

    /// Sort; whether a member stands twice.
    fn sort_and_compare(&mut self, tag: Tag) -> bool {
        if tag == Tag::Ns {
            self.numbers.sort_unstable_by(number::compare);
            return self.numbers.windows(2).any(|pair| pair[0] == pair[1]);
        }
        let bytes = self.bytes.as_slice();
        self.spans.sort_unstable_by(|a, b| bytes[a.0..a.1].cmp(&bytes[b.0..b.1]));
        self.spans.windows(2).any(|pair| bytes[pair[0].0..pair[0].1] == bytes[pair[1].0..pair[1].1])
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|&(start, end)| &self.bytes.as_slice()[start..end])
    }
}

/// One member of a map: its name and its piece of JSON text.
#[derive(Clone, Copy)]
struct Member {
    /// The first bytes of the name, zeros behind a short one, so that they compare as the bytes do.
    head: u64,
    name: Name,
    start: u32,
    end: u32,
}

/// Turns maps and lists into plain JSON text. Kept for its memory.
#[derive(Default)]
struct Nested {
    members: Vec<Member>,
    names: Arena,
    spare: Arena,
    set: Set,
}

impl Nested {
    fn clear(&mut self) {
        self.members.clear();
        self.names.clear();
    }

    /// Write what a top-level M or L holds.
    fn write(&mut self, text: &[u8], at: usize, tag: Tag, out: &mut Arena) -> Parsed<usize> {
        self.clear();
        let mut spare = mem::take(&mut self.spare);
        spare.clear();
        let result = self.tagged(text, at, tag, out, &mut spare, 1);
        self.spare = spare;
        result
    }

    /// Write an inner value of the tag. `spare` is a place for what must be put in order before it goes to `out`.
    #[inline(always)]
    fn tagged(
        &mut self,
        text: &[u8],
        at: usize,
        tag: Tag,
        out: &mut Arena,
        spare: &mut Arena,
        depth: usize,
    ) -> Parsed<usize> {
        if depth > VALUE_DEPTH_MAX {
            return Err(Why::TooDeep.at(at));
        }
        match tag {
            Tag::S if text[at] == b'"' => json::string_text(text, at + 1, out),
            Tag::S => Err(Why::NoString.at(at)),
            Tag::N => number_text(text, at, &mut self.set.scratch, out),
            Tag::Bool => {
                let (value, end) = bool_at(text, at)?;
                out.copy(b"truefalse           ....", if value { 0 } else { 4 }, if value { 4 } else { 5 });
                Ok(end)
            }
            Tag::Null => {
                let end = null_at(text, at)?;
                out.extend(b"null");
                Ok(end)
            }
            Tag::B => {
                self.set.bytes.clear();
                let end = binary_at(text, at, &mut self.set.scratch, &mut self.set.bytes)?;
                write_binary(self.set.bytes.as_slice(), out);
                Ok(end)
            }
            Tag::M => self.map(text, at, out, spare, depth),
            Tag::L => self.list(text, at, out, spare, depth),
            Tag::Ss | Tag::Ns | Tag::Bs => self.set_text(text, at, tag, out),
        }
    }

    fn set_text(&mut self, text: &[u8], at: usize, tag: Tag, out: &mut Arena) -> Parsed<usize> {
        let end = self.set.read(text, at, tag)?;
        out.push(b'[');
        for i in 0..self.set.spans.len() {
            if i > 0 {
                out.push(b',');
            }
            let (start, end) = self.set.spans[i];
            let member = &self.set.bytes.as_slice()[start..end];
            match tag {
                Tag::Ss => json::write_text(member, out),
                Tag::Bs => write_binary(member, out),
                _ => self.set.numbers[i].write_canonical(out),
            }
        }
        out.push(b']');
        Ok(end)
    }

    /// `depth` is that of the list itself.
    #[inline(never)]
    fn list(&mut self, text: &[u8], at: usize, out: &mut Arena, spare: &mut Arena, depth: usize) -> Parsed<usize> {
        if text[at] != b'[' {
            return Err(Why::NoList.at(at));
        }
        out.push(b'[');
        let mut at = blank_end(text, at + 1);
        if text[at] == b']' {
            out.push(b']');
            return Ok(at + 1);
        }
        loop {
            let (tag, inner) =
                if text[at..at + 6] == *br#"{"M":{"# { (Tag::M, at + 5) } else { spaced_tag_at(text, at)? };
            let end = self.tagged(text, inner, tag, out, spare, depth + 1)?;
            at = blank_end(text, close(text, end)?);
            match text[at] {
                b',' => at = blank_end(text, at + 1),
                b']' => break,
                _ => return Err(Why::NotJson.at(at)),
            }
            out.push(b',');
        }
        out.push(b']');
        Ok(at + 1)
    }

    /// `depth` is that of the map itself. Members are written to `spare` as they come, and from there to `out` in order;
    /// maps among them do the same the other way round, since nothing is written to `out` meanwhile.
    #[inline(never)]
    fn map(&mut self, text: &[u8], at: usize, out: &mut Arena, spare: &mut Arena, depth: usize) -> Parsed<usize> {
        if text[at] != b'{' {
            return Err(Why::NoMap.at(at));
        }
        let mut at = blank_end(text, at + 1);
        if text[at] == b'}' {
            out.extend(b"{}");
            return Ok(at + 1);
        }
        let (first, names, first_piece) = (self.members.len(), self.names.len(), spare.len());
        loop {
            if text[at] != b'"' {
                return Err(Why::NotJson.at(at));
            }
            let start = spare.len();
            spare.push(b',');
            let (name, end) = json::name(text, at + 1, &mut self.names)?;
            let head = if name.in_scratch {
                json::write_text(name.bytes(text, &self.names), spare);
                spare.push(b':');
                head_of(name.bytes(text, &self.names))
            } else {
                spare.copy(text, at, name.len() + 2);
                spare.push(b':');
                (attributes::head_of(text, at + 1, name.len()) as u64).swap_bytes()
            };
            let (tag, inner) = tag_at(text, end - 1)?;
            let end = self.tagged(text, inner, tag, spare, out, depth + 1)?;
            self.members.push(Member { head, name, start: start as u32, end: spare.len() as u32 });
            if text[end] == b'}' && text[end + 1] == b',' && text[end + 2] == b'"' {
                at = end + 2;
                continue;
            }
            at = blank_end(text, close(text, end)?);
            match text[at] {
                b',' => at = blank_end(text, at + 1),
                b'}' => break,
                _ => return Err(Why::NotJson.at(at)),
            }
        }
        self.put_in_order(text, at, first)?;
        let begin = out.len();
        for member in &self.members[first..] {
            out.copy_from(spare, member.start as usize, member.end as usize);
        }
        out.set(begin, b'{'); // in place of the first comma
        out.push(b'}');
        spare.truncate(first_piece);
        self.members.truncate(first);
        self.names.truncate(names);
        Ok(at + 1)
    }

    /// Sort the members from `first` on by their names; these must differ.
    #[inline(always)]
    fn put_in_order(&mut self, text: &[u8], at: usize, first: usize) -> Parsed<()> {
        const FEW: usize = 16;
        let (members, names) = (&mut self.members[first..], &self.names);
        let bytes = |member: &Member| member.name.bytes(text, names);
        // Zeros behind a short name look like those of a longer one, so equal heads say nothing.
        let less = |a: &Member, b: &Member| a.head < b.head || (a.head == b.head && bytes(a) < bytes(b));
        if members.len() <= FEW {
            for i in 1..members.len() {
                let member = members[i];
                let mut to = i;
                while to > 0 && less(&member, &members[to - 1]) {
                    members[to] = members[to - 1];
                    to -= 1;
                }
                members[to] = member;
            }
        } else {
            members.sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| bytes(a).cmp(bytes(b))));
        }
        if members.windows(2).all(|pair| less(&pair[0], &pair[1])) {
            Ok(())
        } else {
            Err(Why::DuplicateName.at(at))
        }
    }
}

/// The first bytes of a name, as a number that compares as they do.
fn head_of(name: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = name.len().min(head.len());
    head[..length].copy_from_slice(&name[..length]);
    u64::from_be_bytes(head)
}

#[inline(always)]
fn number_text(text: &[u8], at: usize, scratch: &mut Arena, out: &mut Arena) -> Parsed<usize> {
    if text[at] != b'"' {
        return Err(Why::NoString.at(at));
    }
    match number::copy_canonical(text, at + 1, out) {
        Some(end) => Ok(end + 1),
        None => odd_number_text(text, at, scratch, out),
    }
}

#[inline(never)]
fn odd_number_text(text: &[u8], at: usize, scratch: &mut Arena, out: &mut Arena) -> Parsed<usize> {
    let (value, end) = number_at(text, at, scratch)?;
    value.number().write_canonical(out);
    Ok(end)
}

fn write_binary(bytes: &[u8], out: &mut Arena) {
    out.push(b'"');
    base64::encode(bytes, out);
    out.push(b'"');
}

impl Fault {
    /// The same fault, except that a value of another JSON type than wanted is `why`.
    fn unless_json(self, why: Why) -> Fault {
        if self.why == Why::NoString {
            why.at(self.at as usize)
        } else {
            self
        }
    }
}
