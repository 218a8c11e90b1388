//! Measures what a message from one node's thread to another's costs: over a peer
//! link as it is built, and over what was not chosen, one POST per message on a
//! keep-alive connection.
//!
//! Two threads, each with its own runtime as node processes have, send each
//! other frames through real sockets. One is the driver; the other echoes.

use crate::clock::now_ns;
use crate::config::Encoding;
use crate::links::frame::{Frame, FrameReader, decode, encode};
use crate::links::outgoing::{Link, LinkTarget};
use crate::process::process_cpu_us;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::header::HOST;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;

/// Where both transports post to.
const PATH: &str = "/message";

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCostPlan {
    /// Bytes in a message.
    pub message_bytes: usize,
    /// Round trips timed one by one; a tenth as many go before as warm-up.
    pub round_trips: usize,
    /// Messages outstanding in the burst.
    pub outstanding: usize,
    /// Round trips in the burst.
    pub burst: usize,
    /// Links between the two, each way: every round trip takes a message over each
    /// of them at the same time.
    pub links: usize,
}

impl Default for LinkCostPlan {
    fn default() -> LinkCostPlan {
        LinkCostPlan { message_bytes: 200, round_trips: 2_000, outstanding: 64, burst: 20_000, links: 1 }
    }
}

/// What a message between two nodes costs, over each transport.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct LinkCostReport {
    /// One long-lived streaming request per link, frames coalesced: how peer
    /// links work.
    pub streaming: LinkCosts,
    /// One POST per message on a keep-alive connection.
    pub one_post_per_message: LinkCosts,
}

/// What a message between two nodes costs.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct LinkCosts {
    /// Median of half a round trip with nothing else going on, microseconds.
    pub latency_p50_us: f64,
    /// CPU time of both ends together for a message that travels alone over its link:
    /// with a single link, the rest of the latency is waking the receiver up,
    /// microseconds.
    pub cpu_us_alone: f64,
    /// CPU time of both ends together per message in a burst, microseconds.
    pub cpu_us_per_message: f64,
    /// Messages per second in a burst.
    pub messages_per_s: f64,
}

impl LinkCosts {
    /// The better of two measurements, figure by figure.
    pub fn best(self, other: LinkCosts) -> LinkCosts {
        LinkCosts {
            latency_p50_us: self.latency_p50_us.min(other.latency_p50_us),
            cpu_us_alone: self.cpu_us_alone.min(other.cpu_us_alone),
            cpu_us_per_message: self.cpu_us_per_message.min(other.cpu_us_per_message),
            messages_per_s: self.messages_per_s.max(other.messages_per_s),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Streaming,
    OnePostPerMessage,
}

/// Measures peer links as they are. Starts two threads and uses this
/// process's CPU clock, so nothing else should run in the process meanwhile.
pub async fn measure_streaming(plan: LinkCostPlan) -> anyhow::Result<LinkCosts> {
    measure(plan, Transport::Streaming).await
}

/// The same with one POST per message.
pub async fn measure_posts(plan: LinkCostPlan) -> anyhow::Result<LinkCosts> {
    measure(plan, Transport::OnePostPerMessage).await
}

async fn measure(plan: LinkCostPlan, transport: Transport) -> anyhow::Result<LinkCosts> {
    ensure!(
        plan.round_trips > 0 && plan.outstanding > 0 && plan.burst > 0 && plan.links > 0,
        "a link cannot be measured with no messages: {plan:?}"
    );
    let bind = || TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1");
    let (near, far) = (bind()?, bind()?);
    let (near_address, far_address) = (near.local_addr()?, far.local_addr()?);
    let (figures, measured) = oneshot::channel();
    let (finish, finished) = oneshot::channel::<()>();
    let echo = std::thread::spawn(move || {
        on_own_runtime(async move {
            let back = Fan::start(transport, near_address, plan.links);
            serve(far, move |message| back.send(message))?;
            // Ends when the driver does, however it does.
            let _ = finished.await;
            Ok(())
        })
    });
    let driver = std::thread::spawn(move || {
        let outcome = on_own_runtime(drive(plan, transport, near, far_address));
        let _ = figures.send(outcome);
    });
    let figures = measured.await.context("the measuring thread ended early")?;
    drop(finish);
    driver.join().map_err(|_| anyhow::anyhow!("the measuring thread failed"))?;
    echo.join().map_err(|_| anyhow::anyhow!("the echoing thread failed"))??;
    figures
}

fn on_own_runtime<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, task)
}

