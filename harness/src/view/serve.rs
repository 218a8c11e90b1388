//! Serves the page on this machine, to this machine.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use node::{Foreign, OwnHosts};

use crate::base::server::{self, Answer, text};

/// Answers every request for `/` with the page, until the returned future is dropped.
///
/// # Errors
///
/// If the listener cannot be used.
pub async fn serve(listener: TcpListener, page: String) -> Result<()> {
    let address = listener.local_addr().context("the listening socket has no address")?;
    let (own, page) = (Arc::new(OwnHosts::new(address, address)), Bytes::from(page));
    server::serve(listener, move |request| std::future::ready(answer(&request, &own, &page))).await
}

fn answer<B>(request: &Request<B>, own: &OwnHosts, page: &Bytes) -> Answer {
    match own.foreign(request) {
        None => {}
        Some(Foreign::Nameless) => return text(StatusCode::BAD_REQUEST, "the request has no Host header"),
        Some(Foreign::Host(_)) => {
            let error = "this server answers to 127.0.0.1 and localhost only";
            return text(StatusCode::MISDIRECTED_REQUEST, error);
        }
        Some(Foreign::Page(_)) => {
            return text(StatusCode::FORBIDDEN, "pages of other sites may not ask for this one");
        }
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => {
            let mut answer = text(StatusCode::OK, page.clone());
            let headers = answer.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
        (_, "/") => text(StatusCode::METHOD_NOT_ALLOWED, "the page can only be read: GET /"),
        _ => text(StatusCode::NOT_FOUND, "there is only the page: GET /"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HOST, ORIGIN};

    fn status(method: Method, path: &str, host: &str, origin: Option<&str>) -> u16 {
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let address = ([127, 0, 0, 1], 9000).into();
        let own = OwnHosts::new(address, address);
        answer(&request.body(()).unwrap(), &own, &Bytes::from_static(b"page")).status().as_u16()
    }

    #[test]
    fn the_page_goes_to_its_own_host_and_origin_only() {
        assert_eq!(status(Method::GET, "/", "127.0.0.1:9000", None), 200);
        assert_eq!(status(Method::HEAD, "/", "localhost:9000", Some("http://localhost:9000")), 200);
        assert_eq!(status(Method::GET, "/", "evil.example:9000", None), 421);
        assert_eq!(status(Method::GET, "/", "127.0.0.1:9001", None), 421);
        assert_eq!(status(Method::GET, "/", "127.0.0.1:9000", Some("http://evil.example")), 403);
        assert_eq!(status(Method::GET, "/", "127.0.0.1:9000", Some("null")), 403);
        assert_eq!(status(Method::POST, "/", "127.0.0.1:9000", None), 405);
        assert_eq!(status(Method::GET, "/other", "127.0.0.1:9000", None), 404);
    }
}
