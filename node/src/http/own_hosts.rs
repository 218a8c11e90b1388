//! The names by which a server on this machine may be asked.
//!
//! A web page can make its reader's browser send requests to a node on the reader's
//! machine, and a name that its owner points at 127.0.0.1 makes the node look like a
//! part of the page's own site. The browser tells: the page's `Origin`, or the name in
//! `Host`, is none of the node's own (ADR 12).

use super::response::Refusal;
use hyper::header::{HOST, HeaderValue, ORIGIN};
use hyper::{Request, StatusCode, Version};
use std::net::{IpAddr, SocketAddr};

/// The names of a server, each `host:port` as in the header `Host`.
#[derive(Debug)]
pub struct OwnHosts {
    hosts: Vec<String>,
    /// The node listens on all addresses of its machine, on this port: any of them may
    /// be named, as no name is an address.
    any_address: Option<u16>,
}

impl OwnHosts {
    /// Of a server that listens at one address and is announced to others by another, which
    /// is the same unless it listens on all of its machine's.
    pub fn new(listening: SocketAddr, announced: SocketAddr) -> OwnHosts {
        let mut hosts = vec![announced.to_string(), listening.to_string()];
        let port = listening.port();
        hosts.extend(["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}")));
        // The port that need not be written.
        let without_port: Vec<String> =
            hosts.iter().filter_map(|host| host.strip_suffix(":80").map(str::to_owned)).collect();
        hosts.extend(without_port);
        OwnHosts { hosts, any_address: listening.ip().is_unspecified().then_some(port) }
    }

    fn contains(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) || self.is_any_address(host)
    }

    fn is_any_address(&self, host: &str) -> bool {
        let Some(port) = self.any_address else { return false };
        match host.parse::<SocketAddr>() {
            Ok(address) => address.port() == port,
            Err(_) => port == 80 && host.parse::<IpAddr>().is_ok(),
        }
    }

    /// What of a request is not this server's own.
    pub fn foreign<B>(&self, request: &Request<B>) -> Option<Foreign> {
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let mut in_headers = request.headers().get_all(HOST).iter().map(text).peekable();
        if authority.is_none() && in_headers.peek().is_none() && request.version() != Version::HTTP_10 {
            return Some(Foreign::Nameless);
        }
        if let Some(host) = authority.into_iter().chain(in_headers).find(|host| !self.contains(host)) {
            return Some(Foreign::Host(host.to_owned()));
        }
        let is_own = |origin: &&str| origin.strip_prefix("http://").is_some_and(|host| self.contains(host));
        let origin = request.headers().get_all(ORIGIN).iter().map(text).find(|origin| !is_own(origin))?;
        Some(Foreign::Page(origin.to_owned()))
    }

    /// Refuses a request that comes from a foreign page or to a foreign name.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let own = &self.hosts[0];
        Err(match self.foreign(request) {
            None => return Ok(()),
            Some(Foreign::Nameless) => {
                Refusal::bad(format!("the request has no Host header; send Host: {own}"))
            }
            Some(Foreign::Host(host)) => {
                let error = format!("this node is not {host:?}; ask it by its own address, {own}");
                Refusal(StatusCode::MISDIRECTED_REQUEST, error)
            }
            Some(Foreign::Page(page)) => {
                let error = format!(
                    "pages of {page:?} may not ask this node; ask it without a browser, for example with curl"
                );
                Refusal(StatusCode::FORBIDDEN, error)
            }
        })
    }
}

/// Why a request is not meant for a server, or does not come from its own page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It names no host, as it must from HTTP/1.1 on.
    Nameless,
    /// It is for another host.
    Host(String),
    /// It comes from a page of another site.
    Page(String),
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("what is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(own: &OwnHosts, uri: &str, headers: &[(&str, &str)]) -> u16 {
        let request =
            headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        own.check(&request.body(()).unwrap()).map_or_else(|Refusal(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn only_its_own_addresses_and_pages_are_a_node_s_own() {
        let address = "127.0.0.1:8080".parse().unwrap();
        let own = OwnHosts::new(address, address);
        for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080"] {
            assert_eq!(status(&own, "/", &[("host", host)]), 200, "{host}");
            let origin = format!("http://{host}");
            assert_eq!(status(&own, "/", &[("host", host), ("origin", &origin)]), 200, "{origin}");
            assert_eq!(status(&own, &format!("http://{host}/"), &[]), 200, "HTTP/2's :authority");
        }
        let foreign = [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1",
            "127.0.0.1:8081",
            "127.0.0.2:8080",
            "",
            "10.0.0.1:8080",
        ];
        for host in foreign {
            assert_eq!(status(&own, "/", &[("host", host)]), 421, "{host}");
        }
        assert_eq!(status(&own, "/", &[("host", "localhost:8080"), ("host", "evil.example")]), 421);
        assert_eq!(status(&own, "http://evil.example:8080/", &[("host", "127.0.0.1:8080")]), 421);
        assert_eq!(status(&own, "http://user@127.0.0.1:8080/", &[]), 421);
        for origin in
            ["null", "http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1:8081", "\u{e9}"]
        {
            assert_eq!(status(&own, "/", &[("host", "localhost:8080"), ("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(status(&own, "/", &[]), 400);
    }

    #[test]
    fn the_usual_port_need_not_be_named_and_a_node_that_listens_everywhere_knows_no_names() {
        let usual = OwnHosts::new("127.0.0.1:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(status(&usual, "/", &[("host", "localhost")]), 200);
        let everywhere = OwnHosts::new("0.0.0.0:8080".parse().unwrap(), "10.0.0.1:8080".parse().unwrap());
        for (host, expected) in
            [("10.0.0.1:8080", 200), ("10.0.0.7:8080", 200), ("10.0.0.7:81", 421), ("evil.example:8080", 421)]
        {
            assert_eq!(status(&everywhere, "/", &[("host", host)]), expected, "{host}");
        }
    }
}
