//! D-Bus messages as far as systemd's manager needs them: little-endian, basic types, and the arrays of properties
//! that units are made of. Alignment counts from the beginning of a body, which itself is aligned to eight.

use std::io;

/// A value that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    U64(u64),
    Text(String),
    Texts(Vec<String>),
}

/// A unit's property and its value.
pub(crate) type Property = (&'static str, Value);

/// Kinds of messages (the protocol's own numbers).
pub(super) const CALL: u8 = 1;
pub(super) const REPLY: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const SIGNAL: u8 = 4;

/// No systemd says more at once; who does is not one.
const MOST_BYTES: usize = 16 << 20;

/// One message, its body unread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub kind: u8,
    pub serial: u32,
    /// Whose answer it is.
    pub reply_to: u32,
    pub path: String,
    pub interface: String,
    pub member: String,
    /// The name of an error.
    pub error: String,
    pub destination: String,
    pub sender: String,
    pub signature: String,
    pub body: Vec<u8>,
}

/// Bytes being written.
#[derive(Debug, Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    fn u64(&mut self, value: u64) {
        self.align(8);
        self.0.extend(value.to_le_bytes());
    }

    /// A string or an object path.
    pub(crate) fn text(&mut self, text: &str) {
        self.u32(length(text.len()));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// The length of an array is known when its elements are written; padding before the first does not count.
    fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        let bytes = length(self.0.len() - start).to_le_bytes();
        self.0[at..at + 4].copy_from_slice(&bytes);
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => {
                self.signature("b");
                self.bool(*value);
            }
            Value::U64(value) => {
                self.signature("t");
                self.u64(*value);
            }
            Value::Text(value) => {
                self.signature("s");
                self.text(value);
            }
            Value::Texts(values) => {
                self.signature("as");
                self.array(4, |list| values.iter().for_each(|value| list.text(value)));
            }
        }
    }

    /// `a(sv)`
    pub(crate) fn properties(&mut self, properties: &[Property]) {
        self.array(8, |list| {
            for (name, value) in properties {
                list.align(8);
                list.text(name);
                list.variant(value);
            }
        });
    }

    /// `a(sa(sv))` without elements: no other units.
    pub(crate) fn no_units(&mut self) {
        self.array(8, |_| {});
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Message {
    /// As it is sent.
    pub(super) fn render(&self) -> Vec<u8> {
        let mut out = Body(vec![b'l', self.kind, 0, 1]);
        out.u32(length(self.body.len()));
        out.u32(self.serial);
        out.array(8, |fields| {
            let mut field = |code: u8, kind: &str, text: &str| {
                if !text.is_empty() {
                    fields.align(8);
                    fields.0.push(code);
                    fields.signature(kind);
                    if kind == "g" { fields.signature(text) } else { fields.text(text) }
                }
            };
            field(1, "o", &self.path);
            field(2, "s", &self.interface);
            field(3, "s", &self.member);
            field(4, "s", &self.error);
            field(6, "s", &self.destination);
            field(8, "g", &self.signature);
            if self.reply_to != 0 {
                fields.align(8);
                fields.0.push(5);
                fields.signature("u");
                fields.u32(self.reply_to);
            }
        });
        out.align(8);
        out.0.extend(&self.body);
        out.0
    }

    /// Reads one message.
    ///
    /// # Errors
    /// The stream ends or waits too long, or what comes is no message of this machine's byte order.
    pub(super) fn read(from: &mut impl io::Read) -> io::Result<Self> {
        let mut head = [0; 16];
        from.read_exact(&mut head)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (body, fields) = (number(4) as usize, number(12) as usize);
        if head[0] != b'l' || body.max(fields) > MOST_BYTES {
            return Err(malformed());
        }
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        from.read_exact(&mut rest)?;
        let body = rest.split_off(fields.next_multiple_of(8));
        let mut message = Self { kind: head[1], serial: number(8), body, ..Self::default() };
        let mut reader = Reader { bytes: &rest[..fields], at: 0 };
        while reader.at < fields {
            reader.align(8);
            let code = reader.byte()?;
            let kind = reader.signature()?;
            let text = match kind.as_str() {
                "u" => {
                    let number = reader.u32()?;
                    if code == 5 {
                        message.reply_to = number;
                    }
                    continue;
                }
                "g" => reader.signature()?,
                "s" | "o" => reader.text()?,
                _ => return Err(malformed()),
            };
            match code {
                1 => message.path = text,
                2 => message.interface = text,
                3 => message.member = text,
                4 => message.error = text,
                6 => message.destination = text,
                7 => message.sender = text,
                8 => message.signature = text,
                _ => {}
            }
        }
        Ok(message)
    }

    /// The numbers and texts with which the body begins, all as text; it ends at the first of another type.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut all = Vec::new();
        for kind in self.signature.chars() {
            let argument = match kind {
                's' | 'o' => reader.text(),
                'u' | 'b' => reader.u32().map(|number| number.to_string()),
                _ => break,
            };
            match argument {
                Ok(argument) => all.push(argument),
                Err(_) => break,
            }
        }
        all
    }
}

/// Bytes being read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.at.checked_add(count).ok_or_else(malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.align(4);
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.u32()? as usize;
        self.terminated(length)
    }

    fn signature(&mut self) -> io::Result<String> {
        let length = self.byte()?.into();
        self.terminated(length)
    }

    fn terminated(&mut self, length: usize) -> io::Result<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| malformed())?;
        self.take(1)?;
        Ok(text)
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no D-Bus message")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_message_reads_as_it_was_rendered() {
        let mut body = Body::default();
        body.text("a");
        body.bool(true);
        body.properties(&[("Wants", Value::Texts(vec!["b".into()])), ("N", Value::U64(7))]);
        let message = Message {
            kind: CALL,
            serial: 3,
            reply_to: 9,
            path: "/p".into(),
            interface: "i.i".into(),
            member: "M".into(),
            destination: "d.d".into(),
            signature: "sba(sv)".into(),
            body: body.into_bytes(),
            ..Message::default()
        };
        let bytes = message.render();
        let read = Message::read(&mut bytes.as_slice()).unwrap();
        assert_eq!(read, message);
        assert_eq!(read.arguments(), ["a", "1"]);
        for end in 0..bytes.len() {
            assert!(Message::read(&mut &bytes[..end]).is_err(), "cut after {end}");
        }
    }

    /// The bytes of the specification of D-Bus, by hand.
    #[test]
    fn properties_are_aligned_as_the_protocol_wants() {
        let mut body = Body::default();
        body.properties(&[("A", Value::U64(1)), ("B", Value::Bool(true))]);
        let first = [b"\x01\0\0\0A\0\x01t\0\0\0\0\0\0\0\0".as_slice(), b"\x01\0\0\0\0\0\0\0"].concat();
        let second = b"\x01\0\0\0B\0\x01b\0\0\0\0\x01\0\0\0";
        let length = u8::try_from(first.len() + second.len()).unwrap();
        let expected = [&[length, 0, 0, 0, 0, 0, 0, 0], first.as_slice(), second].concat();
        assert_eq!(body.into_bytes(), expected);
    }

    #[test]
    fn nonsense_is_refused() {
        let big = [b"B\x01\0\x01".as_slice(), &[0; 12]].concat();
        assert!(Message::read(&mut big.as_slice()).is_err(), "the other byte order");
        let huge = [b"l\x01\0\x01".as_slice(), &[0xff; 12]].concat();
        assert!(Message::read(&mut huge.as_slice()).is_err(), "longer than anything");
    }
}
