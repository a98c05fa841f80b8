//! Gunzip in bounded pieces: every member to its end, with its checksum and length.

use flate2::{Decompress, FlushDecompress, Status};

use crate::window::Window;

pub const MAGIC: [u8; 2] = [0x1f, 0x8b];
pub const HISTORY: usize = 0;

/// The stream is damaged or cut; the text says how.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt(pub String);

enum State {
    /// Too few bytes to tell; these.
    Unknown(Vec<u8>),
    Plain,
    Member(Box<Decompress>),
    BetweenMembers,
    Padding,
}

/// Gunzips a stream of members, or passes plain bytes through; decides by the first two bytes.
pub struct Inflater {
    state: State,
    /// The last piece filled all room, so there may be more inside.
    pub more: bool,
}

impl Default for Inflater {
    fn default() -> Self {
        Inflater { state: State::Unknown(Vec::new()), more: false }
    }
}

fn copy(data: &[u8], window: &mut Window) -> usize {
    let (buffer, end, limit) = window.room();
    let length = data.len().min(limit - end);
    buffer[end..end + length].copy_from_slice(&data[..length]);
    window.grow_to(end + length);
    length
}

impl Inflater {
    /// For bytes that somebody else has inflated: whatever they begin with, they are plain.
    pub fn plain() -> Self {
        Inflater { state: State::Plain, more: false }
    }

    /// Move on through `data` until it is used up or the window has no room; gives how much of it was used.
    pub fn fill(&mut self, data: &[u8], window: &mut Window) -> Result<usize, Corrupt> {
        self.more = false;
        let mut used = 0;
        loop {
            match &mut self.state {
                State::Unknown(head) => {
                    while head.len() < MAGIC.len() && used < data.len() {
                        head.push(data[used]);
                        used += 1;
                    }
                    if head.len() < MAGIC.len() {
                        return Ok(used);
                    }
                    if head[..] == MAGIC {
                        self.state = State::BetweenMembers;
                        self.member(&MAGIC, window)?;
                    } else {
                        copy(head, window);
                        self.state = State::Plain;
                    }
                }
                State::Plain => {
                    let taken = copy(&data[used..], window);
                    return Ok(used + taken);
                }
                State::Padding => {
                    if data[used..].iter().any(|&byte| byte != 0) {
                        return Err(Corrupt("Bytes follow the gzip stream".into()));
                    }
                    return Ok(data.len());
                }
                State::BetweenMembers if used == data.len() => return Ok(used),
                State::BetweenMembers if data[used] == 0 => self.state = State::Padding,
                State::BetweenMembers | State::Member(_) => {
                    used += self.member(&data[used..], window)?;
                    if matches!(self.state, State::Member(_)) && (self.more || used == data.len()) {
                        return Ok(used);
                    }
                }
            }
        }
    }

    fn member(&mut self, data: &[u8], window: &mut Window) -> Result<usize, Corrupt> {
        if let State::BetweenMembers = self.state {
            self.state = State::Member(Box::new(Decompress::new_gzip(15)));
        }
        let State::Member(decompress) = &mut self.state else { unreachable!("just made") };
        let (buffer, end, limit) = window.room();
        let (before_in, before_out) = (decompress.total_in(), decompress.total_out());
        let status = decompress
            .decompress(data, &mut buffer[end..limit], FlushDecompress::None)
            .map_err(|error| Corrupt(format!("The gzip stream is damaged: {error}")))?;
        let end = end + (decompress.total_out() - before_out) as usize;
        let used = (decompress.total_in() - before_in) as usize;
        window.grow_to(end);
        self.more = end == limit;
        if status == Status::StreamEnd {
            self.state = State::BetweenMembers;
        }
        Ok(used)
    }

    /// Whether the bytes to come go through as they are.
    pub fn is_plain(&self) -> bool {
        matches!(self.state, State::Plain)
    }

    /// The input has ended: is it whole? Gives the bytes that were too few to tell.
    pub fn finish(&mut self, window: &mut Window) -> Result<(), Corrupt> {
        match &self.state {
            State::Member(_) => Err(Corrupt("The gzip stream ends in the middle of a member".into())),
            State::Unknown(head) => {
                copy(head, window);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
