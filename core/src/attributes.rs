//! Attribute names to their columns, found without copying a name and mostly without hashing one.

use std::hash::{BuildHasher, RandomState};

use crate::json::CHUNK;

pub const NONE: u32 = u32::MAX;

/// One attribute name of the stream, whatever types it takes.
pub struct Attribute {
    pub name: Box<[u8]>,
    /// The first bytes of the name, zeros behind a short one.
    head: u128,
    /// The length of the name where a line spells it as it is; `usize::MAX` where it must be escaped, because such bytes in
    /// a line are something else: `x":{"S` may be a name, and the attribute `x` as well.
    length_as_spelled: usize,
    /// The image that last held it: a name that meets its own image stands twice.
    pub image: u64,
    /// The attribute that followed it last time.
    next: u32,
    /// Column by tag.
    pub columns: [u32; 10],
    /// NULL values of accepted rows.
    pub nulls: u64,
}

/// An open-addressed table over the attributes, keyed by a hash that differs from run to run.
pub struct Attributes {
    pub all: Vec<Attribute>,
    slots: Vec<u32>,
    seed: [u64; 2],
    last: u32,
    /// Whether guessing by order has been right of late.
    luck: i32,
}

const LUCK_MAX: i32 = 64;
/// Slots are small, and a second look costs more than the memory.
const SLOTS_EACH: usize = 8;

impl Default for Attributes {
    fn default() -> Self {
        let random = RandomState::new();
        Attributes {
            all: Vec::new(),
            slots: vec![NONE; 256],
            seed: [random.hash_one(1u8) | 1, random.hash_one(2u8) | 1],
            last: NONE,
            luck: LUCK_MAX,
        }
    }
}

/// Masks for the first bytes of a chunk.
const FIRST: [u128; CHUNK + 1] = {
    let mut masks = [u128::MAX; CHUNK + 1];
    let mut length = 0;
    while length < CHUNK {
        masks[length] = (1 << (8 * length)) - 1;
        length += 1;
    }
    masks
};

/// The first `length` of 16 bytes, zeros behind them.
#[inline(always)]
pub fn head_of(text: &[u8], at: usize, length: usize) -> u128 {
    u128::from_le_bytes(text[at..at + CHUNK].try_into().expect("a chunk")) & FIRST[length.min(CHUNK)]
}

impl Attributes {
    /// Try new guesses, once in a while.
    pub fn cheer(&mut self) {
        self.luck = LUCK_MAX;
    }

    /// The attribute whose name begins at `at`, where it is the one that followed the last one before; and the place of
    /// the name's closing quote.
    #[inline(always)]
    pub fn guess(&mut self, text: &[u8], at: usize) -> Option<(u32, usize)> {
        if self.luck < 0 {
            return None;
        }
        let guess = self.all.get(self.last as usize).map_or(0, |attribute| attribute.next);
        if let Some(attribute) = self.all.get(guess as usize) {
            let length = attribute.length_as_spelled;
            if length <= CHUNK && head_of(text, at, length) == attribute.head && text[at + length] == b'"' {
                self.luck = (self.luck + 1).min(LUCK_MAX);
                self.last = guess;
                return Some((guess, at + length));
            }
        }
        self.luck -= 2;
        None
    }

    /// The attribute of a name, new or not; `text` goes on for a chunk behind it.
    #[inline(always)]
    pub fn find(&mut self, text: &[u8], at: usize, length: usize) -> u32 {
        let head = head_of(text, at, length);
        let hash = self.hash(head, text, at, length);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let index = self.slots[slot];
            if index == NONE {
                break;
            }
            let attribute = &self.all[index as usize];
            if attribute.head == head
                && attribute.name.len() == length
                && (length <= CHUNK || *attribute.name == text[at..at + length])
            {
                return self.follow(index);
            }
            slot = (slot + 1) & mask;
        }
        self.insert(slot, head, &text[at..at + length])
    }

    #[inline(always)]
    fn follow(&mut self, index: u32) -> u32 {
        if let Some(last) = self.all.get_mut(self.last as usize) {
            last.next = index;
        }
        self.last = index;
        index
    }

    /// An image begins: what follows is its first attribute.
    #[inline(always)]
    pub fn begin(&mut self) {
        self.last = NONE;
    }

    #[inline(always)]
    fn hash(&self, head: u128, text: &[u8], at: usize, length: usize) -> u64 {
        let mut hash = self.mix(head, length as u64);
        let mut done = CHUNK;
        while done < length {
            hash = self.mix(head_of(text, at + done, length - done), hash);
            done += CHUNK;
        }
        hash
    }

    #[inline(always)]
    fn mix(&self, head: u128, more: u64) -> u64 {
        let (low, high) = (head as u64 ^ self.seed[0], (head >> 64) as u64 ^ self.seed[1] ^ more.rotate_left(32));
        let product = low as u128 * high as u128;
        product as u64 ^ (product >> 64) as u64
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, slot: usize, head: u128, name: &[u8]) -> u32 {
        let index = self.all.len() as u32;
        self.slots[slot] = index;
        let must_be_escaped = name.iter().any(|&byte| byte < b' ' || byte == b'"' || byte == b'\\');
        let length_as_spelled = if must_be_escaped { usize::MAX } else { name.len() };
        let name = name.into();
        self.all.push(Attribute { name, head, length_as_spelled, image: 0, next: NONE, columns: [NONE; 10], nulls: 0 });
        if self.all.len() * SLOTS_EACH > self.slots.len() {
            self.rehash();
        }
        self.follow(index)
    }

    fn rehash(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![NONE; mask + 1];
        let mut padded = Vec::new();
        for (index, attribute) in self.all.iter().enumerate() {
            padded.clear();
            padded.extend_from_slice(&attribute.name);
            padded.resize(padded.len() + CHUNK, 0);
            let mut slot = self.hash(attribute.head, &padded, 0, attribute.name.len()) as usize & mask;
            while slots[slot] != NONE {
                slot = (slot + 1) & mask;
            }
            slots[slot] = index as u32;
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_attribute_however_many_there_are() {
        let mut attributes = Attributes::default();
        let names: Vec<String> = (0..5000).map(|i| format!("{}{i}", "long name ".repeat(i % 4))).collect();
        for round in 0..2 {
            for (i, name) in names.iter().enumerate() {
                let mut text = name.clone().into_bytes();
                text.extend_from_slice(b"\" and what follows it");
                assert_eq!(attributes.find(&text, 0, name.len()), i as u32, "{round}");
            }
        }
    }

    #[test]
    fn the_same_order_again_is_guessed() {
        let mut attributes = Attributes::default();
        let text = b"\"id\"time\"value\" and what follows";
        attributes.begin();
        for (at, length) in [(1, 2), (4, 4), (9, 5)] {
            attributes.find(text, at, length);
        }
        attributes.begin();
        assert_eq!(attributes.guess(text, 1), Some((0, 3)));
        assert_eq!(attributes.guess(text, 4), Some((1, 8)));
        assert_eq!(attributes.guess(text, 9), Some((2, 14)));
        assert_eq!(attributes.guess(text, 1), None);
    }

    #[test]
    fn a_name_that_must_be_escaped_is_never_guessed() {
        for name in [&b"x\":{\"S"[..], b"a\\b", b"a\nb"] {
            let mut attributes = Attributes::default();
            let text = [name, b"\" and what follows it"].concat();
            attributes.begin();
            assert_eq!(attributes.find(&text, 0, name.len()), 0);
            attributes.begin();
            assert_eq!(attributes.guess(&text, 0), None);
        }
    }
}