async fn drive(
    plan: LinkCostPlan,
    transport: Transport,
    near: TcpListener,
    far: SocketAddr,
) -> anyhow::Result<LinkCosts> {
    let outgoing = Fan::start(transport, far, plan.links);
    let arrived = Rc::new((RefCell::new(0usize), Notify::new()));
    let arrival = Rc::clone(&arrived);
    serve(near, move |_| {
        *arrival.0.borrow_mut() += 1;
        arrival.1.notify_one();
    })?;
    let message = vec![7; plan.message_bytes];
    let all_arrived = async |count: usize| {
        while *arrived.0.borrow() < count {
            arrived.1.notified().await;
        }
    };
    let cpu_us = || process_cpu_us().context("cannot read this process's CPU time");
    let mut cpu_before = 0;
    let mut halves = Vec::with_capacity(plan.round_trips);
    let warm_up = plan.round_trips / 10 + 1;
    for trip in 0..warm_up + plan.round_trips {
        if trip == warm_up {
            cpu_before = cpu_us()?;
        }
        let sent = now_ns();
        (0..plan.links).for_each(|_| outgoing.send(message.clone()));
        tokio::time::timeout(Duration::from_secs(10), all_arrived((trip + 1) * plan.links))
            .await
            .context("a message did not come back within 10 s")?;
        if trip >= warm_up {
            halves.push((now_ns() - sent) as f64 / 2_000.0);
        }
    }
    let cpu_alone = cpu_us()? - cpu_before;
    halves.sort_unstable_by(f64::total_cmp);

    let before = *arrived.0.borrow();
    let (began, cpu) = (now_ns(), cpu_us()?);
    for sent in 0..plan.burst {
        all_arrived((before + sent + 1).saturating_sub(plan.outstanding)).await;
        outgoing.send(message.clone());
    }
    all_arrived(before + plan.burst).await;
    let cpu = cpu_us()? - cpu;
    let messages = 2.0 * plan.burst as f64;
    Ok(LinkCosts {
        latency_p50_us: halves[halves.len() / 2],
        cpu_us_alone: cpu_alone as f64 / (2 * plan.round_trips * plan.links) as f64,
        cpu_us_per_message: cpu as f64 / messages,
        messages_per_s: messages * 1e9 / (now_ns() - began) as f64,
    })
}

/// The sending ends of all links, which take turns.
struct Fan {
    links: Vec<Outgoing>,
    next: Cell<usize>,
}

impl Fan {
    fn start(transport: Transport, to: SocketAddr, links: usize) -> Fan {
        Fan { links: (0..links).map(|_| Outgoing::start(transport, to)).collect(), next: Cell::new(0) }
    }

    fn send(&self, message: Vec<u8>) {
        let next = self.next.get();
        self.next.set((next + 1) % self.links.len());
        self.links[next].send(message);
    }
}

/// The sending end of either transport.
enum Outgoing {
    Streaming(Rc<Link>),
    OnePostPerMessage(Rc<(RefCell<VecDeque<Bytes>>, Notify)>),
}

impl Outgoing {
    fn start(transport: Transport, to: SocketAddr) -> Outgoing {
        match transport {
            Transport::Streaming => {
                let link = Rc::new(Link::new(Rc::default()));
                let request = Request::post(PATH).header(HOST, to.to_string()).body(());
                let head = request.expect("an address makes a valid header").into_parts().0;
                let target = LinkTarget { address: to, head, handshake: None };
                tokio::task::spawn_local(Rc::clone(&link).run(target));
                Outgoing::Streaming(link)
            }
            Transport::OnePostPerMessage => {
                let queue = Rc::new((RefCell::new(VecDeque::new()), Notify::new()));
                let waiting = Rc::clone(&queue);
                tokio::task::spawn_local(async move {
                    if let Err(error) = post_each(&waiting, to).await {
                        tracing::warn!(%error, "posting messages ended");
                    }
                });
                Outgoing::OnePostPerMessage(queue)
            }
        }
    }

    fn send(&self, message: Vec<u8>) {
        let Ok(frame) = encode(&Frame::Protocol(&message), Encoding::Binary) else {
            return;
        };
        match self {
            Outgoing::Streaming(link) => link.push(frame),
            Outgoing::OnePostPerMessage(queue) => {
                queue.0.borrow_mut().push_back(frame);
                queue.1.notify_one();
            }
        }
    }
}

async fn post_each(queue: &(RefCell<VecDeque<Bytes>>, Notify), to: SocketAddr) -> anyhow::Result<()> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    loop {
        let next = queue.0.borrow_mut().pop_front();
        let Some(message) = next else {
            queue.1.notified().await;
            continue;
        };
        let request = Request::post(PATH).header(HOST, to.to_string()).body(Full::new(message))?;
        sender.ready().await?;
        let response: Response<Incoming> = sender.send_request(request).await?;
        response.into_body().collect().await?;
    }
}

/// Serves both transports: a request's body is a stream of one or of many frames.
fn serve(listener: TcpListener, on_message: impl Fn(Vec<u8>) + 'static) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let on_message = Rc::new(on_message);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let on_message = Rc::clone(&on_message);
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| receive(request, Rc::clone(&on_message)));
                let _ = server::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(())
}

async fn receive(
    request: Request<Incoming>,
    on_message: Rc<impl Fn(Vec<u8>)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut reader = FrameReader::new(Encoding::Binary);
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        reader.feed(&chunk);
        while let Ok(Some(payload)) = reader.next_frame() {
            if let Ok(Frame::Protocol(message)) = decode(payload, Encoding::Binary) {
                on_message(message);
            }
        }
    }
    Ok(Response::new(Full::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn both_transports_deliver_every_message() {
        let plan = LinkCostPlan { message_bytes: 200, round_trips: 20, outstanding: 8, burst: 200, links: 1 };
        let streaming = measure_streaming(plan).await.unwrap();
        for figures in [streaming, measure_posts(plan).await.unwrap()] {
            assert!(figures.latency_p50_us > 0.0 && figures.messages_per_s > 0.0, "{figures:?}");
        }
        let good = LinkCosts { latency_p50_us: 1.0, messages_per_s: 9.0, ..streaming };
        let bad = LinkCosts { latency_p50_us: 2.0, messages_per_s: 8.0, ..streaming };
        assert_eq!((good.best(bad), bad.best(good)), (good, good));
        let wide = measure_streaming(LinkCostPlan { links: 3, ..plan }).await.unwrap();
        assert!(wide.cpu_us_alone > 0.0, "{wide:?}");
        for nothing in [LinkCostPlan { burst: 0, ..plan }, LinkCostPlan { links: 0, ..plan }] {
            assert!(measure_streaming(nothing).await.is_err());
        }
    }
}
