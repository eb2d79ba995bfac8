//! An HTTP/2 client that sends exactly the header fields it is given (RFC 9113, RFC 7541), one request a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends a request without a body and waits until its stream ends, one way or the other.
pub fn send(address: SocketAddr, fields: &[(&[u8], &[u8])]) {
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let parts: Vec<&[u8]> = block.chunks(MOST_IN_A_FRAME).collect();
    for (index, part) in parts.iter().enumerate() {
        let end = if index + 1 == parts.len() { END_HEADERS } else { 0 };
        let (kind, flags) = if index == 0 { (HEADERS, END_STREAM | end) } else { (CONTINUATION, end) };
        bytes.extend(frame(kind, flags, STREAM, part));
    }
    stream.write_all(&bytes).expect("a peer that reads");
    while let Some((kind, flags, number)) = read_frame(&mut stream) {
        let over = matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 || kind == RST_STREAM;
        if over && number == STREAM || kind == GOAWAY {
            return;
        }
    }
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

/// Kind, flags and stream of the next frame; nothing once the connection is closed.
fn read_frame(stream: &mut TcpStream) -> Option<(u8, u8, u32)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
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
