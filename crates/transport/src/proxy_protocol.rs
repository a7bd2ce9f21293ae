//! The PROXY protocol, version 2, which tells the address that connected to the proxy
//! in front.
//!
//! HAProxy's specification, section 2.2. The header is read before anything else, and
//! only from proxies that are configured. The text form of version 1, datagrams, Unix
//! sockets and connections without an address are refused. Further fields (TLVs) are
//! skipped, but their framing must be right.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::refusal::TransportRefusal;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, and the length of the rest.
const FIXED: usize = 16;

/// What may follow: two addresses and the proxy's remarks. The longest in use
/// hold the certificate of a client.
const MAX_REST: usize = 4096;

/// Reads exactly the header. None where the proxy speaks for itself, as in its
/// health checks (LOCAL); otherwise the address of its client.
pub(crate) async fn read<Io>(io: &mut Io) -> Result<Option<SocketAddr>, TransportRefusal>
where
    Io: AsyncRead + Unpin,
{
    let mut fixed = [0; FIXED];
    read_signature(io, &mut fixed[..SIGNATURE.len()]).await?;
    read_whole(io, &mut fixed[SIGNATURE.len()..]).await?;
    let [.., version_and_command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_REST {
        return Err(TransportRefusal::ProxyLength);
    }
    let mut rest = vec![0; length];
    read_whole(io, &mut rest).await?;
    match version_and_command {
        0x20 => Ok(None),
        0x21 => client(family, &rest).map(Some),
        _ => Err(TransportRefusal::ProxyVersion),
    }
}

/// Ends at the first byte that is wrong: a peer that speaks something else may
/// wait for an answer, and would never send as much.
async fn read_signature<Io>(io: &mut Io, space: &mut [u8]) -> Result<(), TransportRefusal>
where
    Io: AsyncRead + Unpin,
{
    let mut filled = 0;
    while filled < space.len() {
        match io.read(&mut space[filled..]).await {
            Ok(0) | Err(_) => return Err(TransportRefusal::ProxyCutOff),
            Ok(size) => filled += size,
        }
        if !SIGNATURE.starts_with(&space[..filled]) {
            return Err(TransportRefusal::ProxyVersion);
        }
    }
    Ok(())
}

async fn read_whole<Io>(io: &mut Io, space: &mut [u8]) -> Result<(), TransportRefusal>
where
    Io: AsyncRead + Unpin,
{
    let read = io.read_exact(space).await;
    read.map(|_| ()).map_err(|_| TransportRefusal::ProxyCutOff)
}

/// The source of a TCP connection over IPv4 or IPv6.
fn client(family: u8, rest: &[u8]) -> Result<SocketAddr, TransportRefusal> {
    let (source, remarks) = match family {
        0x11 => source::<4>(rest),
        0x21 => source::<16>(rest),
        _ => return Err(TransportRefusal::ProxyFamily),
    }
    .ok_or(TransportRefusal::ProxyLength)?;
    check_remarks(remarks).ok_or(TransportRefusal::ProxyLength)?;
    Ok(source)
}

/// Two addresses of `N` bytes, then two ports: the source first in each.
fn source<const N: usize>(rest: &[u8]) -> Option<(SocketAddr, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = rest.split_first_chunk::<N>()?;
    let (_destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (_destination_port, remarks) = rest.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*source_port);
    Some((SocketAddr::new(IpAddr::from(*source), port), remarks))
}

/// Section 2.2.6: a type, a length of two bytes, and as many bytes.
fn check_remarks(mut remarks: &[u8]) -> Option<()> {
    while !remarks.is_empty() {
        let (&[_type, high, low], rest) = remarks.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        remarks = rest.get(length..)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line: what is odd, the bytes in hexadecimal, what comes of them.
    const CASES: &str = include_str!("proxy_protocol/cases.txt");

    const REFUSALS: [(&str, TransportRefusal); 4] = [
        ("cut off", TransportRefusal::ProxyCutOff),
        ("version", TransportRefusal::ProxyVersion),
        ("family", TransportRefusal::ProxyFamily),
        ("length", TransportRefusal::ProxyLength),
    ];

    #[tokio::test]
    async fn each_header_is_read_as_its_case_says_and_no_further() {
        for line in CASES.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split(" | ");
            let [title, hex, outcome] = [(); 3].map(|()| columns.next().unwrap());
            let mut sent = bytes(hex);
            let length = sent.len();
            sent.extend_from_slice(b"GET");
            let mut stream = sent.as_slice();
            if outcome == "cut off" {
                stream = &sent[..length];
            }
            assert_eq!(read(&mut stream).await, expected(outcome), "{title}");
            if outcome == "local" || outcome.contains(':') {
                assert_eq!(stream, b"GET", "{title}");
            }
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let hex = hex
            .replace("SIGNATURE", "0d0a0d0a000d0a515549540a")
            .replace(' ', "");
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        assert!(rest.is_empty(), "{hex}");
        let digits = |pair: &[u8; 2]| str::from_utf8(pair).unwrap().to_owned();
        let byte = |pair| u8::from_str_radix(&digits(pair), 16).unwrap();
        pairs.iter().map(byte).collect()
    }

    fn expected(outcome: &str) -> Result<Option<SocketAddr>, TransportRefusal> {
        if outcome == "local" {
            return Ok(None);
        }
        match REFUSALS.iter().find(|(name, _)| *name == outcome) {
            Some((_, refusal)) => Err(*refusal),
            None => Ok(Some(outcome.parse().unwrap())),
        }
    }

    #[tokio::test]
    async fn every_part_of_a_header_is_cut_off_and_not_misread() {
        let whole = bytes("SIGNATURE 21 11 0010 c0000201 c0000202 1f90 01bb 05 0001 00");
        for length in 0..whole.len() {
            let read = read(&mut &whole[..length]).await;
            assert_eq!(read, Err(TransportRefusal::ProxyCutOff), "{length} bytes");
        }
    }

    #[tokio::test]
    async fn the_longest_header_is_bounded() {
        let mut header = bytes("SIGNATURE 20 00 1000");
        header.extend(vec![0; 4096]);
        assert_eq!(read(&mut header.as_slice()).await, Ok(None));
        let header = bytes("SIGNATURE 20 00 1001");
        assert_eq!(
            read(&mut header.as_slice()).await,
            Err(TransportRefusal::ProxyLength)
        );
    }
}
