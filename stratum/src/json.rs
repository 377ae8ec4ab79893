//! JSON lines, looked at with suspicion: nesting and the size of the id are checked before anything is parsed, numbers
//! stay text until somebody needs them, and nothing is built that the request does not use.

use crate::dialect::{Garbage, RequestId};
use pool_core::limits::Limits;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Parameters that are looked at; what follows is skipped.
const PARAMS_MAX: usize = 8;
/// Members of parameters by name that are looked at; what follows is skipped.
const MEMBERS_MAX: usize = 12;

/// A request taken apart.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) id: RequestId,
    /// Absent in a response, which miners send to what needs none.
    pub(crate) method: Option<Cow<'a, str>>,
    pub(crate) params: Params<'a>,
    /// The worker beside the parameters, in the manner of ETHPROXY.
    pub(crate) worker: Option<Cow<'a, str>>,
}

/// The positional parameters of a request, unparsed.
#[derive(Debug, Default)]
pub(crate) struct Params<'a> {
    items: [Option<&'a str>; PARAMS_MAX],
    len: usize,
}

impl<'a> Params<'a> {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The JSON text of a parameter.
    pub(crate) fn raw(&self, place: usize) -> Option<&'a str> {
        self.items.get(place).copied().flatten()
    }

    /// A parameter that is a string.
    pub(crate) fn text(&self, place: usize) -> Option<Cow<'a, str>> {
        text_of(self.raw(place)?, false)
    }

    /// A parameter that is a string or a number, as text.
    pub(crate) fn text_or_number(&self, place: usize) -> Option<Cow<'a, str>> {
        text_of(self.raw(place)?, true)
    }
}

/// The JSON text of a value as text: of a string its content, of a number its digits.
fn text_of(raw: &str, or_number: bool) -> Option<Cow<'_, str>> {
    if or_number && raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Some(Cow::Borrowed(raw));
    }
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The parameters of a request by name, unparsed.
#[derive(Debug, Default)]
pub(crate) struct Members<'a> {
    items: [Option<(&'a str, &'a str)>; MEMBERS_MAX],
}

impl<'a> Members<'a> {
    /// The JSON text of a member.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.items.iter().flatten().find(|(known, _)| *known == name).map(|(_, raw)| *raw)
    }

    /// A member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text_of(self.raw(name)?, false)
    }

    /// A member that is a string or a number, as text.
    pub(crate) fn text_or_number(&self, name: &str) -> Option<Cow<'a, str>> {
        text_of(self.raw(name)?, true)
    }
}

/// Takes a line apart within the limits; parameters have places, and names are refused.
pub(crate) fn envelope<'a>(line: &'a [u8], limits: &Limits) -> Result<Envelope<'a>, (RequestId, Garbage)> {
    let (envelope, members) = envelope_with_members(line, limits)?;
    match members {
        None => Ok(envelope),
        Some(_) => Err((envelope.id, Garbage::Shape("params is not an array"))),
    }
}

/// Takes a line apart within the limits; parameters have places or names. With names the places are empty.
pub(crate) fn envelope_with_members<'a>(
    line: &'a [u8],
    limits: &Limits,
) -> Result<(Envelope<'a>, Option<Members<'a>>), (RequestId, Garbage)> {
    let anonymous = |garbage| (RequestId::Null, garbage);
    check_depth(line, limits.json_depth_max).map_err(anonymous)?;
    let text = std::str::from_utf8(line).map_err(|_| anonymous(Garbage::NotJson))?;
    // A derived visitor would also take an array for a request.
    if !text.trim_start().starts_with('{') {
        return Err(anonymous(Garbage::NotJson));
    }
    let request: Fields<'a> = serde_json::from_str(text).map_err(|_| anonymous(Garbage::NotJson))?;
    let id =
        RequestId::parse(request.id.map_or("null", RawValue::get), limits.id_bytes_max).map_err(anonymous)?;
    let method = match request.method.map(RawValue::get) {
        None | Some("null") => None,
        Some(raw) => match serde_json::from_str::<Text<'a>>(raw) {
            Ok(Text(method)) => Some(method),
            Err(_) => return Err((id, Garbage::Shape("method is not a string"))),
        },
    };
    let worker = request.worker.and_then(|raw| text_of(raw.get(), false));
    let (params, members) = match request.params.map(RawValue::get) {
        None | Some("null") => (Params::default(), None),
        Some(raw) if raw.starts_with('{') => match serde_json::from_str(raw) {
            Ok(members) => (Params::default(), Some(members)),
            Err(_) => return Err((id, Garbage::Shape("params cannot be read"))),
        },
        Some(raw) => match serde_json::from_str(raw) {
            Ok(params) => (params, None),
            Err(_) => return Err((id, Garbage::Shape("params is not an array"))),
        },
    };
    Ok((Envelope { id, method, params, worker }, members))
}

