//! Server-sent events out of bytes that may be cut anywhere (`spec/wire.md`, section 5).

use bytes::{Buf, Bytes, BytesMut};

/// Longest event, bytes.
const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// One event with the bytes it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// As received, line ends included.
    pub(crate) raw: Bytes,
    /// Its `data` lines, joined by LF; `None` for comments and blank lines.
    pub(crate) data: Option<Bytes>,
}

/// An event longer than 8 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event must have at most {MAX_EVENT_BYTES} bytes, got more")]
pub(crate) struct EventTooLong;

/// Collects bytes and gives out whole events.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    buffer: BytesMut,
    /// Bytes of `buffer` already looked at.
    seen: usize,
    line_start: usize,
    /// The last byte looked at was CR: an LF that follows belongs to it.
    after_cr: bool,
    past_first_line: bool,
    data: Option<BytesMut>,
}

impl Splitter {
    /// Adds what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event, if there is one.
    ///
    /// # Errors
    ///
    /// If an event is longer than 8 MiB.
    pub(crate) fn next_event(&mut self) -> Result<Option<Event>, EventTooLong> {
        while let Some(&byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            if byte == b'\n' && std::mem::take(&mut self.after_cr) {
                self.line_start = self.seen;
                continue;
            }
            self.after_cr = byte == b'\r';
            if (byte == b'\n' || byte == b'\r') && self.end_line(self.seen - 1) {
                return Ok(Some(self.take_event()));
            }
        }
        if self.buffer.len() > MAX_EVENT_BYTES { Err(EventTooLong) } else { Ok(None) }
    }

    /// What is left when the stream has ended: an event without its empty line.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        if self.buffer.is_empty() {
            return None;
        }
        self.end_line(self.buffer.len());
        self.seen = self.buffer.len();
        Some(self.take_event())
    }

    /// Reads the line that ends before `end`; whether it was the empty one that ends an event.
    fn end_line(&mut self, end: usize) -> bool {
        let mut line = &self.buffer[self.line_start.min(end)..end];
        self.line_start = self.seen;
        if !std::mem::replace(&mut self.past_first_line, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return true;
        }
        if let Some(value) = data_of(line) {
            match &mut self.data {
                Some(data) => {
                    data.extend_from_slice(b"\n");
                    data.extend_from_slice(value);
                }
                None => self.data = Some(BytesMut::from(value)),
            }
        }
        false
    }

    fn take_event(&mut self) -> Event {
        let raw = self.buffer.copy_to_bytes(self.seen);
        self.seen = 0;
        self.line_start = 0;
        Event { raw, data: self.data.take().map(BytesMut::freeze) }
    }
}

/// The value of a `data` line.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let mut splitter = Splitter::default();
        let (mut data, mut raw) = (Vec::new(), Vec::new());
        let mut take = |event: Event| {
            raw.extend_from_slice(&event.raw);
            data.extend(event.data.map(|data| String::from_utf8(data.to_vec()).unwrap()));
        };
        for piece in pieces {
            splitter.push(piece);
            while let Some(event) = splitter.next_event().unwrap() {
                take(event);
            }
        }
        if let Some(event) = splitter.finish() {
            take(event);
        }
        (data, raw)
    }

    const STREAMS: [&str; 3] = [
        "\u{feff}data: {\"a\":\"ö\"}\n\n: keep-alive\n\nevent: x\ndata:one\ndata: two\n\ndata: [DONE]\n\n",
        "data: {\"a\":\"ö\"}\r\n\r\n: keep-alive\r\n\r\ndata:one\r\ndata: two\r\n\r\ndata: [DONE]\r\n\r\n",
        "data: {\"a\":\"ö\"}\r\r: keep-alive\r\rdata:one\rdata: two\r\rdata: [DONE]",
    ];

    #[test]
    fn every_split_point_gives_the_same_events_and_bytes() {
        for stream in STREAMS {
            let bytes = stream.as_bytes();
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    let (data, raw) = split(&pieces);
                    assert_eq!(data, ["{\"a\":\"ö\"}", "one\ntwo", "[DONE]"], "{first} {second}");
                    assert_eq!(raw, bytes);
                }
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(split(&single).0.len(), 3);
        }
    }

    #[test]
    fn an_event_without_end_is_refused_at_8_mib() {
        let mut splitter = Splitter::default();
        splitter.push(&vec![b'x'; MAX_EVENT_BYTES + 1]);
        assert_eq!(splitter.next_event(), Err(EventTooLong));
    }
}
