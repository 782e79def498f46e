//! Text on its way to the caller: whole characters only, and nothing that a stop string may take
//! back.

/// Holds back text that is not yet settled.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    strings: Vec<Vec<u8>>,
    /// The first bytes of a character.
    unfinished: Vec<u8>,
    /// Characters that may begin a stop string.
    held: Vec<u8>,
    /// A stop string was found: no more text is given.
    found: bool,
}

impl Stops {
    pub(crate) fn new(strings: Vec<Vec<u8>>) -> Self {
        Self {
            strings,
            ..Self::default()
        }
    }

    /// Whether there are no stop strings.
    pub(crate) fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }

    /// Whether one of the stop strings has no bytes.
    pub(crate) fn has_empty_string(&self) -> bool {
        self.strings.iter().any(Vec::is_empty)
    }

    /// Whether a stop string was found.
    pub(crate) fn found(&self) -> bool {
        self.found
    }

    /// Takes the bytes of a token, and gives the text that can go out.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.unfinished.extend_from_slice(bytes);
        let whole = self.unfinished.len() - unfinished_length(&self.unfinished);
        let piece: Vec<u8> = self.unfinished.drain(..whole).collect();
        self.settle(&piece, false)
    }

    /// Gives the text that is left at the end.
    pub(crate) fn flush(&mut self) -> Vec<u8> {
        let piece = std::mem::take(&mut self.unfinished);
        self.settle(&piece, true)
    }

    fn settle(&mut self, piece: &[u8], is_last: bool) -> Vec<u8> {
        if self.found {
            return Vec::new();
        }
        let searched = self.held.len();
        self.held.extend_from_slice(piece);
        if let Some(begin) = self.find(searched) {
            self.found = true;
            self.held.truncate(begin);
            return std::mem::take(&mut self.held);
        }
        let settled = if is_last {
            self.held.len()
        } else {
            self.settled_length()
        };
        self.held.drain(..settled).collect()
    }

    /// Where the stop string begins that is complete first: the longest of those that end there.
    /// None ends within the bytes that were searched before.
    fn find(&self, searched: usize) -> Option<usize> {
        (searched + 1..=self.held.len()).find_map(|end| {
            let text = &self.held[..end];
            let ending = self.strings.iter().filter(|stop| text.ends_with(stop));
            ending.map(|stop| end - stop.len()).min()
        })
    }

    /// How much text no stop string can take back. Characters are not divided.
    fn settled_length(&self) -> usize {
        let text = &self.held;
        let may_begin_stop = |begin: &usize| {
            let rest = &text[*begin..];
            self.strings.iter().any(|stop| stop.starts_with(rest))
        };
        let mut settled = (0..text.len()).find(may_begin_stop).unwrap_or(text.len());
        while settled > 0 && settled < text.len() && is_inside(text[settled]) {
            settled -= 1;
        }
        settled
    }
}

/// Whether a byte continues a character.
fn is_inside(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// How many bytes at the end begin a character that is not complete.
fn unfinished_length(bytes: &[u8]) -> usize {
    let start = bytes
        .iter()
        .rev()
        .take(3)
        .position(|byte| !is_inside(*byte));
    let available = match start {
        Some(distance) => distance + 1,
        None => return 0,
    };
    let needed = match bytes[bytes.len() - available] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if needed > available {
        available
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut stops = Stops::new(stops.iter().map(|stop| stop.as_bytes().to_vec()).collect());
        let mut given: Vec<_> = pieces
            .iter()
            .map(|piece| stops.push(piece.as_bytes()))
            .collect();
        given.push(stops.flush());
        let given = given
            .into_iter()
            .map(|piece| String::from_utf8(piece).unwrap());
        (given.collect(), stops.found())
    }

    #[test]
    fn text_without_stop_strings_goes_out_at_once() {
        assert_eq!(
            give(&[], &["ab", "c"]),
            (vec!["ab".into(), "c".into(), "".into()], false)
        );
    }

    #[test]
    fn what_may_begin_a_stop_string_waits() {
        let (given, found) = give(&["end"], &["an en", "try"]);
        assert_eq!(given, ["an ", "entry", ""]);
        assert!(!found);
    }

    #[test]
    fn text_ends_before_the_stop_string_that_is_complete_first() {
        let (given, found) = give(&["cde", "bc"], &["ab", "cdef", "g"]);
        assert_eq!(given, ["a", "", "", ""]);
        assert!(found);
    }

    #[test]
    fn of_stop_strings_that_end_together_the_longest_counts() {
        assert_eq!(give(&["c", "abc"], &["xabc"]).0, ["x", ""]);
    }

    #[test]
    fn what_waits_goes_out_at_the_end() {
        assert_eq!(give(&["end"], &["the en"]).0, ["the ", "en"]);
    }

    #[test]
    fn characters_are_whole() {
        let mut stops = Stops::new(Vec::new());
        let face = "\u{1f600}".as_bytes();
        assert_eq!(stops.push(&face[..1]), b"");
        assert_eq!(stops.push(&face[1..3]), b"");
        assert_eq!(stops.push(&face[3..]), face);
        assert_eq!(stops.push(b"a\xff"), b"a\xff");
        assert_eq!(stops.push(b"\xe2\x82"), b"");
        assert_eq!(stops.flush(), b"\xe2\x82");
    }

    #[test]
    fn a_stop_string_may_begin_inside_a_character() {
        let mut stops = Stops::new(vec![b"\xa9x".to_vec()]);
        assert_eq!(stops.push("a\u{e9}".as_bytes()), b"a");
        assert_eq!(stops.push(b"y"), "\u{e9}y".as_bytes());
    }
}
