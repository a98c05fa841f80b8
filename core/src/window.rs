//! The plain bytes that are being looked at: lines that are not read yet, and room for what comes next.

use crate::json::CHUNK;

/// Room that is made before more is asked for.
const ROOM: usize = 128 << 10;

/// Bytes `start..end` of `buffer` are not read yet. At least `CHUNK` bytes stand behind `end`.
#[derive(Default)]
pub struct Window {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Position in the stream of the buffer's first byte.
    base: u64,
    /// How many bytes before `end` must stay, for matches that reach back.
    history: usize,
}

impl Window {
    pub fn new(history: usize) -> Window {
        Window { buffer: vec![0; history + 2 * ROOM + CHUNK], start: 0, end: 0, base: 0, history }
    }

    /// Everything, in which unread bytes begin at `start` and end at `end`.
    pub fn text(&self) -> &[u8] {
        &self.buffer
    }

    pub fn start(&self) -> usize {
        self.start
    }

    pub fn end(&self) -> usize {
        self.end
    }

    /// Position in the stream of a place in `text`.
    pub fn position(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    /// Position in the stream of the first byte of `text`.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// So many bytes of the stream were read elsewhere; the window holds none.
    pub fn pass_by(&mut self, bytes: usize) {
        debug_assert_eq!(self.start, self.end);
        self.base += bytes as u64;
    }

    /// Everything before `at` has been read.
    pub fn read_to(&mut self, at: usize) {
        self.start = at;
    }

    /// Make room behind the end, by moving what is still needed to the front, and growing where a line fills it all.
    pub fn make_room(&mut self) {
        if self.buffer.len() - CHUNK - self.end >= ROOM {
            return;
        }
        let kept = self.start.min(self.end.saturating_sub(self.history));
        self.buffer.copy_within(kept..self.end, 0);
        self.start -= kept;
        self.end -= kept;
        self.base += kept as u64;
        if self.buffer.len() - CHUNK - self.end < ROOM {
            let length = (self.buffer.len() * 2).max(self.end + ROOM + CHUNK);
            self.buffer.resize(length, 0);
        }
    }

    /// The whole buffer to write into from `end` on, up to the given limit; then `grow_to` says how far it went.
    pub fn room(&mut self) -> (&mut [u8], usize, usize) {
        let limit = self.buffer.len() - CHUNK;
        (&mut self.buffer, self.end, limit)
    }

    pub fn grow_to(&mut self, end: usize) {
        self.end = end;
    }

    pub fn push(&mut self, byte: u8) {
        self.make_room();
        self.buffer[self.end] = byte;
        self.end += 1;
    }
}
