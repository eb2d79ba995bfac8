//! An HTTP/2 client that sends exactly the header fields it is given (RFC 9113, RFC 7541), one request a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends a request without a body, waits until its stream ends one way or the other, and returns the body of the reply.
pub fn send(address: SocketAddr, fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    exchange(address, &blocks(fields, true))
}

/// The same for a request with an empty body and trailers.
pub fn send_with_trailers(address: SocketAddr, fields: &[(&[u8], &[u8])], trailers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let trailers: Vec<(&[u8], &[u8])> = trailers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let frames = [blocks(fields, false), frame(DATA, 0, STREAM, b"x"), blocks(&trailers, true)];
    exchange(address, &frames.concat())
}

/// The frames of a list of fields.
fn blocks(fields: &[(&[u8], &[u8])], is_last: bool) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let parts: Vec<&[u8]> = block.chunks(MOST_IN_A_FRAME).collect();
    let mut bytes = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let end = if index + 1 == parts.len() { END_HEADERS } else { 0 };
        let end_stream = if is_last { END_STREAM } else { 0 };
        let (kind, flags) = if index == 0 { (HEADERS, end_stream | end) } else { (CONTINUATION, end) };
        bytes.extend(frame(kind, flags, STREAM, part));
    }
    bytes
}

fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[]), request].concat();
    stream.write_all(&preface).expect("a peer that reads");
    let mut body = Vec::new();
    while let Some((kind, flags, number, payload)) = read_frame(&mut stream) {
        if kind == DATA && number == STREAM {
            body.extend(payload);
        }
        let over = matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 || kind == RST_STREAM;
        if over && number == STREAM || kind == GOAWAY {
            break;
        }
    }
    body
}

fn frame(kind: u8, flags: u8, number: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&length[1..], &[kind, flags], &number.to_be_bytes(), payload].concat()
}

/// A field that enters no table, its name spelt out.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            bytes.push(u8::try_from(length).expect("below 127"));
        } else {
            bytes.push(127);
            length -= 127;
            while length >= 128 {
                bytes.push(u8::try_from(length % 128).expect("below 128") | 128);
                length /= 128;
            }
            bytes.push(u8::try_from(length).expect("below 128"));
        }
        bytes.extend(text);
    }
    bytes
}

/// Kind, flags, stream and payload of the next frame; nothing once the connection is closed.
fn read_frame(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const STREAM: u32 = 1;
const MOST_IN_A_FRAME: usize = 16_384;
