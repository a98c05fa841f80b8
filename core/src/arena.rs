//! Bytes that grow at the end, made for copying short strings.

use crate::json::{specials, CHUNK};

/// `data` is initialised beyond `used`, so a string is copied in whole chunks and what stands too far is overwritten.
#[derive(Default)]
pub struct Arena {
    data: Vec<u8>,
    used: usize,
}

impl Arena {
    pub fn with_capacity(bytes: usize) -> Arena {
        Arena { data: vec![0; bytes], used: 0 }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.used
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub fn truncate(&mut self, length: usize) {
        self.used = self.used.min(length);
    }

    pub fn clear(&mut self) {
        self.used = 0;
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.data[..self.used]
    }

    pub fn into_vec(mut self) -> Vec<u8> {
        self.data.truncate(self.used);
        self.data
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let length = (self.data.len() * 2).max(self.used + more + 4 * CHUNK).max(256);
        self.data.resize(length, 0);
    }

    /// The unused bytes behind the end, at least `N` of them, as an array to be written.
    #[inline(always)]
    fn tail<const N: usize>(&mut self) -> &mut [u8; N] {
        if self.data.len() - self.used < N {
            self.grow(N);
        }
        (&mut self.data[self.used..self.used + N]).try_into().expect("N bytes")
    }

    #[inline(always)]
    pub fn push(&mut self, byte: u8) {
        self.tail::<1>()[0] = byte;
        self.used += 1;
    }

    /// Change one byte.
    #[inline(always)]
    pub fn set(&mut self, at: usize, byte: u8) {
        self.data[at] = byte;
    }

    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.data.len() - self.used < bytes.len() {
            self.grow(bytes.len());
        }
        self.data[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// Append `length` bytes of `text` from `at`. Faster than `extend` for short ones; `text` goes on for a chunk.
    #[inline(always)]
    pub fn copy(&mut self, text: &[u8], at: usize, length: usize) {
        let mut done = 0;
        while done < length {
            let chunk: &[u8; CHUNK] = text[at + done..at + done + CHUNK].try_into().expect("a chunk");
            *self.tail::<CHUNK>() = *chunk;
            let step = (length - done).min(CHUNK);
            self.used += step;
            done += step;
        }
    }

    /// Append a piece of another arena.
    #[inline(always)]
    pub fn copy_from(&mut self, other: &Arena, start: usize, end: usize) {
        const STEP: usize = 2 * CHUNK;
        let length = end - start;
        if end + STEP > other.data.len() {
            return self.extend(&other.data[start..end]);
        }
        let mut done = 0;
        while done < length {
            let step: &[u8; STEP] = other.data[start + done..start + done + STEP].try_into().expect("a step");
            *self.tail::<STEP>() = *step;
            self.used += (length - done).min(STEP);
            done += STEP;
        }
    }

    /// Append a JSON string's characters up to the first quote, backslash or control character; gives its place.
    #[inline(always)]
    pub fn copy_plain(&mut self, text: &[u8], mut at: usize) -> usize {
        loop {
            let chunk: &[u8; CHUNK] = text[at..at + CHUNK].try_into().expect("a chunk");
            *self.tail::<CHUNK>() = *chunk;
            let found = specials(chunk);
            if found != 0 {
                let step = found.trailing_zeros() as usize;
                self.used += step;
                return at + step;
            }
            self.used += CHUNK;
            at += CHUNK;
        }
    }
}
