//! Small answers that leave together are written together.

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// A stream for HTTP/2 that does not offer vectored writes. Where they are offered, h2 writes
/// each frame of 256 bytes or more with a system call of its own; where they are not, it
/// copies frames of less than 1,024 bytes into one buffer, and larger ones are written as
/// before.
pub struct Coalesced(TokioIo<TcpStream>);

impl Coalesced {
    /// Of this stream.
    pub fn new(stream: TcpStream) -> Coalesced {
        Coalesced(TokioIo::new(stream))
    }
}

impl Read for Coalesced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Coalesced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
