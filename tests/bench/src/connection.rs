//! One connection of HTTP/1.1, with as little of it as a load generator needs.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

/// The digits that stand for an id in a template: as many as every id has.
const ID: &str = "0000000000";
/// Ids begin here, so that all have ten digits.
const FIRST_ID: u64 = 1_000_000_000;
/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that is sent again and again, each time with another id.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    id_at: usize,
}

impl Template {
    /// A modern call of `method` with these parameters.
    pub(crate) fn new(
        host: &str,
        path: &str,
        token: &str,
        method: &str,
        name: Option<&str>,
    ) -> Result<Self> {
        let params = name.map_or_else(String::new, |name| {
            format!(r#""name":"{name}","arguments":{{"text":"hello","count":3}},"#)
        });
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{ID},"method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1"}}}}}}}}"#
        );
        let name = name.map_or_else(String::new, |name| format!("mcp-name: {name}\r\n"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nuser-agent: bench\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}\
             authorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let in_body = body.find(ID).context("the body has an id")?;
        let id_at = head.len() + in_body;
        Ok(Self {
            bytes: [head, body].concat().into_bytes(),
            id_at,
        })
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    next: u64,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(256 * 1024),
            next: FIRST_ID,
        })
    }

    /// Sends the request with an id of its own, and fails unless the answer is its result.
    pub(crate) fn call(&mut self, template: &mut Template) -> Result<usize> {
        let id = self.next.to_string();
        self.next += 1;
        let place = template
            .bytes
            .get_mut(template.id_at..template.id_at + ID.len());
        place
            .context("the id is in the request")?
            .copy_from_slice(id.as_bytes());
        self.stream.write_all(&template.bytes)?;
        let body = self.answer()?;
        let whole = self.buffer.get(body).context("the body is in the buffer")?;
        ensure!(
            id_in(whole) == Some(id.as_str()),
            "the answer is to another call: {}",
            shown(whole)
        );
        let has_result = whole
            .get(..64.min(whole.len()))
            .is_some_and(|start| start.windows(8).any(|window| window == b"\"result\""));
        ensure!(has_result, "no result: {}", shown(whole));
        Ok(whole.len())
    }

    /// Reads one answer; returns where its body is in the buffer.
    fn answer(&mut self) -> Result<std::ops::Range<usize>> {
        self.buffer.clear();
        let head = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let (status, length) = head_of(self.buffer.get(..head).unwrap_or_default())?;
        let end = match length {
            Length::Known(length) => {
                while self.buffer.len() < head + length {
                    self.more()?;
                }
                head + length
            }
            Length::Chunked => self.unchunk(head)?,
        };
        ensure!(
            status == 200,
            "status {status}: {}",
            shown(self.buffer.get(head..end).unwrap_or_default())
        );
        Ok(head..end)
    }

    /// Moves the chunks that begin at `head` together; returns where the body ends.
    fn unchunk(&mut self, head: usize) -> Result<usize> {
        let (mut read, mut end) = (head, head);
        loop {
            let line = loop {
                let rest = self.buffer.get(read..).unwrap_or_default();
                if let Some(at) = find(rest, b"\r\n") {
                    break at;
                }
                self.more()?;
            };
            let size = self.buffer.get(read..read + line).unwrap_or_default();
            let size = std::str::from_utf8(size)?
                .split(';')
                .next()
                .unwrap_or_default();
            let size = usize::from_str_radix(size.trim(), 16).context("a chunk has a size")?;
            let start = read + line + 2;
            while self.buffer.len() < start + size + 2 {
                self.more()?;
            }
            self.buffer.copy_within(start..start + size, end);
            end += size;
            read = start + size + 2;
            if size == 0 {
                return Ok(end);
            }
        }
    }

    fn more(&mut self) -> Result<()> {
        let have = self.buffer.len();
        self.buffer
            .resize((have + 4096).max(self.buffer.capacity()), 0);
        let room = self.buffer.get_mut(have..).unwrap_or_default();
        let got = self.stream.read(room)?;
        self.buffer.truncate(have + got);
        if got == 0 {
            bail!("the connection ended within an answer");
        }
        Ok(())
    }
}

enum Length {
    Known(usize),
    Chunked,
}

fn head_of(head: &[u8]) -> Result<(u16, Length)> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let status = status.context("a status line")?;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok((status, Length::Known(value.trim().parse()?)));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok((status, Length::Chunked));
        }
    }
    Ok((status, Length::Known(0)))
}

/// The first id of a message, as it stands there.
pub(crate) fn id_in(body: &[u8]) -> Option<&str> {
    let start = find(body, b"\"id\":")? + 5;
    let rest = body.get(start..)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(rest.get(..end)?)
        .ok()
        .filter(|id| !id.is_empty())
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..200.min(body.len())).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_where_they_are() {
        assert_eq!(
            id_in(br#"{"jsonrpc":"2.0","id":1000000007,"result":{}}"#),
            Some("1000000007")
        );
        assert_eq!(id_in(br#"{"error":{"code":4403},"id":null}"#), None);
    }

    #[test]
    fn heads_tell_status_and_length() {
        let (status, length) =
            head_of(b"HTTP/1.1 429 Too Many\r\nContent-Length: 12\r\n\r\n").unwrap();
        assert!(matches!((status, length), (429, Length::Known(12))));
        let (_, length) =
            head_of(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        assert!(matches!(length, Length::Chunked));
    }
}
