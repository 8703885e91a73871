//! Over real sockets, with an answer in the place of the stack.

use std::{convert::Infallible, pin::pin};

use bytes::Bytes;
use gatewright_core::AnswerBody;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{config::Tls, edge::Watched};

/// A listener whose requests are answered by `answer`, and what stops it.
struct Bed {
    address: SocketAddr,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Metrics,
}

impl Bed {
    async fn start<F>(limits: Limits, tls: Option<Certificate>, answer: F) -> Self
    where
        F: Fn(Request<Incoming>, SocketAddr) -> Answering + Clone + Send + Sync + 'static,
    {
        let (tasks, stop, metrics) = (TaskTracker::new(), CancellationToken::new(), Metrics::new());
        let bounds = Bounds {
            limits,
            tls,
            metrics: metrics.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), bounds)
            .await
            .unwrap();
        let address = listener.address();
        tasks.spawn(listener.serve(answer));
        Self {
            address,
            tasks,
            stop,
            metrics,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn drain(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn hello(_: Request<Incoming>, _: SocketAddr) -> Answering {
    let body = AnswerBody::full(Bytes::from_static(b"hello"));
    Box::pin(async { Ok(http::Response::new(Watched::known(body))) })
}

const GET: &[u8] = b"GET /mcp/billing HTTP/1.1\r\nhost: gw.example\r\nconnection: close\r\n\r\n";

async fn everything(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    // A connection that is cut off ends with an error, and what came before counts.
    let _read = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

fn short() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(50),
        drain: Duration::from_millis(50),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_ends_the_connection() {
    let bed = Bed::start(short(), None, hello).await;
    for begun in [
        b"" as &[u8],
        b"P",
        b"GET /mcp/billing HTTP/1.1\r\nhost: gw",
        b"PRI * HTTP/2.0\r\n\r\nSM",
    ] {
        let mut stream = bed.connect().await;
        stream.write_all(begun).await.unwrap();
        let said = everything(&mut stream).await;
        assert!(!said.contains("200 OK"), "{said}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let limits = Limits {
        header_bytes: 8192,
        headers: 20,
        ..Limits::default()
    };
    let bed = Bed::start(limits, None, hello).await;
    let head = |more: &str| {
        format!("GET /mcp/billing HTTP/1.1\r\nhost: gw.example\r\n{more}connection: close\r\n\r\n")
    };
    for (more, answer) in [
        (String::new(), "HTTP/1.1 200"),
        (format!("x: {}\r\n", "y".repeat(9000)), "HTTP/1.1 431"),
        ("x: y\r\n".repeat(30), "HTTP/1.1 431"),
    ] {
        let mut stream = bed.connect().await;
        stream.write_all(head(&more).as_bytes()).await.unwrap();
        let said = everything(&mut stream).await;
        assert!(said.starts_with(answer), "{answer}: {said}");
    }
}

#[tokio::test]
async fn beyond_the_most_connections_others_wait() {
    let bed = Bed::start(
        Limits {
            connections: 1,
            ..Limits::default()
        },
        None,
        hello,
    )
    .await;
    let mut first = bed.connect().await;
    first
        .write_all(b"GET / HTTP/1.1\r\nhost: gw.example\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 12];
    first.read_exact(&mut some).await.unwrap();
    assert!(bed.metrics.text(0).contains("gatewright_connections 1"));
    let mut second = bed.connect().await;
    second.write_all(GET).await.unwrap();
    let waited = timeout(Duration::from_millis(50), second.read_exact(&mut some)).await;
    assert!(waited.is_err(), "the first is still there");
    drop(first);
    second.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"HTTP/1.1 200");
}

/// Answers with a body that says one thing and then what the channel says.
fn streaming(
    rest: tokio::sync::watch::Receiver<Option<&'static str>>,
) -> impl Fn(Request<Incoming>, SocketAddr) -> Answering + Clone + Send + Sync {
    move |_, _| {
        let mut rest = rest.clone();
        let first = futures_util::stream::iter(["first "]);
        let last = futures_util::stream::once(async move {
            let last = rest.wait_for(Option::is_some).await.unwrap();
            last.unwrap_or_default()
        });
        let frames =
            futures_util::StreamExt::map(futures_util::StreamExt::chain(first, last), |text| {
                Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(text.as_bytes())))
            });
        let body = Watched::known(AnswerBody::wrap(StreamBody::new(frames)));
        Box::pin(async { Ok(http::Response::new(body)) })
    }
}

#[tokio::test]
async fn a_drain_waits_for_what_is_under_way_and_takes_nothing_new() {
    let (say, rest) = tokio::sync::watch::channel(None);
    let bed = Bed::start(Limits::default(), None, streaming(rest)).await;
    let mut stream = bed.connect().await;
    stream.write_all(GET).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    let mut silent = bed.connect().await;
    {
        let mut drain = pin!(bed.drain());
        assert!(
            timeout(Duration::from_millis(20), &mut drain)
                .await
                .is_err(),
            "one is under way"
        );
        assert!(
            TcpStream::connect(bed.address).await.is_err(),
            "nobody listens any more"
        );
        say.send_replace(Some("last"));
        drain.await;
    }
    assert!(everything(&mut stream).await.contains("last"));
    assert_eq!(everything(&mut silent).await, "");
}

#[tokio::test]
async fn a_drain_that_lasts_long_enough_cuts_off() {
    let (_say, rest) = tokio::sync::watch::channel(None);
    let bed = Bed::start(short(), None, streaming(rest)).await;
    let mut stream = bed.connect().await;
    stream.write_all(GET).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    bed.drain().await;
    assert!(!everything(&mut stream).await.contains("last"));
}

#[tokio::test]
async fn an_answer_ends_when_its_client_has_gone() {
    let ended = CancellationToken::new();
    let answer = {
        let ended = ended.clone();
        move |_: Request<Incoming>, _: SocketAddr| -> Answering {
            let guard = ended.clone().drop_guard();
            let first = futures_util::stream::iter(["first"]);
            let silence = futures_util::stream::pending();
            let frames = futures_util::StreamExt::map(
                futures_util::StreamExt::chain(first, silence),
                move |text| {
                    let _held = &guard;
                    Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(text.as_bytes())))
                },
            );
            let body = Watched::known(AnswerBody::wrap(StreamBody::new(frames)));
            Box::pin(async { Ok(http::Response::new(body)) })
        }
    };
    let bed = Bed::start(Limits::default(), None, answer).await;
    let mut stream = bed.connect().await;
    stream.write_all(GET).await.unwrap();
    let mut some = Vec::new();
    while !some.ends_with(b"first") {
        some.push(stream.read_u8().await.unwrap());
    }
    assert!(!ended.is_cancelled(), "the client is still there");
    drop(stream);
    timeout(Duration::from_secs(10), ended.cancelled())
        .await
        .expect("the answer's body is let go");
}

#[tokio::test]
async fn tls_is_spoken_and_both_protocols_are_offered() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["gw.example".to_owned()]).unwrap();
    let files = Tls {
        certificate: dir.path().join("server.pem"),
        key: dir.path().join("server.key"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let bed = Bed::start(short(), Some(Certificate::load(&files).unwrap()), hello).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    for protocol in [b"h2" as &[u8], b"http/1.1"] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        client.alpn_protocols = vec![protocol.to_vec()];
        let name = rustls_pki_types::ServerName::try_from("gw.example").unwrap();
        let tls = TlsConnector::from(Arc::new(client));
        let mut stream = tls.connect(name, bed.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        if protocol == b"http/1.1" {
            stream.write_all(GET).await.unwrap();
            assert!(everything(&mut stream).await.ends_with("hello"));
            continue;
        }
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        bed.tasks.spawn(async move { drop(connection.await) });
        let request = Request::get("https://gw.example/mcp/billing");
        let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(
            answer.into_body().collect().await.unwrap().to_bytes(),
            "hello"
        );
    }
    // Plain text on a TLS port, and a handshake that never comes.
    let mut plain = bed.connect().await;
    plain.write_all(GET).await.unwrap();
    assert!(!everything(&mut plain).await.contains("hello"));
    assert_eq!(everything(&mut bed.connect().await).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_fails_in_time() {
    let (_theirs, ours) = tokio::io::duplex(64);
    let mut stream = Impatient::new(Box::new(ours), &Limits::default());
    let failed = stream.read(&mut [0; 64]).await.unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_preface_is_not_enough() {
    let (mut theirs, ours) = tokio::io::duplex(64);
    let mut stream = Impatient::new(Box::new(ours), &Limits::default());
    theirs.write_all(b"PRI * HTTP/2.0").await.unwrap();
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 14);
    assert!(stream.read(&mut [0; 64]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_began_may_be_silent() {
    let (mut theirs, ours) = tokio::io::duplex(64);
    let mut stream = Impatient::new(Box::new(ours), &Limits::default());
    theirs
        .write_all(b"GET /mcp/billing HTTP/1.1\r\n")
        .await
        .unwrap();
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 27);
    assert!(
        timeout(Duration::from_secs(60), stream.read(&mut [0; 64]))
            .await
            .is_err()
    );
}

/// A body without end, which says when it is let go.
fn endless(
    ended: CancellationToken,
) -> impl Fn(Request<Incoming>, SocketAddr) -> Answering + Clone + Send + Sync {
    move |_, _| {
        let guard = ended.clone().drop_guard();
        let frames = futures_util::stream::repeat_with(move || {
            let _held = &guard;
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(&[b'x'; 8192])))
        });
        let body = Watched::known(AnswerBody::wrap(StreamBody::new(frames)));
        Box::pin(async { Ok(http::Response::new(body)) })
    }
}

#[tokio::test]
async fn who_asks_and_does_not_read_loses_the_connection() {
    let ended = CancellationToken::new();
    let limits = Limits {
        write_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let bed = Bed::start(limits, None, endless(ended.clone())).await;
    let mut stream = bed.connect().await;
    stream.write_all(GET).await.unwrap();
    timeout(Duration::from_secs(10), ended.cancelled())
        .await
        .expect("the answer is let go");
    // What was sent before is there, and then the end.
    everything(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn who_reads_something_in_time_is_waited_for() {
    let (mut theirs, ours) = tokio::io::duplex(64);
    let limits = Limits::default();
    let mut stream = Impatient::new(Box::new(ours), &limits);
    stream.write_all(&[0; 64]).await.unwrap();
    for _ in 0..10 {
        let waited = timeout(limits.write_timeout / 2, stream.write_all(&[0; 1])).await;
        assert!(waited.is_err(), "there is no room");
        theirs.read_u8().await.unwrap();
        stream.write_all(&[0; 1]).await.unwrap();
    }
    let failed = stream.write_all(&[0; 1]).await.unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
}

/// Watches the answers of its connection, as the edge does.
fn reading<F>(
    answer: F,
) -> impl Fn(Request<Incoming>, SocketAddr) -> Answering + Clone + Send + Sync
where
    F: Fn(Request<Incoming>, SocketAddr) -> Answering + Clone + Send + Sync,
{
    move |mut request, peer| {
        let readers = request.extensions_mut().remove::<Readers>();
        assert!(readers.is_some());
        let answering = answer(request, peer);
        Box::pin(async move { Ok(answering.await?.map(|body| body.read_by(readers.as_ref()))) })
    }
}

/// An answer over HTTP/2 to a client that takes so much of it until it reads.
async fn over_http2(bed: &Bed, window: u32) -> (http::Response<Incoming>, JoinHandle<()>) {
    let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(bed.connect().await));
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = bed.tasks.spawn(async move { drop(connection.await) });
    let request = Request::get("http://gw.example/mcp/billing");
    let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
    (sender.send_request(request).await.unwrap(), connection)
}

#[tokio::test]
async fn a_window_that_stays_shut_loses_the_connection() {
    let limits = Limits {
        write_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let known = |_: Request<Incoming>, _: SocketAddr| -> Answering {
        let body = AnswerBody::full(Bytes::from(vec![b'x'; 1 << 20]));
        Box::pin(async { Ok(http::Response::new(Watched::known(body))) })
    };
    let bed = Bed::start(limits, None, reading(known)).await;
    let (answer, _) = over_http2(&bed, 0).await;
    let cut = timeout(Duration::from_secs(10), answer.into_body().collect()).await;
    assert!(cut.expect("in time").is_err());

    // Its last piece is handed over, and all but a byte of it stays.
    let small = |_: Request<Incoming>, _: SocketAddr| -> Answering {
        let body = AnswerBody::full(Bytes::from(vec![b'x'; 1 << 10]));
        Box::pin(async { Ok(http::Response::new(Watched::known(body))) })
    };
    let bed = Bed::start(limits, None, reading(small)).await;
    let (_unread, connection) = over_http2(&bed, 1).await;
    timeout(Duration::from_secs(10), connection)
        .await
        .expect("in time")
        .unwrap();

    let ended = CancellationToken::new();
    let bed = Bed::start(limits, None, reading(endless(ended.clone()))).await;
    let (_unread, _) = over_http2(&bed, 70_000).await;
    timeout(Duration::from_secs(10), ended.cancelled())
        .await
        .expect("the answer is let go");
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_the_clients_fault() {
    let limits = Limits {
        write_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let (say, rest) = tokio::sync::watch::channel(None);
    let bed = Bed::start(limits, None, reading(streaming(rest))).await;
    let (answer, _) = over_http2(&bed, 1 << 20).await;
    let mut reading = pin!(answer.into_body().collect());
    let early = timeout(3 * limits.write_timeout, &mut reading).await;
    assert!(early.is_err(), "it goes on");
    say.send_replace(Some("last"));
    assert_eq!(reading.await.unwrap().to_bytes(), "first last");
}