/// Refuses nesting above `max` without recursion.
fn check_depth(line: &[u8], max: usize) -> Result<(), Garbage> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > max {
                    return Err(Garbage::Deep);
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    worker: Option<&'a RawValue>,
}

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParamsVisitor;
        impl<'de> Visitor<'de> for ParamsVisitor {
            type Value = Params<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Params<'de>, A::Error> {
                let mut params = Params::default();
                while params.len < PARAMS_MAX {
                    let Some(raw) = seq.next_element::<&'de RawValue>()? else { return Ok(params) };
                    params.items[params.len] = Some(raw.get());
                    params.len += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(params)
            }
        }
        deserializer.deserialize_seq(ParamsVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                let mut places = members.items.iter_mut();
                while let Some(key) = map.next_key::<&'de RawValue>()? {
                    let raw = map.next_value::<&'de RawValue>()?.get();
                    // A name with an escape is none of ours.
                    let name = key.get().trim_matches('"');
                    if let Some(place) = places.next() {
                        *place = Some((name, raw));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Appends a JSON string, quotes and all.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            '\0'..='\x1f' | '\x7f' => out.push(b' '),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends a number in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let (mut place, mut rest) = (digits.len(), number);
    loop {
        place -= 1;
        digits[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[place..]);
}

/// Appends bytes as lower-case hexadecimal digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Envelope<'_>, (RequestId, Garbage)> {
        envelope(line.as_bytes(), &Limits::default())
    }

    fn echoed(line: &str) -> String {
        let mut out = Vec::new();
        match parse(line) {
            Ok(envelope) => envelope.id.write(&mut out),
            Err((id, _)) => id.write(&mut out),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parameters_have_names_where_the_grammar_allows_it() {
        let line =
            r#"{"id":1,"method":"m","params":{"a":"x\u0041","b":7,"c":null,"a":"second"},"worker":"rig"}"#;
        let (envelope, members) = envelope_with_members(line.as_bytes(), &Limits::default()).unwrap();
        let members = members.unwrap();
        assert_eq!(members.text("a").as_deref(), Some("xA"), "the first of two");
        assert_eq!((members.text("b"), members.text_or_number("b").as_deref()), (None, Some("7")));
        assert_eq!((members.text("c"), members.raw("d")), (None, None));
        assert_eq!((envelope.params.len(), envelope.worker.as_deref()), (0, Some("rig")));
        assert!(parse(line).is_err(), "not everywhere");
        let many: Vec<_> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        let line = format!("{{\"params\":{{{}}}}}", many.join(","));
        let (_, members) = envelope_with_members(line.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(members.unwrap().text_or_number("k39"), None, "skipped");
    }

    #[test]
    fn an_id_is_echoed_as_it_came() {
        for id in [
            "1",
            "0",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "1.50",
            "1e3",
            "\"7\"",
            "\"a\\u0041\"",
            "null",
        ] {
            assert_eq!(echoed(&format!("{{\"id\":{id},\"method\":\"m\"}}")), id);
        }
        assert_eq!(echoed("{\"method\":\"m\"}"), "null");
    }

    #[test]
    fn an_id_that_is_long_or_no_scalar_is_garbage() {
        let long = format!("{{\"id\":\"{}\",\"method\":\"m\"}}", "x".repeat(63));
        assert_eq!(parse(&long).unwrap_err(), (RequestId::Null, Garbage::LongId));
        for id in ["[1]", "{}", "true"] {
            let line = format!("{{\"id\":{id},\"method\":\"m\"}}");
            assert_eq!(parse(&line).unwrap_err(), (RequestId::Null, Garbage::BadId), "{id}");
        }
    }

    #[test]
    fn nesting_is_bounded_before_parsing_and_brackets_in_strings_are_text() {
        let deep = format!("{{\"id\":1,\"params\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
        assert_eq!(parse(&deep).unwrap_err().1, Garbage::Deep);
        let many = "[".repeat(100);
        let text = format!("{{\"id\":1,\"method\":\"m\",\"params\":[\"{many}\\\"{many}\"]}}");
        assert_eq!(parse(&text).unwrap().params.len(), 1);
        let outside = format!("{{\"id\":1,\"method\":\"\\\\\",\"params\":{many}}}");
        assert_eq!(parse(&outside).unwrap_err().1, Garbage::Deep);
        let honest = "{\"id\":1,\"method\":\"m\",\"params\":[[[[[[1]]]]]]}";
        assert!(parse(honest).is_ok());
    }

    #[test]
    fn what_is_no_request_is_garbage() {
        for line in [
            "",
            "x",
            "[]",
            "[1,\"mining.submit\",[]]",
            "null",
            "1",
            "\"a\"",
            "{",
            "{}}",
            "{\"id\":1,\"id\":2}",
            "{\"id\":1 \"method\":\"m\"}",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(parse(line).unwrap_err(), (RequestId::Null, Garbage::NotJson), "{line:?}");
        }
        assert_eq!(envelope(b"{\"id\":\"\xff\"}", &Limits::default()).unwrap_err().1, Garbage::NotJson);
        let shape = |line: &str| parse(line).unwrap_err();
        assert!(matches!(shape("{\"id\":4,\"method\":7}"), (RequestId::Number(4), Garbage::Shape(_))));
        assert!(matches!(
            shape("{\"id\":4,\"method\":\"m\",\"params\":{}}"),
            (RequestId::Number(4), Garbage::Shape(_))
        ));
    }

    #[test]
    fn parameters_are_borrowed_and_long_lists_are_cut() {
        let envelope =
            parse("{\"id\":1,\"method\":\"m\",\"params\":[\"a\", 17 ,\"\\u0062\",null,true,1,2,3,4,5]}")
                .unwrap();
        assert_eq!(envelope.params.len(), PARAMS_MAX);
        assert!(matches!(envelope.params.text(0), Some(Cow::Borrowed("a"))));
        assert_eq!(envelope.params.text(1), None);
        assert_eq!(envelope.params.text_or_number(1).as_deref(), Some("17"));
        assert_eq!(envelope.params.text(2).as_deref(), Some("b"));
        assert_eq!((envelope.params.text_or_number(3), envelope.params.text_or_number(4)), (None, None));
        assert_eq!(envelope.params.text(9), None);
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_json_string(text: String) {
            let mut out = Vec::new();
            push_string(&mut out, &text);
            let back: String = serde_json::from_slice(&out).unwrap();
            let plain = |c: char| if c.is_ascii_control() { ' ' } else { c };
            prop_assert_eq!(back, text.chars().map(plain).collect::<String>());
        }

        #[test]
        fn numbers_and_hex_print_like_the_standard_library(number: u64, bytes: [u8; 9]) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            out.push(b' ');
            push_hex(&mut out, &bytes);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{number} {}", hex::encode(bytes)));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(line: Vec<u8>) {
            let _ = envelope(&line, &Limits::default());
        }
    }
}
